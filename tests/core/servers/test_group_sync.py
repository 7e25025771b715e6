"""Writers share syncs, and none is told that its write is on the disk before it is."""

import threading

import pytest

from core.servers.group_sync import GroupSync


class Log:
    """Stands for a log: each sync waits until it is let through."""

    def __init__(self) -> None:
        self.written = 0
        self.durable = 0
        self.syncs = 0
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.fails = False

    def sync(self) -> int:
        written = self.written
        self.syncs += 1
        self.began.release()
        assert self.may_end.acquire(timeout=60)
        if self.fails:
            raise OSError("no disk")
        self.durable = written
        return written


def test_those_who_come_while_one_syncs_share_the_next_sync() -> None:
    log = Log()
    group = GroupSync(log.sync)
    durable_at_return: dict[int, int] = {}

    def write(number: int) -> None:
        group.through(number)
        durable_at_return[number] = log.durable

    log.written = 1
    first = threading.Thread(target=write, args=(1,))
    first.start()
    assert log.began.acquire(timeout=60)
    log.written = 9
    others = [threading.Thread(target=write, args=(number,)) for number in range(2, 10)]
    for other in others:
        other.start()
    log.may_end.release()
    assert log.began.acquire(timeout=60)
    log.may_end.release()
    for thread in (first, *others):
        thread.join(60)
    assert log.syncs == 2
    assert len(durable_at_return) == 9
    assert all(durable >= number for number, durable in durable_at_return.items())


def test_what_is_synced_already_takes_no_sync() -> None:
    log = Log()
    log.may_end.release()
    group = GroupSync(log.sync)
    log.written = 3
    group.through(3)
    group.through(2)
    assert log.syncs == 1


def test_a_sync_that_fails_acknowledges_nobody() -> None:
    log = Log()
    log.fails = True
    group = GroupSync(log.sync)
    failed: list[int] = []

    def write(number: int) -> None:
        try:
            group.through(number)
        except OSError:
            failed.append(number)

    log.written = 3
    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for _ in threads:
        log.may_end.release()
    for thread in threads:
        thread.join(60)
    assert sorted(failed) == [1, 2, 3]
    log.fails = False
    log.may_end.release()
    group.through(3)
    assert log.durable == 3


def test_the_error_of_a_sync_is_told() -> None:
    log = Log()
    log.fails = True
    log.may_end.release()
    with pytest.raises(OSError, match="no disk"):
        GroupSync(log.sync).through(1)
