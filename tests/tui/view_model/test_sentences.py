"""Every event and every state of a migration has its words."""

from dataclasses import replace
from datetime import UTC

import pytest

from core import events
from core.cluster.failover import RecoveryProgress, RecoveryState
from core.cluster.migration import MigrationProgress, MigrationState
from core.cluster.plan import ChangeKind
from core.cluster.snapshot import ServerState
from core.servers.faults import Faults
from tui.view_model.display import Tone
from tui.view_model.sentences import (
    event_line,
    event_lines,
    fault_words,
    migration_line,
    recovery_sign,
    state_sign,
)

STARTED = events.MigrationStarted(
    server_id="delta", change="add", keys=9_950, fraction=0.2468, ideal_fraction=0.25, peers=3
)
FINISHED = events.MigrationFinished(
    server_id="delta", change="add", cancelled=False, keys=9_950, seconds=42.4
)
SENTENCES = [
    (STARTED, "delta joins: 9,950 keys (24.7 %; ideal 25.0 %) move from 3 servers"),
    (
        replace(STARTED, change="remove", keys=1, peers=1),
        "delta leaves: 1 key (24.7 %; ideal 25.0 %) moves to 1 server",
    ),
    (
        replace(STARTED, keys=0),
        "delta joins: no keys to move (24.7 %; ideal 25.0 % of the ring)",
    ),
    (
        replace(STARTED, keys=0, peers=0, ideal_fraction=0.0),
        "delta joins: it is the first server",
    ),
    (
        replace(STARTED, change="remove", keys=0, peers=0, ideal_fraction=0.0),
        "delta leaves: it is the last server",
    ),
    (
        replace(STARTED, change="remove", keys=0, peers=0),
        "delta leaves: the others hold all of its keys already",
    ),
    (
        replace(STARTED, keys=0, peers=0),
        "delta joins: no server that has keys is up",
    ),
    (
        replace(STARTED, change="reweigh", keys=0, peers=0),
        "delta gets another weight: nothing moves",
    ),
    (
        replace(STARTED, keys=29_850, fraction=0.7404, ideal_fraction=0.75, replicas=3),
        "delta joins: 29,850 copies of keys (24.7 %; ideal 25.0 %) move from 3 servers",
    ),
    (
        replace(STARTED, keys=1, peers=1, replicas=2, fraction=0.5, ideal_fraction=0.5),
        "delta joins: 1 copy of a key (25.0 %; ideal 25.0 %) moves from 1 server",
    ),
    (events.MigrationPaused(server_id="delta"), "delta: the move is paused"),
    (
        events.MigrationPaused(server_id="delta", error="bravo: disk \x1b[2J full"),
        "delta: the move stopped: bravo: disk \\x1b[2J full",
    ),
    (events.MigrationResumed(server_id="delta"), "delta: the move goes on"),
    (
        events.MigrationCancelling(server_id="delta"),
        "delta: cancelled, what moved goes back",
    ),
    (FINISHED, "delta joined: 9,950 keys moved in 42 s"),
    (replace(FINISHED, replicas=3), "delta joined: 9,950 copies of keys moved in 42 s"),
    (replace(FINISHED, change="remove"), "delta left: 9,950 keys moved in 42 s"),
    (replace(FINISHED, keys=0), "delta joined: no keys had to move"),
    (
        replace(FINISHED, cancelled=True),
        "delta did not join: all is back where it was after 42 s",
    ),
    (
        replace(STARTED, change="reweigh"),
        "delta gets another weight: 9,950 keys (24.7 %; ideal 25.0 %) move from or to 3 servers",
    ),
    (replace(FINISHED, change="reweigh"), "delta has its new weight: 9,950 keys moved in 42 s"),
    (
        events.ServerCrashed(
            server_id="delta", keys_lost=0, keys_left=7, keys_waiting=3, on_disk=True
        ),
        "delta crashed: 3 keys on its disk alone wait for it",
    ),
    (
        events.ServerCrashed(server_id="delta", keys_lost=0, keys_left=7, on_disk=True),
        "delta crashed: its disk and others keep its 7 keys",
    ),
    (
        events.RecoveryFinished(server_id="delta", hints=6, copied=0, seconds=1.5, keys=12_012),
        "delta has caught up: its disk kept 12,012 keys, it needed 6 hints, in 1.50 s",
    ),
    (
        events.DiskTroubled(server_id="delta", trouble="disk full: make \x1broom"),
        "delta can't write: disk full: make \\x1broom",
    ),
    (
        events.DiskRecovered(server_id="delta"),
        "delta writes to its disk again",
    ),
    (
        events.ServerCrashed(server_id="delta", keys_lost=2_503, keys_left=0),
        "delta crashed: 2,503 keys had no other replica",
    ),
    (
        events.ServerCrashed(server_id="delta", keys_lost=0, keys_left=2_503),
        "delta crashed: others hold its 2,503 keys",
    ),
    (events.ServerFellBehind(server_id="delta"), "delta missed a write: it is behind"),
    (events.RecoveryStarted(server_id="delta", stripes=9), "delta begins to catch up"),
    (
        events.RecoveryPaused(server_id="delta", error="bravo: can't be reached"),
        "delta can't catch up now: bravo: can't be reached",
    ),
    (
        events.RecoveryPaused(server_id="delta", error="delta: can't be reached"),
        "delta can't catch up now: can't be reached",
    ),
    (
        events.RecoveryFinished(server_id="delta", hints=12, copied=995, seconds=1.5),
        "delta has caught up: 12 hints and 995 records copied, in 1.50 s",
    ),
    (
        events.RecoveryFinished(server_id="delta", hints=0, copied=0, seconds=1.5),
        "delta has caught up: nothing had to be copied, in 1.50 s",
    ),
    (events.StoreCleared(keys=40_212, servers=4), "cleared: 40,212 keys and 4 servers removed"),
]


