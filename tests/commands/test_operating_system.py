"""On another system than Linux the daemon, the demo and the page say so in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lalald.commands.prerequisites.operating_system import require_linux
from lalald.errors import UsageError

PROGRAM = "import sys; sys.platform = sys.argv.pop(1); from lalald.__main__ import main; sys.exit(main())"


def test_linux_is_accepted() -> None:
    require_linux("the daemon", "linux")


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_another_system_is_named(platform: str) -> None:
    with pytest.raises(UsageError, match=f"the daemon needs Linux, and this is {platform}"):
        require_linux("the daemon", platform)


@pytest.mark.parametrize("verb", ["run", "demo", "web"])
def test_the_commands_that_need_linux_end_with_one_sentence(verb: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, "darwin", verb]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs Linux, and this is darwin." in done.stderr
    assert "Traceback" not in done.stderr
