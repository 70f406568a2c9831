"""Check that the daemon responds, its loops run and its folders are available. Loads little: it may run every few seconds."""

from __future__ import annotations

import os

from lalald.control.socket_client import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

TIMEOUT_SECONDS = 15.0
_UNHEALTHY = ("_unavailable", "state_not_writable")  # codes of what the daemon reports


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for an answer (%(default)g)",
    )


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= 86400.0:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected a number of seconds above 0, got {word!r}")
    return seconds


def run(arguments: Namespace) -> int:
    return check(arguments.config, arguments.timeout)


def check(config: str | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> int:
    """Return 0 if every loop of the daemon runs, 1 if a folder is unavailable or the state cannot be written, else 3."""
    folder = _state_folder(config)
    said = report(folder, timeout_seconds)
    if said.is_running:
        unavailable = [message for code, _, message, _ in said.items if code.endswith(_UNHEALTHY)]
        if unavailable:
            from lalald.commands.output.error_output import complain
            from lalald.errors import LalaldError

            for message in unavailable:
                complain(LalaldError(message))
        return 1 if unavailable else 0
    from lalald.commands.output.error_output import report as report_error
    from lalald.errors import DaemonError

    return report_error(
        DaemonError(
            f"no daemon responds for the state folder {folder}, or one of its loops is stuck.",
            hint="`lalald status` says more; start it with `lalald run` or `systemctl start lalald`.",
        )
    )


def _state_folder(config: str | None) -> str:
    """In a container it is in the environment: nothing has to be loaded to find it."""
    given = os.environ.get("LALALD_STATE_DIR", "")
    if given.startswith("/") and "$" not in given:
        return given
    from lalald.commands.prerequisites.state_folder import state_dir

    return os.fspath(state_dir(config))
