"""A line of text that the user types, or pastes."""

from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from core.safe_text import visible


class SafeInput(Input, inherit_bindings=False):
    """An input that holds nothing invisible, and takes keys in the order in which they were typed.

    What is typed is printable. What is pasted may be anything: a character that would act on the
    terminal, or could not be seen, is left out, and `LeftOut` says so.

    Textual's own input gets letters by its queue, and backspace or enter by way of the app's: typed
    in one burst, ``ab``, backspace, ``c`` would leave ``ab``. Here all of them act at once.

    Args:
        value: what is there at first.
        placeholder: what is shown while nothing is there.
        id: the widget's.
        select_on_focus: whether what is there is selected when the user comes to it by key, so that
            what is typed takes its place.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        replace(binding, priority=True)
        for binding in Input.BINDINGS
        if isinstance(binding, Binding)
    ]

    class LeftOut(Message):
        """Something that was pasted can't be shown and was left out."""

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        id: str | None = None,  # noqa: A002 - Textual's name
        select_on_focus: bool = False,
    ) -> None:
        super().__init__(value, placeholder=placeholder, id=id, select_on_focus=select_on_focus)
        self.cursor_blink = False

    def _forward_event(self, event: events.Event) -> None:
        """Take what the app passes on to the focused widget."""
        if isinstance(event, events.Key) and event.is_printable and event.character is not None:
            self.replace(event.character, *self.selection)
        elif isinstance(event, events.Paste):
            self.on_paste(event)
        else:
            super()._forward_event(event)

    def on_paste(self, event: events.Paste) -> None:
        """Insert the visible part of the first line."""
        event.prevent_default()
        event.stop()
        line = next(iter(event.text.splitlines()), "")
        shown = "".join(character for character in line if visible(character) == character)
        self.replace(shown, *self.selection)
        if shown != event.text:
            self.post_message(self.LeftOut())
