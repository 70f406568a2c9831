"""A gigabyte up and down, beside curl."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from lalald.api import Client, Transfer
from lalald.config.license_key import LicenseKey
from tests.benchmarks import sink
from tests.benchmarks.figure import Figure, show
from tests.benchmarks.place import folder

Way = Callable[[], None]

_GIGABIT_BYTES = 1e9 / 8
_GOALS = {"upload": 1.1, "download": 1.35}  # over TLS, as a multiple of curl's time
_NOISE = 1.05  # equal within what medians of a few rounds differ by
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
    ours, theirs = root / "ours", root / "theirs"
    with _trusting(tls), _plain_httpx(tls) as plain:
        ways: dict[str, tuple[Way, Way, Way]] = {
            "upload": (
                lambda: _upload(client, source),
                lambda: _run(upload),
                lambda: _upload_by_httpx(plain, f"{url}/api/v1/upload/", source),
            ),
            "download": (
                lambda: _download(client, track, ours),
                lambda: _download_by_curl([*curl, "-o", str(theirs), track], theirs),
                lambda: _download_by_httpx(plain, track, theirs),
            ),
        }
        figures = []
        for name in names:
            what = f"{name} of {source.stat().st_size / (1 << 30):.2g} GiB, {'TLS' if tls else 'plain'}"
            figures.append(_figure(what, where, name, compared(ways[name], rounds), _hashed(source)))
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


@contextmanager
def _plain_httpx(tls: Path | None) -> Iterator[httpx.Client]:
    """What anyone would write: `httpx.Client` as it comes, with the system's authorities."""
    context = ssl.create_default_context() if tls else False
    with httpx.Client(verify=context, timeout=60) as plain:
        yield plain


@dataclass(frozen=True, slots=True)
class Taken:
    """Medians in seconds, of time and of our processes' processor time."""

    seconds: float
    processor_seconds: float


def compared(ways: Sequence[Way], rounds: int) -> list[Taken]:
    """Each way in turn, as often as there are rounds."""
    taken: list[list[tuple[float, float]]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, found in zip(ways, taken, strict=True):
            began_at, used = time.monotonic(), time.process_time()
            way()
            found.append((time.monotonic() - began_at, time.process_time() - used))
    return [Taken(*map(statistics.median, zip(*found, strict=True))) for found in taken]


def _figure(what: str, where: str, name: str, taken: Sequence[Taken], hash_seconds: float) -> Figure:
    ours, curl, plain = taken
    more = ", with fsync" if name == "download" else ""
    goal = _GOALS[name]
    bound = curl.seconds
    if what.endswith("plain"):  # only a sandbox on this machine is reached without TLS; there SHA-256 is the limit
        bound = max(bound, hash_seconds)
    return Figure(
        f"{what}{more} ({where})",
        f"{ours.seconds:.2f} s, hashed: {ours.seconds / curl.seconds:.2f}× curl, {ours.seconds / plain.seconds:.2f}× httpx;"
        f" {ours.processor_seconds:.2f} s of processor",
        f"curl{more}, unhashed: {curl.seconds:.2f} s; plain httpx{more}, hashed: {plain.seconds:.2f} s"
        f" ({plain.processor_seconds:.2f} s of processor); SHA-256 alone: {hash_seconds:.2f} s",
        f"≤ {goal:g}× of curl{' or SHA-256' if bound != curl.seconds else ''}, ≤ 1× of plain httpx",
        ours.seconds <= goal * bound and ours.seconds <= _NOISE * plain.seconds,
    )


def _upload(client: Client, source: Path) -> None:
    with source.open("rb", buffering=0) as file:
        client.upload(file, source.stat().st_size, source.name, Transfer())


def _download(client: Client, url: str, target: Path) -> None:
    with target.open("w+b", buffering=0) as file:
        client.download(url, file, Transfer())
        os.fsync(file.fileno())
    target.unlink()


def _upload_by_httpx(plain: httpx.Client, url: str, source: Path) -> None:
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        with source.open("rb", buffering=0) as file:
            while piece := file.read(1 << 18):
                digest.update(piece)
                yield piece

    headers = {"Content-Length": str(source.stat().st_size), "X-License-Key": "a-key"}
    plain.post(url, content=pieces(), headers=headers).raise_for_status()
    digest.hexdigest()


def _download_by_httpx(plain: httpx.Client, url: str, target: Path) -> None:
    digest = hashlib.sha256()
    with plain.stream("GET", url) as response, target.open("wb") as file:
        for piece in response.iter_raw():
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    digest.hexdigest()
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
