"""The linearizability checker against known verdicts, and against trying every order."""

import random
import time
from collections import Counter

import pytest

from tests.verification.brute_force import is_linearizable
from tests.verification.history import Argument, Kind, Operation, Result, by_key, overlap
from tests.verification.linearizability import Verdict, check_linearizability
from tests.verification.seeds import replayable, seeds
from tests.verification.simulated_histories import Simulation, spoiled

BRUTE_FORCE_HISTORIES = 3_000


def done(
    invoked: int,
    returned: int | None,
    kind: Kind,
    argument: Argument = None,
    result: Result = None,
    key: str = "k",
) -> Operation:
    """Return an operation; each is on a thread of its own."""
    return Operation(invoked, key, kind, argument, result, invoked, returned)


GET, SET, REMOVE = Kind.GET, Kind.SET, Kind.REMOVE
IF_ABSENT, IF_VERSION, VERSIONED = (
    Kind.SET_IF_ABSENT,
    Kind.SET_EXPECTED_VERSION,
    Kind.GET_WITH_VERSION,
)

RIGHT = {
    "nothing": [],
    "a read of an absent key": [done(1, 2, GET)],
    "a read during a write sees it": [done(1, 4, SET, "a"), done(2, 3, GET, None, "a")],
    "a read during a write misses it": [done(1, 4, SET, "a"), done(2, 3, GET, None, None)],
    "two reads during a write see old then new": [
        done(1, 9, SET, "a"),
        done(2, 3, GET, None, None),
        done(4, 5, GET, None, "a"),
    ],
    "an unknown write that happens late": [
        done(1, None, SET, "a"),
        done(2, 3, GET, None, None),
        done(4, 5, SET, "b"),
        done(6, 7, GET, None, "b"),
        done(8, 9, GET, None, "a"),
    ],
    "an unknown write that never happens": [done(1, None, SET, "a"), done(2, 3, GET, None, None)],
    "an unknown remove explains an absence": [
        done(1, 2, SET, "a"),
        done(3, None, REMOVE),
        done(4, 5, GET, None, "a"),
        done(6, 7, GET, None, None),
    ],
    "an unknown read says nothing": [done(1, None, GET), done(2, 3, GET, None, None)],
    "one of two sets if absent": [
        done(1, 4, IF_ABSENT, "a", True),
        done(2, 3, IF_ABSENT, "b", False),
    ],
    "a write that expects the version it read": [
        done(1, 2, SET, "a"),
        done(3, 4, VERSIONED, None, ("a", 7)),
        done(5, 6, IF_VERSION, ("b", 7), True),
        done(7, 8, IF_VERSION, ("c", 7), False),
        done(9, 10, VERSIONED, None, ("b", 8)),
    ],
    "stamps that touch overlap": [done(1, 2, SET, "a"), done(2, 3, GET, None, None)],
    "keys apart": [
        done(1, 2, SET, "a", key="one"),
        done(3, 4, GET, None, None, key="two"),
    ],
}

