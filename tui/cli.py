"""The command line: its commands, their options and their help.

What the commands do is in the modules beside this one. Textual is imported only when the dashboard
opens: that takes as long as everything else together.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial

import click
from click.core import ParameterSource
from click.shell_completion import shell_complete
from rich.text import Text

from core import __version__
from core.cluster.levels import Consistency
from core.cluster.plan import Plan
from core.errors import TooFewServersWarning
from core.record import MAX_VALUE_BYTES
from core.ring.placement import Placement
from core.servers.rocksdb_server import SyncMode
from core.store import KeyValueStore
from core.workload.load_generator import LoadGenerator
from core.workload.load_settings import LoadSettings
from core.workload.ycsb import Workload
from tui.arguments import (
    ServerSpec,
    arguments_checked_by_core,
    ascii_option,
    bindable_actions,
    dashboard_options,
    data_option,
    json_option,
    keys_option,
    load_options,
    observe_option,
    own_keys_options,
    read_finite,
    read_server_id,
    ring_options,
    sync_option,
)
from tui.bench import run_bench
from tui.bench_report import draw_bench_report
from tui.data_commands import COMMANDS
from tui.data_store import (
    RingWishes,
    differences,
    known_topology,
    observed,
    opened_or_made,
    opened_to_observe,
)
from tui.fault_bench import FEWEST_REPLICAS, run_fault_bench
from tui.fault_bench_report import draw_fault_bench_report
from tui.formatting import counted
from tui.json_documents import (
    BENCH_FIELDS,
    FAULT_BENCH_FIELDS,
    PLAN_FIELDS,
    SNAPSHOT_FIELDS,
    bench_document,
    fault_bench_document,
    plan_document,
    snapshot_document,
)
from tui.key_loading import STANDARD_INPUT, load_keys, named
from tui.keyboard import check_terminal, terminal_streams
from tui.leftovers import LOAD_KEYS_STAY
from tui.observation import observe as look_at
from tui.output import console_for_output, look_of, needs_ascii, notice, write_json, write_text
from tui.plain_frame import draw_frame
from tui.plan_report import draw_plan_report
from tui.renderables.look import Look
from tui.ring_setup import make_store, store_sample_keys
from tui.server_names import server_names

_PROGRAM = "ringtop"
_COMPLETION_VARIABLE = "_RINGTOP_COMPLETE"
_FAILED = 1
_DASHBOARD_RATE = 500.0
_BENCH_SECONDS = 5.0
_FAULT_SERVERS = 5
_LONGEST_BENCH_SECONDS = 86_400.0
_HELP_WIDTH = 90
_EPILOG_WIDTH = 76
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": _HELP_WIDTH}


def run(arguments: Sequence[str]) -> int:
    """Carry out a command and return the exit status; errors are said in one line.

    Args:
        arguments: what follows the program's name.
    """
    # The status line and the plans say it, in words and where somebody looks.
    warnings.simplefilter("ignore", TooFewServersWarning)
    completing = os.environ.get(_COMPLETION_VARIABLE)
    if completing is not None:
        return shell_complete(ringtop, {}, _PROGRAM, _COMPLETION_VARIABLE, completing)
    try:
        with ringtop.make_context(_PROGRAM, list(arguments)) as context:
            status: int = ringtop.invoke(context)
            return status
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else _PROGRAM
        notice(f"{error.format_message().rstrip('.')} (see {command} --help)")
        return error.exit_code
    except click.ClickException as error:
        notice(error.format_message())
        return error.exit_code


@click.group(
    invoke_without_command=True,
    context_settings=_CONTEXT,
    help="""\
Watch a key-value store that is sharded by a consistent-hash ring, and steer it.

Without a command this opens the dashboard on a ring of its own, in memory: four servers, 20,000
sample keys, and a load that reads and writes them. Give it the names of your own keys to see where
those would live. Nothing is written to disk without --data, and no server is contacted.

\b
Examples:
  ringtop                               the dashboard; ? shows its keys
  ringtop --servers 6 --workload A      six servers, half the load writes
  ringtop --servers 5 --replicas 3      each key on three: crash one with x
  ringtop --keys-from keys.txt          your own keys, one a line
  redis-cli --scan | ringtop --keys-from -
  ringtop --data DIR                    a ring that is kept on disk
  ringtop --data DIR --observe          a look at one that is open elsewhere
  ringtop --once                        one picture, as text
  ringtop --json | jq .servers          its figures, for scripts
  ringtop plan --servers a,b,c --add d  what a change would move
  ringtop bench --seconds 10            how fast the store is here
  ringtop get user:1 --data DIR         a value; also set, rm, keys
""",
    epilog=f"""\
