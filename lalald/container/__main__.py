"""`lalald` inside the image: become the user of PUID and PGID, then run the command.

The daemon, its health check and `docker exec … lalald status` all run as the same user, and the container engine's signals reach the
daemon without a shell in between.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path

from lalald import __main__ as program
from lalald.container.user import become
from lalald.daemon.process import streams
from lalald.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

CONFIG_DIR = Path("/config")


def main(argv: Sequence[str] | None = None, config_dir: Path = CONFIG_DIR) -> int:
    """Run one command as the user of PUID and PGID. Return the exit code."""
    streams.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    return program.guarded(lambda: _run(words, config_dir, os.environ), json_wanted=program.json_is_wanted(words))


def _run(words: list[str], config_dir: Path, environ: MutableMapping[str, str]) -> int:
    if not environ.get("LALALD_STATE_DIR"):
        environ["LALALD_STATE_DIR"] = str(config_dir / "state")
    if words == ["health"]:  # runs every minute: it loads nothing else
        become(environ)
        return program.main(words)
    from lalald.commands import run
    from lalald.commands.parser import build
    from lalald.container import start

    arguments = build(words).parse_args(words)
    if arguments.command != "run":
        become(environ)
        start.choose_config(config_dir, environ)
        # Before the first start there is no default configuration. If it cannot be written, the command reports what it lacks.
        with suppress(ConfigError):
            start.write_default_if_used(arguments.config, config_dir, environ)
        return program.main(words)
    signal.signal(signal.SIGTERM, _exit)  # the kernel ignores it by default for the first process of a container
    state_dir = Path(environ["LALALD_STATE_DIR"])
    become(environ, [*start.owned_folders(config_dir, environ), *start.made_by_the_engine(state_dir)])
    start.choose_config(config_dir, environ)
    return run.carry(arguments, start.prepare(arguments.config, config_dir, environ), log_for_people=True)


def _exit(_number: int, _frame: FrameType | None) -> None:
    """Until the daemon handles signals itself; no work has begun."""
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
