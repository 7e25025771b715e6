"""What is shown of a load is what it did in the time between two snapshots."""

from core import KeyValueStore, LoadGenerator, LoadSettings, ManualClock, Workload
from tests.support import store_with
from tui.view_model import load_view


def test_before_its_first_operation_a_load_has_no_figures() -> None:
    view = load_view(LoadGenerator(store_with()).snapshot())
    assert (view.running, view.operations_per_second) == (False, 0)
    assert view.p50 is view.p99 is view.p999 is view.maximum is None


def test_rates_and_percentiles_are_of_the_time_between() -> None:
    clock = ManualClock()
    settings = LoadSettings(workload=Workload.A, threads=2, key_count=50)
    generator = LoadGenerator(store_with(), settings, clock=clock)
    generator.load()
    before = generator.snapshot()
    generator.start()
    while generator.snapshot().operations < 500:
        pass
    generator.stop()
    clock.advance(2)
    now = generator.snapshot()
    view = load_view(now, before)
    assert view.operations_per_second == now.operations / 2
    assert view.p50 is not None
    assert view.p99 is not None
    assert 0 < view.p50 <= view.p99 < 10
    assert (view.workload, view.threads, view.rate_per_thread) == ("A", 2, None)
    assert load_view(now, now).p50 is None


def test_errors_are_counted_by_type_with_the_last_in_a_sentence() -> None:
    generator = LoadGenerator(KeyValueStore(), LoadSettings(workload=Workload.A, threads=1))
    generator.start()
    while not generator.snapshot().errors:
        pass
    generator.stop()
    view = load_view(generator.snapshot())
    assert dict(view.errors)["NoServersError"] >= 1
    assert view.last_error is not None
    assert "add_server" in view.last_error