@pytest.mark.parametrize(("event", "sentence"), SENTENCES)
def test_an_event_is_told_in_a_sentence(event: events.Event, sentence: str) -> None:
    line = event_line(replace(event, sequence=7, at_ms=1_700_000_000_000), UTC)
    assert (line.sequence, line.time, line.sentence) == (7, "22:13:20", sentence)
    assert line.sentence.isascii()


def test_a_change_that_moves_nothing_is_one_line() -> None:
    nothing, done = replace(STARTED, keys=0), replace(FINISHED, keys=0)
    told = [line.sentence for line in event_lines([nothing, done, STARTED, FINISHED])]
    assert told == [event_line(event).sentence for event in (done, STARTED, FINISHED)]


@pytest.mark.parametrize(
    "both",
    [
        [replace(STARTED, keys=0)],
        [replace(STARTED, keys=0), replace(FINISHED, keys=0, cancelled=True)],
        [replace(STARTED, keys=0), replace(FINISHED, keys=0, server_id="echo")],
        [replace(STARTED, keys=0, peers=0), replace(FINISHED, keys=0)],
        [replace(STARTED, keys=0), FINISHED],
    ],
)
def test_a_change_of_which_there_is_more_to_say_is_two(both: list[events.Event]) -> None:
    assert len(event_lines(both)) == len(both)


def test_no_type_of_event_is_without_a_sentence() -> None:
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type)}
    logged = {kind for kind in kinds if issubclass(kind, events.Event)}
    told = {type(event) for event, _ in SENTENCES}
    assert logged - {events.Event, events.ServerEvent} == told
    with pytest.raises(TypeError, match="no sentence for an event of type Event"):
        event_line(events.Event())


def test_an_error_is_told_in_another_tone_than_a_pause() -> None:
    paused = events.MigrationPaused(server_id="delta")
    assert event_line(paused).tone is Tone.WARNING
    assert event_line(replace(paused, error="disk full")).tone is Tone.BAD


RUNNING = MigrationProgress(
    kind=ChangeKind.ADD,
    server_id="delta",
    state=MigrationState.RUNNING,
    cancelling=False,
    keys_moved=6_200,
    keys_total=9_950,
    fraction=0.6299,
    keys_per_second=3_100.0,
    eta_seconds=12.2,
    error=None,
)
PAUSED = replace(RUNNING, state=MigrationState.PAUSED, keys_per_second=0.0, eta_seconds=None)


