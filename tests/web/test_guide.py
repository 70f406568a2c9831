"""The recipes of the guide, tried with the real programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from lalald.web.files.piece_writer import LARGEST_PIECE_BYTES
from tests.support import ROOT
from tests.support.page_client import PASSWORD, Frames, PageClient, address_of, page_alone
from tests.support.ports import free_port
from tests.support.running import Home, until, write_wav

GUIDE = (ROOT / ".github/guides/web.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None, language
    return found[1]


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """A proxy, once it answers."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as proxy:

        def answers() -> bool:
            assert proxy.poll() is None, proxy.stdout.read() if proxy.stdout else ""
            with suppress(httpx.TransportError):
                return httpx.get(f"http://localhost:{port}/").status_code > 0
            return False

        try:
            until(answers, "the proxy answers")
            yield
        finally:
            proxy.terminate()


def nginx(tmp_path: Path, recipe: str, port: int) -> list[str]:
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; error_log stderr; pid {tmp_path}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;"
        f" fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"server {{ listen 127.0.0.1:{port};\n{recipe}\n}} }}\n"
    )
    return ["nginx", "-c", str(config)]


def caddy(tmp_path: Path, recipe: str, port: int) -> list[str]:
    config = tmp_path / "Caddyfile"
    config.write_text(f"{{\n  admin off\n  auto_https off\n}}\nhttp://localhost:{port} {{\n{recipe}\n}}\n")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]


@pytest.mark.parametrize(("program", "language"), [("nginx", "nginx"), ("caddy", "caddyfile")])
def test_the_page_works_below_a_path_behind_a_proxy(program: str, language: str, home: Home, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    home.settings["web"]["trusted_proxies"] = ["127.0.0.1"]
    home.write_config()
    recipe = block(language).replace("127.0.0.1:8910", home.settings["web"]["listen"])
    port = free_port()
    command = (nginx if program == "nginx" else caddy)(tmp_path, recipe, port)
    with page_alone(home), running(command, port):
        base = f"http://localhost:{port}"
        assert httpx.get(f"{base}/lalald").headers["location"].endswith("/lalald/")
        with PageClient(f"{base}/lalald", headers={"Origin": base}) as client:
            assert client.get("/healthz").text == "ok\n"
            answer = client.log_in()
            assert answer.status_code == 200, answer.text
            assert answer.headers["set-cookie"].startswith(f"lalald_{port}=")
            assert client.facts("/api/jobs")["jobs"][0]["id"] == 1
            part = client.get("/api/jobs/1/tracks/1", headers={"Range": "bytes=0-3"})
            assert (part.status_code, part.content) == (206, b"RIFF")
            with client.stream("GET", "/api/events") as response:
                frames = Frames(response)
                assert frames.next()[0] == "snapshot"
                home.start()
                while not frames.until("status").get("daemon", {}).get("running"):
                    pass
            size = 40_000_000
            begun = client.post("/api/uploads", json={"inbox": str(home.inbox), "path": "a.wav", "size": size})
            upload = f"/api/{begun.headers['location']}"
            headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
            assert client.patch(upload, content=bytes(size), headers=headers).headers["upload-complete"] == "?1"


def test_a_file_is_sent_with_curl(home: Home, tmp_path: Path) -> None:
    content = write_wav(tmp_path / "song.wav", pitch=640)
    script = block("bash").replace("http://127.0.0.1:8910", address_of(home))
    script = script.replace('\\"song.wav\\"', '\\"sent.wav\\"')
    assert "head -c 50MB" in script
    assert int(script.split("head -c ")[1].split("MB")[0]) * 1_000_000 <= LARGEST_PIECE_BYTES
    script = script.replace("head -c 50MB", f"head -c {len(content) // 3}")  # four pieces
    with page_alone(home):
        environ = {"PATH": os.environ["PATH"], "PASSWORD": PASSWORD, "INBOX": str(home.inbox)}
        done = subprocess.run(
            ["bash", "-euc", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (home.inbox / "sent.wav").read_bytes() == content
