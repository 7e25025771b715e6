"""The server on disk keeps the contract of all servers, and what it was given."""

from pathlib import Path

import pytest

from core import RocksDBServer, Server
from tests.core.servers.server_contract import ServerContract


class TestRocksDBServer(ServerContract):
    @pytest.fixture(autouse=True)
    def in_a_directory(self, tmp_path: Path) -> None:
        self.path = tmp_path
        self.made = 0

    def make(self) -> Server:
        self.made += 1
        return RocksDBServer("alpha", self.path / str(self.made))
