"""Imports run one way: who may know whom, and what the daemon never loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import lalald

PACKAGE = Path(lalald.__file__).parent

# Each may know those before it, and nobody after it; modules that are not named here are free, but for circles.
ORDER = (
    "errors", "jobs", "moves", "store", "api", "outbox", "stages", "checks", "worker", "daemon", "commands",
)  # fmt: skip
# Foreign words are spoken in one place.
SPOKEN_IN = {
    "sqlite3": {"store"},
    "httpx": {"api"},
    "httpcore": {"api"},
    "http": {"api", "sandbox"},
    "watchdog": {"inbox", "folder_monitor"},
    "mutagen": {"media", "sandbox"},
    "pydantic": {"config", "sandbox"},
    "yaml": {"config", "sandbox"},
    "rich": {"commands"},
    "starlette": {"sandbox"},
    "uvicorn": {"sandbox"},
    "sdnotify": {"systemd"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path, *, within_functions: bool) -> set[str]:
    """Every module that is imported, but for annotations only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(named & MODULES.keys() or {node.module})
        elif within_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def part(module: str) -> str:
    """`lalald.stages.split` belongs to `stages`."""
    return module.split(".")[1] if "." in module else ""


def test_no_module_is_known_in_a_circle() -> None:
    graph = {
        name: {other for other in imported(path, within_functions=False) if other in MODULES and other != name}
        for name, path in MODULES.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_nobody_knows_who_comes_later() -> None:
    wrong = {}
    for name, path in MODULES.items():
        if part(name) in ORDER:
            later = set(ORDER[ORDER.index(part(name)) + 1 :])
            known = {part(other) for other in imported(path, within_functions=True) if other in MODULES}
            wrong[name] = known & later
    assert {name: known for name, known in wrong.items() if known} == {}


def test_foreign_words_are_spoken_in_one_place() -> None:
    wrong = {}
    for name, path in MODULES.items():
        foreign = {other.split(".")[0] for other in imported(path, within_functions=True)}
        wrong[name] = {word for word in foreign & SPOKEN_IN.keys() if part(name) not in SPOKEN_IN[word]}
    assert {name: words for name, words in wrong.items() if words} == {}


def test_the_daemon_loads_nothing_that_only_a_terminal_or_a_new_configuration_needs() -> None:
    names = ("rich", "starlette", "uvicorn", "pydantic", "yaml")
    script = f"import sys, lalald.daemon; print(*(name for name in {names} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_what_the_package_depends_on_is_used() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[<>=\[]", entry)[0] for entry in project["dependencies"]}
    known_as = {"pyyaml": "yaml"}
    used = {other.split(".")[0] for path in MODULES.values() for other in imported(path, within_functions=True)}
    assert {known_as.get(name, name) for name in named} <= used
    assert {"watchdog", "httpx", "pyyaml", "structlog", "sdnotify"} <= named
