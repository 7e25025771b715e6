"""One server as the cluster sees it: whether it answers, and what it has missed.

What a server missed is kept by the stripe. While it is a few records they are kept as hints, the
latest of each key; when they become too many, the stripe is to be compared with another replica's.
A server counts for reads in a stripe only while it has missed nothing there: then it is *current*.
"""

import threading
from collections.abc import Callable

from core.record import Entry, Record
from core.servers.operation_counters import OperationCounters, count_on
from core.servers.server import DurableServer, Server

# `DurableServer.put` of one.
Put = Callable[[int, str, Record], int]

# Hints a server, before stripes are compared instead: 10,000 records of 1 kB are 10 MB.
HINTS_KEPT = 10_000


class Replica:
    """A server, and what it has missed.

    Thread safety: the lock of a stripe guards what is said about that stripe; `_counting` guards
    `hints`, which is about all of them. `down` and `server` are changed by failover alone.

    Always true: with its hints delivered, a replica holds every record of its stripes that are not
    incomplete; `hints` is the number of all hints.

    Args:
        server: where its records lie.
        hints_kept: how many hints to keep before stripes are to be compared instead; more, where
            there would be nobody to compare with.
    """

    __slots__ = (
        "_counting",
        "_late",
        "_missed",
        "counters",
        "down",
        "durable",
        "given_up",
        "hints",
        "hints_kept",
        "puts",
        "server",
    )

    def __init__(self, server: Server, hints_kept: int = HINTS_KEPT) -> None:
        self.counters = OperationCounters()
        self.store_in(server)
        self.down = False
        # Whether it may leave with what only its disk holds: somebody said so.
        self.given_up = False
        self.hints = 0
        self.hints_kept = hints_kept
        self._counting = threading.Lock()
        # The hints of each stripe that it is behind in; None where it is to be compared.
        self._missed: dict[int, dict[str, Entry] | None] = {}
        # What it missed since it began to be compared, of each stripe in which it is.
        self._late: dict[int, dict[str, Entry]] = {}

    @property
    def server_id(self) -> str:
        """The server's id."""
        return self.server.server_id

    def store_in(self, server: Server) -> None:
        """Keep its records in `server` from now on."""
        self.server = server
        records = server.records
        if records is not None and records is not self.counters:
            count_on(records, self.counters)
            self.counters = records
        # The same, if what it holds outlives a crash. Asking for that takes 10 us.
        self.durable = server if isinstance(server, DurableServer) else None
        self.puts: tuple[Put, ...] = () if self.durable is None else (self.durable.put,)

    def sound_scan(self, low: int, high: int, limit: int | None = None) -> list[Entry]:
        """Return the entries at positions `low` to `high`, in order, at most `limit`.

        Raises:
            CorruptRecordError: one of them is corrupt.
            ServerFailedError: the server failed.
        """
        if self.durable is None:
            return self.server.scan(low, high, limit)
        return self.durable.sound_scan(low, high, limit)

    @property
    def trouble(self) -> str | None:
        """What keeps its disk from being written; None if nothing does, it is down, or has none."""
        return None if self.durable is None or self.down else self.durable.trouble

    @property
    def behind(self) -> list[int]:
        """The stripes in which it has missed something, in order."""
        return sorted(self._missed)

    @property
    def catching_up(self) -> bool:
        """Whether it has missed something anywhere."""
        return bool(self._missed)

    @property
    def well(self) -> bool:
        """Whether it answers and has missed nothing."""
        return not self.down and not self._missed

    def current(self, stripe: int) -> bool:
        """Whether it answers and holds every record of `stripe` that is its own."""
        return not self.down and stripe not in self._missed

    def complete(self, stripe: int) -> bool:
        """Whether it holds every record of `stripe` that is its own, hints included."""
        return self._missed.get(stripe, _NO_HINTS) is not None

    def hints_of(self, stripe: int) -> list[Entry]:
        """Return what it has missed in `stripe`, as far as that was kept."""
        return list((self._missed.get(stripe) or _NO_HINTS).values())

    @property
    def full(self) -> bool:
        """Whether as many hints wait for it as are to be kept."""
        return self.hints >= self.hints_kept

    def miss(self, stripe: int, entry: Entry, *, keep: bool = False) -> None:
        """Note a record that did not reach it.

        Args:
            stripe: the record's stripe.
            entry: the record.
            keep: True keeps it, and all that waits with it, even when there are too many.
        """
        hints = self._missed.setdefault(stripe, {})
        if hints is None:
            self._miss_late(stripe, entry)
            return  # it will be compared anyway
        if entry.key not in hints:
            with self._counting:
                overflows = self.full and not keep
                self.hints += not overflows
            if overflows:
                self.miss_all(stripe)
                return
        hints[entry.key] = entry

    def others_mended(self, stripe: int, entry: Entry) -> None:
        """Note a record that others were given because they differed: it may lack it as well.

        It may have been compared already, or wait for hints, none of which is given up for it.
        """
        hints = self._missed.get(stripe, _NO_HINTS)
        if hints is None:
            self._miss_late(stripe, entry)
        elif entry.key in hints:
            if hints[entry.key].record.version < entry.record.version:
                hints[entry.key] = entry
        elif not self.full:
            self.miss(stripe, entry, keep=True)

    def miss_all(self, stripe: int) -> None:
        """Note that it lacks nobody knows what in `stripe`."""
        self._drop_hints(stripe)
        self._missed[stripe] = None
        self._late.pop(stripe, None)

    def begin_comparing(self, stripe: int) -> dict[str, Entry]:
        """Return what it will have missed in `stripe` since now, while it is compared in parts.

        That fills as long as `comparing` knows it.
        """
        late: dict[str, Entry] = {}
        self._late[stripe] = late
        return late

    def comparing(self, stripe: int, late: dict[str, Entry]) -> bool:
        """Whether what was compared since `late` began is as it was left, but for `late`."""
        return self._late.get(stripe) is late

    def end_comparing(self, stripe: int, late: dict[str, Entry]) -> None:
        """Keep nothing more for a comparison that is over, or failed."""
        if self.comparing(stripe, late):
            del self._late[stripe]

    def caught_up(self, stripe: int) -> None:
        """Note that it holds all of `stripe`."""
        self._drop_hints(stripe)
        self._missed.pop(stripe, None)
        self._late.pop(stripe, None)

    def forget_hints(self, stripe: int, low: int, high: int) -> None:
        """Forget what it missed at positions `low` to `high`: they are no longer its own.

        A hint that outlives its range would bring an old record back when the range comes back.
        """
        late = self._late.get(stripe, _NO_HINTS)
        for key in [key for key, entry in late.items() if low <= entry.position <= high]:
            del late[key]
        hints = self._missed.get(stripe)
        if hints is None:
            return
        kept = {key: entry for key, entry in hints.items() if not low <= entry.position <= high}
        with self._counting:
            self.hints -= len(hints) - len(kept)
        self._missed[stripe] = kept
        if not kept:
            del self._missed[stripe]

    def check_invariants(self) -> None:
        """Assert what is always true; for tests."""
        kept = sum(len(hints) for hints in self._missed.values() if hints is not None)
        assert self.hints == kept, f"{self.server_id} counts {self.hints} hints and has {kept}"
        for stripe, hints in self._missed.items():
            assert hints is None or hints, f"{self.server_id} has no hint in stripe {stripe}"
        for stripe, late in self._late.items():
            assert len(late) <= self.hints_kept, f"{len(late)} late hints in stripe {stripe}"
            assert self._missed.get(stripe, _NO_HINTS) is None, f"{stripe} need not be compared"

    def _miss_late(self, stripe: int, entry: Entry) -> None:
        late = self._late.get(stripe)
        if late is None:
            return
        late[entry.key] = entry
        if len(late) > self.hints_kept:
            del self._late[stripe]  # it is to be compared from the beginning

    def _drop_hints(self, stripe: int) -> None:
        with self._counting:
            self.hints -= len(self._missed.get(stripe) or _NO_HINTS)


_NO_HINTS: dict[str, Entry] = {}
