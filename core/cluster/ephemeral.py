"""What a store in memory writes down: nothing."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from core.cluster.plan import Plan
from core.cluster.replica import Replica
from core.cluster.shards import Shards
from core.record import Entry
from core.ring.ring_view import RingView


class Ephemeral:
    """The `Persistence` of a store in memory: there is nothing to go on with."""

    def change_begins(self, plan: Plan, *, force: bool, keys_per_second: float | None) -> None:
        """Nothing."""

    def change_turns_back(self) -> None:
        """Nothing."""

    def change_ended(self, view: RingView) -> None:
        """Nothing."""

    def range_moves(
        self,
        shards: Shards,
        targets: Sequence[Replica],
        low: int,
        high: int,
        *,
        back: bool,
        empty: bool = False,
    ) -> None:
        """Nothing."""

    def commit(self, shards: Shards, entries: Sequence[Entry]) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()

    def secure(self, shards: Shards, stripe: int) -> None:
        """Nothing."""

    def old_may_return(self, shards: Shards, stripe: int) -> bool:
        """Return False: what a server in memory held went with it."""
        return False

    def close(self, shards: Shards) -> None:
        """Close the servers."""
        shards.close()
