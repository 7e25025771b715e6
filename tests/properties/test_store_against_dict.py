"""Random operations and membership changes, checked against a plain dict after every step."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core import (
    HashRing,
    KeyValueStore,
    LastServerError,
    Migration,
    NoServersError,
    Placement,
)
from core.ring.hashing import HashFunction, murmur3, position_of

SERVERS = ["alpha", "bravo", "charlie", "delta"]
KEYS = st.sampled_from([f"key-{number}" for number in range(25)] + ["ä", "🌍", "x" * 1_024])
VALUES = st.one_of(st.text(max_size=5), st.binary(max_size=5))


def crowded_hash(text: bytes, seed: int, signed: bool) -> int:
    """Give 64 positions in all, so that keys and vnodes collide."""
    return (murmur3(text, seed, signed) & 0x3F) << 26


class StoreAgainstDict(RuleBasedStateMachine):
    """The store does what a dict does, whatever happens to its servers."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, str | bytes] = {}
        self.migration: Migration | None = None
        self.store: KeyValueStore
        self.versions: dict[str, int] = {}

    @initialize(
        hash_function=st.sampled_from([murmur3, crowded_hash]),
        servers=st.lists(st.sampled_from(SERVERS), unique=True),
        vnodes=st.sampled_from([1, 3, 20]),
        placement=st.sampled_from(Placement),
    )
    def start(
        self, hash_function: HashFunction, servers: list[str], vnodes: int, placement: Placement
    ) -> None:
        self.store = KeyValueStore(vnodes, placement=placement, hash_function=hash_function)
        for server_id in servers:
            assert self.store.add_server(server_id)

    @property
    def servers(self) -> list[str]:
        return self.store.get_servers()

    def idle(self) -> bool:
        return self.store.migration is None

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: str | bytes) -> None:
        if not self.servers:
            try:
                self.store.set(key, value)
            except NoServersError:
                return
            raise AssertionError("a write without a server was acknowledged")
        assert self.store.set(key, value) is True
        self.model[key] = value
        version = self.store.explain(key).version or 0
        assert version > self.versions.get(key, 0)
        self.versions[key] = version

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert self.store.get(key) == self.model.get(key)
        assert self.store.exists(key) == (key in self.model) == (key in self.store)

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        assert self.store.remove(key) == (self.model.pop(key, None) is not None)

    @rule(key=KEYS, count=st.integers(0, 40))
    def scan(self, key: str, count: int) -> None:
        hashed = self.store._shards.position_of
        start = (hashed(key), key)
        order = sorted(self.model, key=lambda k: ((hashed(k), k) < start, hashed(k), k))
        assert self.store.scan(key, count) == [(k, self.model[k]) for k in order[:count]]

    @precondition(idle)
    @rule(server_id=st.sampled_from(SERVERS), weight=st.sampled_from([0.5, 1.0, 2.0]))
    def add_server(self, server_id: str, weight: float) -> None:
        expected = server_id not in self.servers
        assert self.store.add_server(server_id, weight) == expected

    @precondition(idle)
    @rule(server_id=st.sampled_from(SERVERS))
    def remove_server(self, server_id: str) -> None:
        expected = server_id in self.servers
        try:
            assert self.store.remove_server(server_id) == expected
        except LastServerError as error:
            assert self.servers == [server_id]
            assert error.keys == len(self.model) > 0  # noqa: PT017

    @precondition(idle)
    @rule(server_id=st.sampled_from(SERVERS))
    def begin_a_change(self, server_id: str) -> None:
        if server_id not in self.servers:
            plan = self.store.plan_add_server(server_id)
        elif len(self.servers) > 1:
            plan = self.store.plan_remove_server(server_id)
        else:
            return
        self.migration = self.store.commit(plan, start=False)

    @precondition(lambda self: not self.idle())
    @rule(steps=st.integers(1, 400))
    def move_a_bit(self, steps: int) -> None:
        assert self.migration is not None
        for _ in range(steps):
            if not self.migration.step():
                return

    @precondition(lambda self: not self.idle())
    @rule(cancel=st.booleans())
    def end_the_change(self, cancel: bool) -> None:
        assert self.migration is not None
        self.migration.cancel() if cancel else self.migration.resume()
        assert self.migration.wait(60)

    @rule()
    def clear(self) -> None:
        self.store.clear()
        self.model.clear()

    @invariant()
    def everything_is_there_once(self) -> None:
        if not hasattr(self, "store"):
            return
        self.store.check_invariants()
        assert len(self.store) == len(self.model) == sum(self.store.get_stats().values())
        assert self.store.get_many(self.store.keys()) == self.model
        for key in self.model:
            assert self.store.explain(key).located_on == (self.store.get_server_for_key(key),)

    @invariant()
    def without_a_migration_keys_are_where_the_ring_says(self) -> None:
        if not hasattr(self, "store") or not self.idle():
            return
        view = self.store.snapshot().view
        for key in self.model:
            assert self.store.get_server_for_key(key) == view.server_for_key(key)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


TestStoreAgainstDict = StoreAgainstDict.TestCase
TestStoreAgainstDict.settings = settings(max_examples=60, stateful_step_count=30)


def test_positions_of_a_ring_alone_agree_with_those_of_a_store() -> None:
    ring, store = HashRing(), KeyValueStore()
    for server_id in SERVERS:
        ring.add_server(server_id)
        store.add_server(server_id)
    for number in range(1_000):
        key = f"user:{number}"
        assert store.get_server_for_key(key) == ring.view.server_for_key(key)
        assert store.explain(key).position == position_of(key)
