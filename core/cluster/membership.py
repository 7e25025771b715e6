"""Who is in the ring, and how that changes: one planned migration at a time."""

import threading
from collections.abc import Callable, Sequence

from core.clock import Clock
from core.cluster.migration import Migration
from core.cluster.persistence import Persistence
from core.cluster.plan import ChangeKind, Plan
from core.cluster.planning import keys_lost, make_plan
from core.cluster.range_mover import RangeMover
from core.cluster.shards import Shards
from core.cluster.topology import PendingChange
from core.errors import (
    DataLossError,
    LastServerError,
    MigrationInProgressError,
    ServerExistsError,
    StalePlanError,
    StoreClosedError,
    StoreError,
    UnknownServerError,
)
from core.events import Event, EventLog, StoreCleared
from core.ring.hash_ring import HashRing, vnodes_at
from core.ring.placement import Placement
from core.ring.ring_view import RingView
from core.stripes import LAST_POSITION


def after_of(ring: HashRing, change: PendingChange) -> RingView:
    """Return the view that a change of `ring` leads to. O(vnodes).

    Where points are kept they are those of the change: they may have been chosen by another version
    of what chooses them, and what has moved was moved for these.
    """
    server_id, weight, view = change.server_id, change.weight, ring.view
    if change.kind is ChangeKind.REMOVE:
        return view.without_server(server_id)
    if ring.placement is Placement.RANDOM:
        trial = ring.copy()
        make = trial.add_server if change.kind is ChangeKind.ADD else trial.set_weight
        make(server_id, weight)
        return trial.view
    vnodes = vnodes_at(server_id, change.positions)
    if change.kind is ChangeKind.ADD:
        return view.with_server(server_id, weight, vnodes)
    return view.with_other_vnodes(server_id, weight, vnodes)


