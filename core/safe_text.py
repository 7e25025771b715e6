"""Turning text that nobody vouches for into text that is safe to show.

Keys, values, server ids and error messages come from outside. Written to a terminal as they are,
they can move the cursor, write the clipboard (``ESC ] 52``) or reverse the reading direction.
Everything that ringtop shows of them, in an error, on the screen or on standard output, goes
through `visible` first.
"""

import unicodedata

# Categories of characters that have no picture of their own, or act on their neighbours: control
# (Cc), format (Cf: bidirectional overrides, zero-width joiners), lone surrogates (Cs), private use
# (Co), unassigned (Cn), line and paragraph separators (Zl, Zp).
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
ELLIPSIS = "…"


def visible(text: str, limit: int = 80) -> str:
    r"""Return `text` with every invisible character spelled out, at most `limit` characters long.

    Control, format, surrogate, private-use and unassigned characters and line and paragraph
    separators become ``\n``, ``\x1b``, ``\u202e`` or ``\U000e0001``. A text that is too long is
    cut before an escape, never inside one, and ends in an ellipsis. Takes time in proportion to
    `limit`, not to the text.

    >>> visible("user:1")
    'user:1'
    >>> visible("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    >>> visible("abcdef", limit=4)
    'abc…'
    """
    head = text[: limit + 1]
    if len(text) <= limit and head.isascii() and head.isprintable():
        return head
    pieces: list[str] = []
    length = 0
    for character in head:
        piece = _spelled(character)
        length += len(piece)
        pieces.append(piece)
        if length > limit:
            break
    if length <= limit:
        return "".join(pieces)
    while pieces and length > limit - len(ELLIPSIS):
        length -= len(pieces.pop())
    return "".join(pieces) + ELLIPSIS


def quoted(text: str, limit: int = 80) -> str:
    r"""Return `visible` text in quotes, for a sentence.

    >>> quoted("a\x1bb")
    "'a\\x1bb'"
    """
    return f"'{visible(text, limit)}'"


def _spelled(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE_CATEGORIES:
        return character
    short = _SHORT_ESCAPES.get(character)
    if short is not None:
        return short
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
