"""What the README and the guides show works: every YAML block is loaded, every command is run, every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lalald.config import load
from lalald.jobs.outcomes import Failed, Held
from lalald.jobs.states import Hold, Stage
from lalald.jobs.transitions import apply_outcome
from lalald.outbox.manifest import content
from lalald.sandbox.server import Sandbox
from lalald.store import Store
from tests.conftest import MakeHome
from tests.support import ROOT
from tests.support.ports import free_port
from tests.support.running import Home, until, write_wav

README = ROOT / "README.md"
REHEARSING = ROOT / ".github/guides/rehearsing.md"
DOCUMENTS = [README, *sorted((ROOT / ".github").rglob("*.md")), ROOT / "tests/benchmarks/README.md"]
MOST_README_LINES = 350


def blocks(language: str, document: Path = README) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def all_blocks(language: str) -> list[str]:
    return [block for document in DOCUMENTS for block in blocks(language, document)]


NOT_RUN = {"run", "sandbox", "web"}  # they run until they are stopped
COMMANDS = sorted(
    {
        command
        for block in [*blocks("sh")[2:], *(block for document in DOCUMENTS[1:] for block in blocks("sh", document))]
        for line in block.splitlines()
        if (command := line.split(" #")[0].strip()).startswith("lalald ") and not NOT_RUN & {*command.split()}
    }
)


def test_the_readme_is_short() -> None:
    assert README.read_text(encoding="utf-8").count("\n") <= MOST_README_LINES


@pytest.mark.parametrize("block", all_blocks("yaml"))
def test_every_documented_configuration_loads(block: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block, encoding="utf-8")
    config = load(path, {"HOME": str(tmp_path)})
    assert config.inboxes
    assert config.inboxes[0].rules


def anchors(document: Path) -> set[str]:
    """The names that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_links_every_guide() -> None:
    listed = set(
        re.findall(r"\.github/guides/[\w-]+\.md", README.read_text(encoding="utf-8").partition("## Guides")[2])
    )
    assert listed == {str(path.relative_to(ROOT)) for path in (ROOT / ".github/guides").glob("*.md")}


@pytest.mark.parametrize("block", [*all_blocks("sh"), *all_blocks("console")])
def test_every_documented_command_is_valid_shell(block: str) -> None:
    script = re.sub(r"^[$#] ", "", block, flags=re.MULTILINE)
    checked = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_file_that_is_installed_is_in_the_project() -> None:
    installed = [file for block in all_blocks("console") for file in re.findall(r"install -Dm644 (\S+)", block)]
    assert {"systemd/lalald.service", "systemd/folders.conf"} <= set(installed)
    assert not [file for file in installed if not (ROOT / file).is_file()]


def test_the_reference_lists_the_keys_of_a_manifest(home_with_jobs: Home) -> None:
    store = Store.open(home_with_jobs.state)
    job = store.job(1)
    store.close()
    assert job is not None
    manifest = json.loads(content(job))
    section = (ROOT / ".github/guides/reference.md").read_text(encoding="utf-8").partition("## lalald.json")[2]
    listed = {
        name: keys.split()
        for name, keys in re.findall(r"^\| `?([\w\[\] ]+?)`? \| `([^`]+)` \|$", section, re.MULTILINE)
    }
    (task,) = manifest["tasks"]
    assert listed == {
        "the file": list(manifest), "source": list(manifest["source"]), "tasks[]": list(task), "tracks[]": list(task["tracks"][0]),
    }  # fmt: skip


