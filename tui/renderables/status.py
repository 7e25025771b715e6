"""The store in one line, at the top of the screen."""

from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from tui.formatting import compact, counted, latency, rate, ratio, whole
from tui.renderables.look import BOLD, DIM, PLAIN, Look
from tui.renderables.parts import Part, fitting, part
from tui.view_model import StatusLine, Tone

_NAME = "ringtop"
_FLAG = Style(bold=True, reverse=True)
# A key that is answered later than this feels slow.
_SLOW_SECONDS = 0.1
_MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True)
class ScreenState:
    """What the status line says of the screen itself.

    Attributes:
        time: the time of day that is shown.
        delay: seconds by which the screen lags behind the keys; None while that is unknown.
        paused: whether the picture is held.
        readonly: whether changes are refused.
        observing: whether they are because another process may hold the store.
    """

    time: str
    delay: float | None = None
    paused: bool = False
    readonly: bool = False
    observing: bool = False


def draw_status(status: StatusLine, screen: ScreenState, width: int, look: Look) -> Text:
    """Return the status in one line of exactly `width` cells.

    What matters least is left out first: the time, the epoch, the balance, the replicas,
    latency.
    """
    right = fitting(_right(screen, look), width // 3)
    left = fitting(_left(status, screen, look), width - right.cell_len - 1)
    left.truncate(width - right.cell_len, pad=True)
    return look.finish(left.append_text(right))


def _left(status: StatusLine, screen: ScreenState, look: Look) -> list[Part]:
    parts = [part(_NAME, look.accented + BOLD, 7)]
    if screen.paused:
        parts.append(part(" PAUSED ", look.tone(Tone.WARNING) + _FLAG))
    if screen.observing:
        parts.append(part(" OBSERVING ", _FLAG, 1))
    elif screen.readonly:
        parts.append(part(" READ ONLY ", _FLAG, 2))
    if not status.servers:
        parts.append(part("○ no servers", look.tone(Tone.WARNING)))
    else:
        parts.append(part(f"● {whole(status.servers_up)} up", look.tone(Tone.GOOD)))
    if status.servers_down:
        parts.append(part(f"✖ {whole(status.servers_down)} down", look.tone(Tone.BAD)))
    if status.disk is not None:
        # Before all else: nothing that is written now is kept.
        whose, _, what = status.disk.words.partition(": ")
        short, _, advice = what.partition(": ")
        parts.append(part(f"{status.disk.sign} {whose}: {short}", look.tone(status.disk.tone)))
        if advice:
            parts.append(part(advice, look.tone(status.disk.tone), 4))
    recovery = status.recovery
    if recovery is not None:
        parts.append(part(f"{recovery.sign} {recovery.words}", look.tone(recovery.tone)))
    parts.append(part(f"N={status.replication_factor} {status.consistency}", PLAIN, 4))
    migration = status.migration
    if migration is not None:
        sign = "✖" if migration.tone is Tone.BAD else "○" if migration.paused else "↻"
        style = look.tone(migration.tone)
        parts.append(part(f"{sign} {migration.headline}", style))
        if migration.details:
            parts.append(part(migration.details, style, 1 if migration.tone is Tone.BAD else 4))
    if status.under_replicated_keys:
        short = f"{whole(status.under_replicated_keys)} under-replicated"
        parts.append(part(short, look.tone(Tone.WARNING), 1))
    parts.append(part(counted(status.total_keys, "key"), PLAIN, 2))
    if status.operations_per_second is not None:
        parts.append(part(rate(status.operations_per_second), BOLD, 2))
    if status.p99 is not None:
        parts.append(part(f"p99 {latency(status.p99)}", PLAIN, 3))
    parts.append(part(f"peak/avg {ratio(status.peak_to_average)}", PLAIN, 5))
    if status.placement is not None:
        parts.append(part(status.placement, PLAIN, 6))
    parts.append(part(f"epoch {compact(status.epoch)}", DIM, 6))
    return parts


def _right(screen: ScreenState, look: Look) -> list[Part]:
    parts: list[Part] = []
    if screen.delay is not None:
        slow = screen.delay > _SLOW_SECONDS
        style = look.tone(Tone.WARNING) if slow else DIM
        parts.append(part(f"ui {round(screen.delay * _MILLISECONDS)} ms", style))
    parts.append(part(screen.time, DIM, 1))
    return parts
