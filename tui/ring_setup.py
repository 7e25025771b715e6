"""Making the ring that a command is about: its servers, and sample keys."""

from collections.abc import Sequence

from core.cluster.levels import Consistency
from core.ring.hash_ring import DEFAULT_VIRTUAL_NODES
from core.ring.placement import Placement
from core.servers.faults import FaultInjector
from core.store import KeyValueStore
from core.workload.load_generator import LoadGenerator
from tui.arguments import ServerSpec
from tui.formatting import counted, whole
from tui.output import notice
from tui.progress import shown_progress

# Below these it takes less than half a second, and progress would only flicker.
_QUICK_VIRTUAL_NODES = 20 * DEFAULT_VIRTUAL_NODES
_QUICK_KEYS = 100_000


def make_store(
    servers: Sequence[ServerSpec],
    virtual_nodes: int,
    replicas: int = 1,
    consistency: Consistency = Consistency.STRONG,
    placement: Placement = Placement.RANDOM,
) -> KeyValueStore:
    """Return a store in memory with these servers and no keys, whose servers can be made to fail.

    O(servers ** 2 x virtual nodes): 0.1 s for 4 servers of 150, 1.5 s for 50.

    Raises:
        InvalidOptionError: a weight is out of its range.
    """
    if len(servers) < replicas:
        notice(
            f"{counted(len(servers), 'server')} can't hold {replicas} replicas of a key: "
            "each has all the keys until there are more"
        )
    store = KeyValueStore(
        virtual_nodes,
        replication_factor=replicas,
        consistency=consistency,
        placement=placement,
        faults=FaultInjector(),
    )
    if len(servers) * virtual_nodes <= _QUICK_VIRTUAL_NODES:
        for server in servers:
            store.add_server(*server)
        return store
    with shown_progress("Making the ring", len(servers)) as advance:
        for number, server in enumerate(servers, start=1):
            store.add_server(*server)
            advance(number, f"{whole(number)} of {counted(len(servers), 'server')}")
    return store


def store_sample_keys(load: LoadGenerator) -> None:
    """Store the keys that the load reads and writes. O(keys), 0.1 s for 20,000."""
    key_count = load.settings.key_count
    if key_count <= _QUICK_KEYS:
        load.load()
        return
    with shown_progress(f"Storing {counted(key_count, 'sample key')}"):
        load.load()
