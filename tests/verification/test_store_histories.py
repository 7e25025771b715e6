"""Every history of the store, whatever happens to its servers, is linearizable."""

from collections.abc import Iterable

import pytest

from tests.verification.history import Operation, overlap
from tests.verification.linearizability import Verdict, check_linearizability
from tests.verification.seeds import replayable
from tests.verification.store_histories import HISTORIES_A_CHANGE, Session

HISTORIES = 25
# 2 x 24 sessions in peace and 2 x 24 while servers join, leave and fail: 2,400 histories.
SESSIONS = range(24)
LEAST_OVERLAP = 0.25
MOST_UNKNOWN = 0.001


def verify(histories: Iterable[list[Operation]]) -> None:
    """Assert that all histories are linearizable, that operations met, and that all was decided."""
    unknown = count = 0
    operations: list[Operation] = []
    for history in histories:
        report = check_linearizability(history)
        assert report.verdict is not Verdict.VIOLATION, report.explanation
        unknown += report.verdict is Verdict.UNKNOWN
        operations += history
        count += 1
    assert unknown <= count * MOST_UNKNOWN, f"{unknown} of {count} histories were not decided"
    assert overlap(operations) >= LEAST_OVERLAP, f"only {overlap(operations):.0%} overlapped"


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("factor", [1, 3])
def test_histories_are_linearizable(factor: int, session: int) -> None:
    with replayable(session):
        verify(Session(session, factor, HISTORIES, disturbed=False).run().histories)


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("factor", [1, 3])
def test_histories_while_servers_join_leave_and_fail_are_linearizable(
    factor: int, session: int
) -> None:
    with replayable(session):
        done = Session(session, factor, HISTORIES, disturbed=True).run()
        assert done.changes >= HISTORIES / HISTORIES_A_CHANGE
        verify(done.histories)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("factor", [1, 3])
def test_100_000_histories_are_linearizable(factor: int) -> None:
    for session in range(1_000, 2_000):
        with replayable(session):
            verify(Session(session, factor, 50, disturbed=session % 4 > 0).run().histories)
