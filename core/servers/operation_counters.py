"""How often a server was used."""

from core.native import i64, mypyc_attr


@mypyc_attr(acyclic=True)
class OperationCounters:
    """How many operations a server has served.

    Counted with a plain ``+=`` and no lock: under CPython's global lock no thread switch falls
    inside one; without it, a count may be lost now and then, which a rate on a screen can bear.
    """

    __slots__ = ("reads", "writes")

    def __init__(self) -> None:
        self.reads: i64 = 0
        self.writes: i64 = 0


def count_on(counters: OperationCounters, before: OperationCounters) -> None:
    """Let counters go on from where others were."""
    counters.reads += before.reads
    counters.writes += before.writes
