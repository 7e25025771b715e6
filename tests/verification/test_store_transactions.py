"""Transactions of the store, while its servers join, leave, crash and come back."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from core import (
    KeyValueStore,
    QuorumError,
    ServerFailedError,
    StoreError,
    TransactionConflict,
)
from core import Transaction as StoreTransaction
from tests.verification.bank import BalanceRead, check_bank
from tests.verification.cycles import check_list_append
from tests.verification.disturbed_cluster import DisturbedCluster
from tests.verification.seeds import replayable, seeds
from tests.verification.transactions import Append, Outcome, Read, Transaction

WORKERS = 4
ACCOUNTS = [f"account:{number}" for number in range(6)]
EACH = 100
TRANSFERS = 60
# So many of each, in all, must have been done whole.
ENOUGH = 20
LISTS = [f"list:{number}" for number in range(4)]
APPENDING = 40
SESSIONS = 6


@contextmanager
def disturbed(seed: int, factor: int, data_dir: Path | None = None) -> Iterator[DisturbedCluster]:
    """Yield a cluster to which things happen, until the end of the block."""
    source = random.Random(seed)

    def come_in_between(step: str) -> None:
        if source.random() < 0.2:
            time.sleep(0)

    cluster = DisturbedCluster(seed, factor, come_in_between, data_dir)
    over = threading.Event()
    errors: list[BaseException] = []

    def disturb() -> None:
        try:
            cluster.disturb(over)
        except BaseException as error:
            errors.append(error)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        yield cluster
    finally:
        over.set()
        disturber.join()
    assert errors == []
    cluster.check_and_close()


def in_threads(work: Callable[[int], None], workers: int = WORKERS) -> None:
    """Run `work` in several threads; raise the first error of theirs."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def balance(tx: StoreTransaction, account: str) -> int:
    return int(tx.get(account, "0"))


def transfer(store: KeyValueStore, source: random.Random) -> bool:
    """Move money between two accounts; return whether it was done for sure."""
    giver, taker = source.sample(ACCOUNTS, 2)
    amount = source.randrange(1, 30)

    def move(tx: StoreTransaction) -> None:
        if balance(tx, giver) >= amount:
            tx.set(giver, str(balance(tx, giver) - amount))
            tx.set(taker, str(balance(tx, taker) + amount))

    try:
        store.run_transaction(move)
    except (QuorumError, ServerFailedError, TransactionConflict):
        return False
    return True


@pytest.mark.parametrize("session", range(SESSIONS))
@pytest.mark.parametrize("factor", [1, 3])
def test_the_sum_of_all_accounts_never_changes(factor: int, session: int) -> None:
    move_money(factor, session)


def move_money(factor: int, session: int, data_dir: Path | None = None) -> None:
    with replayable(session):
        reads: list[BalanceRead] = []
        moved: list[int] = []
        stamp = count().__next__
        with disturbed(session, factor, data_dir) as cluster:
            store = cluster.store
            in_threads(lambda _: _open_accounts(store), workers=1)

            def work(number: int) -> None:
                source = random.Random(session * 10 + number)
                # With one replica, whatever lies on a server that is cut off can't be read
                # meanwhile: where that is most of the time, it takes more attempts.
                for attempt in range(TRANSFERS * 50):
                    if attempt >= TRANSFERS and min(len(reads), len(moved)) >= ENOUGH:
                        break
                    if source.random() < 0.5:
                        if transfer(store, source):
                            moved.append(attempt)
                        continue
                    began = stamp()
                    try:
                        seen = store.run_transaction(
                            lambda tx: {account: balance(tx, account) for account in ACCOUNTS}
                        )
                    except StoreError:
                        continue
                    reads.append(BalanceRead(number, dict(seen), began, stamp()))

            in_threads(work)
        report = check_bank(reads, ACCOUNTS, EACH * len(ACCOUNTS))
        assert report.violations == ()
        assert report.complete_reads >= ENOUGH
        assert len(moved) >= ENOUGH


def _open_accounts(store: KeyValueStore) -> None:
    for account in ACCOUNTS:
        while True:
            try:
                store.set(account, str(EACH))
                break
            except StoreError:
                time.sleep(0.001)  # its server is cut off at the moment


@pytest.mark.parametrize("session", range(SESSIONS))
@pytest.mark.parametrize("factor", [1, 3])
def test_lists_of_unique_integers_show_no_cycle(factor: int, session: int) -> None:
    append_to_lists(factor, session)


def append_to_lists(factor: int, session: int, data_dir: Path | None = None) -> None:
    with replayable(session):
        stamp, element = count().__next__, count(1).__next__
        done: list[Transaction] = []
        with disturbed(session, factor, data_dir) as cluster:
            store = cluster.store

            def work(number: int) -> None:
                source = random.Random(session * 10 + number)
                done.extend(
                    _append_and_read(store, source, number, stamp, element)
                    for _ in range(APPENDING)
                )

            in_threads(work)
        assert check_list_append(done) == ()
        committed = sum(each.outcome is Outcome.COMMITTED for each in done)
        assert committed >= APPENDING * WORKERS * 0.05


def _append_and_read(
    store: KeyValueStore,
    source: random.Random,
    thread: int,
    stamp: Callable[[], int],
    element: Callable[[], int],
) -> Transaction:
    """Run one transaction of appends and reads, and return what it saw and how it ended."""
    began = stamp()
    actions: list[Append | Read] = []
    outcome = Outcome.COMMITTED
    try:
        with store.transaction() as tx:
            for _ in range(source.randrange(1, 5)):
                key = source.choice(LISTS)
                found = str(tx.get(key, ""))
                if source.random() < 0.5:
                    append = Append(key, element())
                    actions.append(append)
                    tx.set(key, f"{found} {append.element}".strip())
                else:
                    actions.append(Read(key, tuple(map(int, found.split()))))
    except QuorumError as error:
        outcome = Outcome.UNKNOWN if error.unknown else Outcome.ABORTED
    except (TransactionConflict, ServerFailedError):
        outcome = Outcome.ABORTED
    return Transaction(thread, tuple(actions), outcome, began, stamp())


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("factor", [1, 3])
def test_many_more_sessions(factor: int) -> None:
    for session in seeds(200):
        test_the_sum_of_all_accounts_never_changes(factor, session)
        test_lists_of_unique_integers_show_no_cycle(factor, session)
