"""Letters and colours by which servers are told apart, kept for as long as a server is known."""

import itertools
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

# How many colours a palette has. More hues than this can't be told apart at a glance.
COLOURS = 12

_SINGLE_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits


class Mark(NamedTuple):
    """What a server is recognized by.

    Attributes:
        letter: one character for the first 62 servers, two or more for those beyond; unique.
        colour: the number of a colour, 0 to `COLOURS` - 1; shared once there are more servers.
    """

    letter: str
    colour: int


def assign_marks(known: Mapping[str, Mark], server_ids: Iterable[str]) -> dict[str, Mark]:
    """Return a mark for each of the servers: the one it has, or a new one. O(servers).

    A server gets its own initial if no other one begins with it, so that ``delta`` is d; else the
    first free one of a-z, A-Z, 0-9, aa, ab, ... Its colour is the first of those least used. What a
    server had is free again once it is gone.

    >>> marks = assign_marks({}, ["delta", "node1", "node2"])
    >>> [mark.letter for mark in marks.values()]
    ['d', 'a', 'b']
    """
    wanted = list(server_ids)
    letters = {server_id: known[server_id].letter for server_id in wanted if server_id in known}
    initials = Counter(server_id[0] for server_id in wanted)
    for server_id in wanted:
        own = server_id[0]
        if initials[own] == 1 and own in _SINGLE_LETTERS and own not in letters.values():
            letters.setdefault(server_id, own)
    taken = set(letters.values())
    free_letters = (letter for letter in _letters() if letter not in taken)
    uses = Counter(known[server_id].colour for server_id in wanted if server_id in known)
    marks: dict[str, Mark] = {}
    for server_id in wanted:
        if server_id in known:
            marks[server_id] = known[server_id]
            continue
        letter = letters[server_id] if server_id in letters else next(free_letters)
        colour = min(range(COLOURS), key=uses.__getitem__)
        uses[colour] += 1
        marks[server_id] = Mark(letter, colour)
    return marks


def _letters() -> Iterator[str]:
    yield from _SINGLE_LETTERS
    for length in itertools.count(2):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "".join(letters)
