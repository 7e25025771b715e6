"""The pictures that the README shows are of the dashboard as it is."""

import asyncio

import pytest

from tests.screenshots import FOLDER, PICTURES, Picture, draw


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_the_dashboard_as_it_is(picture: Picture) -> None:
    shown = (FOLDER / f"{picture.name}.svg").read_text(encoding="utf-8")
    assert shown == asyncio.run(draw(picture)), "it has changed since: make screenshots"
