"""Threads that write, remove and read registers, and notice every answer that can't be right.

A register is a key with one writer, which counts its writes up; everybody reads it. The writer
publishes the number of a write when it begins it and when it was acknowledged. A read is right when
it saw a state between the last one acknowledged before it began and the last one begun before it
ended. With one writer a register, that is linearizability but for the order of two reads, and that
is checked a reader at a time: a thread never sees an older state after a newer one.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core import KeyValueStore


class Interleaver:
    """A yield point that lets other threads come in between, often and reproducibly.

    Args:
        seed: of the decisions; which thread takes which is the scheduler's choice.
    """

    def __init__(self, seed: int, *, chance: float = 0.3) -> None:
        self._random = random.Random(seed)
        self._chance = chance
        self.calls = 0

    def __call__(self, step: str) -> None:
        self.calls += 1
        if self._random.random() < self._chance:
            # A sleep of any length gives the interpreter to another thread.
            time.sleep(self._random.choice((0, 0.00002, 0.0002)))


@dataclass
class Register:
    """A key with one writer.

    Attributes:
        key: the key.
        begun: the number of the last write that was begun.
        acknowledged: the number of the last write that was acknowledged.
        removed: the numbers of the writes that removed the key.
    """

    key: str
    begun: int = 0
    acknowledged: int = 0
    removed: set[int] = field(default_factory=lambda: {0})


@dataclass
class Report:
    """What the threads found.

    Attributes:
        violations: answers that can't be right, a line each.
        operations: how many operations there were.
        overlapping: how many of them overlapped with another thread's operation on the same key.
    """

    violations: list[str] = field(default_factory=list)
    operations: int = 0
    overlapping: int = 0


class RegisterWorkers:
    """Worker threads on registers; see the module.

    Each worker writes the registers that are its own, and reads any; all keep to few keys, so that
    operations meet.
    """

    def __init__(self, store: KeyValueStore, seed: int, workers: int = 8, keys: int = 24) -> None:
        self._store = store
        self._registers = [Register(f"register:{number}") for number in range(keys)]
        self._stop = threading.Event()
        self._report_lock = threading.Lock()
        self._intervals: list[tuple[str, int, int]] = []
        self.report = Report()
        self._threads = [
            threading.Thread(target=self._work, args=(number, workers, seed))
            for number in range(workers)
        ]

    def run_during(self, change: Callable[[], None]) -> Report:
        """Let the workers work while `change` runs, and check everything at the end."""
        for thread in self._threads:
            thread.start()
        try:
            change()
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()
        self._check_the_end()
        self._measure_overlap()
        return self.report

    def _work(self, number: int, workers: int, seed: int) -> None:
        source = random.Random(seed * 1_000 + number)
        own = self._registers[number::workers]
        newest_seen: dict[str, int] = {}
        intervals: list[tuple[str, int, int]] = []
        violations: list[str] = []
        try:
            while not self._stop.is_set():
                writes = source.random() < 0.4
                register = source.choice(own if writes else self._registers)
                began = time.perf_counter_ns()
                if writes:
                    self._write(register, removes=source.random() < 0.3)
                else:
                    self._read(register, newest_seen, violations)
                intervals.append((register.key, began, time.perf_counter_ns()))
        except Exception as error:
            violations.append(f"worker {number} died: {error!r}")
            raise
        finally:
            with self._report_lock:
                self._intervals += intervals
                self.report.violations += violations

    def _write(self, register: Register, *, removes: bool) -> None:
        state = register.begun + 1
        if removes:
            register.removed.add(state)
        register.begun = state
        if removes:
            self._store.remove(register.key)
        else:
            self._store.set(register.key, str(state))
        register.acknowledged = state

    def _read(self, register: Register, newest_seen: dict[str, int], violations: list[str]) -> None:
        oldest = register.acknowledged
        value = self._store.get(register.key)
        newest = register.begun
        if value is None:
            possible = [state for state in range(oldest, newest + 1) if state in register.removed]
            if not possible:
                violations.append(f"{register.key} was lost between {oldest} and {newest}")
                return
            state = possible[-1]
        else:
            state = int(value)
            if not oldest <= state <= newest:
                violations.append(f"{register.key} was {state}, not {oldest} to {newest}")
        if state < newest_seen.get(register.key, 0):
            violations.append(f"{register.key} went back to {state}")
        if value is not None:
            newest_seen[register.key] = state

    def _check_the_end(self) -> None:
        present = {register.key for register in self._registers if self._expected(register)}
        for register in self._registers:
            found, expected = self._store.get(register.key), self._expected(register)
            if found != expected:
                self.report.violations.append(f"{register.key} ends as {found!r}, not {expected}")
        if set(self._store.keys("register:")) != present:
            self.report.violations.append("keys() is not what was acknowledged")
        if len(self._store) != len(present) + self._other_keys(present):
            self.report.violations.append(f"the counts {self._store.get_stats()} do not agree")

    def _other_keys(self, present: set[str]) -> int:
        return len(self._store.keys()) - len(present)

    @staticmethod
    def _expected(register: Register) -> str | None:
        state = register.acknowledged
        return None if state in register.removed else str(state)

    def _measure_overlap(self) -> None:
        """Count operations that overlapped with another on the same key."""
        by_key: dict[str, list[tuple[int, int]]] = {}
        for key, began, ended in self._intervals:
            by_key.setdefault(key, []).append((began, ended))
        for intervals in by_key.values():
            intervals.sort()
            latest_end = 0
            for index, (began, ended) in enumerate(intervals):
                follows = index + 1 < len(intervals) and intervals[index + 1][0] < ended
                if began < latest_end or follows:
                    self.report.overlapping += 1
                latest_end = max(latest_end, ended)
            self.report.operations += len(intervals)
