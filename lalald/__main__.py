"""The command line: find the command, run it, and turn errors into a message and an exit code.

Nothing is loaded before it is needed: `lalald health` may run every few seconds.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

from lalald.daemon.process import streams
from lalald.errors import FileError, LalaldError, UsageError

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Return the exit code; --help and --version raise SystemExit with 0."""
    streams.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["health"]:
        from lalald.commands.health import check

        return guarded(check)
    return guarded(lambda: _parsed(words), json_wanted=json_is_wanted(words))


def json_is_wanted(words: Sequence[str]) -> bool:
    """Whether the output, including errors, is JSON."""
    return "--json" in words[: words.index("--") if "--" in words else len(words)]


def _parsed(words: Sequence[str]) -> int:
    from importlib import import_module

    from lalald.commands.command_list import VERBS
    from lalald.commands.parser import build, check_command

    parser = build(words)
    check_command(words)
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return 0
    if arguments.config is not None and not VERBS[arguments.command].configured:
        parser.error(f"{arguments.command} reads no configuration: --config means nothing to it")
    run: Callable[[object], int] = import_module(VERBS[arguments.command].module).run
    return run(arguments)


def guarded(command: Callable[[], int], *, json_wanted: bool = False) -> int:
    """Run a command and report its error, as JSON if `json_wanted`. Return the exit code."""
    try:
        code = _run(command)
        sys.stdout.flush()
    except OSError as error:
        return _handle_write_error(error)
    except KeyboardInterrupt:
        streams.flush_answer()
        return 130
    except SystemExit:  # argparse's, after its help too
        streams.flush_answer()
        raise
    except LalaldError as error:
        from lalald.commands.output.error_output import report

        return report(error, json_wanted=json_wanted)
    return code


def _run(command: Callable[[], int]) -> int:
    """The command's exit code. Raises UsageError if it needs the working folder and that was deleted."""
    try:
        return command()
    except FileNotFoundError as error:
        if error.filename is not None or not _working_folder_is_gone():
            raise
        words = "the working folder was deleted, so that a relative path leads nowhere; nothing was done."
        raise UsageError(words, hint="Change to another folder (cd), or write the path in full.") from error


def _working_folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _handle_write_error(error: OSError) -> int:
    """The exit code if the output could not be written. Raises every other error."""
    if isinstance(error, BrokenPipeError) and streams.is_reader_gone():  # `lalald jobs | head`: the reader has ended
        streams.write_nowhere()
        return 0
    if error.errno not in _CANNOT_WRITE or error.filename is not None:
        raise error
    streams.write_nowhere()
    from lalald.commands.output.error_output import report

    return report(FileError(f"the answer cannot be written: {error.strerror}."))


if __name__ == "__main__":
    sys.exit(main())
