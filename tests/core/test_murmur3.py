"""The hash that a compiled core works out by itself is that of the C extension."""

import mmh3
from hypothesis import given
from hypothesis import strategies as st

from core import HashRing, KeyValueStore
from core.murmur3 import murmur3_x86_32


@given(st.binary(max_size=100))
def test_any_bytes_hash_as_mmh3_hashes_them(data: bytes) -> None:
    assert murmur3_x86_32(data) == mmh3.hash(data, 0, False)


def test_keys_of_every_length_hash_as_mmh3_hashes_them() -> None:
    for length in range(1_025):
        data = bytes(255 - number % 256 for number in range(length))
        assert murmur3_x86_32(data) == mmh3.hash(data, 0, False), length


def test_a_key_lies_where_mmh3_says_however_it_is_asked_for() -> None:
    ring = HashRing(virtual_nodes_per_node=10)
    store = KeyValueStore(virtual_nodes_per_node=10, background=False)
    for server_id in ("alpha", "bravo", "charlie"):
        ring.add_server(server_id)
        store.add_server(server_id)

    @given(st.text(min_size=1, max_size=50))
    def lies_where_mmh3_says(key: str) -> None:
        store.set(key, "value")
        by_position = ring.view.vnode_at(mmh3.hash(key.encode(), 0, False)).server_id
        assert ring.view.server_for_key(key) == by_position
        assert store.get_keys_for_server(by_position) == [key]
        assert store.get(key) == "value"
        store.remove(key)

    lies_where_mmh3_says()
