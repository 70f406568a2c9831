"""A gigabyte up and down, beside curl."""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import sink
from benchmarks.figure import Figure, show
from benchmarks.place import folder
from lalald.api import Client, Transfer
from lalald.credentials import LicenseKey

_GIGABIT_BYTES = 1e9 / 8
SMALL = {"size_bytes": 1 << 20, "rounds": 1}


def measure(*, size_bytes: int = 1 << 30, rounds: int = 3) -> list[Figure]:
    """Through the very calls that the daemon makes, hashed; the sandbox would be slower than both, so a bare sink is at the other end."""
    figures = []
    with folder() as root:
        source = root / "source.wav"
        _fill(source, size_bytes)
        certificate = _certificate(root)
        for tls in (None, certificate):
            with sink.running(track_bytes=size_bytes, certificate=tls and str(tls)) as service:
                figures += _measured(
                    root, source, service.url, tls, rounds, ("upload", "download"), "a bare sink answers"
                )
        with sink.running(certificate=str(certificate), line_bytes=_GIGABIT_BYTES) as service:
            figures += _measured(root, source, service.url, certificate, 1, ("upload",), "over a line of 1 Gbit/s")
    return figures


def _fill(source: Path, size_bytes: int) -> None:
    piece = os.urandom(1 << 20)
    with source.open("wb") as file:
        for _ in range(size_bytes >> 20):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _certificate(root: Path) -> Path:
    path = root / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", str(root / "public.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (root / "public.pem").read_bytes())
    return path


def _measured(
    root: Path, source: Path, url: str, tls: Path | None, rounds: int, names: Sequence[str], where: str
) -> list[Figure]:
    curl = ["curl", "-sS", "-f", *(["--cacert", str(tls.with_name("public.pem"))] if tls else [])]
    track = f"{url}/track/0/vocals"
    upload = [
        *curl,
        "-o",
        "/dev/null",
        "-X",
        "POST",
        "-H",
        "Expect:",
        "-T",
        str(source),
        f"{url}/api/v1/upload",
    ]  # curl adds the file's name after a slash
    client = Client(url, LicenseKey("a-key"), upload_rate=None, download_rate=None)
    ways = {
        "upload": (lambda: _upload(client, source), lambda: _run(upload)),
        "download": (
            lambda: _download(client, track, root / "ours"),
            lambda: _download_by_curl([*curl, "-o", str(root / "theirs"), track], root / "theirs"),
        ),
    }
    size_bytes = source.stat().st_size
    hash_seconds = _hashed(source)
    with _trusting(tls):
        figures = [
            _figure(
                f"{name} of {size_bytes / (1 << 30):.2g} GiB, {'TLS' if tls else 'plain'}",
                where,
                compared,
                hash_seconds,
            )
            for name in names
            if (compared := _compared(*ways[name], rounds))
        ]
    asyncio.run(client.aclose())
    return figures


def _hashed(source: Path) -> float:
    """How long its SHA-256 takes on one core, in seconds: no transfer that is hashed can be quicker."""
    began_at = time.monotonic()
    with source.open("rb", buffering=0) as file:
        hashlib.file_digest(file, "sha256")
    return time.monotonic() - began_at


@contextmanager
def _trusting(certificate: Path | None) -> Iterator[None]:
    """The authority of a benchmark's own making counts as one of the system's."""
    if certificate is None:
        yield
        return
    os.environ["SSL_CERT_FILE"] = str(certificate.with_name("public.pem"))
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]


def _compared(ours: Callable[[], None], theirs: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Medians in seconds, taken in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for way, seconds in zip((theirs, ours), (taken[1], taken[0]), strict=True):
            began_at = time.monotonic()
            way()
            seconds.append(time.monotonic() - began_at)
    return statistics.median(taken[0]), statistics.median(taken[1])


def _figure(what: str, where: str, compared: tuple[float, float], hash_seconds: float) -> Figure:
    ours, theirs = compared
    more = ", with fsync" if what.startswith("download") else ""
    goal, bound = "≤ 1.2×", theirs
    if what.startswith("upload") and what.endswith("plain"):  # only a sandbox on this machine is spoken to in the open
        goal, bound = "≤ 1.2× of the slower of both", max(theirs, hash_seconds)
    return Figure(
        f"{what}{more} ({where})",
        f"{ours:.2f} s, hashed: {ours / theirs:.2f}×",
        f"curl{more}, unhashed: {theirs:.2f} s; SHA-256 alone: {hash_seconds:.2f} s",
        goal,
        ours <= 1.2 * bound,
    )


def _upload(client: Client, source: Path) -> None:
    with source.open("rb", buffering=0) as file:
        client.upload(file, source.stat().st_size, source.name, Transfer())


def _download(client: Client, url: str, target: Path) -> None:
    with target.open("w+b", buffering=0) as file:
        client.download(url, file, Transfer())
        os.fsync(file.fileno())
    target.unlink()


def _download_by_curl(command: list[str], target: Path) -> None:
    _run(command)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    target.unlink()


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


if __name__ == "__main__":
    show(measure)
