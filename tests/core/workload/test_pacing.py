"""The schedule of a paced thread, on a clock that the test moves."""

import threading

import pytest

from core.clock import ManualClock
from core.workload.pacing import MAX_BACKLOG_SECONDS, Pacer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def pacer_of(clock: ManualClock, interval: float | None, index: int = 0) -> Pacer:
    pacer = Pacer(clock, threading.Event(), index)
    pacer.set_interval(interval)
    return pacer


def operations_until(clock: ManualClock, pacer: Pacer, seconds: float) -> int:
    operations = 0
    while clock.monotonic() < seconds:
        assert pacer.wait()
        operations += 1
    return operations


def test_operations_come_at_the_pace(clock: ManualClock) -> None:
    pacer = pacer_of(clock, 0.01)
    assert operations_until(clock, pacer, 10.0) == pytest.approx(1_000, abs=2)


def test_without_a_pace_nothing_is_waited_for(clock: ManualClock) -> None:
    pacer = pacer_of(clock, None)
    for _ in range(100):
        assert pacer.wait()
    assert clock.monotonic() == 0.0


def test_slow_operations_do_not_slow_the_pace(clock: ManualClock) -> None:
    pacer = pacer_of(clock, 0.01)
    operations = 0
    while clock.monotonic() < 10.0:
        assert pacer.wait()
        clock.advance(0.009)
        operations += 1
    assert operations == pytest.approx(1_000, abs=2)


def test_a_short_delay_is_made_up_for(clock: ManualClock) -> None:
    pacer = pacer_of(clock, 0.01)
    pacer.wait()
    clock.advance(MAX_BACKLOG_SECONDS / 2)
    assert operations_until(clock, pacer, 1.0) == pytest.approx(99, abs=2)


def test_after_a_stall_there_is_no_storm(clock: ManualClock) -> None:
    pacer = pacer_of(clock, 0.001)
    pacer.wait()
    clock.advance(3_600.0)
    stalled_until = clock.monotonic()
    at_once = 0
    while True:
        assert pacer.wait()
        if clock.monotonic() > stalled_until:
            break
        at_once += 1
    assert at_once == pytest.approx(MAX_BACKLOG_SECONDS / 0.001, abs=2)


def test_first_operations_of_threads_are_spread_over_the_interval(clock: ManualClock) -> None:
    first_due = []
    for index in range(64):
        own_clock = ManualClock()
        pacer_of(own_clock, 1.0, index).wait()
        first_due.append(own_clock.monotonic())
    assert first_due[0] == 0.0
    first_due.sort()
    gaps = [
        later - earlier for earlier, later in zip(first_due, [*first_due[1:], 1.0], strict=True)
    ]
    assert max(gaps) < 3 / 64


def test_the_same_interval_goes_on_as_it_is(clock: ManualClock) -> None:
    pacer = pacer_of(clock, 10.0)
    pacer.wait()
    clock.advance(4.0)
    pacer.set_interval(10.0)
    pacer.wait()
    assert clock.monotonic() == pytest.approx(10.0)


def test_another_interval_begins_now(clock: ManualClock) -> None:
    pacer = pacer_of(clock, 1_000.0)
    pacer.wait()
    pacer.set_interval(1.0)
    pacer.wait()
    assert clock.monotonic() == 0.0
    pacer.wait()
    assert clock.monotonic() == pytest.approx(1.0)


def test_a_thread_that_is_woken_has_not_begun_an_operation(clock: ManualClock) -> None:
    wake = threading.Event()
    pacer = Pacer(clock, wake, 0)
    pacer.set_interval(10.0)
    assert pacer.wait()
    wake.set()
    assert not pacer.wait()
    wake.clear()
    assert pacer.wait()
    assert clock.monotonic() == pytest.approx(10.0)
