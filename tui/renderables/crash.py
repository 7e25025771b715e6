"""What the crash of a server would mean, in a sentence for each thing that it would."""

from rich.text import Text

from core.cluster.failover import CrashPreview
from tui.formatting import counted, safe_text
from tui.renderables.look import BOLD, Look
from tui.view_model import Mark, Tone

_ID_CELLS = 64


def draw_crash(preview: CrashPreview, look: Look, mark: Mark | None = None) -> Text:
    """Return what a crash would mean: the worst first, a line each, to be wrapped.

    Args:
        preview: what was counted.
        look: colours, and whether to draw in ASCII.
        mark: the letter and colour of the server; None if it has none.
    """
    who = safe_text(preview.server_id, _ID_CELLS, look.server(mark) + BOLD)
    text = Text("Crash ", end="").append_text(who).append(": it stops answering at once, and")
    holds = "its disk keeps what it holds" if preview.on_disk else "what it holds in memory is gone"
    text.append(f" {holds}.\n")
    lost, left, refused = preview.keys_lost, preview.keys_left, preview.keys_refused
    if lost:
        have = "has" if lost == 1 else "have"
        words = f"✖ {counted(lost, 'key')} {have} no other replica and will be lost."
        text.append(f"\n{words}", look.tone(Tone.BAD))
    if preview.keys_waiting:
        words = (
            f"✖ {counted(preview.keys_waiting, 'key')} can't be read or written until it is back."
        )
        text.append(f"\n{words}", look.tone(Tone.BAD))
    if refused:
        words = f"✖ {counted(refused, 'key')} can't be written until it is back."
        text.append(f"\n{words}", look.tone(Tone.BAD))
    if left:
        words = f"○ {counted(left, 'key')} will have one replica less."
        text.append(f"\n{words}", look.tone(Tone.WARNING))
    if preview.on_disk and (preview.keys_waiting or left):
        text.append("\n● Nothing is lost: recovering it takes only what it has missed.")
        text.stylize(look.tone(Tone.GOOD), text.plain.rindex("●"))
    elif not lost and not left:
        text.append("\nNo key is on it.")
    elif not lost:
        text.append("\n● No key is lost: others hold them all.", look.tone(Tone.GOOD))
    return look.finish(text)
