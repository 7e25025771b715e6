"""The recorder, with real threads."""

import threading

import pytest

from tests.verification.history import Kind
from tests.verification.linearizability import Verdict, check_linearizability
from tests.verification.recorder import Recorder, ThreadLog


class LostError(Exception):
    """Nobody knows what happened."""


class RefusedError(LostError):
    """Nothing happened, although the family is that of unknown outcomes."""


def fail(error: Exception) -> None:
    """Raise it."""
    raise error


def test_an_answer_is_recorded_between_its_stamps() -> None:
    recorder = Recorder()
    log = recorder.new_log()
    during: list[int] = []

    def call() -> str:
        during.append(recorder.stamp())
        return "a"

    assert log.perform("k", Kind.GET, None, call) == "a"
    (operation,) = recorder.merge()
    assert (operation.key, operation.kind, operation.result) == ("k", Kind.GET, "a")
    assert operation.returned is not None
    assert operation.invoked < during[0] < operation.returned


def test_an_unknown_outcome_stays_open_and_a_refused_one_is_not_recorded() -> None:
    recorder = Recorder(unknown=(LostError,), refused=(RefusedError,))
    log = recorder.new_log()
    assert log.perform("k", Kind.SET, "a", lambda: fail(LostError())) is None
    assert log.perform("k", Kind.SET, "b", lambda: fail(RefusedError())) is None
    assert [(each.argument, each.is_unknown) for each in recorder.merge()] == [("a", True)]


def test_any_other_error_is_raised_and_recorded_as_unknown() -> None:
    recorder = Recorder()
    with pytest.raises(ZeroDivisionError):
        recorder.new_log().perform("k", Kind.SET, "a", lambda: fail(ZeroDivisionError()))
    assert [each.is_unknown for each in recorder.merge()] == [True]


def run_threads(recorder: Recorder, count: int, work: "Worker") -> None:
    """Run the work on threads with a log each, and wait for them."""
    threads = [
        threading.Thread(target=work.run, args=(recorder.new_log(), number))
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Worker:
    """Reads and writes a slot of a dict; what is stored is stored again after others had a turn."""

    def __init__(self, is_careless: bool) -> None:
        self._values: dict[str, str] = {}
        self._is_careless = is_careless
        self._turn = threading.Barrier(4)

    def run(self, log: ThreadLog, number: int) -> None:
        for step in range(20):
            value = f"{number}.{step}"
            self._turn.wait()
            log.perform("k", Kind.SET, value, lambda value=value: self._set(value))  # type: ignore[misc]
            log.perform("k", Kind.GET, None, lambda: self._values.get("k"))

    def _set(self, value: str) -> None:
        self._values["k"] = value
        if self._is_careless:
            self._values["k"] = f"lost by {value}"


@pytest.mark.parametrize("is_careless", [False, True])
def test_a_history_of_real_threads_is_judged(is_careless: bool) -> None:
    recorder = Recorder()
    run_threads(recorder, 4, Worker(is_careless))
    history = recorder.merge()
    assert len(history) == 160
    assert {each.thread for each in history} == {0, 1, 2, 3}
    stamps = [stamp for each in history for stamp in (each.invoked, each.returned)]
    assert len(set(stamps)) == len(stamps)
    report = check_linearizability(history)
    assert report.verdict is (Verdict.VIOLATION if is_careless else Verdict.OK), report.explanation
