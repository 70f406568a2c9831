"""The command line: finds the command, runs it, and turns errors into a sentence and an exit code.

Nothing is loaded before it is needed, for `lalald health` is asked every few seconds.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence

from lalald import streams
from lalald.errors import (
    ConfigError,
    DaemonError,
    FileError,
    LalaldError,
    LicenceRefusedError,
    StoreError,
    StoreRefusedError,
    UsageError,
)

_CODES: tuple[tuple[type[LalaldError], int], ...] = (
    (UsageError, 2),
    (ConfigError, 2),
    (LicenceRefusedError, 2),
    (DaemonError, 3),
    (StoreRefusedError, 2),
    (StoreError, 3),
)
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit code; what cannot be understood ends in SystemExit with 2."""
    streams.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["health"]:
        from lalald.commands.health import check

        return guarded(check)
    return guarded(lambda: _parsed(words))


def _parsed(words: Sequence[str]) -> int:
    from importlib import import_module

    from lalald.commands.parser import build, check_command
    from lalald.commands.verbs import VERBS

    parser = build(words)
    check_command(parser, words)
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return 0
    if arguments.config is not None and not VERBS[arguments.command].configured:
        parser.error(f"{arguments.command} reads no configuration: --config means nothing to it")
    run: Callable[[object], int] = import_module(VERBS[arguments.command].module).run
    return run(arguments)


def guarded(command: Callable[[], int]) -> int:
    """The exit code of a command, or of the error that ended it, which is told."""
    try:
        code = command()
        sys.stdout.flush()
    except OSError as error:
        return _unwritten(error)
    except KeyboardInterrupt:
        streams.flush_answer()
        return 130
    except SystemExit:  # argparse's, after its help too
        streams.flush_answer()
        raise
    except LalaldError as error:
        return _told(error)
    return code


def _unwritten(error: OSError) -> int:
    """The exit code where the answer could not be written. Raises every other error."""
    if isinstance(error, BrokenPipeError) and streams.reader_is_gone():  # `lalald jobs | head`: the reader has enough
        streams.write_nowhere()
        return 0
    if error.errno not in _CANNOT_WRITE or error.filename is not None:
        raise error
    streams.write_nowhere()
    return _told(FileError(f"the answer cannot be written: {error.strerror}."))


def _told(error: LalaldError) -> int:
    """Says on standard error what happened and what to do next. Returns the exit code."""
    streams.flush_answer()
    told = f"lalald: {error}" + (f"\n  {error.hint}" if error.hint else "")
    safe = "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in told)
    print(safe, file=sys.stderr)  # noqa: T201 - it is what it is for
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


if __name__ == "__main__":
    sys.exit(main())
