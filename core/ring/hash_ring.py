"""The ring's membership: which servers there are and where their vnodes lie."""

import threading
from typing import Self

from sortedcontainers import SortedList

from core.errors import InvalidOptionError
from core.ring.hashing import SEED, HashFunction, murmur3
from core.ring.ring_view import RingView, Vnode
from core.stripes import LAST_POSITION

DEFAULT_VIRTUAL_NODES = 150
MAX_VIRTUAL_NODES = 100_000
MAX_WEIGHT = 1_000.0


class HashRing:
    """A consistent-hash ring of weighted servers. Usable alone.

    Thread safety: any thread may call any method. `_lock` guards `_vnodes` and `_weights`; `view`
    is replaced by one reference assignment, so readers take no lock.

    Always true: `view` holds exactly the vnodes of `_vnodes`, and vnode *i* of server *s* lies at
    the hash of ``"{s}#{i}"``, so ownership never depends on the order in which servers came.

    Args:
        virtual_nodes_per_node: vnodes of a server of weight 1.
        hash_function: gives vnodes and keys their position; shaped as `mmh3.hash`.

    >>> ring = HashRing()
    >>> ring.add_server("alpha"), ring.add_server("bravo", weight=2.0)
    (True, True)
    >>> ring.view.server_for_key("user:1001")
    'bravo'
    >>> len(ring.view.vnodes)
    450
    """

    def __init__(
        self,
        virtual_nodes_per_node: int = DEFAULT_VIRTUAL_NODES,
        *,
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
        self._hash = hash_function
        self._lock = threading.Lock()
        self._vnodes: SortedList[Vnode] = SortedList()
        self._weights: dict[str, float] = {}
        self.view = RingView(hash_function=hash_function)

    def add_server(self, server_id: str, weight: float = 1.0) -> bool:
        """Add a server's vnodes and publish the new view; False if it is there already.

        O(vnodes). Raises InvalidOptionError when `weight` is not above 0 and at most 1,000.
        """
        count = self.vnodes_for(weight)
        with self._lock:
            if server_id in self._weights:
                return False
            self._vnodes.update(
                Vnode(self._vnode_position(server_id, number), server_id, number)
                for number in range(count)
            )
            self._weights[server_id] = weight
            self._publish_locked()
        return True

    def remove_server(self, server_id: str) -> bool:
        """Remove a server's vnodes and publish the new view; False if it is not there."""
        with self._lock:
            if self._weights.pop(server_id, None) is None:
                return False
            self._vnodes = SortedList(
                vnode for vnode in self._vnodes if vnode.server_id != server_id
            )
            self._publish_locked()
        return True

    def set_weight(self, server_id: str, weight: float) -> bool:
        """Give a server another number of vnodes; False if it is not there.

        The vnodes that it has before and after stay where they are. O(vnodes).

        Raises:
            InvalidOptionError: `weight` is not above 0 and at most 1,000.
        """
        count = self.vnodes_for(weight)
        with self._lock:
            if server_id not in self._weights:
                return False
            self._vnodes = SortedList(
                vnode for vnode in self._vnodes if vnode.server_id != server_id
            )
            self._vnodes.update(
                Vnode(self._vnode_position(server_id, number), server_id, number)
                for number in range(count)
            )
            self._weights[server_id] = weight
            self._publish_locked()
        return True

    def clear(self) -> None:
        """Remove every server."""
        with self._lock:
            self._vnodes.clear()
            self._weights.clear()
            self._publish_locked()

    def copy(self) -> Self:
        """Return a ring of the same servers and epoch, to try a change on."""
        other = type(self)(self.virtual_nodes_per_node, hash_function=self._hash)
        with self._lock:
            other._vnodes = SortedList(self._vnodes)
            other._weights = dict(self._weights)
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
            self._vnodes._check()
            assert tuple(self._vnodes) == self.view.vnodes, "the view is not the membership"
            assert dict(self.view.weights) == self._weights, "the view has other weights"
            for vnode in self._vnodes:
                expected = self._vnode_position(vnode.server_id, vnode.number)
                assert vnode.position == expected, f"{vnode} is not where its name hashes to"
                assert 0 <= vnode.position <= LAST_POSITION, f"{vnode} lies off the ring"
            for server_id, weight in self._weights.items():
                count = sum(vnode.server_id == server_id for vnode in self._vnodes)
                assert count == self.vnodes_for(weight), f"{server_id} has {count} vnodes"

    def _vnode_position(self, server_id: str, number: int) -> int:
        return self._hash(f"{server_id}#{number}".encode(), SEED, False)

    def _publish_locked(self) -> None:
        self.view = RingView(self.view.epoch + 1, self._vnodes, self._weights, self._hash)
