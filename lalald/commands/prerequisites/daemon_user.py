"""Switch from root to the daemon's user, so that checks of folders find what the daemon would find."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lalald.store.queries import Reports


class User(NamedTuple):
    """The user that the daemon runs as, or would."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def become_daemon_user(state_dir: Path, reports: Reports | None) -> None:
    """Become that user for the rest of this process, if it is root and the daemon is not. Without the right to change, stay root."""
    if os.geteuid() != 0 or (user := _daemon_user(state_dir, reports)) is None or user.uid == 0:
        return
    from lalald.commands.output import error_output, json_output  # noqa: F401  that user may not be able to read the program's own files

    with suppress(PermissionError):
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)


def _daemon_user(state_dir: Path, reports: Reports | None) -> User | None:
    """The owner of the state folder; with the groups of the running daemon, else those of the user."""
    try:
        facts = state_dir.stat()
    except OSError:
        return None
    daemon = reports.fact("daemon") if reports is not None else None
    running = _user_of_process(int(daemon.value["pid"])) if daemon is not None else None
    if running is not None and running.uid == facts.st_uid:
        return running
    try:
        entry = pwd.getpwuid(facts.st_uid)
    except KeyError:  # a number without a name, as in a container
        return User(facts.st_uid, facts.st_gid, (facts.st_gid,))
    return User(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def _user_of_process(pid: int) -> User | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    rows = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    uid, gid = (int(rows[name].split()[1]) for name in ("Uid", "Gid"))
    return User(uid, gid, tuple(map(int, rows["Groups"].split())))
