"""A line of text that the user types, or pastes."""

from textual import events
from textual.message import Message
from textual.widgets import Input

from core.safe_text import visible


class SafeInput(Input):
    """An input that holds nothing invisible.

    What is typed is printable. What is pasted may be anything: a character that would act on the
    terminal, or could not be seen, is left out, and `LeftOut` says so.
    """

    class LeftOut(Message):
        """Something that was pasted can't be shown and was left out."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(value, placeholder=placeholder, id=id, select_on_focus=False)
        self.cursor_blink = False

    def on_paste(self, event: events.Paste) -> None:
        """Insert the visible part of the first line."""
        event.prevent_default()
        event.stop()
        line = next(iter(event.text.splitlines()), "")
        shown = "".join(character for character in line if visible(character) == character)
        self.replace(shown, *self.selection)
        if shown != event.text:
            self.post_message(self.LeftOut())
