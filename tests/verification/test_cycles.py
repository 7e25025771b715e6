"""The list-append checker against known anomalies, and against trying every order."""

import random
import time
from collections import Counter

import pytest

from tests.verification.brute_force import is_strictly_serializable
from tests.verification.cycles import check_list_append
from tests.verification.graphs import shortest_way, strongly_connected
from tests.verification.seeds import replayable, seeds
from tests.verification.simulated_transactions import Isolation, TransactionSimulation, spoiled
from tests.verification.transactions import Action, Append, Outcome, Read, Transaction

BRUTE_FORCE_HISTORIES = 3_000


def committed(invoked: int, returned: int, *actions: Action) -> Transaction:
    """Return a committed transaction on a thread of its own."""
    return Transaction(invoked, actions, Outcome.COMMITTED, invoked, returned)


def ended(outcome: Outcome, *actions: Action) -> Transaction:
    """Return a transaction that overlaps all others here and ended otherwise."""
    return Transaction(0, actions, outcome, 0, 100)


def append(key: str, element: int) -> Append:
    """Return an append."""
    return Append(key, element)


def read(key: str, *elements: int) -> Read:
    """Return a read."""
    return Read(key, elements)


RIGHT = {
    "nothing": [],
    "an append and a read": [committed(1, 2, append("x", 1)), committed(3, 4, read("x", 1))],
    "a read before the append that it overlaps": [
        committed(1, 9, append("x", 1)),
        committed(2, 8, read("x")),
    ],
    "a transaction reads its own appends": [
        committed(1, 2, append("x", 1)),
        committed(3, 4, read("x", 1), append("x", 2), read("x", 1, 2)),
    ],
    "an aborted append that is never seen": [
        ended(Outcome.ABORTED, append("x", 1)),
        committed(1, 2, read("x")),
    ],
    "what an aborted transaction read": [
        committed(1, 2, append("x", 1)),
        ended(Outcome.ABORTED, read("x", 1, 77)),
    ],
    "an unknown append that is seen late": [
        ended(Outcome.UNKNOWN, append("x", 1), append("y", 2)),
        committed(200, 201, read("x"), read("y")),
        committed(202, 203, read("x", 1)),
        committed(204, 205, read("y", 2)),
    ],
    "what an unknown transaction read that nobody saw": [
        committed(1, 2, append("x", 1)),
        ended(Outcome.UNKNOWN, read("x", 1, 77)),
    ],
    "moments that touch overlap": [committed(1, 2, append("x", 1)), committed(2, 3, read("x"))],
}

WRONG = {
    "G0": [
        committed(1, 9, append("x", 1), append("y", 3)),
        committed(1, 9, append("x", 2), append("y", 4)),
        committed(20, 21, read("x", 1, 2), read("y", 4, 3)),
    ],
    "G1a aborted read": [
        ended(Outcome.ABORTED, append("x", 1)),
        committed(1, 2, read("x", 1)),
    ],
    "G1b intermediate read": [
        committed(1, 9, append("x", 1), append("x", 2)),
        committed(2, 8, read("x", 1)),
    ],
    "G1c": [
        committed(1, 9, append("x", 1), read("y", 2)),
        committed(1, 9, append("y", 2), read("x", 1)),
    ],
    "G-single": [
        committed(1, 9, append("x", 1), append("y", 2)),
        committed(1, 9, read("x", 1), read("y")),
    ],
    "G2": [
        committed(1, 9, read("x"), append("y", 1)),
        committed(1, 9, read("y"), append("x", 2)),
        committed(20, 21, read("x", 2), read("y", 1)),
    ],
    "G0-realtime": [
        committed(1, 2, append("x", 1)),
        committed(3, 4, append("x", 2)),
        committed(5, 6, read("x", 2, 1)),
    ],
    "G1c-realtime": [committed(1, 2, read("x", 1)), committed(3, 4, append("x", 1))],
    "G-single-realtime": [
        committed(1, 2, append("x", 1)),
        committed(3, 4, read("x")),
        committed(5, 6, read("x", 1)),
    ],
    "G2-realtime": [
        committed(1, 9, append("x", 1), read("y")),
        committed(1, 2, append("y", 2)),
        committed(3, 4, read("x")),
    ],
    "lost append": [committed(1, 2, append("x", 1)), committed(3, 4, read("x"))],
    "duplicate": [committed(1, 2, append("x", 1)), committed(3, 4, read("x", 1, 1))],
    "garbage": [committed(1, 2, read("x", 1))],
    "internal": [committed(1, 2, append("x", 1), read("x"))],
    "incompatible order": [
        committed(1, 9, append("x", 1)),
        committed(1, 9, append("x", 2)),
        committed(1, 9, read("x", 1, 2)),
        committed(1, 9, read("x", 2, 1)),
    ],
}

