"""A bench that loses a server says what happened, and notices when a promise is broken."""

import threading
from dataclasses import replace

import pytest

from core import KeyValueStore, LoadSettings, QuorumError, Value, Workload
from tests.support import store_with
from tests.tui.command_line import inside
from tests.tui.renderables.support import lines_of
from tui.fault_bench import FaultBenchResult, RememberingStore, run_fault_bench
from tui.fault_bench_report import draw_fault_bench_report
from tui.renderables.look import DARK

SERVERS = ("alpha", "bravo", "charlie", "delta", "echo")
SETTINGS = LoadSettings(workload=Workload.A, threads=2, key_count=300)


def five(**options: object) -> KeyValueStore:
    return store_with(SERVERS, **{"replication_factor": 3, **options})


@pytest.fixture(scope="module")
def result() -> FaultBenchResult:
    with five() as store:
        return run_fault_bench(store, SETTINGS, 0.6)


def test_a_crash_of_one_in_five_breaks_no_promise(result: FaultBenchResult) -> None:
    assert result.broken == ()
    assert (result.failed_after_detection, result.lost_writes) == (0, 0)
    assert result.crashed in SERVERS
    assert list(result.phases) == ["before", "down", "catching up", "after"]
    assert all(interval.operations for interval in result.phases.values())
    assert result.acknowledged_writes > 300
    assert result.recovered
    # Nothing need be copied: the load may have written every key again before it is compared.
    assert result.recovery.compared > 0
    assert result.doctor.keys == 300
    assert result.replicas_equal


def test_the_report_says_each_promise_and_each_phase(result: FaultBenchResult) -> None:
    with five() as store:
        lines = lines_of(draw_fault_bench_report(result, store.snapshot(), DARK))
        plain = draw_fault_bench_report(
            result, store.snapshot(), replace(DARK, ascii_only=True)
        ).plain
    assert lines[0] == (f"YCSB A while {result.crashed}, one of 5 servers, crashes and recovers")
    assert lines[1] == "3 replicas, strong; 2 threads, unpaced; 300 keys of 100 B; seed 0"
    phases = ["before", "down", "catching", "after"]
    assert [line.split()[0] for line in lines[4:8]] == phases
    assert "● 0 operations failed after the crash was detected" in lines
    assert f"● 0 of {result.acknowledged_writes:,} acknowledged writes lost" in lines
    assert "● 300 keys compared: all replicas are equal" in lines
    assert plain.isascii()


def test_a_broken_promise_is_told_and_ends_with_1(
    result: FaultBenchResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(result, lost_writes=2, failed_after_detection=1, recovered=False)
    assert len(broken.broken) == 4
    monkeypatch.setattr("tui.cli.run_fault_bench", lambda *_: broken)
    outcome = inside(capsys, "bench", "--faults")
    assert outcome.status == 1
    assert f"✖ 2 of {result.acknowledged_writes:,} acknowledged writes lost" in outcome.output
    assert "✖ 1 operation failed after the crash was detected" in outcome.output
    monkeypatch.setattr("tui.cli.run_fault_bench", lambda *_: result)
    assert inside(capsys, "bench", "--faults").status == 0


class LosingStore(KeyValueStore):
    """A store that acknowledges writes of one key, and drops every write after the first."""

    __slots__ = ("_seen",)

    def set(self, key: str, value: Value, **options: object) -> bool:
        if key == "load:user7" and key in self:
            return True
        return super().set(key, value)


def test_an_acknowledged_write_that_is_not_there_is_noticed() -> None:
    store = LosingStore(5)
    store.add_server("alpha")
    target = RememberingStore(store)
    for key in ("load:user6", "load:user7", "load:user7"):
        target.set(key, "x" * 30)
    assert target.acknowledged_writes == 3
    assert target.lost_writes() == ["load:user7"]


def test_a_key_that_is_gone_and_one_that_is_older_are_noticed() -> None:
    with store_with(["alpha"]) as store:
        target = RememberingStore(store)
        for key in ("a", "b", "c"):
            target.set(key, "first")
        before = store.get("b")
        assert before is not None
        target.set("b", "second")
        assert target.lost_writes() == []
        store.remove("a")
        store.set("b", before)
        assert target.lost_writes() == ["a", "b"]


def test_a_write_of_one_writer_is_lost_when_that_of_an_earlier_one_is_there() -> None:
    with store_with(["alpha"]) as store:
        target = RememberingStore(store)
        target.set("key", "of the first")
        earlier = store.get("key")
        assert earlier is not None
        second = threading.Thread(target=target.set, args=("key", "of the second"))
        second.start()
        second.join()
        assert target.lost_writes() == []
        store.set("key", earlier)
        assert target.lost_writes() == ["key"]


def test_of_two_writes_at_one_time_either_may_be_there() -> None:
    both = threading.Barrier(2)

    class Meeting(KeyValueStore):
        """A store in which no write ends before the other has begun."""

        __slots__ = ()

        def set(self, key: str, value: Value, **options: object) -> bool:
            both.wait(30)
            written = super().set(key, value)
            both.wait(30)
            return written

    with Meeting(5) as store:
        store.add_server("alpha")
        target = RememberingStore(store)
        writers = [threading.Thread(target=target.set, args=("key", "x" * 9)) for _ in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        for began in (1, 2):
            KeyValueStore.set(store, "key", f"{began} xxxxxxx")
            assert target.lost_writes() == []
        KeyValueStore.set(store, "key", "3 never written")
        assert target.lost_writes() == ["key"]


def test_a_write_that_failed_may_have_happened() -> None:
    class Doubtful(KeyValueStore):
        __slots__ = ()

        def set(self, key: str, value: Value, **options: object) -> bool:
            super().set(key, value)
            if isinstance(value, str) and "doubt" in value:
                raise QuorumError(1, 2, unknown=True)
            return True

    with Doubtful(5) as store:
        store.add_server("alpha")
        target = RememberingStore(store)
        target.set("key", "sure")
        with pytest.raises(QuorumError):
            target.set("key", "padding doubt")
        assert target.lost_writes() == []
        assert (target.failed_before, target.failed_after) == (1, 0)
        target.crash_detected()
        with pytest.raises(QuorumError):
            target.set("key", "padding doubt")
        assert (target.failed_before, target.failed_after) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--replicas", "2"), "--faults needs 3 servers and --replicas 3 or more"),
        (("--servers", "a,b"), "--faults needs 3 servers and --replicas 3 or more"),
        (("--operations", "9"), "--faults takes --seconds, and no --operations"),
    ],
)
def test_what_it_can_not_do_is_said_in_one_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = inside(capsys, "bench", "--faults", *arguments)
    assert outcome.status == 2
    (line,) = outcome.message_lines
    assert said in line
