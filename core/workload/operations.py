"""The operations of a load, carried out on a store and measured one by one.

Knows one store through three methods; nothing of threads, pace or of what happens after an error.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from string import ascii_letters, digits
from time import perf_counter_ns
from typing import Protocol

from core.metrics import LatencyRecorder
from core.record import Value
from core.workload.key_space import KeySpace, load_key
from core.workload.load_settings import LoadSettings
from core.workload.ycsb import MAX_SCAN_LENGTH, OperationKind

# A value is a piece of one long text, begun at one of so many places: making random text for every
# write would take longer than the write.
_VALUE_STARTS = 1_024
_ALPHABET = (ascii_letters + digits + "-_").encode()
_TO_ALPHABET = _ALPHABET * (256 // len(_ALPHABET))


class LoadTarget(Protocol):
    """The part of a store that a load uses. `KeyValueStore` is one.

    Thread safety: any thread may call any method.
    """

    def get(self, key: str, /) -> Value | None:
        """Return the value of `key`, or None if it has none."""
        ...

    def set(self, key: str, value: Value, /) -> bool:
        """Store `value` under `key`."""
        ...

    def scan(self, start_key: str, count: int, /) -> Sequence[tuple[str, Value]]:
        """Return up to `count` keys and values in ring order, from `start_key`'s position on."""
        ...


def value_text(size: int, seed: int) -> str:
    """Return a text from which values of `size` bytes can be cut at 1,024 places. O(size)."""
    octets = Random(f"{seed}/values").randbytes(size + _VALUE_STARTS - 1)
    return octets.translate(_TO_ALPHABET).decode("ascii")


class Tally:
    """What one thread has counted.

    Thread safety: one thread counts, without a lock; any thread may read meanwhile.

    Attributes:
        recorders: how long the operations took that succeeded, by kind; without kinds that the
            thread was never asked for.
        misses: how many of their reads found no value.
    """

    __slots__ = ("misses", "recorders")

    def __init__(self) -> None:
        self.recorders: dict[OperationKind, LatencyRecorder] = {}
        self.misses = 0


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """What the threads of a load are to do.

    Attributes:
        settings: the settings in force.
        keys: the keys of the load.
        text: what values are cut from; see `value_text`.
    """

    settings: LoadSettings
    keys: KeySpace
    text: str

    def value(self, number: int) -> str:
        """Return a value; those of 1,024 numbers in a row differ."""
        start = number % _VALUE_STARTS
        return self.text[start : start + self.settings.value_size]


class TimedOperations:
    """The operations that some orders ask for, in their mix.

    Only the calls of the store are timed, not the choice of a key nor the making of a value.

    Thread safety: belongs to one thread.

    Args:
        target: the store.
        orders: the mix, the keys and the values.
        random: the random source.
        tally: what to count into.
    """

    def __init__(self, target: LoadTarget, orders: Orders, random: Random, tally: Tally) -> None:
        settings = orders.settings
        chooser = settings.effective_distribution.chooser(random, orders.keys.loaded_count)
        self._tally = tally
        self._keys = orders.keys
        self._value = orders.value
        self._values_made = 0
        # Bound once: each of these is called for every operation, or every other.
        self._draw = random.random
        self._choose = chooser.choose
        self._get = target.get
        self._set = target.set
        self._scan_from = target.scan
        perform: dict[OperationKind, Callable[[], int]] = {
            OperationKind.READ: self._read,
            OperationKind.UPDATE: self._update,
            OperationKind.INSERT: self._insert,
            OperationKind.SCAN: self._scan,
            OperationKind.READ_MODIFY_WRITE: self._read_modify_write,
        }
        mix = settings.workload.spec.mix
        self._steps = [
            (perform[kind], tally.recorders.setdefault(kind, LatencyRecorder()).record)
            for kind, _ in mix
        ]
        # An operation is the one between whose limits a number from 0 to 1 falls.
        self._limits = [percent / 100 for percent in accumulate(share for _, share in mix[:-1])]

    def carry_out_one(self) -> None:
        """Choose an operation, carry it out, and count it with the time that it took.

        Whatever the store raises is passed on, and the operation is not counted then.
        """
        perform, record = self._steps[bisect(self._limits, self._draw())]
        record(perform())

    # Each returns the nanoseconds that the store took.

    def _read(self) -> int:
        key = self._existing_key()
        started = perf_counter_ns()
        value = self._get(key)
        nanoseconds = perf_counter_ns() - started
        if value is None:
            self._tally.misses += 1
        return nanoseconds

    def _update(self) -> int:
        key = self._existing_key()
        value = self._new_value()
        started = perf_counter_ns()
        self._set(key, value)
        return perf_counter_ns() - started

    def _insert(self) -> int:
        number = self._keys.take()
        key = load_key(number)
        value = self._new_value()
        try:
            started = perf_counter_ns()
            self._set(key, value)
            return perf_counter_ns() - started
        finally:
            self._keys.settle(number)

    def _scan(self) -> int:
        key = self._existing_key()
        length = 1 + int(self._draw() * MAX_SCAN_LENGTH)
        started = perf_counter_ns()
        self._scan_from(key, length)
        return perf_counter_ns() - started

    def _read_modify_write(self) -> int:
        key = self._existing_key()
        value = self._new_value()
        started = perf_counter_ns()
        found = self._get(key)
        self._set(key, value)
        nanoseconds = perf_counter_ns() - started
        if found is None:
            self._tally.misses += 1
        return nanoseconds

    def _existing_key(self) -> str:
        return load_key(self._choose(self._keys.count))

    def _new_value(self) -> str:
        self._values_made += 1
        return self._value(self._values_made)
