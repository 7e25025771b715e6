"""ringtop's own themes, and how drawings look in any theme."""

from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

from core.errors import InvalidOptionError
from core.safe_text import quoted
from tui.renderables.look import DARK, LIGHT, Look

DARK_THEME = Theme(
    name="ringtop-dark",
    dark=True,
    primary="#4fb3ff",
    secondary="#8b93a7",
    accent="#06d8fe",
    foreground="#d7dce5",
    background="#0e1116",
    surface="#161b22",
    panel="#1d2430",
    success=DARK.good,
    warning=DARK.warning,
    error=DARK.bad,
    variables={"border": "#3a4454", "border-blurred": "#2a3240"},
)
LIGHT_THEME = Theme(
    name="ringtop-light",
    dark=False,
    primary="#0b62b3",
    secondary="#5a6273",
    accent="#075873",
    foreground="#1c2128",
    background="#fbfbf9",
    surface="#f1f2ef",
    panel="#e4e7e4",
    success=LIGHT.good,
    warning=LIGHT.warning,
    error=LIGHT.bad,
    variables={"border": "#a9b0ba", "border-blurred": "#c9ced4"},
)
THEMES = (DARK_THEME, LIGHT_THEME)


def checked_theme(name: str) -> str:
    """Return the name of a theme, ringtop's own or one of Textual's.

    Raises:
        InvalidOptionError: there is none of this name.
    """
    names = {*BUILTIN_THEMES, *(theme.name for theme in THEMES)}
    if name not in names:
        raise InvalidOptionError(f"no theme is called {quoted(name)}: {', '.join(sorted(names))}")
    return name


def look_of(theme: Theme, *, ascii_only: bool, monochrome: bool) -> Look:
    """Return the colours of drawings that can be read on a theme's background."""
    return replace(DARK if theme.dark else LIGHT, ascii_only=ascii_only, monochrome=monochrome)
