"""Starting a process that works with a store, killing it, and comparing what it left."""

import multiprocessing
import random
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from tests.durability.ledger import Ledger
from tests.durability.victim import Life, live

# A kill comes at any moment of the opening, or of so many seconds of work.
_WORK_SECONDS = 0.15
_OPENING_SECONDS = 0.12
_KILLED_WHILE_OPENING = 0.2
_CLOSED = 0.15

# Each process is forked from one that has imported everything and opened nothing.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.durability.victim"])


@dataclass
class Killing:
    """Many lives and deaths on one directory.

    Attributes:
        ledger: what must be there.
        opened: how often it was opened and found right.
        killed: how often its process was killed.
    """

    life: Life
    ledger: Ledger
    opened: int = 0
    killed: int = 0

    def run(self, cycles: int) -> None:
        """Open, work and die so many times, then once more open it and look."""
        source = random.Random(self.life.seed)
        for cycle in range(cycles):
            self._live_once(source, cycle)
        self._end()

    def _live_once(self, source: random.Random, cycle: int) -> None:
        life = replace(self.life, seed=self.life.seed * 10_000 + cycle)
        work = source.random() * _WORK_SECONDS
        if source.random() < _CLOSED:
            life = replace(life, closes_after=work)
        process, pipe = _start(life)
        try:
            if source.random() < _KILLED_WHILE_OPENING:
                self._listen(pipe, time.monotonic() + source.random() * _OPENING_SECONDS)
            elif self._listen(pipe, until="opened"):
                # Who closes the store ends by itself; a kill may come while it does.
                extra = 0.0 if life.closes_after is None else source.random() * _WORK_SECONDS
                self._listen(pipe, time.monotonic() + work + extra)
                if life.closes_after is None:
                    for _ in range(source.randrange(3)):  # however slow the disk is
                        self._listen(pipe, until="succeeded")
        finally:
            process.kill()
        self._listen(pipe)
        process.join()
        self.killed += 1
        pipe.close()

    def _end(self) -> None:
        process, pipe = _start(replace(self.life, closes_after=0.0))
        opened = self.opened
        self._listen(pipe)
        process.join()
        pipe.close()
        assert process.exitcode == 0
        assert self.opened == opened + 1

    def _listen(
        self, pipe: Connection, deadline: float | None = None, until: str | None = None
    ) -> bool:
        """Note what the process says; return whether it is still there."""
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not pipe.poll(left):
                return True
            try:
                message = pipe.recv()
            except (EOFError, OSError):  # it ended, maybe in the middle of a word
                return False
            self._hear(*message)
            if message[0] == until:
                return True

    def _hear(self, kind: str, *content: Any) -> None:
        if kind == "opened":
            found, read, _servers = content
            self.ledger.check(found, read)
            self.opened += 1
        elif kind == "tried":
            self.ledger.tried(*content)
        elif kind == "succeeded":
            self.ledger.succeeded(*content)
        elif kind == "issued":
            self.ledger.issued(*content)
        else:
            assert kind == "closed", f"{kind}:\n{content[0]}"


def _start(life: Life) -> tuple[BaseProcess, Connection]:
    here, there = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=live, args=(life, there), daemon=True)
    process.start()
    there.close()
    return process, here
