"""The memory server keeps the contract of all servers."""

from core import MemoryServer, Server
from core.ring import position_of
from tests.core.servers.server_contract import ServerContract


class TestMemoryServer(ServerContract):
    def make(self) -> Server:
        return MemoryServer("alpha", position_of)
