"""The real daemon, whose folders are shares that fail again and again, at seeded random moments, while a reader watches its outbox.

    python flaky_shares.py [SEED [TIMES [FILES [FOLDER…]]]]    a long run, by hand: prints its figures

FOLDER: inbox, outbox, elsewhere (the done folder) or state; all but the last are shares where none is named. A share stops
answering, or refuses some operations or all of them, for up to a few seconds. The daemon is not restarted. What is searched for is
what `random_kills.py` looks for: no file under a name that others can see before it is whole, and in the end each delivered once and
charged once, with nothing left over.
"""

# ruff: noqa: T201 - by hand it prints its figures

from __future__ import annotations

import errno
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support.fuse_mount import Share
from tests.support.private_mounts import in_own_mounts
from tests.support.random_kills import QUEUE_SECONDS, RULE, Witness, check_the_end
from tests.support.running import Home, tree, until, write_wav

REFUSALS = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENOSPC, errno.EROFS, errno.ETIMEDOUT, errno.EHOSTDOWN)
OPERATIONS = (
    "lookup", "getattr", "open", "read", "write", "create", "unlink", "rename2", "fsync", "readdir", "mkdir", "rmdir", "statfs",
)  # fmt: skip


def trouble(share: Share, chance: random.Random) -> str:
    """Begins some trouble. What it is, in words."""
    operations = chance.sample(OPERATIONS, chance.randint(1, 3)) if chance.random() < 0.6 else []
    if chance.random() < 0.3:
        share.stop_answering(*operations)
        return f"{share.folder.name} does not answer {operations or ''}"
    number = chance.choice(REFUSALS)
    share.fail(number, *operations)
    return f"{share.folder.name} fails: {errno.errorcode[number]} {operations or ''}"


def story(root: Path, seed: int, times: int, files: int, places: list[str]) -> None:
    chance = random.Random(seed)
    contents: dict[str, bytes] = {}
    options = Options(queue_seconds=QUEUE_SECONDS, processing_seconds=2.0, checks_per_minute=600)
    with Sandbox(options) as sandbox, ExitStack() as stack:
        shares = [stack.enter_context(Share(root / place)) for place in places]
        (root / "elsewhere").mkdir(exist_ok=True)
        inbox = {"existing": "take", "done_dir": str(root / "elsewhere"), "watch": "polling", "poll_interval": "1s"}
        rates = {"uploads": 3, "downloads": 6, "download_rate": "4MB"}
        home = Home(root, sandbox.url, [RULE], checks_per_minute=600, inbox=inbox, transfers=rates)
        # On a share no lease tells who writes: files are dropped where they lie, as by another machine.
        far = next((share.far for share in shares if share.folder == home.inbox), home.inbox)
        home.start()
        witness = Witness(next((share.far for share in shares if share.folder == home.outbox), home.outbox), contents)
        witness.start()
        said: Counter[str] = Counter()
        try:
            for place in range(times):
                for n in range(place * files // times, (place + 1) * files // times):
                    contents[f"ep{n}"] = write_wav(far / f"ep{n}.wav", 3.0, pitch=200 + n)
                time.sleep(chance.uniform(0.0, 1.5))  # the moment of the trouble is what is tested
                share = chance.choice(shares)
                words = trouble(share, chance)
                said[words.split(" [")[0]] += 1
                print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)
                time.sleep(chance.uniform(0.0, 3.0))
                share.answer()
                assert home.process is not None
                assert home.process.poll() is None, "the daemon continues"
            filed = sorted(f"{name}.wav" for name in contents)
            until(lambda: tree(root / "elsewhere") == filed, "every source was filed", 150)
            assert home.stop() == 0
        except BaseException:
            print(home.log.read_text(errors="replace")[-6000:])
            print(home.command("jobs").stdout)
            raise
        finally:
            witness.over.set()
            witness.join()
        assert witness.complaints == []
        check_the_end(home, sandbox, contents)
        assert not (home.outbox / ".lalald-staging").exists(), "nothing is left in staging"
        print(dict(said))
        print(f"looks={witness.looks}, seen={len(witness.whole)}, counts={sandbox.state()['counts']}")


def main(seed: int = 1, times: int = 40, files: int = 40, *places: str) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lalald-troubling-") as folder:
        chosen = list(places) or ["inbox", "outbox", "elsewhere"]
        in_own_mounts(lambda: story(Path(folder), seed, times, files, chosen))
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), *sys.argv[4:])
