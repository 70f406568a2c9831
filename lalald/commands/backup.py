"""`lalald backup`: a consistent copy of the database, while the daemon runs or not."""

from __future__ import annotations

import os
import stat
import time
from argparse import ArgumentParser, Namespace
from contextlib import closing
from pathlib import Path

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.commands.prerequisites.state_folder import state_dir
from lalald.errors import UsageError
from lalald.filesystem.files import mode_of, translate_errors
from lalald.reports.formatting import count, printable
from lalald.store import backup
from lalald.store.database import FILE_NAME, connect_any_version

_OWN_NAMES = ("lalald.", "inspected", "web-key")  # in the state folder; some are there only while the daemon runs


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: an object")
    parser.add_argument("file", metavar="FILE", help="where the copy goes; a file of that name must not exist")


def run(arguments: Namespace) -> int:
    folder, target = state_dir(arguments.config), Path(os.path.abspath(arguments.file))
    if _is_folder(target):
        raise UsageError(
            f"{printable(str(target))} is a folder.", hint=f"Name a file in it: {printable(str(target / FILE_NAME))}"
        )
    target_folder = target if arguments.file.endswith("/") else target.parent
    if not _is_folder(target_folder):
        raise UsageError(
            f"{printable(str(target_folder))} is not a folder.", hint="Create it, or name a file elsewhere."
        )
    if target.parent.resolve() == folder.resolve() and target.name.startswith(_OWN_NAMES):
        raise UsageError(
            f"{printable(target.name)} is a name of lalald's own in its state folder.",
            hint="Choose another name or folder.",
        )
    with closing(connect_any_version(folder)) as source:
        made = backup.back_up(source, target, time.time())
    if arguments.json:
        show_json({"file": str(made.path), "bytes": made.size_bytes, "version": made.version, "jobs": made.jobs})
    else:
        say(
            f"Copied {count(made.jobs, 'job')} to {printable(str(made.path))} ({made.size_bytes:,} bytes, version {made.version})."
        )
    return 0


def _is_folder(path: Path) -> bool:
    """Raises FileError if that cannot be known."""
    with translate_errors(str(path)):
        mode = mode_of(path)
    return mode is not None and stat.S_ISDIR(mode)