@pytest.mark.parametrize(
    ("progress", "sentence", "sign"),
    [
        (RUNNING, "delta joining 62 %, 3.1k keys/s, 12 s left", "↻"),
        (replace(RUNNING, eta_seconds=None), "delta joining 62 %, 3.1k keys/s", "↻"),
        (replace(RUNNING, cancelling=True), "delta undoing 62 %, 3.1k keys/s, 12 s left", "↻"),
        (
            replace(RUNNING, kind=ChangeKind.REMOVE),
            "delta leaving 62 %, 3.1k keys/s, 12 s left",
            "↻",
        ),
        (PAUSED, "delta joining 62 %, paused", "○"),
        (
            replace(PAUSED, error="disk full"),
            "delta joining 62 %, stopped by an error: disk full",
            "✖",
        ),
    ],
)
def test_a_migration_is_told_in_one_line(
    progress: MigrationProgress, sentence: str, sign: str
) -> None:
    line = migration_line(progress)
    assert line.sentence == sentence
    assert line.paused is (progress.state is MigrationState.PAUSED)
    status = state_sign(ServerState.JOINING, progress)
    assert status.sign == sign
    assert sentence.startswith(f"delta {status.words}")
    assert (line.tone, status.tone) == ((Tone.BAD,) * 2 if progress.error else (Tone.WARNING,) * 2)


def test_a_server_that_is_up_says_so_whatever_moves() -> None:
    assert state_sign(ServerState.UP, RUNNING) == state_sign(ServerState.UP, None)
    assert state_sign(ServerState.UP, None).sign == "●"


@pytest.mark.parametrize("state", list(ServerState))
def test_every_state_has_a_sign_of_one_cell(state: ServerState) -> None:
    assert len(state_sign(state, RUNNING).sign) == 1


CATCHING_UP = RecoveryProgress(
    server_id="delta",
    state=RecoveryState.RUNNING,
    stripes_total=1_000,
    stripes_left=375,
    hints=0,
    compared=600,
    copied=20,
    seconds=2.0,
    error=None,
)
WAITING = replace(CATCHING_UP, state=RecoveryState.WAITING, error="bravo: not answering")


@pytest.mark.parametrize(
    ("recovery", "sign", "words"),
    [
        (CATCHING_UP, "↻", "catching up 62 %"),
        (WAITING, "○", "catching up 62 %"),
        (None, "○", "catching up"),
    ],
)
def test_a_server_that_catches_up_says_how_far_it_is(
    recovery: RecoveryProgress | None, sign: str, words: str
) -> None:
    shown = state_sign(ServerState.CATCHING_UP, None, recovery)
    assert (shown.sign, shown.words, shown.tone) == (sign, words, Tone.WARNING)


def test_all_recoveries_are_told_in_one_line() -> None:
    assert recovery_sign([]) is None
    one, two = recovery_sign([CATCHING_UP]), recovery_sign([CATCHING_UP, WAITING])
    assert one is not None
    assert two is not None
    assert (one.sign, one.words) == ("↻", "delta catching up 62 %")
    assert (two.sign, two.words) == ("↻", "2 servers catching up")
    stuck = recovery_sign([WAITING, WAITING])
    assert stuck is not None
    assert stuck.sign == "○"


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (Faults(slow_seconds=0.05), "slow 50 ms"),
        (Faults(failing_calls=1_000), "fails 1,000"),
        (Faults(slow_seconds=0.2, failing_calls=3), "slow 200 ms, fails 3"),
        (Faults(slow_seconds=0.2, failing_calls=3, partitioned=True), "cut off"),
        (Faults(), ""),
    ],
)
def test_faults_are_told_in_a_few_words(faults: Faults, words: str) -> None:
    assert fault_words(faults) == words


def test_a_fault_has_a_sign_and_hides_no_state() -> None:
    cut_off = Faults(partitioned=True)
    up = state_sign(ServerState.UP, None, faults=cut_off)
    assert (up.sign, up.words, up.tone) == ("!", "cut off", Tone.WARNING)
    behind = state_sign(ServerState.CATCHING_UP, None, WAITING, cut_off)
    assert (behind.sign, behind.words) == ("○", "catching up 62 %, cut off")
    # What is down is down, whatever else it suffers from.
    assert state_sign(ServerState.DOWN, None, faults=cut_off).words == "down"