\b
Fields of --json:
{SNAPSHOT_FIELDS}

\b
Actions for --bind:
{bindable_actions(_EPILOG_WIDTH)}

\b
Completion in bash (for zsh and fish: zsh_source, fish_source):
  eval "$(_RINGTOP_COMPLETE=bash_source ringtop)"

\b
Exit status: 0 done; 1 failed, or a bad line with --strict;
2 wrong arguments, an unreadable file, or no terminal; 3 the data directory
can't be used (in use, refused, damaged); 4 its disk failed; 130 interrupted.
""",
)
@click.version_option(__version__, prog_name=_PROGRAM, message="%(prog)s %(version)s")
@data_option(required=False)
@observe_option
@sync_option
@ring_options
@keys_option
@own_keys_options
@load_options(_DASHBOARD_RATE)
@click.option(
    "--load/--no-load",
    "with_load",
    default=None,
    help="Whether the load runs from the beginning.  [default: load, but for --keys-from and "
    "--data]",
)
@dashboard_options
@click.option("--once", is_flag=True, help="Print one picture as plain text, without a screen.")
@json_option
@ascii_option
@click.pass_context
def ringtop(
    context: click.Context,
    *,
    data: str | None,
    observe: bool,
    sync: SyncMode,
    servers: tuple[ServerSpec, ...],
    virtual_nodes: int,
    placement: Placement,
    replicas: int,
    consistency: Consistency,
    keys: int,
    keys_from: str | None,
    strict: bool,
    workload: Workload,
    threads: int,
    rate: float | None,
    seed: int,
    with_load: bool | None,
    readonly: bool,
    theme: str | None,
    refresh: float,
    keys_per_second: float | None,
    bindings: dict[str, str],
    once: bool,
    as_json: bool,
    ascii_only: bool,
) -> int:
    """Open the dashboard, or print what it would show."""
    if context.invoked_subcommand is not None:
        _refuse_options_before(context, context.invoked_subcommand)
        return 0
    without_screen = once or as_json
    if not without_screen:
        check_terminal()
        if theme is not None:
            # Before keys are read, which may take long, and can't be read again from a pipe.
            from tui.themes import checked_theme

            with arguments_checked_by_core():
                checked_theme(theme)
    _check_data_options(context)
    if with_load is None:
        with_load = keys_from is None and data is None
    with_samples = with_load or (keys_from is None and data is None)
    _check_key_options(context, own=keys_from is not None, samples=with_samples or data is not None)
    settings = LoadSettings(
        workload=workload,
        threads=threads,
        operations_per_second=rate,
        key_count=keys,
        seed=seed,
    )
    remarks: list[str] = []
    look_again: Callable[[], KeyValueStore] | None = None
    opening: AbstractContextManager[KeyValueStore]
    if data is None:
        opening = _store_with(servers, virtual_nodes, replicas, consistency, placement)
    elif observe:
        opening = opened_to_observe(data, consistency)
        look_again = partial(observed, data, consistency)
    else:
        wishes = RingWishes(servers, virtual_nodes, replicas, placement, _given(context))
        known = known_topology(data)
        remarks = differences(known, wishes) if known is not None else []
        opening = opened_or_made(data, sync, consistency, wishes)
    for remark in remarks:
        notice(remark)
    with opening as store, LoadGenerator(store, settings) as load:
        if keys_from is not None:
            load_keys(store, keys_from, strict=strict)
        if with_samples:
            store_sample_keys(load)
        if with_load:
            load.start()
        if not without_screen:
            # Here, because importing Textual takes longer than most of what goes without it.
            from tui.app import run_dashboard

            with terminal_streams(), arguments_checked_by_core():
                return run_dashboard(
                    store,
                    load,
                    readonly=readonly,
                    ascii_only=ascii_only or needs_ascii(),
                    theme=theme,
                    keymap=bindings,
                    refresh_seconds=refresh,
                    keys_per_second=keys_per_second,
                    remarks=remarks,
                    look_again=look_again,
                )
        seen = look_at(store, load)
    if data is not None and with_load:
        notice(LOAD_KEYS_STAY)
    if as_json:
        write_json(snapshot_document(seen))
    else:
        _print(lambda width, look: draw_frame(seen.view, width, look), ascii_only=ascii_only)
    return 0


@ringtop.command(
    short_help="Print what a change of the servers would move.",
    help="""\
Print what adding or removing a server would move, without moving it.

The ring is made of --servers, the keys are yours with --keys-from and sample keys without, and the
counts are exact: whichever keys ringtop's ring gives to another server. With --placement balanced
the servers join in the order in which they are given, on which such a ring depends.

