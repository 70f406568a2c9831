"""Imports run one way, names are unique, packages and modules stay small; what the daemon never loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import lalald
from lalald.commands.command_list import VERBS

PACKAGE = Path(lalald.__file__).parent

# Each may import those before it, and none after it; imports for annotations count, too.
ORDER = (
    "errors", "clock", "suggestions", "presets",
    "filesystem", "media", "jobs", "config",
    "api", "store",
    "outbox", "archive", "inbox",
    "stages", "worker",
    "control", "reports", "notify",
    "daemon", "web", "sandbox", "commands", "__main__", "container",
)  # fmt: skip
# Beyond the order: what these never import.
NEVER = {
    "web": {"api", "outbox", "archive", "stages", "worker", "daemon"},
    "notify": {"api", "outbox", "archive", "stages", "worker"},
    "sandbox": set(ORDER) - {"errors", "sandbox"},
    "daemon": {"web"},
}
# Each of these libraries is used in one place.
USED_IN = {
    "sqlite3": {"store"},
    "httpx": {
        "api",
        "notify",
    },  # webhooks go to other hosts than the service, by a client that shares nothing with its own
    "httpcore": {"api"},
    "h11": {"notify", "sandbox", "web"},
    "http": {"api", "sandbox"},
    "watchdog": {"inbox", "filesystem"},
    "mutagen": {"media", "sandbox"},
    "pydantic": {"config", "sandbox"},
    "yaml": {"config", "sandbox"},
    "rich": {"commands"},
    "starlette": {"sandbox", "web"},
    "uvicorn": {"sandbox", "web"},
    "sdnotify": {"daemon"},
}
TOP = {"__init__", "__main__", "errors", "clock", "presets", "suggestions"}
MOST_MODULES, MOST_LINES = 15, 300


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> set[str]:
    """Every module that is imported: at the top, within functions, and for annotations."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(named & MODULES.keys() or {node.module})
    return found


@cache
def imports() -> dict[str, set[str]]:
    """What each module imports. Read once, and not while tests are collected: every worker does that."""
    return {name: imported(path) for name, path in MODULES.items()}


def part(module: str) -> str:
    """`lalald.stages.split` belongs to `stages`."""
    return module.split(".")[1] if "." in module else ""


def parts_imported(name: str) -> set[str]:
    return {part(other) for other in imports()[name] if other in MODULES}


def test_no_import_runs_in_a_circle() -> None:
    graph = {
        name: {other for other in known if other in MODULES and other != name} for name, known in imports().items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_every_part_has_its_place_in_the_order() -> None:
    assert {part(name) for name in MODULES} - {""} <= set(ORDER)


def test_imports_run_one_way() -> None:
    wrong = {name: parts_imported(name) & set(ORDER[ORDER.index(part(name)) + 1 :]) for name in MODULES if part(name)}
    assert {name: later for name, later in wrong.items() if later} == {}


def test_some_parts_never_meet() -> None:
    wrong = {name: parts_imported(name) & NEVER.get(part(name), set()) for name in MODULES}
    assert {name: known for name, known in wrong.items() if known} == {}


def test_each_library_is_used_in_one_place() -> None:
    wrong = {}
    for name in MODULES:
        foreign = {other.split(".")[0] for other in imports()[name]}
        wrong[name] = {word for word in foreign & USED_IN.keys() if part(name) not in USED_IN[word]}
    assert {name: words for name, words in wrong.items() if words} == {}


def test_no_module_name_is_used_twice() -> None:
    """But for `__main__`, a module named like its package, the commands' own files, and the sandbox."""
    counted = Counter(
        path.stem
        for path in MODULES.values()
        if path.stem not in ("__init__", "__main__", path.parent.name)
        and path.parent.name != "commands"
        and part(module_name(path)) != "sandbox"
    )
    assert [name for name, count in counted.items() if count > 1] == []


def test_packages_and_modules_stay_small() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == TOP
    modules = Counter(path.parent for path in MODULES.values() if path.stem != "__init__")
    verbs = PACKAGE / "commands"  # has one file per verb
    assert {str(folder): count for folder, count in modules.items() if count > MOST_MODULES and folder != verbs} == {}
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_the_order_names_each_part_once() -> None:
    assert all(one != other for one, other in pairwise(sorted(ORDER)))


def test_the_daemon_loads_nothing_that_only_a_terminal_or_a_new_configuration_needs() -> None:
    names = ("rich", "starlette", "uvicorn", "pydantic", "yaml", "mutagen")
    assert loaded_of(names, "import lalald.daemon.daemon") == []


def loaded_of(names: Sequence[str], program: str) -> list[str]:
    """Those of these modules that a program loads."""
    script = f"{program}\nimport sys; print(*(name for name in {names!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_command_that_only_looks_or_asks_starts_without_what_the_daemon_needs() -> None:
    """Starts are most of what such a command takes, and `status` and `show` are run by monitoring and by pages."""
    light = ("status", "jobs", "show", "history", "cancel", "rescan", "health", "help", "init", "run")
    others = [verb for verb in VERBS if verb not in (*light, "sandbox")]  # the sandbox's options are its server's
    load = "from importlib import import_module\nfrom lalald.commands import parser"
    modules = "\n".join(f"import_module({VERBS[verb].module!r})" for verb in light)
    heavy = ("httpx", "structlog", "watchdog", "yaml", "pydantic", "rich", "starlette", "uvicorn", "mutagen")
    assert loaded_of(("asyncio", "ssl", "logging", "pathspec", *heavy), f"{load}\n{modules}") == []
    assert loaded_of(heavy, "\n".join([load, *(f"import_module({VERBS[verb].module!r})" for verb in others)])) == []


def test_reading_a_configuration_loads_nothing_of_jobs_tags_or_the_service() -> None:
    names = ("lalald.jobs.job", "lalald.media.tags.policy", "lalald.store", "asyncio", "httpx")
    assert loaded_of(names, "import lalald.config.loading") == []


def test_the_log_loads_no_greenlets_where_they_are_installed(tmp_path: Path) -> None:
    """structlog would, and with them a C++ library of 1 MiB, in a daemon that has none."""
    (tmp_path / "greenlet.py").write_text("def getcurrent(): ...\n")
    loading = "from lalald.daemon.log.log_setup import _structlog; _structlog()"
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {loading}"
    assert loaded_of(("structlog", "structlog._greenlets", "rich.console"), program) == ["structlog"]


def test_what_the_package_depends_on_is_used() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[<>=\[]", entry)[0] for entry in project["dependencies"]}
    known_as = {"pyyaml": "yaml"}
    used = {other.split(".")[0] for known in imports().values() for other in known}
    assert {known_as.get(name, name) for name in named} <= used
    assert {"watchdog", "httpx", "pyyaml", "structlog", "sdnotify"} <= named