WRONG = {
    "a stale read": [done(1, 2, SET, "a"), done(3, 4, SET, "b"), done(5, 6, GET, None, "a")],
    "a lost write": [done(1, 2, SET, "a"), done(3, 4, GET, None, None)],
    "a read of a removed value": [
        done(1, 2, SET, "a"),
        done(3, 4, REMOVE, None, True),
        done(5, 6, GET, None, "a"),
    ],
    "a value that nobody wrote": [done(1, 2, SET, "a"), done(3, 4, GET, None, "z")],
    "reads that go back": [
        done(1, 2, SET, "a"),
        done(3, 20, SET, "b"),
        done(4, 5, GET, None, "b"),
        done(6, 7, GET, None, "a"),
    ],
    "two readers that disagree on the order": [
        done(1, 20, SET, "a"),
        done(2, 21, SET, "b"),
        done(3, 4, GET, None, "a"),
        done(5, 6, GET, None, "b"),
        done(7, 8, GET, None, "a"),
    ],
    "an unknown write seen, then gone": [
        done(1, 2, SET, "a"),
        done(3, None, SET, "b"),
        done(4, 5, GET, None, "b"),
        done(6, 7, GET, None, "a"),
    ],
    "an unknown write seen before it was called": [
        done(1, 2, GET, None, "a"),
        done(3, None, SET, "a"),
    ],
    "both of two sets if absent": [
        done(1, 4, IF_ABSENT, "a", True),
        done(2, 3, IF_ABSENT, "b", True),
    ],
    "a set if absent refused on an absent key": [done(1, 2, IF_ABSENT, "a", False)],
    "two removes of one value": [
        done(1, 2, SET, "a"),
        done(3, 6, REMOVE, None, True),
        done(4, 5, REMOVE, None, True),
    ],
    "a lost update": [
        done(1, 2, SET, "a"),
        done(3, 4, VERSIONED, None, ("a", 7)),
        done(5, 8, IF_VERSION, ("b", 7), True),
        done(6, 9, IF_VERSION, ("c", 7), True),
    ],
    "an expected version refused although it is right": [
        done(1, 2, SET, "a"),
        done(3, 4, VERSIONED, None, ("a", 7)),
        done(5, 6, IF_VERSION, ("b", 7), False),
    ],
    "an expected version refused, then shown": [
        done(1, 2, SET, "a"),
        done(3, 4, IF_VERSION, ("b", 7), False),
        done(5, 6, VERSIONED, None, ("a", 7)),
    ],
    "an expected version on a removed key": [
        done(1, 2, SET, "a"),
        done(3, 4, VERSIONED, None, ("a", 7)),
        done(5, 6, REMOVE, None, True),
        done(7, 8, IF_VERSION, ("b", 7), True),
    ],
    "one write with two versions": [
        done(1, 2, SET, "a"),
        done(3, 4, VERSIONED, None, ("a", 7)),
        done(5, 6, VERSIONED, None, ("a", 8)),
    ],
    "two writes with one version": [
        done(1, 2, SET, "a"),
        done(3, 4, VERSIONED, None, ("a", 7)),
        done(5, 6, SET, "b"),
        done(7, 8, VERSIONED, None, ("b", 7)),
    ],
    "a version that goes back after a remove": [
        done(1, 2, SET, "a"),
        done(3, 4, VERSIONED, None, ("a", 7)),
        done(5, 6, REMOVE, None, True),
        done(7, 8, SET, "a"),
        done(9, 10, VERSIONED, None, ("a", 6)),
    ],
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_passes(name: str) -> None:
    report = check_linearizability(RIGHT[name])
    assert report.verdict is Verdict.OK, report.explanation
    assert (report.key, report.explanation) == (None, "")


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history_is_a_violation_and_is_explained(name: str) -> None:
    report = check_linearizability(WRONG[name])
    assert report.verdict is Verdict.VIOLATION
    assert report.key == "k"
    assert "goes wrong here" in report.explanation


@pytest.mark.parametrize("unknown", [0.0, 0.15])
@pytest.mark.parametrize("values", [2, None])
def test_it_agrees_with_every_order(values: int | None, unknown: float) -> None:
    verdicts: Counter[bool] = Counter()
    for seed in seeds(BRUTE_FORCE_HISTORIES // 4):
        source = random.Random(seed)
        simulation = Simulation(source, threads=4, values=values, unknown=unknown)
        history = simulation.run(source.randrange(1, 8))
        with replayable(seed):
            assert is_linearizable(history)
            assert check_linearizability(history).verdict is Verdict.OK
            for _ in range(source.randrange(1, 4)):
                history = spoiled(source, history) if history else history
            expected = is_linearizable(history)
            verdicts[expected] += 1
            report = check_linearizability(history)
            assert (report.verdict is Verdict.OK) == expected, report.explanation or history
    assert min(verdicts.values()) * 10 > verdicts.total() or verdicts.total() == 1


@pytest.mark.parametrize("unknown", [0.0, 0.05])
def test_a_history_of_an_atomic_store_passes(unknown: float) -> None:
    for seed in seeds(150):
        source = random.Random(seed)
        history = Simulation(source, threads=8, keys=3, unknown=unknown).run(100)
        with replayable(seed):
            report = check_linearizability(history)
            assert report.verdict is Verdict.OK, report.explanation


def test_what_an_explanation_shows_is_a_violation_by_itself() -> None:
    """Every line is about the history, and the window is far smaller than it."""
    shown = total = 0
    for seed in seeds(200):
        source = random.Random(seed)
        history = Simulation(source, threads=5, keys=2, unknown=0.03).run(60)
        with replayable(seed):
            report = check_linearizability(spoiled(source, history))
            if report.verdict is Verdict.OK:
                continue
            lines = report.explanation.splitlines()
            assert sum("goes wrong here" in line for line in lines) == 1
            shown += len(lines) - 1
            total += len(by_key(history)[report.key or ""])
    assert shown * 3 < total or total < 100


def test_a_stale_read_is_explained_by_two_lines() -> None:
    noise = [done(n, n + 1, SET, f"value {n}") for n in range(0, 200, 2)]
    stale = [done(300, 301, SET, "new"), done(302, 303, GET, None, "value 4")]
    report = check_linearizability([*noise, *stale, *[done(400, 401, SET, "more")]])
    assert report.explanation.splitlines() == [
        "key 'k' is not linearizable: no order explains these 2 of 103 operations "
        "(whatever its state before was)",
        "  thread 300    300 to 301    set 'new'",
        "  thread 302    302 to 303    get -> 'value 4'   <- goes wrong here",
    ]


def test_a_long_value_is_cut_in_an_explanation() -> None:
    report = check_linearizability([done(1, 2, GET, None, "x" * 10_000)])
    assert len(report.explanation) < 250


def test_a_budget_that_is_used_up_gives_unknown() -> None:
    history = [done(n, 100 + n, SET, n) for n in range(12)]
    history += [done(200, 201, GET, None, "never written")]
    report = check_linearizability(history, step_budget=100)
    assert report.verdict is Verdict.UNKNOWN
    assert report.key == "k"
    assert "undecided" in report.explanation


def test_a_violation_outweighs_an_undecided_key() -> None:
    hard = [done(n, 100 + n, SET, n) for n in range(12)] + [done(200, 201, GET, None, -1)]
    wrong = [done(1, 2, GET, None, "a", key="wrong")]
    report = check_linearizability([*hard, *wrong], step_budget=100)
    assert (report.verdict, report.key) == (Verdict.VIOLATION, "wrong")


def test_an_operation_that_returned_before_its_call_is_refused() -> None:
    with pytest.raises(ValueError, match="before it was invoked"):
        check_linearizability([done(5, 4, GET)])


@pytest.mark.parametrize(
    "operation",
    [
        done(1, 2, SET),
        done(1, 2, REMOVE),
        done(1, 2, VERSIONED, None, "a"),
        done(1, 2, IF_VERSION, "a", True),
        done(1, 2, GET, "a"),
    ],
)
def test_an_operation_that_does_not_fit_its_kind_is_refused(operation: Operation) -> None:
    with pytest.raises(ValueError, match="doesn't fit"):
        check_linearizability([operation])


def test_a_history_of_a_hundred_operations_takes_a_few_milliseconds() -> None:
    histories = [
        Simulation(random.Random(seed), threads=8, keys=3, unknown=0.02).run(100)
        for seed in range(100)
    ]
    began = time.process_time()
    for history in histories:
        check_linearizability(history)
    # Under 1 ms when measured alone; the bar leaves room for a busy machine.
    assert (time.process_time() - began) / len(histories) < 0.006


def test_overlap_is_the_share_that_met_another_on_its_key() -> None:
    history = [
        done(1, 4, SET, "a"),
        done(2, 3, SET, "b"),
        done(5, 6, SET, "c"),
        done(5, 9, SET, "d", key="other"),
    ]
    assert overlap(history) == 0.5
    assert overlap([*history, done(0, None, SET, "e"), done(0, None, GET)]) == 0.5
    assert overlap([]) == 0.0


def test_overlap_sees_a_long_operation_that_covers_several() -> None:
    assert overlap([done(1, 9, SET, "a"), done(2, 3, SET, "b"), done(5, 6, SET, "c")]) == 1.0
