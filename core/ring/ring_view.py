"""An immutable routing table: which server holds a position, in one epoch of the ring.

Prior art: consistent hashing (Karger et al., STOC 1997) with virtual nodes (Dynamo, SOSP 2007).
A lookup is one hash and one read of a table over the top bits of the position; only the few table
slots that a vnode falls into need a bisect.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from core.errors import NoServersError
from core.ring.hashing import SEED, HashFunction, murmur3
from core.ring.ring_range import Range
from core.stripes import POSITION_BITS, POSITIONS

# 65,536 slots: with 10 servers of 150 vnodes, about 2 % of lookups need the bisect.
_TABLE_BITS = 16
_TABLE_SHIFT = POSITION_BITS - _TABLE_BITS


class Vnode(NamedTuple):
    """One point of a server on the ring; ordered by position, then server id, then number."""

    position: int
    server_id: str
    number: int


class RingView:
    """The ring as it is in one epoch.

    Thread safety: immutable once made (the lookup tables are filled on first use, with the same
    content whoever fills them), so any thread may read it without a lock.

    Args:
        epoch: the number of the ring's state; every change counts it up.
        vnodes: all vnodes, in order.
        weights: the weight of each server.
        hash_function: gives a key its position; shaped as `mmh3.hash`.
    """

    __slots__ = (
        "_hash",
        "_positions",
        "_shares",
        "_table",
        "_vnode_counts",
        "epoch",
        "vnodes",
        "weights",
    )

    def __init__(
        self,
        epoch: int = 0,
        vnodes: Sequence[Vnode] = (),
        weights: Mapping[str, float] = MappingProxyType({}),
        hash_function: HashFunction = murmur3,
    ) -> None:
        self.epoch = epoch
        self.vnodes: tuple[Vnode, ...] = tuple(vnodes)
        self.weights: Mapping[str, float] = MappingProxyType(dict(weights))
        self._hash = hash_function
        self._positions: list[int] = []
        self._table: list[str | None] = []
        self._shares: Mapping[str, float] | None = None
        self._vnode_counts: Mapping[str, int] | None = None

    @property
    def servers(self) -> tuple[str, ...]:
        """The ids of the servers, sorted."""
        return tuple(sorted(self.weights))

    @property
    def positions(self) -> list[int]:
        """The position of each vnode, in order; not to be changed."""
        if len(self._positions) != len(self.vnodes):
            self._positions = [vnode.position for vnode in self.vnodes]
        return self._positions

    def server_for_key(self, key: str) -> str:
        """Return the primary of `key`. O(1) for most keys, else O(log vnodes).

        Raises:
            NoServersError: the ring is empty.
            UnicodeEncodeError: `key` has a lone surrogate.
        """
        position = self._hash(key.encode(), SEED, False)
        try:
            server_id = self._table[position >> _TABLE_SHIFT]
        except IndexError:
            self._fill_table()
            return self.server_for_key(key)
        if server_id is None:
            return self.vnode_at(position).server_id
        return server_id

    def vnode_at(self, position: int) -> Vnode:
        """Return the vnode that owns `position`: the first at or after it. O(log vnodes).

        Raises:
            NoServersError: the ring is empty.
        """
        if not self.vnodes:
            raise NoServersError
        return self.vnodes[self._index_at(position)]

    def range_at(self, position: int) -> Range:
        """Return the range between two neighbouring vnode positions that `position` lies in.

        Raises:
            NoServersError: the ring is empty.
        """
        vnode = self.vnode_at(position)
        # With ties, vnode_at gives the first of a position, so the one before lies elsewhere.
        return Range(self.vnodes[self._index_at(position) - 1].position, vnode.position)

    def replicas(self, position: int, count: int) -> tuple[str, ...]:
        """Return the first `count` distinct servers clockwise from `position`, primary first.

        Fewer servers than `count`: all of them. An empty ring: none. O(log vnodes + steps to find
        `count` distinct servers).
        """
        wanted = min(count, len(self.weights))
        found: dict[str, None] = {}
        index = self._index_at(position) if self.vnodes else 0
        while len(found) < wanted:
            found[self.vnodes[index].server_id] = None
            index = (index + 1) % len(self.vnodes)
        return tuple(found)

    def ranges(self, count: int = 1) -> Iterator[tuple[Range, tuple[str, ...]]]:
        """Yield every range between neighbouring vnode positions with its replicas. O(vnodes)."""
        distinct = sorted(set(self.positions))
        for index, end in enumerate(distinct):
            yield Range(distinct[index - 1], end), self.replicas(end, count)

    def shares(self) -> Mapping[str, float]:
        """Return the fraction (0 to 1) of all positions whose primary each server is.

        O(vnodes log vnodes) the first time, then O(1).
        """
        if self._shares is None:
            sizes = dict.fromkeys(self.servers, 0)
            for ring_range, (primary, *_) in self.ranges():
                sizes[primary] += ring_range.size
            self._shares = MappingProxyType(
                {server_id: size / POSITIONS for server_id, size in sizes.items()}
            )
        return self._shares

    def vnode_counts(self) -> Mapping[str, int]:
        """Return how many vnodes each server has. O(vnodes) the first time, then O(1)."""
        if self._vnode_counts is None:
            counts = Counter(vnode.server_id for vnode in self.vnodes)
            self._vnode_counts = MappingProxyType(dict(counts))
        return self._vnode_counts

    def _index_at(self, position: int) -> int:
        index = bisect_left(self.positions, position)
        return index if index < len(self.vnodes) else 0

    def _fill_table(self) -> None:
        """Give each slot the server that owns all of it, or None where vnodes share it."""
        if not self.vnodes:
            raise NoServersError
        table: list[str | None] = []
        for vnode in self.vnodes:
            slot = vnode.position >> _TABLE_SHIFT
            table.extend([vnode.server_id] * (slot - len(table)))
            if len(table) == slot:
                table.append(None)
        table.extend([self.vnodes[0].server_id] * ((1 << _TABLE_BITS) - len(table)))
        self._table = table
