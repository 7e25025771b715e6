"""The keys, the values and the stores that every benchmark takes."""

import random
from collections.abc import Sequence

from core import KeyValueStore

SERVERS = [f"server-{number}" for number in range(10)]
KEYS = 200_000
# As YCSB's records: keys of about 20 bytes, values of 100.
VALUE = "v" * 100


def random_keys(count: int = KEYS) -> list[str]:
    """Return the same random keys in every run."""
    source = random.Random(42)
    return [f"user:{source.getrandbits(50):015d}" for _ in range(count)]


def filled_store(
    keys: Sequence[str], replication_factor: int = 1, servers: Sequence[str] = SERVERS
) -> KeyValueStore:
    """Return a store of these servers with these keys."""
    store = KeyValueStore(replication_factor=replication_factor)
    for server_id in servers:
        store.add_server(server_id)
    store.set_many(dict.fromkeys(keys, VALUE))
    return store
