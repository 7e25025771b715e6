"""The commands on a data directory: get, set, rm, keys, doctor, export and import.

Each opens the directory for itself and closes it at the end. What a key or a value is made of
reaches a terminal only with its control characters spelled out, and a pipe or a file as it is.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from core.cluster.doctor import DoctorReport
from core.errors import CorruptRecordError
from core.record import Value
from core.safe_text import visible
from core.stripes import STRIPES
from tui.arguments import data_option, json_option, observe_option
from tui.data_store import DIRECTORY_REFUSED, OPERATION_FAILED, opened
from tui.doctor_report import DOCTOR_FIELDS, doctor_document, doctor_lines
from tui.formatting import ascii_only, counted
from tui.output import needs_ascii, notice, write, write_bytes, write_json
from tui.progress import Advance, shown_progress, unseen
from tui.record_files import STANDARD_STREAM, exported, import_records
from tui.record_lines import encode_line

Command = TypeVar("Command", bound=Callable[..., object])

ABSENT = 1
_WRONG = 1
# No character is spelled in more.
_LONGEST_ESCAPE = 10
# Between two steps of a progress bar: more often it would cost more than the work.
_KEYS_A_STEP = 500

_STATUS_HELP = f"""\
2 wrong arguments; {DIRECTORY_REFUSED} the data directory can't be used (in use, refused,
damaged, not there); {OPERATION_FAILED} something in it failed (a full disk, a corrupt record)."""


def _epilog(no: str = "") -> str:
    """Return what the exit statuses of a command are.

    Args:
        no: what 1 means, if it means something.
    """
    first = f"Exit status: 0 done; 1 {no};" if no else "Exit status: 0 done;"
    return f"\b\n{first}\n{_STATUS_HELP}"


@click.command(
    short_help="Print the value of a key.",
    help="""\
Print the value of a key of a data directory.

To a pipe or a file it goes as it is, bytes too, and without a line end; on a terminal its control
characters are spelled out.
""",
    epilog=_epilog("there is no such key"),
)
@click.argument("key")
@data_option(required=True)
@observe_option
def get(*, key: str, data: str, observe: bool) -> int:
    """Print the value of a key."""
    with opened(data, observe=observe) as store:
        value = store.get(key, None)
    if value is None:
        return ABSENT
    _write_value(value)
    return 0


@click.command(
    "set",
    short_help="Store a value under a key.",
    help="""\
Store a value under a key of a data directory.

When it returns, the value is on the disk and survives a loss of power.
""",
    epilog=_epilog(),
)
@click.argument("key")
@click.argument("value")
@click.option("--ttl", type=float, metavar="S", help="Seconds until the key is absent again.")
@data_option(required=True)
def set_(*, key: str, value: str, ttl: float | None, data: str) -> int:
    """Store a value under a key."""
    with opened(data) as store:
        store.set(key, value, ttl=ttl)
        store.sync()
    return 0


@click.command(
    short_help="Remove a key, or all with a prefix.",
    help="""\
Remove a key of a data directory, or with --prefix all keys that begin so.

\b
Examples:
  ringtop rm user:1 --data DIR
  ringtop rm --prefix load: --data DIR    what loads have left
""",
    epilog=_epilog("there is no such key (with --prefix: 0)"),
)
@click.argument("key", required=False)
@click.option("--prefix", metavar="P", help="Remove all keys that begin with this.")
@data_option(required=True)
@click.pass_context
def rm(context: click.Context, *, key: str | None, prefix: str | None, data: str) -> int:
    """Remove a key."""
    if (key is None) is (prefix is None):
        raise click.UsageError("give either a KEY or --prefix P", context)
    if prefix == "":
        raise click.UsageError("an empty --prefix would remove every key", context)
    with opened(data) as store:
        if key is not None:
            removed = int(store.remove(key))
        else:
            removed = 0
            with shown_progress("Removing") as advance:
                for item in store.items(prefix or ""):
                    removed += store.remove(item.key)
                    if removed % _KEYS_A_STEP == 0:
                        advance(removed, counted(removed, "key"))
        store.sync()
    if prefix is not None:
        notice(f"{counted(removed, 'key')} removed")
        return 0
    return 0 if removed else ABSENT


@click.command(
    short_help="List the keys.",
    help="""\
List the keys of a data directory, one a line, in the order of the ring.

To a pipe or a file they go as they are. A key may have a line end in it: `ringtop export` keeps
such keys apart.
""",
    epilog=_epilog(),
)
@click.option("--prefix", default="", metavar="P", help="Only keys that begin with this.")
@click.option("--limit", type=click.IntRange(0), metavar="N", help="At most so many.")
@data_option(required=True)
@observe_option
def keys(*, prefix: str, limit: int | None, data: str, observe: bool) -> int:
    """List the keys."""
    on_terminal = _is_terminal()
    with opened(data, observe=observe) as store:
        for number, item in enumerate(store.items(prefix), start=1):
            if limit is not None and number > limit:
                break
            if on_terminal:
                write(f"{_shown(item.key)}\n")
            else:
                write_bytes(f"{item.key}\n".encode(), now=False)
    return 0


@click.command(
    short_help="Look for records that are not as they should be.",
    help="""\
Look for records that are corrupt, on the wrong server, lacking on one, or different on two.

