"""A plan that is made while keys come and go is still one."""

import pytest

from core import KeyValueStore
from core.cluster.shards import Shards
from tests.support import store_with


def test_keys_that_go_while_they_are_counted_leave_no_negative_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store: KeyValueStore = store_with(("alpha", "bravo"))
    store.set("key", "value")
    counted = Shards.key_counts

    def count_too_early(self: Shards) -> dict[str, int]:
        return dict.fromkeys(counted(self), 0)

    monkeypatch.setattr(Shards, "key_counts", count_too_early)
    plan = store.plan_remove_server(store.get_server_for_key("key"))
    assert min(plan.keys_after.values()) >= 0
    assert plan.peak_to_average_after >= 1.0