\b
Examples:
  ringtop plan --add echo
  ringtop plan --servers a,b,c --remove b --keys-from keys.txt
  ringtop plan --servers a=2,b,c --add d --weight 2
  redis-cli --scan | ringtop plan --servers a,b,c --add d --keys-from -
  ringtop plan --add echo --json | jq .fraction_moved
""",
    epilog=f"""\
\b
Fields of --json:
{PLAN_FIELDS}
""",
)
@ring_options
@click.option("--add", "added", callback=read_server_id, metavar="ID", help="The server to add.")
@click.option(
    "--remove", "removed", callback=read_server_id, metavar="ID", help="The one to remove."
)
@click.option(
    "--weight",
    type=float,
    metavar="W",
    help="The weight of the server to add: 2 gives it twice the keys.  [default: 1]",
)
@keys_option
@own_keys_options
@json_option
@ascii_option
@click.pass_context
def plan(
    context: click.Context,
    *,
    servers: tuple[ServerSpec, ...],
    virtual_nodes: int,
    placement: Placement,
    replicas: int,
    consistency: Consistency,
    added: str | None,
    removed: str | None,
    weight: float | None,
    keys: int,
    keys_from: str | None,
    strict: bool,
    as_json: bool,
    ascii_only: bool,
) -> int:
    """Print what a change of the ring would move."""
    if (added is None) == (removed is None):
        raise click.UsageError("give either --add ID or --remove ID", context)
    if weight is not None and added is None:
        raise click.UsageError("--weight is that of the server to --add", context)
    _check_key_options(context, own=keys_from is not None, samples=keys_from is None)
    with _store_with(servers, virtual_nodes, replicas, consistency, placement) as store:

        def make_plan() -> Plan:
            with arguments_checked_by_core():
                if added is not None:
                    return store.plan_add_server(added, 1.0 if weight is None else weight)
                return store.plan_remove_server(removed or "")

        # Once without keys: a wrong argument is told before a million of them are read.
        make_plan()
        if keys_from is not None:
            load_keys(store, keys_from, strict=strict)
        else:
            store_sample_keys(LoadGenerator(store, LoadSettings(key_count=keys)))
        made = make_plan()
    if as_json:
        write_json(plan_document(made, _kind_of_keys(keys_from), replicas))
        return 0
    whose = _whose_keys(made, keys_from)
    _print(lambda width, look: draw_plan_report(made, whose, width, look), ascii_only=ascii_only)
    return 0


@ringtop.command(
    short_help="Measure how fast the store is.",
    help="""\
Run a load without a screen, and print how fast the store was.

Errors are counted by their type; the exit status is 1 if there were any.

With --faults, one of five servers crashes under the load and is brought back, with every key on
three of them. Each writer remembers what was acknowledged, and all of it is read back at the end;
the exit status is 1 if an operation failed once the crash was detected, an acknowledged write was
lost, or the replicas are not equal at the end.

\b
Examples:
  ringtop bench
  ringtop bench --workload A --threads 8 --seconds 30
  ringtop bench --operations 1000000 --json | jq .operations_per_second
  ringtop bench --faults --workload A
""",
    epilog=f"""\
\b
Fields of --json:
{BENCH_FIELDS}

