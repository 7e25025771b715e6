"""Steps that change the cluster: its members, its faults, its time, and what runs beside."""

from collections.abc import Callable
from typing import Any

from tests.simulation.cluster import SERVERS, Cluster


class Changes(Cluster):
    """The steps that change the cluster and not its keys."""

    # Time

    def _move_clock(self) -> None:
        seconds = self.random.choice((0.2, 1.0, 5.0, 30.0))
        if self.random.random() < 0.5:
            self.clock.advance(seconds)
        else:
            seconds *= self.random.choice((-1, -1, 1))
            self.clock.jump(seconds)
        self._note(f"by {seconds} s")

    # What goes on in the background

    def _maintain(self) -> None:
        for _ in range(self.random.choice((1, 1, 5))):
            self.store.maintain()

    def _doctor(self) -> None:
        repair = self.random.random() < 0.5
        report = self.store.doctor(repair=repair)
        self._note(f"repair={repair} -> {report.findings}")
        assert report.healthy, f"{report.findings}"

    def _count(self) -> None:
        calm = self._all_well() and not any(r.behind for r in self.shards.replicas.values())
        counted = len(self.store)
        self._note(f"-> {counted}")
        states = [register.seen(*self._time_passed()) for register in self.model.values()]
        if calm and all(len(state) == 1 for state in states):
            expected = sum(state != {None} for state in states)
            # What could not be swept is looked at again a second later.
            late = sum(map(self._is_there, self.keys)) - expected
            assert 0 <= counted - expected <= late, f"{counted} keys counted, not {expected}"

    # Membership

    def _plan_change(self) -> None:
        servers = self.store.get_servers()
        weight = self.random.choice((0.5, 1.0, 2.0))
        kind = self.random.choice(("add", "add", "remove", "weight"))
        free = [server_id for server_id in SERVERS if server_id not in servers]
        if kind == "add" and not free:
            kind = "remove"
        target = self.random.choice(free if kind == "add" else servers or free)
        down = [server_id for server_id in servers if self.shards.replicas[server_id].down]
        if down and self.random.random() < 0.5:  # what is dead is removed more often
            kind, target = "remove", self.random.choice(down)
        self._note(f"{kind} {target} {weight}")
        if not servers:
            kind = "add"
        limit = self.random.choice((None, 4, 10))
        start, force = self.random.random() < 0.3, self.random.random() < 0.5
        force = force and self.may_force
        make: Callable[[], Any] = {
            "add": lambda: self.store.plan_add_server(target, weight),
            "remove": lambda: self.store.plan_remove_server(target),
            "weight": lambda: self.store.plan_set_weight(target, weight),
        }[kind]
        well = self._all_well()
        try:
            plan = make()
            assert plan.keys_moved <= len(self.keys) * self.replication_factor * 2
            self.store.commit(plan, keys_per_second=limit, start=start, force=force)
            assert force or not plan.keys_lost, f"{plan.keys_lost} keys were given up unasked"
        except self.core.LastServerError:
            self._note("-> last server")
            assert servers == [target]
        except self.core.ServerUnavailableError:
            self._note("-> unavailable")
            assert servers == [target]
            assert not well
        except self.core.DataLossError as error:
            self._note(f"-> {error}")
            assert not force
            assert not well or self.shards.replicas[target].behind
            assert self.keys_lost or not self.may_force

    def _move(self) -> None:
        well = self._all_well()
        for _ in range(self.random.choice((1, 3, 12, 40))):
            if self.store.migration is None:
                self._note("(over)")
                return
            try:
                self.store.migration.step()
            except self.core.MigrationFailedError as error:
                self._note(f"-> {error}")
                assert not well, "every server is well, and a move failed"
                return

    def _pause(self) -> None:
        self._note(f"-> {self.store.migration.pause()}")

    def _resume(self) -> None:
        self._note(f"-> {self.store.migration.resume()}")

    def _cancel(self) -> None:
        self._note(f"-> {self.store.migration.cancel()}")

    # Trouble

    def _some_server(self) -> str:
        server_id: str = self.random.choice(list(self.shards.replicas) or list(SERVERS))
        self._note(server_id)
        return server_id

    def _crash(self) -> None:
        server_id = self._some_server()
        replica = self.shards.replicas.get(server_id)
        if replica is None or replica.down:
            assert not self.store.crash_server(server_id)
            return
        held = {key: self._owners(key) for key in self.keys if server_id in self._owners(key)}
        lost: dict[str, bool] = {}
        for key, owners in held.items():
            others = [owner for owner in owners if owner != server_id]
            if not any(self._complete(owner, key) for owner in others):
                lost[key] = any(not self.shards.replicas[owner].down for owner in others)
        preview = self.store.plan_crash(server_id)
        self._note(f"losing {sorted(lost)}")
        if self._all_well() and not any(r.behind for r in self.shards.replicas.values()):
            there = [key for key in held if self._is_there(key)]
            expected = sum(key in lost for key in there)
            assert preview.keys_lost == expected, f"{preview} but {expected} keys"
            assert preview.keys_lost + preview.keys_left == len(there), f"{preview}: {there}"
        assert self.store.crash_server(server_id)
        for key, remains in lost.items():
            self.model[key].lose(remains=remains)
        self.keys_lost += len(lost)

    def _is_there(self, key: str) -> bool:
        """Whether somebody holds a record of the key, expired or not."""
        position, owners = self.position_of(key), self._owners(key)
        if not owners:
            return False
        first = self.shards.replicas[owners[0]]
        return first.server._server.get(position, key) is not None

    def _begin_recovery(self) -> None:
        server_id = self._some_server()
        self._note(f"-> {self.store.begin_recovery(server_id) is not None}")

    def _recover_a_bit(self) -> None:
        well = self._all_well()
        for recovery in self.store._failover.recoveries:
            try:
                for _ in range(self.random.choice((1, 4, 40))):
                    recovery.step()
            except self.core.ServerFailedError:
                self._note("-> waits")
                assert not well, "every server is well, and one can't catch up"

    def _fail_next(self) -> None:
        self.faults.fail_next(self._some_server(), self.random.choice((1, 2, 5)))

    def _partition(self) -> None:
        self.faults.partition(self._some_server())

    def _slow(self) -> None:
        self.faults.slow(self._some_server(), self.random.choice((0.0, 0.05, 1.0)))

    def _heal_one(self) -> None:
        self.faults.heal(self._some_server())
