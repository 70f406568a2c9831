"""The key is read again while an earlier read has not ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lalald.config import Config
from lalald.config.license_key import FoundKey
from lalald.filesystem.mount_pools import MountPools
from lalald.worker.holds.license_check import KeyReader

Answer = TypeVar("Answer")


class SlowFolders(MountPools):
    """Each folder answers once a test lets it: `begun` and `may_answer` by its name."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.begun = {name: asyncio.Event() for name in names}
        self.may_answer = {name: asyncio.Event() for name in names}

    async def run(self, folders: str | tuple[str, ...], function: Callable[..., Answer], *arguments: Any) -> Answer:
        name = Path(str(folders)).name
        self.begun[name].set()
        await self.may_answer[name].wait()
        return function(*arguments)


def test_a_reload_reads_its_own_file_while_a_former_one_is_being_read(tmp_path: Path) -> None:
    def config(name: str) -> Config:
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(f"key-of-{name}")
        return Config(path=tmp_path, state_dir=tmp_path, inboxes=(), license_key_file=tmp_path / name / "key")

    async def read() -> list[str]:
        disks = SlowFolders(["former", "new"])
        reader = KeyReader(disks, {})
        found: list[asyncio.Task[FoundKey]] = []
        for name in ("former", "new"):
            reader.forget()
            found.append(asyncio.create_task(reader.read(config(name))))
            await disks.begun[name].wait()
        for name in ("former", "new"):
            disks.may_answer[name].set()
        return [str(one.key and one.key.reveal()) for one in await asyncio.gather(*found)]

    assert asyncio.run(read()) == ["key-of-former", "key-of-new"]
