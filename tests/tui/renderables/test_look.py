"""Colours can be told apart and read, and nothing depends on them."""

import itertools
import math

import pytest
from rich.text import Text
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from tui.renderables.look import DARK, LIGHT, Look
from tui.view_model import COLOURS, Mark, Tone

# W3C's least contrast of what is not running text.
READABLE = 3.0
# Textual's own, where a theme names none.
DEFAULT_BACKGROUNDS = {True: ("#121212", "#1e1e1e"), False: ("#e0e0e0", "#d8d8d8")}
# What a person with deuteranopia and protanopia sees (Machado et al. 2009), in linear light.
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
NORMAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

Triple = tuple[float, ...]


def linear(colour: str) -> Triple:
    parts = Color.parse(colour).normalized
    return tuple(
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )


def contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        red, green, blue = linear(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def oklab(colour: str, sight: tuple[Triple, ...]) -> Triple:
    """Return a colour in OKLab (Ottosson 2020), where distance is difference, as it is seen."""
    light = linear(colour)
    red, green, blue = (
        max(0.0, sum(weight * part for weight, part in zip(row, light, strict=True)))
        for row in sight
    )
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def backgrounds(*, dark: bool) -> list[str]:
    found = list(DEFAULT_BACKGROUNDS[dark])
    for theme in BUILTIN_THEMES.values():
        if theme.dark is dark and not theme.name.startswith("ansi"):
            found += [colour for colour in (theme.background, theme.surface) if colour]
    return found


@pytest.mark.parametrize(("look", "dark"), [(DARK, True), (LIGHT, False)])
def test_every_colour_can_be_read_on_every_theme(look: Look, dark: bool) -> None:
    assert len(backgrounds(dark=dark)) > 8
    for colour in (*look.server_colours, look.good, look.warning, look.bad, look.accent):
        for background in backgrounds(dark=dark):
            assert contrast(colour, background) >= READABLE, (colour, background)


@pytest.mark.parametrize("look", [DARK, LIGHT])
@pytest.mark.parametrize(
    ("sight", "least"), [(NORMAL, 0.09), (DEUTERANOPIA, 0.055), (PROTANOPIA, 0.055)]
)
def test_any_two_servers_colours_can_be_told_apart(
    look: Look, sight: tuple[Triple, ...], least: float
) -> None:
    assert len(look.server_colours) == COLOURS
    for first, second in itertools.combinations(look.server_colours, 2):
        assert math.dist(oklab(first, sight), oklab(second, sight)) >= least, (first, second)


def test_without_colours_there_are_none() -> None:
    look = Look(**{**{name: getattr(DARK, name) for name in DARK.__slots__}, "monochrome": True})
    styles = [look.accented, look.server(Mark("a", 3)), *map(look.tone, Tone)]
    assert all(style.color is None and style.bgcolor is None for style in styles)
    assert look.tone(Tone.BAD).bold


def test_a_server_that_nobody_knows_is_drawn_plain() -> None:
    assert DARK.server(None).color is None


def test_only_an_ascii_look_changes_what_is_drawn() -> None:
    text = Text("● up → 4 µs")
    assert DARK.finish(text) is text
    ascii_look = Look(DARK.server_colours, "red", "red", "red", "red", ascii_only=True)
    assert ascii_look.finish(text).plain == "* up > 4 us"
    assert (DARK.arrow, ascii_look.arrow) == ("→", "->")
