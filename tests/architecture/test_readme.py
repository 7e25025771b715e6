"""What the README shows is what there is."""

import re
from pathlib import Path

import pytest

from core.cluster.range_mover import KEYS_PER_CHUNK
from core.servers.record_table import KEYS_PER_BUCKET
from core.stripes import STRIPES
from tui.actions import markdown_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_keys_are_those_of_the_registry() -> None:
    shown = README.split("<!-- keys:", 1)[1].split("-->\n", 1)[1].split("<!-- end of keys -->")[0]
    assert shown == markdown_table(), "make readme"


def test_the_library_example_runs() -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example is not None
    exec(compile(example[1], "README.md", "exec"), {})  # noqa: S102 - it is our own


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_what_it_links_to_is_there(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("picture", sorted(path.name for path in (ROOT / "screenshots").iterdir()))
def test_it_shows_every_picture(picture: str) -> None:
    assert f"](screenshots/{picture})" in README


def test_its_two_commands_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"{STRIPES:,} stripes" in README
    assert f"dicts of at most 682 keys ({KEYS_PER_BUCKET} where it is not compiled)" in README
    assert f"copy at most {KEYS_PER_CHUNK} keys" in README
