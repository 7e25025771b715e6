"""``make readme``: puts the table of keys, made from the registry of actions, into the README."""

from pathlib import Path

from tui.actions import markdown_table

README = Path(__file__).parents[1] / "README.md"


def main() -> None:
    """Replace what stands between the two marks."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split("<!-- keys:", 1)
    mark, rest = rest.split("-->\n", 1)
    _, after = rest.split("<!-- end of keys -->", 1)
    README.write_text(
        f"{before}<!-- keys:{mark}-->\n{markdown_table()}<!-- end of keys -->{after}",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