class Membership:
    """The control plane of a store.

    One membership change runs at a time. `plan_*` and `commit` refuse while one runs, since their
    plan could not hold; `add_server` and `remove_server` wait for their turn, and refuse only when
    the running one is paused, because it might stay so for ever.

    Thread safety: any thread may call any method. `changed` guards `_current`, `_closed` and every
    change of the ring, and is notified when a migration changes its state. Locks are taken in the
    order: a migration's step, `changed`, `Shards.moving`, stripes ascending.

    Args:
        ring: the ring, empty.
        shards: the servers and what leads to them, empty.
        mover: moves ranges within `shards`.
        clock: the time, for events and rates.
        events: where to log what happens.
        persistence: where changes are written down.
        background: False lets migrations have no thread: `work`, or who waits, moves the data.
    """

    def __init__(
        self,
        ring: HashRing,
        shards: Shards,
        mover: RangeMover,
        clock: Clock,
        events: EventLog,
        persistence: Persistence,
        *,
        background: bool = True,
    ) -> None:
        self.ring = ring
        self._shards = shards
        self._mover = mover
        self._clock = clock
        self._events = events
        self._persistence = persistence
        self._background = background
        self.changed = threading.Condition(threading.RLock())
        self._current: Migration | None = None
        self._closed = False

    @property
    def migration(self) -> Migration | None:
        """The migration that is under way or paused; None when there is none."""
        return self._current

    @property
    def closed(self) -> bool:
        """Whether the store was closed, or is being closed. Waits for no lock."""
        return self._closed

    def plan_add(self, server_id: str, weight: float) -> Plan:
        """Return what adding a server would move. See `make_plan` for the cost.

        Raises:
            InvalidOptionError: `weight` is out of range.
            MigrationInProgressError: another change is under way.
            ServerExistsError: the server is in the ring already.
        """
        with self.changed:
            self._refuse_if_busy_locked()
            before, trial = self.ring.view, self.ring.copy()
        if not trial.add_server(server_id, weight):
            raise ServerExistsError(server_id)
        return self._plan(ChangeKind.ADD, server_id, weight, before, trial.view)

    def plan_remove(self, server_id: str) -> Plan:
        """Return what removing a server would move. See `make_plan` for the cost.

        Raises:
            LastServerError: it is the last one and holds keys.
            MigrationInProgressError: another change is under way.
            UnknownServerError: the ring has no such server.
        """
        with self.changed:
            self._refuse_if_busy_locked()
            before, trial = self.ring.view, self.ring.copy()
        if not trial.remove_server(server_id):
            raise UnknownServerError(server_id)
        weight = before.weights[server_id]
        return self._plan(ChangeKind.REMOVE, server_id, weight, before, trial.view)

    def plan_set_weight(self, server_id: str, weight: float) -> Plan:
        """Return what another weight of a server would move. See `make_plan` for the cost.

        Raises:
            InvalidOptionError: `weight` is out of range.
            MigrationInProgressError: another change is under way.
            UnknownServerError: the ring has no such server.
        """
        with self.changed:
            self._refuse_if_busy_locked()
            before, trial = self.ring.view, self.ring.copy()
        if not trial.set_weight(server_id, weight):
            raise UnknownServerError(server_id)
        return self._plan(ChangeKind.REWEIGH, server_id, weight, before, trial.view)

    def commit(
        self, plan: Plan, *, keys_per_second: float | None, start: bool, force: bool = False
    ) -> Migration:
        """Make the plan's change to the ring and begin to move what must move.

        The first server's join and the last one's leave move no key: they are done at once.

        Raises:
            DataLossError: keys would be lost for good, and `force` is not set.
            InvalidOptionError: `keys_per_second` is not above 0.
            LastServerError: the last server was to leave, and keys have come in since the plan.
            MigrationInProgressError: another change is under way.
            StalePlanError: the ring changed since the plan was made.
        """
        with self.changed:
            self._refuse_if_busy_locked()
            if plan.before is not self.ring.view:
                raise StalePlanError(plan.epoch, self.ring.view.epoch)
            if plan.kind is ChangeKind.REMOVE and not force:
                lost = keys_lost(self._shards, plan.server_id)
                if lost:
                    raise DataLossError(plan.server_id, lost)
            migration = self._migration_of(plan, keys_per_second)
            self._begin(plan, force=force, keys_per_second=keys_per_second)
            migration.announce()
            if migration.moves_nothing:
                migration.step()
                return migration
            self._current = migration
            # Before anybody else can look: it is paused until it was started.
            if start:
                migration.start()
        return migration

    def add(self, server_id: str, weight: float) -> bool:
        """Add a server and wait until it holds its part; False if it is there already.

        Raises:
            InvalidOptionError: `weight` is out of range.
            MigrationFailedError: a move failed; the migration is paused.
            MigrationInProgressError: another change is paused.
        """
        return self._change(
            lambda: server_id not in self.ring.view.weights,
            lambda: self.plan_add(server_id, weight),
        )

    def set_weight(self, server_id: str, weight: float) -> bool:
        """Give a server another weight, and wait until its keys moved; False if it has it.

        Raises:
            InvalidOptionError: `weight` is out of range.
            MigrationFailedError: a move failed; the migration is paused.
            MigrationInProgressError: another change is paused.
            UnknownServerError: the ring has no such server.
        """
        if server_id not in self.ring.view.weights:
            raise UnknownServerError(server_id)
        return self._change(
            lambda: self.ring.view.weights.get(server_id, weight) != weight,
            lambda: self.plan_set_weight(server_id, weight),
        )

    def remove(self, server_id: str, *, force: bool = False) -> bool:
        """Remove a server once others hold what it held; False if it is unknown.

        Raises:
            DataLossError: keys would be lost for good, and `force` is not set.
            LastServerError: it is the last one and holds keys.
            MigrationFailedError: a move failed; the migration is paused.
            MigrationInProgressError: another change is paused.
        """
        return self._change(
            lambda: server_id in self.ring.view.weights,
            lambda: self.plan_remove(server_id),
            force=force,
        )

    def work(self) -> bool:
        """Move a chunk of a migration that has no thread; return whether there may be more."""
        migration = self._current
        return migration is not None and migration.work()

    def clear(self, emptied: Callable[[], None]) -> None:
        """Remove all keys and all servers; a migration under way ends where it is.

        `emptied` is called when no key is left, before anybody can write again.
        """
        with self.changed:
            self._refuse_if_closed_locked()
            interrupted = self._current
        if interrupted is not None:
            interrupted.stop()
        with self.changed:
            servers = len(self._shards.replicas)
            self._persistence.change_ended(RingView(self.ring.view.epoch + 1))
            keys = self._shards.clear(emptied)
            self.ring.clear()
            self._current = None
            self.log(StoreCleared(keys=keys, servers=servers))
            self.changed.notify_all()

    def close(self) -> None:
        """Stop a migration under way, close every server and refuse everything from then on."""
        with self.changed:
            if self._closed:
                return
            self._closed = True
            interrupted = self._current
            self.changed.notify_all()
        if interrupted is not None:
            interrupted.stop()
        self._persistence.close(self._shards)

    def log(self, event: Event) -> None:
        """Log an event at this moment."""
        self._events.append(event, self._clock.now_ms())

    def _change(
        self, is_needed: Callable[[], bool], make: Callable[[], Plan], *, force: bool = False
    ) -> bool:
        """Plan and carry out a change as soon as it is its turn; False if it is not needed."""
        while True:
            self._wait_for_turn()
            if not is_needed():
                return False
            try:
                migration = self.commit(make(), keys_per_second=None, start=True, force=force)
            except (
                MigrationInProgressError,
                ServerExistsError,
                StalePlanError,
                UnknownServerError,
            ):
                continue  # another thread was faster: see again what there is to do
            migration.wait()
            return True

    def _wait_for_turn(self) -> None:
        """Wait until no migration is under way.

        Raises:
            MigrationInProgressError: one is paused.
        """
        while True:
            with self.changed:
                current = self._current
                if current is None:
                    return
                self._refuse_if_closed_locked()
                if current.paused:
                    raise MigrationInProgressError(current.server_id, paused=True)
                if self._background:
                    self.changed.wait()
                    continue
            current.work()

    def _refuse_if_busy_locked(self) -> None:
        self._refuse_if_closed_locked()
        if self._current is not None:
            raise MigrationInProgressError(self._current.server_id, paused=self._current.paused)

    def _refuse_if_closed_locked(self) -> None:
        if self._closed:
            raise StoreClosedError

    def reopen(self, change: PendingChange | None, moved: Sequence[tuple[int, int]]) -> None:
        """Take up a change that another process had begun. See `reopening`."""
        if change is None:
            return
        with self.changed:
            before, after = self.ring.view, after_of(self.ring, change)
            server_id = change.server_id
            weight = (after if server_id in after.weights else before).weights[server_id]
            plan = self._plan(change.kind, server_id, weight, before, after)
            migration = self._migration_of(plan, change.keys_per_second)
            migration.restore(moved, cancelling=change.cancelling)
            self.ring.adopt(plan.after)
            if change.cancelling:
                self.ring.adopt(plan.before)
            migration.announce()
            self._current = migration
            migration.start()

    def _plan(
        self, kind: ChangeKind, server_id: str, weight: float, before: RingView, after: RingView
    ) -> Plan:
        placement = self.ring.placement
        return make_plan(self._shards, kind, server_id, weight, before, after, placement)

    def _migration_of(self, plan: Plan, keys_per_second: float | None) -> Migration:
        return Migration(
            plan,
            self._mover,
            changed=self.changed,
            clock=self._clock,
            log=self.log,
            turn_back=lambda: self._turn_back(plan),
            finish=self._finish,
            keys_per_second=keys_per_second,
            background=self._background,
        )

    def _begin(self, plan: Plan, *, force: bool, keys_per_second: float | None) -> None:
        """Change the ring as planned, and everything that has to be there before keys move."""
        last_leaves = not plan.after.weights
        if last_leaves:  # first: from then on no key can come in that would go with it
            self._assign_every_position(plan.after)
        if plan.kind is ChangeKind.ADD:
            self._shards.open_server(plan.server_id)
        try:
            self._persistence.change_begins(plan, force=force, keys_per_second=keys_per_second)
        except StoreError:
            if last_leaves:
                self._assign_every_position(plan.before)
            if plan.kind is ChangeKind.ADD:
                self._shards.close_server(plan.server_id)
            raise
        if not plan.before.weights:
            self._assign_every_position(plan.after)
        if plan.kind is ChangeKind.REMOVE:
            self._shards.replicas[plan.server_id].given_up = force
        self.ring.adopt(plan.after)

    def _turn_back(self, plan: Plan) -> None:
        self._persistence.change_turns_back()
        if plan.kind is ChangeKind.REMOVE:
            self._shards.replicas[plan.server_id].given_up = False
        self.ring.adopt(plan.before)

    def _assign_every_position(self, view: RingView) -> None:
        """Give the whole ring to its first server, or take it from its last, at one moment.

        Raises:
            LastServerError: it is taken from the last server, which holds keys.
        """
        owners = view.servers
        with self._shards.moving, self._shards.stripes():
            keys = self._shards.routing.total_keys()
            if keys and not owners:
                raise LastServerError(self.ring.view.servers[0], keys)
            self._shards.routing.assign(0, LAST_POSITION, owners)

    def _finish(self, migration: Migration) -> None:
        """Forget a migration that is over, and the server that is no longer in the ring."""
        with self.changed:
            self._persistence.change_ended(self.ring.view)
            if migration.server_id not in self.ring.view.weights:
                self._shards.close_server(migration.server_id)
            self._current = None
            self.changed.notify_all()
