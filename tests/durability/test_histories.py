"""What threads see of a store on disk, while its servers join, leave, crash and come back."""

from pathlib import Path

import pytest

pytest.importorskip("rocksdict")

from tests.verification.seeds import replayable
from tests.verification.store_histories import HISTORIES_A_CHANGE, Session
from tests.verification.test_store_histories import HISTORIES, verify
from tests.verification.test_store_transactions import append_to_lists, move_money

SESSIONS = range(4)


def run_session(place: Path, factor: int, session: int) -> None:
    with replayable(session):
        done = Session(
            session, factor, HISTORIES, disturbed=True, data_dir=place / f"session {session}"
        ).run()
        assert done.changes >= HISTORIES / HISTORIES_A_CHANGE
        verify(done.histories)


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("factor", [1, 3])
def test_histories_of_servers_on_disk_are_linearizable(
    place: Path, factor: int, session: int
) -> None:
    run_session(place, factor, session)


@pytest.mark.parametrize("factor", [1, 3])
def test_the_sum_of_all_accounts_on_disk_never_changes(place: Path, factor: int) -> None:
    move_money(factor, 1, place / "data")


@pytest.mark.parametrize("factor", [1, 3])
def test_lists_of_unique_integers_on_disk_show_no_cycle(place: Path, factor: int) -> None:
    append_to_lists(factor, 1, place / "data")


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("factor", [1, 3])
def test_many_sessions_on_disk(place: Path, factor: int) -> None:
    for session in range(100, 200):
        run_session(place, factor, session)
        move_money(factor, session, place / f"bank {session}")
        append_to_lists(factor, session, place / f"lists {session}")
