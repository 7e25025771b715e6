"""What can be given on the command line: kinds of arguments, and options that commands share."""

import math
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import click

from core.cluster.levels import MAX_REPLICATION_FACTOR, Consistency
from core.errors import (
    InvalidOptionError,
    InvalidServerIdError,
    LastServerError,
    ServerExistsError,
    StoreError,
    UnknownServerError,
)
from core.ring.hash_ring import DEFAULT_VIRTUAL_NODES, MAX_VIRTUAL_NODES
from core.ring.placement import Placement
from core.safe_text import quoted
from core.server_id import checked_server_id
from core.servers.rocksdb_server import SyncMode
from core.workload.load_settings import (
    MAX_OPERATIONS_PER_SECOND,
    MAX_THREADS,
    MIN_OPERATIONS_PER_SECOND,
)
from core.workload.ycsb import Workload
from tui.actions import ACTIONS, keys_by_action
from tui.formatting import counted
from tui.server_names import server_names

Command = TypeVar("Command", bound=Callable[..., object])

DEFAULT_KEYS = 20_000
# Every change of a ring of 500 servers takes half a second, and so does each step of making it.
_MOST_SERVERS = 500
# All of them are in the memory of one process, at about 400 bytes each.
_MOST_KEYS = 20_000_000
# Where the data directory is, when no option says so.
DATA_VARIABLE = "RINGTOP_DATA"
SYNC_MODES: tuple[SyncMode, ...] = ("everysec", "always")
_UNPACED = "max"
_SHOWN_CHARACTERS = 40


class ServerSpec(NamedTuple):
    """A server that the ring is to begin with."""

    server_id: str
    weight: float = 1.0


def read_servers(
    context: click.Context, option: click.Parameter, text: str
) -> tuple[ServerSpec, ...]:
    """Return the servers that are meant: so many, or these, each with or without a weight.

    Raises:
        click.BadParameter: says what is wrong.
    """
    # With a sign too: "-1" could be an id, but whoever types it means a number.
    if text.removeprefix("-").isdecimal():
        # Cut, because Python does not read a number of any length.
        count = int(text[:10])
        if not 1 <= count <= _MOST_SERVERS:
            raise click.BadParameter(f"{_shown(text)} servers: from 1 to {_MOST_SERVERS}")
        return tuple(ServerSpec(name) for name in server_names(count))
    servers: dict[str, ServerSpec] = {}
    for part in text.split(","):
        spec = _read_server(part.strip())
        if spec.server_id in servers:
            raise click.BadParameter(f"{spec.server_id} is there twice")
        servers[spec.server_id] = spec
    if len(servers) > _MOST_SERVERS:
        raise click.BadParameter(f"{len(servers):,} servers: at most {_MOST_SERVERS}")
    return tuple(servers.values())


