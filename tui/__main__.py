"""The console script ``ringtop``: runs the command line, and turns what happens to an exit status.

0: done. 1: an error during the run. 2: bad arguments, or a file that can't be read. 130: ended by
ctrl+c. 141: whoever read the output has gone, as ``head`` does. Errors are said in one line.
"""

import os
import signal
import sys
from collections.abc import Sequence

_FAILED = 1
_INTERRUPTED = 128 + signal.SIGINT
_NOBODY_READS = 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Args:
        arguments: what follows the program's name; None for those of this process.
    """
    try:
        # Here, so that ctrl+c is quiet from the beginning: importing takes longest of all.
        from tui.cli import run

        status = run(sys.argv[1:] if arguments is None else arguments)
        _flush()
    except KeyboardInterrupt:
        # A second one, while threads and buffers are put in order, would say where it hit.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return _INTERRUPTED
    except BrokenPipeError:
        _write_to_nobody()
        return _NOBODY_READS
    except OSError as error:
        # Whatever else the system may refuse is told where it is asked for.
        from tui.output import notice

        notice(f"can't write the output: {error.strerror or error}")
        _write_to_nobody()
        return _FAILED
    return status


def _flush() -> None:
    """Write what is left now: when the interpreter ends, an error could not be told any more."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _write_to_nobody() -> None:
    """Let the interpreter flush at its end without an error."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nobody, descriptor)
    os.close(nobody)


if __name__ == "__main__":
    sys.exit(main())
