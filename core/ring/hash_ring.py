"""The ring's membership: which servers there are and where their vnodes lie."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Self

from sortedcontainers import SortedDict

from core.errors import InvalidOptionError
from core.ring.balanced import balanced_positions
from core.ring.hashing import SEED, HashFunction, murmur3
from core.ring.placement import Placement, checked_placement
from core.ring.ring_view import RingView, Vnode
from core.server_id import checked_server_id
from core.stripes import LAST_POSITION

DEFAULT_VIRTUAL_NODES = 150
MAX_VIRTUAL_NODES = 100_000
MAX_WEIGHT = 1_000.0


class HashRing:
    """A consistent-hash ring of weighted servers. Usable alone.

    Thread safety: any thread may call any method. `_lock` guards `_members`, the servers and their
    weights; `view` is replaced by one reference assignment, so readers take no lock. (A sorted
    container of the vnodes, beside the view's, lost: with 250 servers of 150 vnodes, copying it for
    a plan took 11 ms, and a view is made from the last one in 1 ms.)

    Always true: `view` has the servers of `_members`, and its vnodes are sorted. With random
    placement vnode *i* of server *s* lies at the hash of ``"{s}#{i}"``, so ownership never depends
    on the order in which servers came. With a balanced one no two vnodes share a position, and a
    server's are numbered in their order.

    Args:
        virtual_nodes_per_node: vnodes of a server of weight 1.
        placement: ``"random"`` hashes a server's vnodes to where they lie; ``"balanced"`` chooses
            where as many of them even out the shares, see `Placement`.
        hash_function: gives vnodes and keys their position; shaped as `mmh3.hash`.

    >>> ring = HashRing()
    >>> ring.add_server("alpha"), ring.add_server("bravo", weight=2.0)
    (True, True)
    >>> ring.view.server_for_key("user:1001")
    'bravo'
    >>> len(ring.view.vnodes)
    450
    >>> ring = HashRing(placement="balanced")
    >>> ring.add_server("alpha"), ring.add_server("bravo"), ring.add_server("charlie", weight=2.0)
    (True, True, True)
    >>> [round(share, 3) for share in ring.view.shares().values()]
    [0.25, 0.25, 0.5]
    """

    def __init__(
        self,
        virtual_nodes_per_node: int = DEFAULT_VIRTUAL_NODES,
        *,
        placement: Placement | str = Placement.RANDOM,
        hash_function: HashFunction = murmur3,
    ) -> None:
        if (
            not isinstance(virtual_nodes_per_node, int)
            or not 1 <= virtual_nodes_per_node <= MAX_VIRTUAL_NODES
        ):
            raise InvalidOptionError(
                f"virtual_nodes_per_node must be a whole number from 1 to {MAX_VIRTUAL_NODES:,}"
            )
        self.virtual_nodes_per_node = virtual_nodes_per_node
        self.placement = checked_placement(placement)
        self._hash = hash_function
        self._lock = threading.Lock()
        self._members: SortedDict[str, float] = SortedDict()
        self.view = RingView(hash_function=hash_function)

    def add_server(self, server_id: str, weight: float = 1.0) -> bool:
        """Add a server's vnodes and publish the new view; False if it is there already.

        O(its vnodes x log all vnodes), and a copy of the references to all vnodes. A balanced
        placement also looks at the vnodes of as many servers as it has vnodes, at most.

        Raises:
            InvalidOptionError: `weight` is not above 0 and at most 1,000, or makes more than
                100,000 vnodes.
            InvalidServerIdError: the id is not allowed.
        """
        server_id = checked_server_id(server_id)
        count = self.vnodes_for(weight)
        with self._lock:
            if server_id in self._members:
                return False
            vnodes = self._vnodes_of(server_id, weight, count)
            self._members[server_id] = weight
            self.view = self.view.with_server(server_id, weight, vnodes)
        return True

    def remove_server(self, server_id: str) -> bool:
        """Remove a server's vnodes and publish the new view; False if it is not there.

        O(its vnodes x log all vnodes), and a copy of the references to all vnodes.
        """
        with self._lock:
            if self._members.pop(server_id, None) is None:
                return False
            self.view = self.view.without_server(server_id)
        return True

    def set_weight(self, server_id: str, weight: float) -> bool:
        """Give a server another number of vnodes; False if it is not there.

        The vnodes that it has before and after stay where they are. With a balanced placement those
        that come, and those that go, are chosen. O(vnodes).

        Raises:
            InvalidOptionError: `weight` is not above 0 and at most 1,000.
        """
        count = self.vnodes_for(weight)
        with self._lock:
            if server_id not in self._members:
                return False
            vnodes = self._vnodes_of(server_id, weight, count)
            self._members[server_id] = weight
            self.view = self.view.with_other_vnodes(server_id, weight, vnodes)
        return True

    def restore(
        self,
        weights: Mapping[str, float],
        epoch: int,
        positions: Mapping[str, Sequence[int]] = MappingProxyType({}),
    ) -> None:
        """Take these servers in place of all others, and go on at `epoch`. O(vnodes log vnodes).

        Args:
            weights: the servers, with their weights.
            epoch: the epoch to go on at.
            positions: where the vnodes of each server lie, of a ring whose placement is balanced;
                a random one hashes them.

        Raises:
            InvalidOptionError: a weight is not above 0 and at most 1,000, or the positions are not
                as many as a server of its weight has.
        """
        vnodes: list[Vnode] = []
        for server_id, weight in weights.items():
            count = self.vnodes_for(weight)
            if self.placement is Placement.RANDOM:
                vnodes += self._hashed_vnodes(server_id, count)
            elif len(positions.get(server_id, ())) == count:
                vnodes += vnodes_at(server_id, positions[server_id])
            else:
                raise InvalidOptionError(f"the positions are not those of {server_id}'s weight")
        view = RingView(epoch, sorted(vnodes), weights, hash_function=self._hash)
        with self._lock:
            self._take_locked(view)

    def adopt(self, view: RingView) -> None:
        """Take the servers and vnodes of a view that a copy of this ring has, as the next epoch.

        So a change that was tried on the copy is made without choosing its vnodes once more, and
        one that is taken back leads to those that there were. O(servers).
        """
        with self._lock:
            self._take_locked(view.in_epoch(self.view.epoch + 1))

    def clear(self) -> None:
        """Remove every server."""
        with self._lock:
            self._members.clear()
            self.view = RingView(self.view.epoch + 1, hash_function=self._hash)

    def copy(self) -> Self:
        """Return a ring of the same servers and epoch, to try a change on. O(servers)."""
        other = type(self)(
            self.virtual_nodes_per_node, placement=self.placement, hash_function=self._hash
        )
        with self._lock:
            other._members.update(self._members)
            other.view = self.view
        return other

    def vnodes_for(self, weight: float) -> int:
        """Return how many vnodes a server of `weight` gets, at least one.

        Raises:
            InvalidOptionError: `weight` is not above 0 and at most 1,000, or makes more than
                100,000 vnodes.
        """
        if not isinstance(weight, int | float) or not 0 < weight <= MAX_WEIGHT:
            raise InvalidOptionError(f"a weight must be above 0 and at most {MAX_WEIGHT:g}")
        count = max(1, round(self.virtual_nodes_per_node * weight))
        if count > MAX_VIRTUAL_NODES:
            raise InvalidOptionError(
                f"weight {weight:g} makes {count:,} virtual nodes: at most {MAX_VIRTUAL_NODES:,}"
            )
        return count

    def check_invariants(self) -> None:
        """Assert what is always true of a ring; for tests. O(vnodes log vnodes)."""
        with self._lock:
            view = self.view
            assert dict(view.weights) == dict(self._members), "the view has other servers"
        by_server = {
            server_id: tuple(self._expected_vnodes(server_id, view)) for server_id in view.weights
        }
        expected = sorted(vnode for vnodes in by_server.values() for vnode in vnodes)
        assert list(view.vnodes) == expected, "the view's vnodes are not those of its servers"
        assert view.positions == [vnode.position for vnode in expected], "positions differ"
        assert dict(view.vnodes_by_server) == by_server, "a server has other vnodes than its own"
        swept = RingView(view.epoch, expected, view.weights)
        assert view.shares() == swept.shares(), "the shares are not those of a ring made anew"
        for vnode in expected:
            assert 0 <= vnode.position <= LAST_POSITION, f"{vnode} lies off the ring"
        if self.placement is Placement.BALANCED:
            assert len({*view.positions}) == len(expected), "two vnodes share a position"

    def _take_locked(self, view: RingView) -> None:
        self._members.clear()
        self._members.update(view.weights)
        self.view = view

    def _vnodes_of(self, server_id: str, weight: float, count: int) -> list[Vnode]:
        """Return the vnodes that a server is to have, in order."""
        if self.placement is Placement.RANDOM:
            return self._hashed_vnodes(server_id, count)
        return vnodes_at(server_id, balanced_positions(self.view, server_id, weight, count))

    def _hashed_vnodes(self, server_id: str, count: int) -> list[Vnode]:
        hash_function = self._hash
        return sorted(
            Vnode(hash_function(f"{server_id}#{number}".encode(), SEED, False), server_id, number)
            for number in range(count)
        )

    def _expected_vnodes(self, server_id: str, view: RingView) -> list[Vnode]:
        """Return the vnodes of a server as they have to be; chosen ones may lie anywhere."""
        count = self.vnodes_for(view.weights[server_id])
        if self.placement is Placement.RANDOM:
            return self._hashed_vnodes(server_id, count)
        positions = [vnode.position for vnode in view.vnodes_by_server.get(server_id, ())]
        assert len(positions) == count, f"{server_id} has too many vnodes, or too few"
        return vnodes_at(server_id, positions)


def vnodes_at(server_id: str, positions: Iterable[int]) -> list[Vnode]:
    """Return the vnodes of a server whose positions were chosen, in order."""
    return [Vnode(position, server_id, number) for number, position in enumerate(sorted(positions))]
