"""What is built contains the program and nothing that lies beside it: no key, no state, no media."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support import ROOT

SECRET = "the-license-key-of-a-user"
TOP = ("pyproject.toml", "README.md", "LICENSE", "Dockerfile", ".dockerignore", ".gitignore", "config.example.yaml")
IN_TREE = ("lalald/config", "lalald/inbox", "lalald/outbox", "lalald", "tests", "systemd", ".")
PLANTED = ("license-key", "config.yaml", "lalald.sqlite3", "song.wav", "state/lalald.sqlite3", "hooks/done.sh")


def host_folders_in_the_documents() -> set[str]:
    """Folders of the host that the commands of README and guides make, mount or read a secret from."""
    documents = [ROOT / "README.md", *(ROOT / ".github/guides").glob("*.md")]
    text = "\n".join(document.read_text(encoding="utf-8") for document in documents)
    commands = "\n".join(re.findall(r"^```(?:console|sh|yml)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    mounted = re.findall(r"-v (\S+?):/", commands)
    made = [word for words in re.findall(r"mkdir -p ([^&\n]+)", commands) for word in words.split()]
    secrets = [str(Path(path).parent) for path in re.findall(r"file: ([^\s}]+)", commands)]
    return {*mounted, *made, *secrets}


def relative_host_folders() -> set[str]:
    """Those that are within the source tree where its commands are run in a clone."""
    return {os.path.normpath(folder) for folder in host_folders_in_the_documents() if not folder.startswith(("/", "~"))}


def tracked() -> set[str]:
    """The package's files: by git in a clone; a checkout without git, or an sdist, holds no others."""
    if (ROOT / ".git").exists():
        command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z", "lalald"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    found = (path for path in (ROOT / "lalald").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in found}


@pytest.fixture
def planted_tree(tmp_path: Path) -> Path:
    """A copy of the project with the files of a user in every folder that a command of README or guides may have made."""
    tree = tmp_path / "clone"
    litter = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info")
    for folder in ("lalald", "tests", "systemd", ".github"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=litter)
    for name in TOP:
        shutil.copy(ROOT / name, tree)
    for folder in {*IN_TREE, *relative_host_folders()}:
        for name in PLANTED:
            path = tree / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert not path.exists()
            path.write_text(SECRET)
    return tree


def built(tree: Path, target: str) -> Path:
    code = f"import hatchling.build, sys; print(hatchling.build.build_{target}(sys.argv[1]))"
    out = tree.parent / target
    ended = subprocess.run(
        [sys.executable, "-c", code, str(out)], cwd=tree, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    (found,) = out.iterdir()
    return found


def test_what_init_makes_in_a_clone_is_not_committed(planted_tree: Path) -> None:
    """Seen: `lalald init` without a folder, run in the clone, and a `git add .` after it."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(planted_tree.parent), "GIT_CONFIG_GLOBAL": "/dev/null"}
    run = partial(subprocess.run, cwd=planted_tree, env=environ, capture_output=True, text=True, check=True)
    shutil.rmtree(planted_tree / "state")
    for name in ("config.yaml", "license-key"):
        (planted_tree / name).unlink()
    run(["git", "init", "-q"])
    before = run(["git", "status", "--porcelain", "-uall"]).stdout
    run([sys.executable, "-m", "lalald", "init"])
    for folder in ("inbox", "outbox", "state"):
        (planted_tree / folder).mkdir(exist_ok=True)
        (planted_tree / folder / "song.wav").touch()
    assert (planted_tree / "license-key").exists()
    assert run(["git", "status", "--porcelain", "-uall"]).stdout == before


def test_a_wheel_contains_the_package_and_nothing_else(planted_tree: Path) -> None:
    with zipfile.ZipFile(built(planted_tree, "wheel")) as wheel:
        contents = {name: wheel.read(name).decode(errors="replace") for name in wheel.namelist()}
    packaged = {name for name in contents if ".dist-info/" not in name}
    assert packaged == tracked()
    assert not [name for name, text in contents.items() if SECRET in text and name != "tests/test_packaging.py"]


def test_an_sdist_contains_the_project_and_nothing_else(planted_tree: Path) -> None:
    with tarfile.open(built(planted_tree, "sdist")) as sdist:
        files = [member for member in sdist.getmembers() if member.isfile()]
        contents = {member.name.split("/", 1)[1]: sdist.extractfile(member) for member in files}
        texts = {name: file.read().decode(errors="replace") for name, file in contents.items() if file is not None}
    guides = {str(path.relative_to(ROOT)) for path in (ROOT / ".github").rglob("*.md")}
    assert tracked() | set(TOP) | guides | {"tests/benchmarks/README.md"} <= set(texts)
    assert {name for name in texts if name.startswith("systemd/")} == {
        str(path.relative_to(ROOT)) for path in (ROOT / "systemd").rglob("*") if path.is_file()
    }
    assert not [name for name, text in texts.items() if SECRET in text and name != "tests/test_packaging.py"]


class DockerIgnore:
    """Which files a builder sends, by the rules of Docker's patternmatcher: the last pattern that matches decides.

    A folder that is left out is entered only if an exception begins with its path: both of Docker's builders, and buildah, do that.
    """

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        self.rules = [(line.lstrip("!"), line.startswith("!")) for line in lines]

    def leaves_out(self, path: str) -> bool:
        out = False
        for pattern, is_exception in self.rules:
            regex = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
            if re.fullmatch(f"{regex}(?:/.*)?", path):
                out = not is_exception
        return out

    def sent(self, tree: Path, below: str = "") -> Iterator[str]:
        for entry in os.scandir(tree / below):
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir():
                enters = any(is_exception and f"{rule}/".startswith(f"{path}/") for rule, is_exception in self.rules)
                if enters or not self.leaves_out(path):
                    yield from self.sent(tree, path)
            elif not self.leaves_out(path):
                yield path


def test_the_docker_context_contains_what_the_wheel_is_built_from_and_nothing_else(planted_tree: Path) -> None:
    ignore = DockerIgnore((planted_tree / ".dockerignore").read_text(encoding="utf-8"))
    assert set(ignore.sent(planted_tree)) == tracked() | {"pyproject.toml", "README.md", "LICENSE"}


@pytest.mark.parametrize(
    ("rules", "sent"),
    [
        ("", {"a.py", "key", "config/b.py", "config/key"}),
        ("*\n!config", {"config/b.py", "config/key"}),
        ("*\n!config/*.py", {"config/b.py"}),
        ("*\n!**/*.py", {"a.py"}),  # a folder that no exception names is not entered
        ("**/key", {"a.py", "config/b.py"}),
    ],
)
def test_docker_reads_its_rules_like_this(rules: str, sent: set[str], tmp_path: Path) -> None:
    for name in ("a.py", "key", "config/b.py", "config/key"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert set(DockerIgnore(rules).sent(tmp_path)) == sent


def test_no_folder_for_the_users_files_is_within_the_source_tree() -> None:
    assert len(host_folders_in_the_documents()) > 3
    assert not {folder for folder in relative_host_folders() if folder != "."}


def test_every_dependency_has_a_lowest_version_that_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["sandbox"]
    names = {re.split(r"[\[<>=]", one)[0] for one in asked}
    program = [sys.executable, str(ROOT / "tests/support/lowest_versions.py")]
    lowest = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.split("==")[0] for line in lowest} >= names
    assert all(re.fullmatch(r"[\w.-]+==\d[\d.]*", line) for line in lowest)
