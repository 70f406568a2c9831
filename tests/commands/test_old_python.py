"""An older Python than lalald needs says so in one sentence, and does not end in a SyntaxError."""

from __future__ import annotations

import ast
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lalald

PACKAGE = Path(lalald.__file__).parent
VERSIONS = ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10")


def interpreter(version: str) -> str | None:
    """An interpreter of this version, where this machine has one."""
    folders = (Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python{version}")
    found = [shutil.which(f"python{version}"), *map(str, folders)]
    return next((path for path in found if path and answers(path, version)), None)


def answers(path: str, version: str) -> bool:
    """Whether it is what its name says; a version manager's stand-in may not be."""
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", asked], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py", "container/__init__.py", "container/__main__.py"])
def test_what_starts_the_program_can_be_parsed_by_an_older_python(name: str) -> None:
    ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 7))


def test_the_first_file_that_is_read_has_nothing_that_python_2_lacks() -> None:
    """No annotations, no formatted strings, no keywords beyond Python 2.7: its parser is the oldest that may meet it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.AsyncFunctionDef, ast.ImportFrom)
    assert [node for node in ast.walk(tree) if isinstance(node, newer)] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("module", ["lalald", "lalald.container"])
def test_an_older_python_says_which_one_is_needed(version: str, module: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    environ = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, "-m", module, "status"], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"lalald needs Python 3.11 or newer; this is Python {version}.")
    assert done.stderr.count("\n") == 1


def test_the_readme_names_the_version_before_its_first_command() -> None:
    readme = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    before = readme.partition("```sh")[0]
    assert "Python 3.11 or newer" in before
    assert "python3 --version" in before
    assert "No matching distribution" in before


def test_this_python_is_new_enough() -> None:
    done = subprocess.run([sys.executable, "-m", "lalald", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"lalald {lalald.__version__} (Python {platform.python_version()})\n")