ALSO_WRONG = {
    "a lost update": (
        "G-single",
        [
            committed(1, 2, append("x", 1)),
            committed(3, 9, read("x", 1), append("x", 2)),
            committed(3, 9, read("x", 1), append("x", 3)),
            committed(20, 21, read("x", 1, 2, 3)),
        ],
    ),
    "a lost update that no read shows": (
        "G2",
        [
            committed(3, 9, read("x"), append("x", 2)),
            committed(3, 9, read("x"), append("x", 3)),
        ],
    ),
    "an append in the middle of another transaction's": (
        "G0",
        [
            committed(1, 9, append("x", 1), append("x", 3)),
            committed(1, 9, append("x", 2)),
            committed(20, 21, read("x", 1, 2, 3)),
        ],
    ),
    "half of an unknown transaction": (
        "G-single",
        [
            ended(Outcome.UNKNOWN, append("x", 1), append("y", 2)),
            committed(200, 201, read("x", 1), read("y")),
        ],
    ),
    "an unknown transaction read what can't be, and was seen": (
        "garbage",
        [
            ended(Outcome.UNKNOWN, read("y", 77), append("x", 1)),
            committed(200, 201, read("x", 1)),
        ],
    ),
    "the second of two appends without the first": (
        "lost append",
        [committed(1, 2, append("x", 1), append("x", 2)), committed(3, 4, read("x", 2))],
    ),
    "a read that can't be repeated": (
        "internal",
        [committed(1, 9, append("x", 1)), committed(1, 9, read("x"), read("x", 1))],
    ),
    "an element of another list": (
        "garbage",
        [committed(1, 2, append("x", 1)), committed(3, 4, read("y", 1))],
    ),
    "a transaction that reads what it appends later": (
        "internal",
        [committed(1, 2, read("x", 1), append("x", 1))],
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_passes(name: str) -> None:
    assert check_list_append(RIGHT[name]) == ()
    assert is_strictly_serializable(RIGHT[name])


@pytest.mark.parametrize("name", WRONG)
def test_an_anomaly_is_found_and_called_by_its_name(name: str) -> None:
    assert {anomaly.name for anomaly in check_list_append(WRONG[name])} == {name}
    assert not is_strictly_serializable(WRONG[name])


@pytest.mark.parametrize("what", ALSO_WRONG)
def test_a_well_known_fault_is_found(what: str) -> None:
    name, history = ALSO_WRONG[what]
    assert name in {anomaly.name for anomaly in check_list_append(history)}
    assert not is_strictly_serializable(history)


def test_a_cycle_is_explained_edge_by_edge() -> None:
    (anomaly,) = check_list_append(WRONG["G-single"])
    assert str(anomaly).splitlines() == [
        "G-single: each of these 2 transactions must come before the next",
        "  T0 (thread 1, 1 to 9): append x 1, append y 2",
        "  T1 (thread 1, 1 to 9): read x -> [1], read y -> []",
        "  T1 -rw-> T0: T1 read y without 2",
        "  T0 -wr-> T1: T0 appended 1 to x, which was read",
    ]


def test_a_real_time_edge_is_explained_by_its_moments() -> None:
    (anomaly,) = check_list_append(WRONG["G1c-realtime"])
    assert "  T0 -rt-> T1: T0 returned at 2, before T1 began at 3" in anomaly.lines


def test_a_long_transaction_is_cut_in_an_explanation() -> None:
    history = [committed(1, 2, *(append("x", n) for n in range(1000)))]
    history.append(committed(3, 4, read("x", *range(999))))
    lines = [line for anomaly in check_list_append(history) for line in anomaly.lines]
    assert max(map(len, lines)) < 600


def test_an_element_appended_twice_is_the_workloads_fault() -> None:
    with pytest.raises(ValueError, match="appended twice"):
        check_list_append([committed(1, 2, append("x", 1)), committed(3, 4, append("y", 1))])


@pytest.mark.parametrize("isolation", Isolation)
def test_it_agrees_with_every_order(isolation: Isolation) -> None:
    verdicts: Counter[bool] = Counter()
    for seed in seeds(BRUTE_FORCE_HISTORIES // 3):
        source = random.Random(seed)
        history = TransactionSimulation(source, isolation=isolation).run(source.randint(2, 6))
        with replayable(seed):
            for spoils in range(3):
                expected = is_strictly_serializable(history)
                assert expected or spoils or isolation is not Isolation.SERIAL
                verdicts[expected] += 1
                assert (check_list_append(history) == ()) == expected, history
                history = spoiled(source, history)
    assert min(verdicts.values()) * 10 > verdicts.total() or verdicts.total() <= 3


def test_a_serial_execution_raises_no_false_alarm() -> None:
    for seed in seeds(100):
        history = TransactionSimulation(random.Random(seed), threads=8, keys=4).run(100)
        with replayable(seed):
            assert [str(anomaly) for anomaly in check_list_append(history)] == []


def test_snapshot_isolation_is_found_out_by_write_skew_alone() -> None:
    found: Counter[str] = Counter()
    for seed in range(30):
        simulation = TransactionSimulation(
            random.Random(seed), threads=8, keys=4, isolation=Isolation.SNAPSHOT
        )
        found.update(anomaly.name for anomaly in check_list_append(simulation.run(200)))
    assert {"G2"} <= {*found} <= {"G2", "G2-realtime"}


def test_a_store_without_isolation_is_always_found_out() -> None:
    for seed in seeds(30):
        simulation = TransactionSimulation(
            random.Random(seed), threads=8, keys=4, isolation=Isolation.NONE
        )
        with replayable(seed):
            assert check_list_append(simulation.run(100))


def test_a_history_of_hundreds_of_transactions_takes_milliseconds() -> None:
    histories = [
        TransactionSimulation(random.Random(seed), threads=8, keys=8).run(300) for seed in range(10)
    ]
    began = time.process_time()
    for history in histories:
        check_list_append(history)
    assert (time.process_time() - began) / len(histories) < 0.05


def test_components_are_strongly_connected() -> None:
    for seed in seeds(200):
        source = random.Random(seed)
        nodes = range(source.randint(1, 8))
        edges = {n: [m for m in nodes if source.random() < 0.25 and m != n] for n in nodes}
        reach = {
            n: {m for m in nodes if m == n or shortest_way(n, m, edges) is not None} for n in nodes
        }
        expected = {frozenset(m for m in reach[n] if n in reach[m]) for n in nodes}
        with replayable(seed):
            found = strongly_connected(nodes, edges)
            assert {frozenset(part) for part in found} == expected
            assert sum(map(len, found)) == len(nodes)


def test_a_way_is_shortest() -> None:
    edges = {0: [1, 2], 1: [2], 2: [3], 3: [0], 4: [0]}
    assert shortest_way(0, 3, edges) == [0, 2, 3]
    assert shortest_way(0, 0, edges) == [0, 2, 3, 0]
    assert shortest_way(0, 4, edges) is None
    assert shortest_way(5, 0, edges) is None