def read_server_id(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Return a server's id, or None where there was none.

    Raises:
        click.BadParameter: the core's own line.
    """
    try:
        return None if text is None else checked_server_id(text)
    except InvalidServerIdError as error:
        raise click.BadParameter(str(error)) from error


def read_workload(context: click.Context, option: click.Parameter, text: str) -> Workload:
    """Return the workload of a letter, large or small.

    Raises:
        click.BadParameter: says what is wrong.
    """
    try:
        return Workload(text.upper())
    except ValueError as error:
        raise click.BadParameter(f"{_shown(text)} is none of {', '.join(Workload)}") from error


def read_consistency(context: click.Context, option: click.Parameter, text: str) -> Consistency:
    """Return what operations are to promise.

    Raises:
        click.BadParameter: says what is wrong.
    """
    try:
        return Consistency(text.lower())
    except ValueError as error:
        choices = " nor ".join(Consistency)
        raise click.BadParameter(f"{_shown(text)} is neither {choices}") from error


def read_placement(context: click.Context, option: click.Parameter, text: str) -> Placement:
    """Return how the points of servers are to be chosen.

    Raises:
        click.BadParameter: says what is wrong.
    """
    try:
        return Placement(text.lower())
    except ValueError as error:
        choices = " nor ".join(Placement)
        raise click.BadParameter(f"{_shown(text)} is neither {choices}") from error


def read_rate(context: click.Context, option: click.Parameter, text: str) -> float | None:
    """Return operations a second; None for no pace.

    Raises:
        click.BadParameter: says what is wrong.
    """
    if text == _UNPACED:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    # Not a number is neither more nor less than anything, and is refused here too.
    if not MIN_OPERATIONS_PER_SECOND <= rate <= MAX_OPERATIONS_PER_SECOND:
        raise click.BadParameter(
            f"{_shown(text)} is neither {_UNPACED} nor a number from {MIN_OPERATIONS_PER_SECOND} "
            f"to {MAX_OPERATIONS_PER_SECOND:,.0f}"
        )
    return rate


def read_finite(
    context: click.Context, option: click.Parameter, number: float | None
) -> float | None:
    """Return a number that lies within limits, for click takes ``nan`` to lie within any.

    Raises:
        click.BadParameter: it is not a number, or there is no end to it.
    """
    if number is not None and not math.isfinite(number):
        raise click.BadParameter(f"'{number}' is not a finite number")
    return number


def read_bindings(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    """Return other keys for actions, by the action's id.

    Raises:
        click.BadParameter: says what is wrong.
    """
    bindings: dict[str, str] = {}
    for text in texts:
        action_id, equals, keys = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{_shown(text)} is not ACTION=KEY")
        bindings[action_id] = keys
    try:
        keys_by_action(bindings)
    except InvalidOptionError as error:
        raise click.BadParameter(str(error)) from error
    return bindings


def _read_server(text: str) -> ServerSpec:
    server_id, equals, weight = text.partition("=")
    try:
        return ServerSpec(checked_server_id(server_id), float(weight) if equals else 1.0)
    except InvalidServerIdError as error:
        raise click.BadParameter(str(error)) from error
    except ValueError as error:
        raise click.BadParameter(f"the weight {_shown(weight)} is no number") from error


def _shown(text: str) -> str:
    return quoted(text, _SHOWN_CHARACTERS)


@contextmanager
def arguments_checked_by_core() -> Iterator[None]:
    """Say what the core refuses of the arguments as every other wrong argument is said.

    Raises:
        click.UsageError: the core refused.
    """
    try:
        yield
    except StoreError as error:
        raise click.UsageError(_sentence(error), click.get_current_context()) from error


def _sentence(error: StoreError) -> str:
    """Return an error in the words of the command line."""
    match error:
        case ServerExistsError():
            return f"{error.server_id} is among --servers already"
        case UnknownServerError():
            return f"{_shown(error.server_id)} is not among --servers"
        case LastServerError():
            return (
                f"{error.server_id} is the only server: its {counted(error.keys, 'key')} would "
                "have nowhere to go"
            )
        case _:
            return str(error)


def ring_options(command: Command) -> Command:
    """Add the options that say what ring to make."""
    replicas = click.option(
        "--replicas",
        type=click.IntRange(1, MAX_REPLICATION_FACTOR),
        default=1,
        show_default=True,
        metavar="N",
        help="On how many servers each key lies; with 3, one may crash and nothing is lost.",
    )
    consistency = click.option(
        "--consistency",
        callback=read_consistency,
        default=Consistency.STRONG.value,
        show_default=True,
        metavar="strong|eventual",
        help="What operations promise: strong asks a quorum of the replicas, eventual one.",
    )
    servers = click.option(
        "--servers",
        callback=read_servers,
        default="4",
        show_default=True,
        metavar="N|ID,ID,...",
        help="How many servers, or their ids; ID=2 gives one twice the weight.",
    )
    virtual_nodes = click.option(
        "--virtual-nodes",
        type=click.IntRange(1, MAX_VIRTUAL_NODES),
        default=DEFAULT_VIRTUAL_NODES,
        show_default=True,
        metavar="N",
        help="Points on the ring of a server of weight 1.",
    )
    placement = click.option(
        "--placement",
        callback=read_placement,
        default=Placement.RANDOM.value,
        show_default=True,
        metavar="random|balanced",
        help="Where those points lie: random hashes the server's id, balanced chooses them so that "
        "the shares are even.",
    )
    return servers(virtual_nodes(placement(replicas(consistency(command)))))


def data_option(*, required: bool) -> Callable[[Command], Command]:
    """Return what adds the option that says which data directory is meant.

    Args:
        required: whether there is no doing without one.
    """
    return click.option(
        "--data",
        required=required,
        envvar=DATA_VARIABLE,
        show_envvar=True,
        metavar="DIR",
        help="The data directory"
        + ("." if required else " to keep everything in, made if it is missing."),
    )


def observe_option(command: Command) -> Command:
    """Add the option that asks to look at a data directory and leave it alone."""
    return click.option(
        "--observe",
        is_flag=True,
        help="Only look at the data directory; another process may have it open.",
    )(command)


def sync_option(command: Command) -> Command:
    """Add the option that says what a write to a data directory survives."""
    return click.option(
        "--sync",
        type=click.Choice(SYNC_MODES),
        default=SYNC_MODES[0],
        show_default=True,
        help="What a write has survived when it returns, with --data. everysec: a kill of the "
        "process, but a loss of power takes the last second. always: a loss of power too.",
    )(command)


def keys_option(command: Command) -> Command:
    """Add the option that says how many sample keys to make."""
    return click.option(
        "--keys",
        type=click.IntRange(1, _MOST_KEYS),
        default=DEFAULT_KEYS,
        show_default=True,
        metavar="N",
        help="How many sample keys: load:user0, load:user1 and so on.",
    )(command)


def own_keys_options(command: Command) -> Command:
    """Add the options that say where the user's own keys are."""
    keys_from = click.option(
        "--keys-from",
        metavar="FILE",
        help="Take your own keys instead, one a line, a tab and a value may follow; - reads "
        "standard input.",
    )
    strict = click.option(
        "--strict", is_flag=True, help="End at the first line of --keys-from that is no key."
    )
    return keys_from(strict(command))


def load_options(default_rate: float | None) -> Callable[[Command], Command]:
    """Return what adds the options that say what the load is like."""

    def add(command: Command) -> Command:
        workload = click.option(
            "--workload",
            callback=read_workload,
            default=Workload.B.value,
            show_default=True,
            metavar="A..F",
            help="The mix of operations, by its letter in YCSB: A reads and updates, B reads "
            "mostly, C only reads, D reads the latest, E scans, F reads and writes back.",
        )
        threads = click.option(
            "--threads",
            type=click.IntRange(1, MAX_THREADS),
            default=4,
            show_default=True,
            metavar="N",
            help="How many threads carry out operations.",
        )
        rate = click.option(
            "--rate",
            callback=read_rate,
            default=_UNPACED if default_rate is None else f"{default_rate:g}",
            show_default=True,
            metavar="N|max",
            help="Operations a second of each thread, or max for as many as it can.",
        )
        seed = click.option(
            "--seed",
            type=int,
            default=0,
            show_default=True,
            metavar="N",
            help="What random choices and values begin with: the same seed, the same choices.",
        )
        return workload(threads(rate(seed(command))))

    return add


def dashboard_options(command: Command) -> Command:
    """Add the options that say how the dashboard looks and behaves."""
    readonly = click.option(
        "--readonly", is_flag=True, help="Refuse every change while the dashboard is open."
    )
    theme = click.option(
        "--theme",
        metavar="NAME",
        help="The colours to begin with, such as ringtop-light; the palette shows them all.",
    )
    refresh = click.option(
        "--refresh",
        type=click.FloatRange(0.05, 60),
        callback=read_finite,
        default=0.5,
        show_default=True,
        metavar="S",
        help="Seconds from one picture to the next.",
    )
    keys_per_second = click.option(
        "--keys-per-second",
        type=click.FloatRange(0, min_open=True),
        callback=read_finite,
        metavar="N",
        help="How many keys to move at most when servers change, so that it can be watched.",
    )
    bind = click.option(
        "--bind",
        "bindings",
        multiple=True,
        callback=read_bindings,
        metavar="ACTION=KEY",
        help="Give an action of the list below another key; can be given several times.",
    )
    return readonly(theme(refresh(keys_per_second(bind(command)))))


def bindable_actions(width: int) -> str:
    """Return the ids of the actions, in lines of at most `width` characters."""
    return textwrap.fill(", ".join(action.id for action in ACTIONS), width)


def ascii_option(command: Command) -> Command:
    """Add the option that keeps the output to ASCII."""
    return click.option(
        "--ascii",
        "ascii_only",
        is_flag=True,
        help="Draw with ASCII alone; so it is anyway where the locale is not UTF-8.",
    )(command)


def json_option(command: Command) -> Command:
    """Add the option that asks for JSON."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, in the fields listed below."
    )(command)
