"""What holds while some calls of a server fail and others do not, and while hints overflow."""

import pytest

from core import FaultInjector, KeyValueStore, ManualClock, ServerUnavailableError
from tests.support import store_with

SERVERS = ("alpha", "bravo", "charlie")


class Faulty:
    """A store without threads, its faults and its clock."""

    def __init__(self, servers: tuple[str, ...] = SERVERS, **options: object) -> None:
        self.clock = ManualClock()
        self.faults = FaultInjector(self.clock)
        self.store: KeyValueStore = store_with(
            servers,
            virtual_nodes_per_node=4,
            clock=self.clock,
            faults=self.faults,
            background=False,
            **options,
        )

    def become_calm(self) -> None:
        """Let everything catch up, and check that all is well."""
        while self.store.maintain():
            pass
        self.store.check_invariants()
        assert self.store.doctor().healthy
        assert not any(server.stripes_behind for server in self.store.snapshot().servers)


def test_a_write_that_could_not_be_counted_is_counted_later() -> None:
    faulty = Faulty(("alpha",))
    assert faulty.store.set("key", "first")
    faulty.faults.fail_next("alpha", 1)  # the question whether the key is there
    assert faulty.store.set("key", "second")
    faulty.become_calm()
    assert len(faulty.store) == 1
    assert faulty.store.get("key") == "second"


def test_a_server_that_can_not_be_counted_has_not_caught_up() -> None:
    faulty = Faulty(("alpha",))
    faulty.store.crash_server("alpha")
    recovery = faulty.store.begin_recovery("alpha")
    assert recovery is not None
    assert faulty.store.set("key", "written before it caught up")
    faulty.faults.partition("alpha")
    with pytest.raises(ServerUnavailableError):
        while recovery.step():
            pass
    faulty.faults.heal_all()
    faulty.become_calm()
    assert len(faulty.store) == 1
    assert faulty.store.get("key") == "written before it caught up"
