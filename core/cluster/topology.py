"""What a data directory says about its ring: the content of its file ``topology.json``.

JSON, so that it can be read without ringtop, in this shape::

    {
      "format": "ringtop data directory",
      "version": 1,
      "checksum": "<SHA-256 of the canonical form of the topology, in hex>",
      "topology": {
        "virtual_nodes_per_node": 150,
        "replication_factor": 2,
        "epoch": 3,
        "weights": {"alpha": 1.0, "bravo": 2.0},
        "change": null
      }
    }

``change`` is null or an object of the fields of `PendingChange`. Where the placement is balanced,
the version is 2, so that an older ringtop, which knows no placement, says that it is too old; and
the topology says where the points are, which can't be worked out from the names::

        "change": {..., "positions": "<its server's points after the change>"},
        "placement": "balanced",
        "positions": {"alpha": "<its points, see kept_positions>", "bravo": "..."}

The canonical form is JSON without spaces, with sorted names, in ASCII; so a file that an editor
laid out anew is still right, and one whose content was changed is not. The format comes before the
version, and both before anything that a later version may change.

Knows no files: see `data_directory`.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Final

from core.cluster.kept_positions import check_positions, packed, unpacked
from core.cluster.levels import MAX_REPLICATION_FACTOR
from core.cluster.plan import ChangeKind
from core.errors import (
    CorruptTopologyError,
    InvalidOptionError,
    InvalidServerIdError,
)
from core.ring.hash_ring import HashRing
from core.ring.placement import Placement
from core.safe_text import quoted, visible
from core.server_id import checked_server_id

FORMAT: Final = "ringtop data directory"
FORMAT_VERSION: Final = 2
# The last version that had no placement, which was random; still written for one.
_RANDOM_VERSION: Final = 1
# More than one process serves well; it bounds what a damaged file can ask for.
MAX_SERVERS: Final = 10_000
# Each change of the ring is one epoch: as many as a signed 64-bit number tells apart.
MAX_EPOCH: Final = (1 << 63) - 1
# 10,000 servers with the longest ids take 2.0 MB, the most points that are kept 10.7 MB.
MAX_TOPOLOGY_BYTES: Final = 16 << 20
# There are 3 levels. The parser calls itself for each, so that a limit must come before it.
_MAX_DEPTH: Final = 32
# The longest number that is within any range here, with room for the digits of a float.
_MAX_NUMBER_LENGTH: Final = 40
_BRACKETS = re.compile(rb"[\[\]{}]")
_OPENING = frozenset({b"[", b"{"})


@dataclass(frozen=True, slots=True)
class PendingChange:
    """A membership change that is under way.

    Attributes:
        kind: whether a server joins, leaves or gets another weight.
        server_id: that server.
        weight: its weight after the change; for one that leaves, the one it has.
        cancelling: whether it was cancelled, and ranges move back.
        force: whether keys may be given up that nobody holds any more.
        keys_per_second: how fast to move at most; None for no limit.
        paused: whether it was paused by request.
        positions: the points of the server after the change, in order, if they are kept; none for
            one that leaves.

    Raises:
        InvalidOptionError: a number is out of range, or something is of another type.
        InvalidServerIdError: the id is not allowed.
    """

    kind: ChangeKind
    server_id: str
    weight: float
    cancelling: bool = False
    force: bool = False
    keys_per_second: float | None = None
    paused: bool = False
    positions: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.kind, ChangeKind):
            raise InvalidOptionError("the kind of a change must be a ChangeKind")
        checked_server_id(self.server_id)
        for name in ("cancelling", "force", "paused"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidOptionError(f"{name} must be true or false")
        object.__setattr__(self, "weight", _checked_number(self.weight, "weight"))
        if self.keys_per_second is not None:
            limit = _checked_number(self.keys_per_second, "keys_per_second")
            if limit <= 0:
                raise InvalidOptionError("keys_per_second must be above 0, or null for no limit")
            object.__setattr__(self, "keys_per_second", limit)


@dataclass(frozen=True, slots=True)
class Topology:
    """The servers of a ring, and what is under way to change them. Always valid.

    Attributes:
        virtual_nodes_per_node: points on the ring of a server of weight 1.
        replication_factor: on how many servers each key lies, 1 to 7.
        epoch: the epoch of the ring view that `weights` is.
        weights: the servers before the pending change, with their weights; sorted by id.
        change: the change that is under way, if one is.
        placement: how the points of servers are chosen.
        positions: the points of each server, in order, where the placement is balanced; else none.

    Raises:
        InvalidOptionError: a number is out of range, something is of another type, there are more
            than 10,000 servers or 2,000,000 points, the points are not those of the servers, or the
            change is none of these servers.
        InvalidServerIdError: an id is not allowed.
    """

    virtual_nodes_per_node: int
    replication_factor: int
    epoch: int
    weights: Mapping[str, float]
    change: PendingChange | None = None
    placement: Placement = Placement.RANDOM
    positions: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.virtual_nodes_per_node, bool):
            raise InvalidOptionError("virtual_nodes_per_node must be a whole number")
        ring = HashRing(self.virtual_nodes_per_node, placement=self.placement)
        object.__setattr__(self, "placement", ring.placement)
        _check_whole(self.replication_factor, "replication_factor", 1, MAX_REPLICATION_FACTOR)
        _check_whole(self.epoch, "epoch", 0, MAX_EPOCH)
        # One may join: what is written when it has joined must be within the limit too.
        joins = self.change is not None and self.change.kind is ChangeKind.ADD
        if len(self.weights) + joins > MAX_SERVERS:
            raise InvalidOptionError(f"a data directory holds at most {MAX_SERVERS:,} servers")
        weights: dict[str, float] = {}
        for server_id in sorted(self.weights):
            weight = _checked_number(self.weights[server_id], "weight")
            ring.vnodes_for(weight)
            weights[checked_server_id(server_id)] = weight
        # A frozen value must not change through a dict that somebody else holds.
        object.__setattr__(self, "weights", MappingProxyType(weights))
        if self.change is not None:
            ring.vnodes_for(self.change.weight)
            if joins == (self.change.server_id in weights):
                state = "in the ring already" if joins else "not in the ring"
                raise InvalidOptionError(
                    f"the server of the change, {self.change.server_id}, is {state}"
                )
        self._check_positions(ring)

    def _check_positions(self, ring: HashRing) -> None:
        change = self.change
        changed = None
        if change is not None and change.kind is not ChangeKind.REMOVE:
            changed = change.server_id, change.weight, change.positions
        elif change is not None and change.positions:
            raise InvalidOptionError("a server that leaves has no points afterwards")
        check_positions(ring, self.weights, self.positions, changed)
        positions = {server_id: tuple(self.positions[server_id]) for server_id in self.positions}
        # Nobody's to change, either.
        object.__setattr__(self, "positions", MappingProxyType(positions))


def encode(topology: Topology) -> bytes:
    """Return the content of the file for a topology. O(servers + points that are kept)."""
    content = _content_of(topology)
    is_random = topology.placement is Placement.RANDOM
    document = {
        "format": FORMAT,
        "version": _RANDOM_VERSION if is_random else FORMAT_VERSION,
        "checksum": _checksum_of(content),
        "topology": content,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def decode(content: bytes, path: str = "topology.json") -> Topology:
    """Return the topology that a file holds. O(its length).

    Args:
        content: what was read; nothing about it is trusted.
        path: what an error calls the file.

    Raises:
        CorruptTopologyError: it is not what `encode` returns, or was written by a later version.
    """
    try:
        return _decoded(content)
    except _Fault as fault:
        raise CorruptTopologyError(f"is damaged ({fault})", path=path) from None
    except _LaterVersionError as error:
        raise CorruptTopologyError(
            f"has format version {error}, and this ringtop knows {FORMAT_VERSION}",
            "open it with the ringtop that wrote it, or a newer one",
            path=path,
        ) from None


class _Fault(Exception):  # noqa: N818 - it is the reason of an error, not one
    """What is wrong with a file, in words."""


class _LaterVersionError(Exception):
    """The file may be right, and this code is too old to know."""


def _decoded(content: bytes) -> Topology:
    document = _object(_parsed(content), "it")
    if document.get("format") != FORMAT:
        raise _Fault("it does not say that it is ringtop's")
    version = document.get("version")
    if not _is_whole(version):
        raise _Fault("its version is not a whole number")
    if version not in (_RANDOM_VERSION, FORMAT_VERSION):
        raise _LaterVersionError(version)
    _check_names(document, {"format", "version", "checksum", "topology"}, "it")
    topology = _object(document["topology"], "the topology")
    if document["checksum"] != _checksum_of(topology):
        raise _Fault("its checksum is wrong: it was changed by something else than ringtop")
    return _topology_of(topology, placed=version == FORMAT_VERSION)


def _topology_of(content: dict[str, object], *, placed: bool) -> Topology:
    """Return the topology that a checked object says, if it is one.

    Args:
        content: the object.
        placed: whether it says where points were placed.
    """
    names = set(Topology.__dataclass_fields__) - (set() if placed else {"placement", "positions"})
    _check_names(content, names, "the topology")
    fields = {**content, "weights": _object(content["weights"], "the weights")}
    if placed:
        points = _object(content["positions"], "the positions")
        fields["placement"] = _placement_of(content)
        fields["positions"] = {
            server_id: _positions_of(text, quoted(server_id, 40))
            for server_id, text in points.items()
        }
    try:
        if content["change"] is not None:
            fields["change"] = _change_of(_object(content["change"], "the change"), placed=placed)
        return Topology(**fields)  # type: ignore[arg-type]
    except (InvalidOptionError, InvalidServerIdError) as error:
        raise _Fault(str(error)) from None


def _change_of(content: dict[str, object], *, placed: bool) -> PendingChange:
    names = set(PendingChange.__dataclass_fields__) - (set() if placed else {"positions"})
    _check_names(content, names, "the change")
    fields = {**content, "kind": _kind_of(content)}
    if placed:
        fields["positions"] = _positions_of(content["positions"], "the change")
    return PendingChange(**fields)  # type: ignore[arg-type]


def _content_of(topology: Topology) -> dict[str, object]:
    change = None if topology.change is None else asdict(topology.change)
    content: dict[str, object] = {
        "virtual_nodes_per_node": topology.virtual_nodes_per_node,
        "replication_factor": topology.replication_factor,
        "epoch": topology.epoch,
        "weights": dict(topology.weights),
        "change": change,
    }
    if topology.placement is not Placement.RANDOM:
        content["placement"] = topology.placement.value
        content["positions"] = {
            server_id: packed(positions) for server_id, positions in topology.positions.items()
        }
    if change is not None:
        positions = change.pop("positions")
        if topology.placement is not Placement.RANDOM:
            change["positions"] = packed(positions)
    return content


def _checksum_of(content: dict[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _parsed(content: bytes) -> object:
    """Return what a JSON text says, without what JSON leaves open: it is short, flat and exact."""
    if len(content) > MAX_TOPOLOGY_BYTES:
        raise _Fault(f"it is longer than {MAX_TOPOLOGY_BYTES:,} bytes")
    if not content.strip():
        raise _Fault("it is empty")
    _check_depth(content)
    try:
        parsed: object = json.loads(
            content.decode(),
            object_pairs_hook=_without_duplicates,
            parse_int=_whole_number,
            parse_float=_finite_number,
            parse_constant=_no_number,
        )
    except UnicodeDecodeError as error:
        raise _Fault(f"it is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _Fault(f"it is not JSON at line {error.lineno} column {error.colno}") from None
    return parsed


def _check_depth(content: bytes) -> None:
    """Refuse what is nested deeply. Brackets inside of texts count too: no text here has any."""
    depth = 0
    for bracket in _BRACKETS.finditer(content):
        depth += 1 if bracket[0] in _OPENING else -1
        if depth > _MAX_DEPTH:
            raise _Fault("it is nested too deeply")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _Fault(f"{quoted(name, 40)} is in it twice")
        found[name] = value
    return found


def _whole_number(digits: str) -> int:
    _check_length(digits)
    return int(digits)


def _finite_number(digits: str) -> float:
    _check_length(digits)
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def _no_number(digits: str) -> float:
    raise _Fault(f"{visible(digits, 40)} is not a finite number")


def _check_length(digits: str) -> None:
    if len(digits) > _MAX_NUMBER_LENGTH:
        raise _Fault(f"a number in it has {len(digits):,} digits")


def _object(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _Fault(f"{name} is not an object")
    return value


def _check_names(content: dict[str, object], names: set[str], subject: str) -> None:
    for name in sorted(names - content.keys()):
        raise _Fault(f"{subject} has no {name}")
    for name in sorted(content.keys() - names):
        raise _Fault(f"{subject} has an unknown field {quoted(name, 40)}")


def _kind_of(change: dict[str, object]) -> ChangeKind:
    for kind in ChangeKind:
        if change["kind"] == kind.value:
            return kind
    raise _Fault(f"the kind of the change is none of {', '.join(ChangeKind)}")


def _placement_of(content: dict[str, object]) -> Placement:
    for placement in Placement:
        if content["placement"] == placement.value:
            return placement
    raise _Fault(f"the placement is none of {', '.join(Placement)}")


def _positions_of(text: object, whose: str) -> tuple[int, ...]:
    try:
        return unpacked(text)
    except ValueError:
        raise _Fault(f"the positions of {whose} are no base64 of whole positions") from None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_whole(value: object, name: str, lowest: int, highest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InvalidOptionError(f"{name} must be a whole number from {lowest:,} to {highest:,}")


def _checked_number(value: object, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidOptionError(f"{name} must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidOptionError(f"{name} must be a finite number")
    return number
