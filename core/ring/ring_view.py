"""An immutable routing table: which server holds a position, in one epoch of the ring.

Prior art: consistent hashing (Karger et al., STOC 1997) with virtual nodes (Dynamo, SOSP 2007).
A lookup is one hash, one read of a table over the top bits of the position, which tells the first
vnode there, and a look at that vnode and seldom at the next ones.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self, TypeVar, overload

from core.errors import InvalidOptionError, NoServersError
from core.murmur3 import COMPILED, murmur3_x86_32
from core.native import i32, i64, vec
from core.record import checked_key
from core.ring.hashing import SEED, HashFunction, murmur3
from core.ring.ring_range import Range
from core.stripes import LAST_POSITION, POSITION_BITS, POSITIONS

# 65,536 slots: of 10 servers of 150 vnodes, 2 % have a vnode; of 1,000 such servers each has two.
_TABLE_BITS: Final = 16
_TABLE_SHIFT: Final = POSITION_BITS - _TABLE_BITS


_T = TypeVar("_T")


class Vnode(NamedTuple):
    """One point of a server on the ring; ordered by position, then server id, then number."""

    position: int
    server_id: str
    number: int


class RingView:
    """The ring as it is in one epoch.

    Thread safety: immutable once made (the lookup tables are filled on first use, with the same
    content whoever fills them), so any thread may read it without a lock.

    Always true: `positions` and `vnodes` go side by side, and `vnodes_by_server` holds the same
    vnodes once more. A view that was made from another one by `with_server` or `without_server`
    shares with it what did not change: every vnode, and every other server's tuple of vnodes. So
    making it copies references and sorts nothing, and whoever compares two such views finds what
    differs without looking at the rest.

    Args:
        epoch: the number of the ring's state; every change counts it up.
        vnodes: all vnodes, in order.
        weights: the weight of each server.
        hash_function: gives a key its position; shaped as `mmh3.hash`.
    """

    __slots__ = (
        "_ends",
        "_hash",
        "_hashes_here",
        "_primaries",
        "_shares",
        "_sizes",
        "_table",
        "epoch",
        "positions",
        "vnodes",
        "vnodes_by_server",
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
        # The position of each vnode, in order; not to be changed.
        self.positions: list[int] = [vnode.position for vnode in self.vnodes]
        self.vnodes_by_server: Mapping[str, tuple[Vnode, ...]] = _grouped_by_server(self.vnodes)
        self.weights: Mapping[str, float] = MappingProxyType(dict(weights))
        self._hash = hash_function
        # Whether positions are worked out without calling `hash_function`.
        self._hashes_here: bool = COMPILED and hash_function is murmur3
        # Filled by the first lookup, `_table` last.
        self._ends: vec[i64] = vec[i64]([])
        self._primaries: list[str] = []
        self._table: vec[i32] = vec[i32]([])
        # How many positions each server is the primary of.
        self._sizes: dict[str, int] = dict.fromkeys(self.weights, 0)
        for index, vnode in enumerate(self.vnodes):
            self._sizes[vnode.server_id] += self._size_at(index)
        self._shares: Mapping[str, float] | None = None

    def with_server(self, server_id: str, weight: float, vnodes: Sequence[Vnode]) -> Self:
        """Return the view of the next epoch, in which there is one server more.

        O(its vnodes x log all vnodes), and a copy of the references to all vnodes.

        Args:
            server_id: a server that is not in this view.
            weight: its weight.
            vnodes: its vnodes, in order.
        """
        places = [bisect_left(self.vnodes, vnode) for vnode in vnodes]
        view = self._successor(
            _inserted(self.vnodes, places, vnodes),
            _inserted(self.positions, places, [vnode.position for vnode in vnodes]),
            {**self.vnodes_by_server, server_id: tuple(vnodes)},
            {**self.weights, server_id: weight},
        )
        taken = view._taken_by([place + number for number, place in enumerate(places)], self)
        view._sizes = {**self._sizes, server_id: sum(taken.values()) if taken else POSITIONS}
        for other, size in taken.items():
            view._sizes[other] -= size
        return view

    def without_server(self, server_id: str) -> Self:
        """Return the view of the next epoch, in which one server of this view is missing.

        O(its vnodes x log all vnodes), and a copy of the references to all vnodes.
        """
        by_server, weights = dict(self.vnodes_by_server), dict(self.weights)
        del weights[server_id]
        places = [bisect_left(self.vnodes, vnode) for vnode in by_server.pop(server_id)]
        view = self._successor(
            _left_out(self.vnodes, places), _left_out(self.positions, places), by_server, weights
        )
        view._sizes = dict(self._sizes)
        del view._sizes[server_id]
        for other, size in self._taken_by(places, view).items():
            view._sizes[other] += size
        return view

    def with_other_vnodes(self, server_id: str, weight: float, vnodes: Sequence[Vnode]) -> Self:
        """Return the view of the next epoch, in which a server has another weight and vnodes.

        The same cost as taking it out and putting it in again, which is what is done.
        """
        view = self.without_server(server_id).with_server(server_id, weight, vnodes)
        view.epoch = self.epoch + 1
        return view

    def in_epoch(self, epoch: int) -> "RingView":
        """Return this view as it is to be in another epoch. O(servers)."""
        if epoch == self.epoch:
            return self
        view = type(self)(epoch, (), self.weights, self._hash)
        view.vnodes, view.positions = self.vnodes, self.positions
        view.vnodes_by_server = self.vnodes_by_server
        view._sizes, view._shares = self._sizes, self._shares
        # `_table` first, since whoever fills it meanwhile fills it last.
        view._table = self._table
        view._ends, view._primaries = self._ends, self._primaries
        return view

    def _successor(
        self,
        vnodes: list[Vnode],
        positions: list[int],
        by_server: dict[str, tuple[Vnode, ...]],
        weights: dict[str, float],
    ) -> Self:
        view = type(self)(self.epoch + 1, (), weights, self._hash)
        view.vnodes = tuple(vnodes)
        view.positions = positions
        view.vnodes_by_server = MappingProxyType(by_server)
        return view

    def _taken_by(self, places: Sequence[int], other: "RingView") -> Mapping[str, int]:
        """Return how many positions the vnodes at `places` take from each server of `other`.

        `other` is the same view without those vnodes. If it has none at all, nothing is taken from
        anybody.
        """
        taken: Counter[str] = Counter()
        if other.vnodes:
            for number, place in enumerate(places):
                next_vnode = other.vnodes[(place - number) % len(other.vnodes)]
                taken[next_vnode.server_id] += self._size_at(place)
        return taken

    @property
    def servers(self) -> tuple[str, ...]:
        """The ids of the servers, sorted."""
        return tuple(sorted(self.weights))

    # Overloaded for type checkers alone. Compiled code would refuse another type than the one that
    # is named by itself, with an error that is not ours.
    @overload
    def server_for_key(self, key: str, /) -> str: ...
    @overload
    def server_for_key(self, key: str) -> str: ...
    def server_for_key(self, key: Any) -> str:
        """Return the primary of `key`. O(1), or O(vnodes in a 65,536th of the ring).

        Raises:
            InvalidKeyError: not a `str`, or with a lone surrogate.
            NoServersError: the ring is empty.
        """
        # A good key pays for no check: another one is looked at when this has failed.
        try:
            text: str = key
            if self._hashes_here:
                position: i64 = murmur3_x86_32(text.encode())
            else:
                position = self._hash(text.encode(), SEED, False)
        except (AttributeError, TypeError, UnicodeEncodeError):
            checked_key(key)
            raise
        try:
            index = i64(self._table[position >> _TABLE_SHIFT])
        except IndexError:
            self._fill_table()
            return self.server_for_key(key)
        ends = self._ends
        while position > ends[index]:
            index += 1
        return self._primaries[index]

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

        Raises:
            InvalidOptionError: `position` is not 0 to 2**32 - 1, or `count` is below 0.
        """
        if not 0 <= position <= LAST_POSITION:
            raise InvalidOptionError(f"a position is 0 to {LAST_POSITION:,}, not {position:,}")
        if count < 0:
            raise InvalidOptionError(f"count must be 0 or more, not {count:,}")
        return self._replicas_from(self._index_at(position), count) if self.vnodes else ()

    def replicas_between(
        self, low: int, high: int, count: int
    ) -> tuple[list[tuple[int, tuple[str, ...]]], tuple[str, ...]]:
        """Return the vnode positions from `low` to `high`, in order, each with its replicas.

        The second thing returned is the replicas of the position behind `high`.

        O(log vnodes + positions found x count): going back from vnode to vnode, a server comes to
        the front of the replicas of the next one, and leaves its later place or pushes the last
        one out.
        """
        if not self.vnodes:
            return [], ()
        first, end = bisect_left(self.positions, low), bisect_right(self.positions, high)
        behind = owners = self._replicas_from(end % len(self.vnodes), count)
        found: dict[int, tuple[str, ...]] = {}
        for index in range(end - 1, first - 1, -1):
            position, server_id, _ = self.vnodes[index]
            if owners[:1] != (server_id,):
                others = [other for other in owners if other != server_id]
                owners = (server_id, *others)[:count]
            # Of vnodes at one position the first counts, which is the last to get here.
            found[position] = owners
        return list(found.items())[::-1], behind

    def ranges(self, count: int = 1) -> Iterator[tuple[Range, tuple[str, ...]]]:
        """Yield every range between neighbouring vnode positions with its replicas.

        O(vnodes x count).
        """
        start = self.positions[-1] if self.positions else 0
        for end, replicas in self.replicas_between(0, LAST_POSITION, count)[0]:
            yield Range(start, end), replicas
            start = end

    def shares(self) -> Mapping[str, float]:
        """Return the fraction (0 to 1) of all positions whose primary each server is.

        O(servers) the first time, then O(1).
        """
        if self._shares is None:
            self._shares = MappingProxyType(
                {server_id: self._sizes[server_id] / POSITIONS for server_id in self.servers}
            )
        return self._shares

    def sizes(self) -> Mapping[str, int]:
        """Return how many positions each server is the primary of. O(1)."""
        return MappingProxyType(self._sizes)

    def vnode_counts(self) -> Mapping[str, int]:
        """Return how many vnodes each server has. O(servers)."""
        return {server_id: len(vnodes) for server_id, vnodes in self.vnodes_by_server.items()}

    def _index_at(self, position: int) -> int:
        index = bisect_left(self.positions, position)
        return index if index < len(self.vnodes) else 0

    def _size_at(self, index: int) -> int:
        """Return how many positions a vnode owns: none, if one before it is at its position."""
        before = self.positions[index - 1] if index else self.positions[-1] - POSITIONS
        return self.positions[index] - before

    def _replicas_from(self, index: int, count: int) -> tuple[str, ...]:
        """Return the first `count` distinct servers from a vnode on; the view is not empty."""
        wanted = min(count, len(self.vnodes_by_server))
        found: dict[str, None] = {}
        while len(found) < wanted:
            found[self.vnodes[index].server_id] = None
            index = (index + 1) % len(self.vnodes)
        return tuple(found)

    def _fill_table(self) -> None:
        """Give each slot the first vnode at or after its first position."""
        if not self.vnodes:
            raise NoServersError
        # Behind the last vnode comes the first, which no position is behind of.
        ends = [*self.positions, POSITIONS]
        self._ends = vec[i64](ends)
        self._primaries = [vnode.server_id for vnode in [*self.vnodes, self.vnodes[0]]]
        table: list[int] = []
        for index, position in enumerate(self.positions):
            slot = position >> _TABLE_SHIFT
            table.extend([index] * (slot + 1 - len(table)))
        table.extend([len(self.vnodes)] * ((1 << _TABLE_BITS) - len(table)))
        self._table = vec[i32](table)


def _grouped_by_server(vnodes: Sequence[Vnode]) -> Mapping[str, tuple[Vnode, ...]]:
    groups: dict[str, list[Vnode]] = {}
    for vnode in vnodes:
        groups.setdefault(vnode.server_id, []).append(vnode)
    return MappingProxyType({server_id: tuple(group) for server_id, group in groups.items()})


def _inserted(items: Sequence[_T], places: Sequence[int], added: Sequence[_T]) -> list[_T]:
    """Return `items` with each of `added` before the item at its place; both are in order."""
    found: list[_T] = []
    start = 0
    for place, item in zip(places, added, strict=True):
        found += items[start:place]
        found.append(item)
        start = place
    found += items[start:]
    return found


def _left_out(items: Sequence[_T], places: Sequence[int]) -> list[_T]:
    """Return `items` without those at `places`, which are in order."""
    found: list[_T] = []
    start = 0
    for place in places:
        found += items[start:place]
        start = place + 1
    found += items[start:]
    return found