\b
Fields of --faults --json:
{FAULT_BENCH_FIELDS}
""",
)
@click.option(
    "--faults", is_flag=True, help="Lose a server under the load, and check what was promised."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, _LONGEST_BENCH_SECONDS, min_open=True),
    callback=read_finite,
    metavar="S",
    help=f"How long to run.  [default: {_BENCH_SECONDS:g}, but for --operations]",
)
@click.option(
    "--operations",
    type=click.IntRange(1),
    metavar="N",
    help="End after so many operations, or a few more.",
)
@load_options(None)
@ring_options
@keys_option
@click.option(
    "--value-size",
    type=click.IntRange(1, MAX_VALUE_BYTES),
    default=100,
    show_default=True,
    metavar="BYTES",
    help="The size of each value.",
)
@json_option
@ascii_option
@click.pass_context
def bench(
    context: click.Context,
    *,
    faults: bool,
    seconds: float | None,
    operations: int | None,
    workload: Workload,
    threads: int,
    rate: float | None,
    seed: int,
    servers: tuple[ServerSpec, ...],
    virtual_nodes: int,
    placement: Placement,
    replicas: int,
    consistency: Consistency,
    keys: int,
    value_size: int,
    as_json: bool,
    ascii_only: bool,
) -> int:
    """Run a load and print what was measured."""
    settings = LoadSettings(
        workload=workload,
        threads=threads,
        operations_per_second=rate,
        key_count=keys,
        value_size=value_size,
        seed=seed,
    )
    if faults:
        if operations is not None:
            raise click.UsageError("--faults takes --seconds, and no --operations", context)
        if context.get_parameter_source("servers") is not ParameterSource.COMMANDLINE:
            servers = tuple(ServerSpec(name) for name in server_names(_FAULT_SERVERS))
        if context.get_parameter_source("replicas") is not ParameterSource.COMMANDLINE:
            replicas = FEWEST_REPLICAS
        if min(replicas, len(servers)) < FEWEST_REPLICAS:
            raise click.UsageError(
                f"--faults needs {FEWEST_REPLICAS} servers and --replicas {FEWEST_REPLICAS} or "
                "more: with fewer, no quorum survives a crash",
                context,
            )
        return _bench_with_faults(
            _store_with(servers, virtual_nodes, replicas, consistency, placement),
            settings,
            seconds or _BENCH_SECONDS,
            as_json=as_json,
            ascii_only=ascii_only,
        )
    if seconds is None and operations is None:
        seconds = _BENCH_SECONDS
    with _store_with(servers, virtual_nodes, replicas, consistency, placement) as store:
        load = LoadGenerator(store, settings)
        store_sample_keys(load)
        result = run_bench(load, seconds, operations)
        ring = store.snapshot()
    if as_json:
        write_json(bench_document(result, ring))
    else:
        _print(lambda _, look: draw_bench_report(result, ring, look), ascii_only=ascii_only)
    return _FAILED if result.had_errors else 0


for _command in COMMANDS:
    ringtop.add_command(_command)


def _bench_with_faults(
    store: KeyValueStore,
    settings: LoadSettings,
    seconds: float,
    *,
    as_json: bool,
    ascii_only: bool,
) -> int:
    """Lose a server under load, and print what that meant."""
    with store:
        result = run_fault_bench(store, settings, seconds)
        ring = store.snapshot()
    if as_json:
        write_json(fault_bench_document(result, ring))
    else:
        _print(lambda _, look: draw_fault_bench_report(result, ring, look), ascii_only=ascii_only)
    return _FAILED if result.broken else 0


def _store_with(
    servers: Sequence[ServerSpec],
    virtual_nodes: int,
    replicas: int,
    consistency: Consistency,
    placement: Placement,
) -> KeyValueStore:
    with arguments_checked_by_core():
        return make_store(servers, virtual_nodes, replicas, consistency, placement)


def _print(draw: Callable[[int, Look], Text], *, ascii_only: bool) -> None:
    """Print a drawing as wide as the output, and in what it can show."""
    console = console_for_output()
    look = look_of(console, ascii_only=ascii_only or needs_ascii())
    write_text(draw(console.width, look), console)


def _refuse_options_before(context: click.Context, command: str) -> None:
    """Refuse the dashboard's options in front of another command, which would not see them."""
    for name in context.params:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"options go behind the command: {_PROGRAM} {command} [OPTIONS]", context
            )


def _given(context: click.Context) -> frozenset[str]:
    """Return the names of the options that somebody gave."""
    return frozenset(
        name
        for name in context.params
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )


def _check_data_options(context: click.Context) -> None:
    """Refuse options that don't go together with a data directory, or not without one."""
    given = _given(context)
    if context.params["data"] is None:
        for name in ("sync", "observe"):
            if name in given:
                raise click.UsageError(
                    f"--{name} is about a data directory: give --data too", context
                )
    elif context.params["observe"] and (context.params["with_load"] or "sync" in given):
        raise click.UsageError("--observe writes nothing: leave --load and --sync out", context)
    elif context.params["keys_from"] is not None:
        raise click.UsageError(
            "--keys-from keeps keys in memory: ringtop import puts them into a data directory",
            context,
        )


def _check_key_options(context: click.Context, *, own: bool, samples: bool) -> None:
    """Refuse options about keys that there will be none of.

    Args:
        context: the command's.
        own: whether there will be the user's own keys.
        samples: whether there will be sample keys.
    """
    if not samples and context.get_parameter_source("keys") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--keys makes sample keys, and --keys-from takes yours", context)
    if not own and context.params["strict"]:
        raise click.UsageError("--strict is about the lines of --keys-from", context)


def _kind_of_keys(keys_from: str | None) -> str:
    if keys_from is None:
        return "sample"
    return "standard input" if keys_from == STANDARD_INPUT else "file"


def _whose_keys(made: Plan, keys_from: str | None) -> str:
    total = counted(made.total_keys, "key")
    if keys_from is None:
        whose = f"Counted with {total} made up as a sample; --keys-from counts yours."
    else:
        whose = f"Counted with {total} from {named(keys_from)}; the sizes are those of its lines."
    return whose if made.replicas == 1 else f"{whose}\nThe bars count each key at its primary."