With --repair, each is given its newest sound copy from another replica, and what lies on a wrong
server is removed there. What has no other replica can't be repaired: store it again, or remove it.
""",
    epilog=_epilog("something is wrong and was not repaired")
    + f"\n\n\b\nFields of --json:\n{DOCTOR_FIELDS}\n",
)
@click.option("--repair", is_flag=True, help="Put right what can be.")
@json_option
@data_option(required=True)
@observe_option
@click.pass_context
def doctor(context: click.Context, *, repair: bool, as_json: bool, data: str, observe: bool) -> int:
    """Look for records that are not as they should be."""
    if repair and observe:
        raise click.UsageError("--observe changes nothing, and --repair does", context)
    with opened(data, observe=observe) as store, shown_progress("Looking", STRIPES) as advance:
        report = store.doctor(
            repair=repair, advance=lambda done: advance(done, f"{done / STRIPES:.0%}")
        )
        if repair:
            store.sync()
    if as_json:
        write_json(doctor_document(report))
    else:
        for line in doctor_lines(report, repair=repair):
            write(f"{line}\n")
    return _WRONG if _is_wrong(report, repair=repair) else 0


@click.command(
    short_help="Write keys and values as lines of JSON.",
    help="""\
Write all keys of a data directory with their values as lines of JSON, to FILE or standard output.

\b
A line is {"key": ..., "value": ...}, or {"key": ..., "base64": ...}
where the value is bytes. A key that expires also has "expires_at_ms",
milliseconds since 1970-01-01 UTC.

FILE is written beside its place and takes it when it is whole: an export that fails leaves the one
before. Memory is bounded, whatever there is to write. A corrupt record is left out, and the exit
status says so.
""",
    epilog=_epilog("some records were left out"),
)
@click.argument("file", default=STANDARD_STREAM)
@click.option("--prefix", default="", metavar="P", help="Only keys that begin with this.")
@data_option(required=True)
@observe_option
def export(*, file: str, prefix: str, data: str, observe: bool) -> int:
    """Write keys and values as lines of JSON."""
    # Whoever is shown the lines has no use for a bar that is drawn over them.
    seen = file == STANDARD_STREAM and _is_terminal()
    written = 0
    failure: CorruptRecordError | None = None
    with (
        opened(data, observe=observe) as store,
        _progress("Exporting", len(store), hidden=seen) as advance,
    ):
        with exported(file) as write_line:
            # It comes at the end, when all that is sound was written.
            try:
                for item in store.items(prefix):
                    write_line(encode_line(item))
                    written += 1
                    if written % _KEYS_A_STEP == 0:
                        advance(written, counted(written, "key"))
            except CorruptRecordError as error:
                failure = error
        left_out = store.corrupt_keys()
    notice(f"{counted(written, 'key')} exported")
    if failure is not None:
        notice(str(failure))
    if left_out:
        notice(
            f"{counted(left_out, 'corrupt record')} found: what has no other replica was left out "
            "(see ringtop doctor)"
        )
        return _WRONG
    return 0


@click.command(
    "import",
    short_help="Read keys and values from lines of JSON.",
    help="""\
Store the keys and values of lines of JSON, from FILE or standard input.

\b
A line is {"key": ..., "value": ...}, or {"key": ..., "base64": ...}
where the value is bytes. "expires_at_ms" may be there too, the time at
which the key expires, in milliseconds since 1970-01-01 UTC.

A key that is there gets the new value. A line that is no record is told with its number and left
out; the others are stored all the same, and the exit status is 1. With --strict the first such line
ends it; the lines before it are stored. What has expired since the export is left out. Memory is
bounded by the longest line.
""",
    epilog=_epilog("there were bad lines"),
)
@click.argument("file", default=STANDARD_STREAM)
@click.option("--strict", is_flag=True, help="End at the first line that is no record.")
@data_option(required=True)
def import_(*, file: str, strict: bool, data: str) -> int:
    """Read keys and values from lines of JSON."""
    with opened(data) as store:
        counts = import_records(store, file, strict=strict)
        store.sync()
    expired = f", {counted(counts.expired, 'expired one')} left out" if counts.expired else ""
    bad = f", {counted(counts.bad, 'bad line')}" if counts.bad else ""
    notice(f"{counted(counts.stored, 'key')} imported{expired}{bad}")
    return _WRONG if counts.bad else 0


COMMANDS: tuple[click.Command, ...] = (get, set_, rm, keys, doctor, export, import_)


@contextmanager
def _progress(what: str, total: float, *, hidden: bool) -> Iterator[Advance]:
    if hidden:
        yield unseen
        return
    with shown_progress(what, total) as advance:
        yield advance


def _is_wrong(report: DoctorReport, *, repair: bool) -> bool:
    if report.unreachable:
        return True
    return report.unrepaired > 0 if repair else not report.healthy


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _shown(text: str) -> str:
    shown = visible(text, max(1, len(text)) * _LONGEST_ESCAPE)
    return ascii_only(shown) if needs_ascii() else shown


def _write_value(value: Value) -> None:
    if _is_terminal():
        text = value if isinstance(value, str) else value.decode(errors="backslashreplace")
        write(f"{_shown(text)}\n")
    else:
        write_bytes(value.encode() if isinstance(value, str) else value)
