"""What happened and what is happening, in words.

The words keep to ASCII, so that they read the same on every terminal; what comes from outside goes
through `safe`.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import zip_longest

from rich.cells import cell_len

from core.cluster.failover import RecoveryProgress, RecoveryState
from core.cluster.migration import MigrationProgress, MigrationState
from core.cluster.plan import ChangeKind
from core.cluster.snapshot import ServerState, Storage
from core.events import (
    DiskRecovered,
    DiskTroubled,
    Event,
    MigrationCancelling,
    MigrationFinished,
    MigrationPaused,
    MigrationResumed,
    MigrationStarted,
    RecoveryFinished,
    RecoveryPaused,
    RecoveryStarted,
    ServerCrashed,
    ServerFellBehind,
    StoreCleared,
)
from core.safe_text import ELLIPSIS, visible
from core.servers.faults import NO_FAULTS, Faults
from tui.formatting import clock_time, counted, duration, percent, progress, rate, safe, whole
from tui.view_model.display import EventLine, MigrationLine, StateSign, Tone

# In terminal cells. A server id has at most 64 characters, an error is cut at 200.
_ID_CELLS = 64
_ERROR_CELLS = 200
_TROUBLE_CELLS = 24


def event_line(event: Event, zone: tzinfo | None = None) -> EventLine:
    """Return an event as a line.

    Args:
        event: what happened.
        zone: whose time of day; None for this machine's.

    Raises:
        TypeError: the event is of a type that has no sentence.
    """
    sentence, tone = _said(event)
    return EventLine(event.sequence, clock_time(event.at_ms, zone), sentence, tone)


def event_lines(events: Sequence[Event], zone: tzinfo | None = None) -> tuple[EventLine, ...]:
    """Return events as lines, in order.

    A change that had nothing to move is one line, that it is done: it began in the same instant.

    Args:
        events: what happened, in order.
        zone: whose time of day; None for this machine's.
    """
    return tuple(
        event_line(event, zone)
        for event, follower in zip_longest(events, events[1:])
        if not (isinstance(event, MigrationStarted) and _is_told_by(event, follower))
    )


def _is_told_by(started: MigrationStarted, event: Event | None) -> bool:
    """Return whether `event` ends a change of which there is no more to say than that."""
    return (
        isinstance(event, MigrationFinished)
        and event.server_id == started.server_id
        and not (started.keys or event.keys or event.cancelled)
        and bool(started.peers or not started.ideal_fraction)
    )


def migration_line(now: MigrationProgress) -> MigrationLine:
    """Return a migration as one line: who, how far, how fast, how long still."""
    tone = Tone.WARNING
    if now.error is not None:
        tone = Tone.BAD
        details = f"stopped by an error: {safe(now.error, _ERROR_CELLS)}"
    elif now.state is MigrationState.PAUSED:
        details = "paused"
    else:
        details = rate(now.keys_per_second, "keys")
        if now.eta_seconds is not None:
            details += f", {duration(now.eta_seconds)} left"
    return MigrationLine(
        server_id=now.server_id,
        fraction=now.fraction,
        paused=now.state is MigrationState.PAUSED,
        headline=f"{safe(now.server_id, _ID_CELLS)} {_doing(now)}",
        details=details,
        tone=tone,
    )


def state_sign(
    state: ServerState,
    now: MigrationProgress | None,
    recovery: RecoveryProgress | None = None,
    faults: Faults = NO_FAULTS,
    trouble: str | None = None,
) -> StateSign:
    """Return how a server's state is shown.

    Args:
        state: the state.
        now: how far the migration is; None without one.
        recovery: how far the server's own recovery is; None without one.
        faults: what is wrong with it on purpose.
        trouble: what keeps its disk from being written; None if nothing does.
    """
    if trouble is not None and state is not ServerState.DOWN:
        return StateSign("✖", trouble_words(trouble), Tone.BAD)
    shown = _state_sign(state, now, recovery)
    if faults.none or state is ServerState.DOWN:
        return shown
    words = fault_words(faults)
    if state is ServerState.UP:
        return StateSign("!", words, Tone.WARNING)
    return StateSign(shown.sign, f"{shown.words}, {words}", shown.tone)


def recovery_sign(recoveries: Sequence[RecoveryProgress]) -> StateSign | None:
    """Return who catches up and how far, or how many do; None when nobody does."""
    if not recoveries:
        return None
    if len(recoveries) == 1:
        who, sign = _who(recoveries[0].server_id), _catching_up(recoveries[0])
        return StateSign(sign.sign, f"{who} {sign.words}", sign.tone)
    running = any(recovery.state is not RecoveryState.WAITING for recovery in recoveries)
    words = f"{len(recoveries)} servers catching up"
    return StateSign("↻" if running else "○", words, Tone.WARNING)


def trouble_words(trouble: str) -> str:
    """Return what is wrong with a disk in a word or two: ``disk full``."""
    return safe(trouble.partition(":")[0], _TROUBLE_CELLS)


def disk_sign(troubles: Mapping[str, str]) -> StateSign | None:
    """Return whose disk can't be written, and what to do about it; None when all can.

    Args:
        troubles: what is wrong, by the server's id, or by ``journal``.
    """
    if not troubles:
        return None
    first = min(troubles)
    words = f"{_who(first)}: {safe(troubles[first], _ERROR_CELLS)}"
    if len(troubles) > 1:
        words = f"{counted(len(troubles), 'disk')} in trouble; {words}"
    return StateSign("✖", words, Tone.BAD)


def fault_words(faults: Faults) -> str:
    """Return what is wrong with a server in a few words: ``slow 50 ms, fails 100``."""
    if faults.partitioned:
        # Nothing else matters to a server that can't be reached.
        return "cut off"
    words = [f"slow {faults.slow_seconds * 1_000:g} ms"] if faults.slow_seconds else []
    words += [f"fails {whole(faults.failing_calls)}"] if faults.failing_calls else []
    return ", ".join(words)


def storage_words(storage: Storage, limit: int) -> str:
    """Return where data is kept and how, in at most `limit` cells: ``/srv/ringtop, everysec``.

    Of a path that is too long the end is shown.
    """
    how = ", observed" if storage.observing else f", {storage.sync}"
    path = visible(storage.path, len(storage.path) * 10)
    room = max(2, limit - len(how))
    while cell_len(path) > room:
        path = ELLIPSIS + path[2 if path.startswith(ELLIPSIS) else 1 :]
    return path + how


def _state_sign(
    state: ServerState, now: MigrationProgress | None, recovery: RecoveryProgress | None
) -> StateSign:
    if state is ServerState.DOWN:
        return StateSign("✖", state.value, Tone.BAD)
    if state is ServerState.CATCHING_UP:
        return _catching_up(recovery)
    if state is ServerState.UP or now is None:
        return StateSign("●", state.value, Tone.GOOD)
    if now.error is not None:
        return StateSign("✖", _doing(now), Tone.BAD)
    sign = "○" if now.state is MigrationState.PAUSED else "↻"
    return StateSign(sign, _doing(now), Tone.WARNING)


def _catching_up(recovery: RecoveryProgress | None) -> StateSign:
    """Return how a server is shown that has missed something; None before it has begun."""
    words = ServerState.CATCHING_UP.value
    if recovery is None:
        return StateSign("○", words, Tone.WARNING)
    sign = "○" if recovery.state is RecoveryState.WAITING else "↻"
    return StateSign(sign, f"{words} {progress(recovery.fraction)}", Tone.WARNING)


_MOVING = {
    ChangeKind.ADD: "joining",
    ChangeKind.REMOVE: "leaving",
    ChangeKind.REWEIGH: "changing",
}


def _doing(now: MigrationProgress) -> str:
    verb = _MOVING[now.kind]
    return f"{'undoing' if now.cancelling else verb} {progress(now.fraction)}"


def _said(event: Event) -> tuple[str, Tone]:
    match event:
        case MigrationStarted():
            return _started(event), Tone.WARNING
        case MigrationPaused(error=None):
            return f"{_who(event.server_id)}: the move is paused", Tone.WARNING
        case MigrationPaused():
            reason = safe(event.error or "", _ERROR_CELLS)
            return f"{_who(event.server_id)}: the move stopped: {reason}", Tone.BAD
        case MigrationResumed():
            return f"{_who(event.server_id)}: the move goes on", Tone.WARNING
        case MigrationCancelling():
            return f"{_who(event.server_id)}: cancelled, what moved goes back", Tone.WARNING
        case MigrationFinished():
            return _finished(event), Tone.GOOD
        case ServerCrashed():
            return _crashed(event), Tone.BAD
        case ServerFellBehind():
            return f"{_who(event.server_id)} missed a write: it is behind", Tone.WARNING
        case RecoveryStarted():
            return f"{_who(event.server_id)} begins to catch up", Tone.WARNING
        case RecoveryPaused():
            # Who is meant was said; another server, which has what it lacks, is named.
            reason = safe(event.error.removeprefix(f"{event.server_id}: "), _ERROR_CELLS)
            return f"{_who(event.server_id)} can't catch up now: {reason}", Tone.BAD
        case RecoveryFinished():
            return _recovered(event), Tone.GOOD
        case DiskTroubled():
            trouble = safe(event.trouble, _ERROR_CELLS)
            return f"{_who(event.server_id)} can't write: {trouble}", Tone.BAD
        case DiskRecovered():
            return f"{_who(event.server_id)} writes to its disk again", Tone.GOOD
        case StoreCleared():
            keys, servers = counted(event.keys, "key"), counted(event.servers, "server")
            return f"cleared: {keys} and {servers} removed", Tone.WARNING
        case _:
            raise TypeError(f"no sentence for an event of type {type(event).__name__}")


# What is said of a change: as it begins, when it is done, as a noun, and where its keys go.
_CHANGES = {
    "add": ("joins", "joined", "join", "from"),
    "remove": ("leaves", "left", "leave", "to"),
    "reweigh": ("gets another weight", "has its new weight", "change", "from or to"),
}
# What is said as it begins where nobody gives or takes anything.
_WITHOUT_PEERS = {
    "add": "no server that has keys is up",
    "remove": "the others hold all of its keys already",
    "reweigh": "nothing moves",
}


def _started(event: MigrationStarted) -> str:
    verb, _, _, way = _CHANGES[event.change]
    if not event.peers and not event.ideal_fraction:
        which = "first" if event.change == "add" else "last"
        return f"{_who(event.server_id)} {verb}: it is the {which} server"
    if not event.peers:
        return f"{_who(event.server_id)} {verb}: {_WITHOUT_PEERS[event.change]}"
    parts = (event.fraction / event.replicas, event.ideal_fraction / event.replicas)
    much = f"{percent(parts[0])}; ideal {percent(parts[1])}"
    if not event.keys:
        return f"{_who(event.server_id)} {verb}: no keys to move ({much} of the ring)"
    return (
        f"{_who(event.server_id)} {verb}: {_copies(event.keys, event.replicas)} ({much}) "
        f"move{'s' if event.keys == 1 else ''} {way} {counted(event.peers, 'server')}"
    )


def _finished(event: MigrationFinished) -> str:
    took = duration(event.seconds)
    if event.cancelled:
        what = _CHANGES[event.change][2]
        return f"{_who(event.server_id)} did not {what}: all is back where it was after {took}"
    verb = _CHANGES[event.change][1]
    if not event.keys:
        return f"{_who(event.server_id)} {verb}: no keys had to move"
    return f"{_who(event.server_id)} {verb}: {_copies(event.keys, event.replicas)} moved in {took}"


def _copies(count: int, replicas: int) -> str:
    """Return what moves: keys, or copies of them where each lies on several servers."""
    if replicas == 1:
        return counted(count, "key")
    return "1 copy of a key" if count == 1 else f"{whole(count)} copies of keys"


def _crashed(event: ServerCrashed) -> str:
    who = _who(event.server_id)
    if event.keys_waiting:
        return f"{who} crashed: {counted(event.keys_waiting, 'key')} on its disk alone wait for it"
    if event.on_disk:
        return f"{who} crashed: its disk and others keep its {counted(event.keys_left, 'key')}"
    if event.keys_lost:
        return f"{who} crashed: {counted(event.keys_lost, 'key')} had no other replica"
    return f"{who} crashed: others hold its {counted(event.keys_left, 'key')}"


def _recovered(event: RecoveryFinished) -> str:
    how = [counted(event.hints, "hint")] if event.hints else []
    how += [f"{counted(event.copied, 'record')} copied"] if event.copied else []
    got = " and ".join(how) or "nothing had to be copied"
    if event.keys is not None:
        kept = f"its disk kept {counted(event.keys, 'key')}"
        got = f"{kept}, it needed {' and '.join(how)}" if how else f"{kept}, it missed nothing"
    return f"{_who(event.server_id)} has caught up: {got}, in {duration(event.seconds)}"


def _who(server_id: str) -> str:
    return safe(server_id, _ID_CELLS)
