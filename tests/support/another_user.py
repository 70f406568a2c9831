"""Run the program as a user without rights, wherever the clone is, even below /root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all")
BECOME_NOBODY = f"if os.geteuid() == 0: os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
_ROOT = Path(__file__).parents[2]
_TRIAL = "import subprocess, sys, lalald.config.loading; subprocess.run([sys.executable, '--version'], check=True)"


def give(*paths: Path) -> None:
    for path in paths:
        os.chown(path, NOBODY, NOBODY)


class Interpreter(NamedTuple):
    """A Python that another user may run, and the environment in which it finds the program."""

    python: str
    environ: dict[str, str]


def interpreter_of_unprivileged_user(folder: Path) -> Interpreter | None:
    """The tests' own Python where nobody may use it; else the system's of the same version with a copy of the modules in `folder`.

    None where there is no such Python. `folder` must be open to everybody.
    """
    same = f"python{sys.version_info.major}.{sys.version_info.minor}"
    pythons = [python for python in (sys.executable, shutil.which(same, path=os.defpath)) if python]
    # Not this Python's own library: root could read it, and then, as another user, not the rest of it.
    found = [path for path in sys.path if path and not Path(path).is_relative_to(sys.base_prefix)]
    for modules in (os.pathsep.join(found), str(folder / "modules")):
        if modules == str(folder / "modules"):
            _copy_modules(folder / "modules")
        for python in pythons:
            environ = {"PYTHONPATH": modules}
            words = [*AS_NOBODY, python, "-c", _TRIAL]
            if subprocess.run(words, env={**os.environ, **environ}, capture_output=True, check=False).returncode == 0:
                return Interpreter(python, environ)
    return None


def _copy_modules(target: Path) -> None:
    target.mkdir(mode=0o755)
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_ROOT / "lalald", target / "lalald", ignore=without)
    for distribution in _needed("lalald"):
        for file in distribution.files or ():
            if file.parts[0] not in ("..", "lalald") and "__pycache__" not in file.parts and file.suffix != ".pth":
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target / file)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))


def _needed(name: str) -> Iterator[metadata.Distribution]:
    """The distributions that the program needs at run time, and those that they need."""
    waiting, seen = [name], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # only for another system, or an extra that is not installed
            continue
        yield distribution
        needed = [one for one in distribution.requires or () if "extra ==" not in one]
        waiting += [re.split(r"[\s\[<>=!~;(]", one, maxsplit=1)[0] for one in needed]
