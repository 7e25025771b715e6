"""What servers are called when nobody has said: the words of the NATO alphabet, in its order.

Each begins with another letter, which is the letter that the server gets on the ring.
"""

import itertools
from collections.abc import Container, Iterator

_WORDS = (
    *("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett"),
    *("kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango"),
    *("uniform", "victor", "whiskey", "xray", "yankee", "zulu"),
)


def server_names(count: int) -> list[str]:
    """Return the first `count` names: ``alpha`` to ``zulu``, then ``alpha-2`` and so on.

    >>> server_names(3)
    ['alpha', 'bravo', 'charlie']
    """
    return list(itertools.islice(_names(), count))


def next_server_name(taken: Container[str]) -> str:
    """Return the first name that is not taken. O(names that are).

    >>> next_server_name({"alpha", "charlie"})
    'bravo'
    """
    return next(name for name in _names() if name not in taken)


def _names() -> Iterator[str]:
    yield from _WORDS
    for round_ in itertools.count(2):
        for word in _WORDS:
            yield f"{word}-{round_}"