def test_every_path_in_contributing_exists() -> None:
    text = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:lalald|tests|\.ci|\.github)/[^`]*|config[^`]+yaml)`", text)
    assert len(paths) > 10
    assert not [path for path in paths if not (ROOT / path).exists()]
    named = re.findall(r"`(\w+)` in `([^`]+)`", text)
    assert len(named) >= 2
    assert not [
        name for name, path in named if not re.search(rf"^(def )?{name}\b", (ROOT / path).read_text(), re.MULTILINE)
    ]


def test_the_first_two_blocks_are_the_newcomers_commands() -> None:
    demo, tests = blocks("sh")[:2]
    assert demo.count("\n") == tests.count("\n") == 1
    assert demo.startswith("python3 -m venv ")
    assert demo.endswith("/lalald demo\n")
    assert tests.endswith("/python -m pytest\n")


@pytest.fixture
def home_with_jobs(make_home: MakeHome, sandbox: Sandbox) -> Home:
    """A home whose job 1 is done, 2 failed, 3 and 4 are held; its folder is ~/lalald."""
    home = make_home(sandbox.url)
    for number in range(1, 5):
        write_wav(home.inbox / f"song{number}.wav", seconds=0.2, pitch=200 + number)
    assert home.command("run", "--once").returncode == 0
    store = Store.open(home.state)
    for job_id in (2, 3, 4):
        job = store.job(job_id)
        assert job is not None
        outcome = Failed("it did not work") if job_id == 2 else Held(Hold.MINUTES, "too long")
        store.save(job, replace(apply_outcome(job, outcome, job.updated_at), stage=Stage.SPLIT))
    store.close()
    (home.root / "lalald").symlink_to(home.root)
    write_wav(home.inbox / "song.mp3", seconds=0.2)
    return home


JOB_FOR = {"show": "1", "redo": "1", "retry": "2", "cancel": "3", "release": "4"}


def test_every_documented_command_runs(home_with_jobs: Home) -> None:
    home = home_with_jobs
    environ = {"HOME": str(home.root), "TERM": "dumb"}
    assert len(COMMANDS) > 10
    for command in COMMANDS:
        words = [word.replace("~", str(home.root), 1) for word in shlex.split(command)[1:]]
        words = [JOB_FOR[words[0]] if word == "12" else word for word in words]
        if words[0] == "init":
            words[1] = str(home.root / "fresh")
        answer = home.command(*words, environ=environ)
        assert answer.returncode in (0, 1, 3), f"{command}: {answer.stderr}"
        assert "Traceback" not in answer.stderr, command
        assert answer.stdout or answer.stderr, command


@dataclass(frozen=True)
class NewUser:
    """A person with nothing but the README: a home, terminals in the project's folder, an editor."""

    home: Path
    project: Path
    variables: Mapping[str, str]  # what stands in for the real service; each terminal has them

    def terminal(self, script: str) -> subprocess.Popen[str]:
        """A new terminal in which these lines are typed. What one exports another does not see."""
        environ = {
            "HOME": str(self.home), "PATH": f"{self.home}/bin:/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8", **self.variables,
        }  # fmt: skip
        return subprocess.Popen(
            ["bash", "-e", "-c", script], env=environ, cwd=self.project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, process_group=0,
        )  # fmt: skip

    def types(self, script: str) -> tuple[int, str]:
        """What a terminal answers. Exit codes below 2 say what the jobs are like."""
        with self.terminal(script) as typed:
            said, _ = typed.communicate(timeout=60)
            return typed.returncode, said


@contextmanager
def typing(user: NewUser, script: str) -> Iterator[None]:
    """A terminal whose last command goes on until ctrl-C."""
    with user.terminal(script) as typed:
        try:
            yield
        finally:
            os.killpg(typed.pid, signal.SIGINT)
            said, _ = typed.communicate(timeout=30)
            assert "Traceback" not in said, said


def commands(block: str) -> str:
    """The lines of a console block, without its prompts."""
    return "".join(f"{line.removeprefix('$ ')}\n" for line in block.splitlines())


@pytest.fixture
def new_user(tmp_path: Path) -> NewUser:
    home, project = tmp_path / "home", tmp_path / "project"
    (home / "bin").mkdir(parents=True)
    project.mkdir()
    (project / ".venv").symlink_to(sys.prefix)
    editor = home / "bin/nano"
    editor.write_text('#!/bin/sh\necho a-real-looking-key > "$1"\n')
    editor.chmod(0o755)
    return NewUser(home, project, {})


def test_five_minutes_in_two_terminals(new_user: NewUser, sandbox: Sandbox) -> None:
    """The README's own lines. Seen: `status` in the second terminal knew nothing of what the first one had exported."""
    user = replace(new_user, variables={"LALALD_API_URL": sandbox.url})
    first, second, link = blocks("sh")[2:5]
    folder = user.home / "lalald"
    with typing(user, first):
        until((folder / "state/lalald.sqlite3").exists, "the daemon has begun")
        write_wav(folder / "inbox/song.wav")
        until((folder / "inbox/done/song.wav").exists, "the song is done")
        code, said = user.types(second)
        assert code == 0, said  # the daemon runs, and all is well
        code, said = user.types(f". .venv/bin/activate\n{link}lalald jobs --json")
        assert (code, [job["path"] for job in json.loads(said)]) == (0, ["song.wav"])
    assert sorted(path.name for path in (folder / "outbox/song").iterdir()) == ["no_vocals.wav", "vocals.wav"]


def test_a_rehearsal_in_three_terminals_leaves_the_other_folder_alone(new_user: NewUser) -> None:
    """Seen: after the README and this guide, `status` showed another folder's jobs and no daemon."""
    prepare, use = (commands(block) for block in blocks("console", REHEARSING)[:2])
    port = str(free_port())
    prepare, use = (f". .venv/bin/activate\n{text.replace('8900', port)}" for text in (prepare, use))
    prepare = prepare.replace("--processing-seconds 5", f"--processing-seconds 0.2 --port {port}")
    run, status = use.rpartition("lalald ")[0], use.replace(" run\n", " check-config\n")
    folder = new_user.home / "rehearsal"
    assert new_user.types(". .venv/bin/activate\nlalald init ~/lalald")[0] == 0
    with typing(new_user, prepare):
        until(lambda: answers(int(port)), "the sandbox answers")
        with typing(new_user, run):
            until((folder / "state/lalald.sqlite3").exists, "the daemon has begun")
            write_wav(folder / "inbox/song.wav")
            until((folder / "inbox/done/song.wav").exists, "the song is done")
            code, said = new_user.types(status)
            assert code == 0, said
            code, said = new_user.types(status.replace(" status", " jobs --json"))
            assert (code, '"song.wav"' in said) == (0, True), said
            code, said = new_user.types(". .venv/bin/activate\nlalald --config ~/lalald/config.yaml status")
            assert (code, "holds no database yet" in said) == (3, True), said


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
