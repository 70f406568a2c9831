"""`lalald` inside the image: first becomes the user that it should be, then is the program.

The same for the daemon, its health check and `docker exec … lalald status`: all of them run as one user, and no shell stands
between the engine's signals and the daemon.
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
    """Runs one command as the user of PUID and PGID. Returns the exit code."""
    streams.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    return program.guarded(lambda: _run(words, config_dir, os.environ), json_wanted=program.json_is_wanted(words))


def _run(words: list[str], config_dir: Path, environ: MutableMapping[str, str]) -> int:
    if not environ.get("LALALD_STATE_DIR"):
        environ["LALALD_STATE_DIR"] = str(config_dir / "state")
    if words == ["health"]:  # asked again and again: nothing is loaded for it
        become(environ)
        return program.main(words)
    from lalald.commands import run
    from lalald.commands.parser import build
    from lalald.container import start

    arguments = build(words).parse_args(words)
    if arguments.command != "run":
        become(environ)
        start.choose_config(config_dir, environ)
        with suppress(
            ConfigError
        ):  # before the first start there is no default yet; where none can be, the command says what it lacks
            start.write_default_if_used(arguments.config, config_dir, environ)
        return program.main(words)
    signal.signal(signal.SIGTERM, _end)  # the first process of a container has no default for it
    become(environ, start.belongings(config_dir, environ))
    start.choose_config(config_dir, environ)
    return run.carry(arguments, start.prepare(arguments.config, config_dir, environ))


def _end(_number: int, _frame: FrameType | None) -> None:
    """Until the daemon answers signals itself: nothing has begun yet."""
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
