"""What ``--json`` prints keeps its fields and their types, and the help lists them all."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from core import FaultInjector, KeyValueStore, LoadGenerator, LoadSettings, Workload, __version__
from tests.support import filled, store_with
from tui.bench import run_bench
from tui.fault_bench import run_fault_bench
from tui.json_documents import (
    BENCH_FIELDS,
    FAULT_BENCH_FIELDS,
    PLAN_FIELDS,
    SNAPSHOT_FIELDS,
    bench_document,
    fault_bench_document,
    plan_document,
    snapshot_document,
)
from tui.observation import Observation, observe
from tui.view_model import fold, load_view

# The contract with whoever wrote a script: fields may be added here, and nothing else may happen.
LATENCY = {"mean_ns": float, "p50_ns": int, "p99_ns": int, "p999_ns": int, "maximum_ns": int}
SETTINGS = {"workload": str, "distribution": str, "threads": int, "rate_per_thread": float}
DONE = {
    "seconds": float,
    "operations": int,
    "failed_operations": int,
    "misses": int,
    "operations_per_second": float,
}
SNAPSHOT = {
    "ringtop": str,
    "taken_at_ms": int,
    "epoch": int,
    "virtual_nodes_per_node": int,
    "placement": str,
    "replication_factor": int,
    "consistency": str,
    "total_keys": int,
    "under_replicated_keys": int,
    "peak_to_average": float,
    "servers": [
        {
            "id": str,
            "state": str,
            "weight": float,
            "vnodes": int,
            "share": float,
            "keys": int,
            "reads": int,
            "writes": int,
            "operations_per_second": float,
            "hints": int,
            "stripes_behind": int,
            "faults": {"slow_ms": float, "failing_calls": int, "partitioned": int},
            "trouble": str,
        }
    ],
    "recoveries": [
        {
            "server_id": str,
            "state": str,
            "fraction": float,
            "hints": int,
            "compared": int,
            "copied": int,
            "seconds": float,
            "error": str,
        }
    ],
    "storage": {"path": str, "sync": str, "observing": int, "trouble": str},
    "load": {"state": str, **SETTINGS, "keys": int, **DONE, **LATENCY, "errors": {"*": int}},
    "events": [{"sequence": int, "at_ms": int, "type": str, "text": str}],
}
PLAN = {
    "ringtop": str,
    "change": str,
    "server_id": str,
    "weight": float,
    "keys_from": str,
    "replication_factor": int,
    "total_keys": int,
    "keys_moved": int,
    "keys_lost": int,
    "bytes_moved": int,
    "fraction_moved": float,
    "ideal_fraction": float,
    "peak_to_average_before": float,
    "peak_to_average_after": float,
    "servers": [{"id": str, "keys_before": int, "keys_after": int}],
    "transfers": [{"source": str, "target": str, "keys": int, "bytes": int}],
    "warnings": [str],
}
BENCH = {
    "ringtop": str,
    **SETTINGS,
    "servers": int,
    "virtual_nodes_per_node": int,
    "placement": str,
    "replication_factor": int,
    "consistency": str,
    "keys": int,
    "value_size": int,
    "seed": int,
    **DONE,
    **LATENCY,
    "kinds": {"*": {"operations": int, "operations_per_second": float, **LATENCY}},
    "errors": {"*": int},
}

FAULT_BENCH = {
    "ringtop": str,
    **SETTINGS,
    "servers": int,
    "virtual_nodes_per_node": int,
    "placement": str,
    "replication_factor": int,
    "consistency": str,
    "keys": int,
    "value_size": int,
    "seed": int,
    "crashed": str,
    "phases": [
        {
            "name": str,
            "seconds": float,
            "operations": int,
            "operations_per_second": float,
            "failed_operations": int,
            "p99_ns": int,
            "maximum_ns": int,
        }
    ],
    "failed_before_detection": int,
    "failed_after_detection": int,
    "acknowledged_writes": int,
    "lost_writes": int,
    "recovery": {
        "seconds": float,
        "copied": int,
        "hints": int,
        "compared": int,
        "finished": int,
    },
    "replicas_equal": int,
    "keys_compared": int,
    "under_replicated_keys": int,
    "broken": [str],
}


def differences(schema: object, document: object, path: str = "") -> Iterator[str]:
    """Yield where a document is not what the schema says; ``*`` stands for any field name."""
    if isinstance(schema, Mapping):
        assert isinstance(document, Mapping), path
        if "*" in schema:
            for name, value in document.items():
                yield from differences(schema["*"], value, f"{path}.{name}")
            return
        for name in schema.keys() ^ document.keys():
            yield f"{path}.{name} is {'missing' if name in schema else 'new'}"
        for name in schema.keys() & document.keys():
            yield from differences(schema[name], document[name], f"{path}.{name}")
    elif isinstance(schema, list):
        assert isinstance(document, list), path
        for index, value in enumerate(document):
            yield from differences(schema[0], value, f"{path}[{index}]")
    elif type(document) is not schema:
        yield f"{path} is of type {type(document).__name__}, not {schema}"


def names_in(schema: object) -> set[str]:
    """Return every field name of a schema."""
    if isinstance(schema, Mapping):
        inner = [names_in(value) for value in schema.values()]
        return {name for name in schema if name != "*"}.union(*inner)
    return names_in(schema[0]) if isinstance(schema, list) else set()


def read_back(document: Mapping[str, object]) -> dict[str, object]:
    """Return a document as a script gets it."""
    text = json.dumps(document, allow_nan=False)
    read: dict[str, object] = json.loads(text)
    return read


@pytest.fixture
def store() -> KeyValueStore:
    store = store_with(["alpha", "bravo", "charlie"])
    filled(store, 300)
    return store


def observed_once(store: KeyValueStore) -> Observation:
    """Look at one moment only, of which no rates are known."""
    load = LoadGenerator(store, LoadSettings(key_count=100))
    snapshot, load_now = store.snapshot(), load.snapshot()
    view = fold(snapshot, load_view(load_now))
    return Observation(snapshot, load_now, load_now.since(load_now), view)


def observed(store: KeyValueStore, *, running: bool) -> Observation:
    with LoadGenerator(store, LoadSettings(key_count=100, workload=Workload.A)) as load:
        load.load()
        if running:
            load.start()
        return observe(store, load)


def test_a_snapshot_has_its_fields(store: KeyValueStore) -> None:
    document = read_back(snapshot_document(observed(store, running=False)))
    assert list(differences(SNAPSHOT, document)) == []
    assert document["ringtop"] == __version__
    assert document["total_keys"] == 400
    servers = document["servers"]
    assert isinstance(servers, list)
    assert [server["id"] for server in servers] == ["alpha", "bravo", "charlie"]
    assert sum(server["keys"] for server in servers) == 400
    assert sum(server["share"] for server in servers) == pytest.approx(1.0)


def test_a_snapshot_of_a_running_load_has_real_rates(
    store: KeyValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.observation._LOOK_SECONDS", 0.2)
    document = read_back(snapshot_document(observed(store, running=True)))
    assert list(differences(SNAPSHOT, document)) == []
    load, servers = document["load"], document["servers"]
    assert isinstance(load, dict)
    assert isinstance(servers, list)
    assert load["state"] == "running"
    assert load["operations"] > 0
    assert load["seconds"] >= 0.2
    assert load["operations_per_second"] == pytest.approx(load["operations"] / load["seconds"])
    assert sum(server["operations_per_second"] for server in servers) > 0
    assert load["p50_ns"] <= load["p99_ns"] <= load["maximum_ns"]


def test_rates_that_are_not_known_are_0(store: KeyValueStore) -> None:
    document = read_back(snapshot_document(observed_once(store)))
    assert list(differences(SNAPSHOT, document)) == []


def test_a_store_without_anything_has_the_same_fields() -> None:
    document = read_back(snapshot_document(observed_empty()))
    assert list(differences(SNAPSHOT, document)) == []
    assert document["servers"] == []
    assert document["total_keys"] == 0


def observed_empty() -> Observation:
    store = KeyValueStore()
    return observe(store, LoadGenerator(store))


@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_plan_has_its_fields_and_adds_up(store: KeyValueStore, change: str) -> None:
    plan = store.plan_add_server("delta") if change == "add" else store.plan_remove_server("alpha")
    document = read_back(plan_document(plan, "sample"))
    assert list(differences(PLAN, document)) == []
    transfers, servers = document["transfers"], document["servers"]
    assert isinstance(transfers, list)
    assert isinstance(servers, list)
    assert document["change"] == change
    assert transfers
    assert sum(transfer["keys"] for transfer in transfers) == document["keys_moved"]
    for field in ("keys_before", "keys_after"):
        assert sum(server[field] for server in servers) == document["total_keys"] == 300


def test_a_plan_for_an_empty_ring_has_the_same_fields() -> None:
    document = read_back(plan_document(KeyValueStore().plan_add_server("alpha"), "file"))
    assert list(differences(PLAN, document)) == []


def test_warnings_are_safe_text(store: KeyValueStore) -> None:
    for server_id in ("alpha", "bravo"):
        store.remove_server(server_id)
    store.add_server("delta")
    document = plan_document(store.plan_remove_server("charlie"), "sample")
    assert document["warnings"]


def test_a_bench_has_its_fields(store: KeyValueStore) -> None:
    load = LoadGenerator(store, LoadSettings(key_count=100, operations_per_second=5_000.0))
    load.load()
    result = run_bench(load, None, 200)
    document = read_back(bench_document(result, store.snapshot()))
    assert list(differences(BENCH, document)) == []
    kinds = document["kinds"]
    assert isinstance(kinds, dict)
    assert set(kinds) == {"read", "update"}
    assert sum(kind["operations"] for kind in kinds.values()) == document["operations"]
    assert document["rate_per_thread"] == 5_000.0


def test_a_bench_with_faults_has_its_fields() -> None:
    with store_with(["alpha", "bravo", "charlie"], replication_factor=3) as store:
        result = run_fault_bench(store, LoadSettings(key_count=100, threads=2), 0.2)
        document = read_back(fault_bench_document(result, store.snapshot()))
    assert list(differences(FAULT_BENCH, document)) == []
    assert (document["replicas_equal"], document["lost_writes"], document["broken"]) == (1, 0, [])
    broken = read_back(fault_bench_document(replace(result, lost_writes=1), store.snapshot()))
    assert list(differences(FAULT_BENCH, broken)) == []
    assert broken["broken"] == ["acknowledged writes were lost"]


def test_a_snapshot_tells_crashes_recoveries_and_faults() -> None:
    faults = FaultInjector()
    store = store_with(
        ["alpha", "bravo", "charlie", "delta"],
        replication_factor=3,
        faults=faults,
        background=False,
    )
    filled(store, 300)
    store.crash_server("alpha")
    store.crash_server("bravo")
    recovery = store.begin_recovery("bravo")
    assert recovery is not None
    recovery.step()
    faults.slow("charlie", 0.05)
    faults.fail_next("charlie", 3)
    document = read_back(snapshot_document(observed_once(store)))
    assert list(differences(SNAPSHOT, document)) == []
    servers = document["servers"]
    assert isinstance(servers, list)
    assert [server["state"] for server in servers] == ["down", "catching up", "up", "up"]
    assert servers[2]["faults"] == {"slow_ms": 50.0, "failing_calls": 3, "partitioned": 0}
    assert document["recoveries"][0]["server_id"] == "bravo"  # type: ignore[index]
    assert document["under_replicated_keys"] == store.snapshot().under_replicated_keys


def test_no_pace_is_a_rate_of_0(store: KeyValueStore) -> None:
    result = run_bench(LoadGenerator(store, LoadSettings(key_count=1)), None, 1)
    assert bench_document(result, store.snapshot())["rate_per_thread"] == 0.0


@pytest.mark.parametrize(
    ("schema", "listed"),
    [
        (SNAPSHOT, SNAPSHOT_FIELDS),
        (PLAN, PLAN_FIELDS),
        (BENCH, BENCH_FIELDS),
        (FAULT_BENCH, FAULT_BENCH_FIELDS),
    ],
)
def test_the_help_lists_every_field(schema: object, listed: str) -> None:
    words = set(re.findall(r"[a-z0-9_]+", listed))
    assert names_in(schema) <= words
    assert max(map(len, listed.splitlines())) <= 76
