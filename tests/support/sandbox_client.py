"""A plain client of the service, for tests that look at the sandbox itself."""

from __future__ import annotations

import io
import wave
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from lalald.sandbox.server import Sandbox

Json = dict[str, Any]
SAMPLES_PER_SECOND = 8000


def wav_bytes(seconds: int) -> bytes:
    """Quiet noise that plays `seconds`."""
    body = io.BytesIO()
    with wave.open(body, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(SAMPLES_PER_SECOND)
        file.writeframes(bytes(range(120, 136)) * (SAMPLES_PER_SECOND * seconds // 16))
    return body.getvalue()


class Caller:
    """Calls a sandbox with a license key; every method gives the answer's JSON, `post` the answer itself."""

    def __init__(self, sandbox: Sandbox, key: str = "a-key") -> None:
        self._url = sandbox.url
        self._key = key

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """One request on a connection of its own."""
        with httpx.Client(base_url=self._url, headers={"X-License-Key": self._key}, verify=False, timeout=10) as http:
            return http.request(method, path, **kwargs)

    def post(self, operation: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return self.request("POST", f"/api/v1/{operation}/", **({} if body is None else {"json": body}), **kwargs)

    def control(self, name: str, value: Any) -> httpx.Response:
        """One of the sandbox's own controls."""
        return self.request("POST", f"/sandbox/{name}", json=value)

    def post_file(self, body: bytes, disposition: str = "attachment; filename=song.wav") -> httpx.Response:
        return self.post("upload", content=body, headers={"Content-Disposition": disposition})

    def upload(self, body: bytes | None = None, name: str = "song.wav") -> str:
        answer = self.post_file(wav_bytes(2) if body is None else body, f"attachment; filename*=UTF-8''{quote(name)}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def split(
        self, source_id: str, mode: str = "voice_clean", key: str | None = None, **presets: Any
    ) -> httpx.Response:
        presets = presets or {"stem": "voice"}
        return self.post(f"split/{mode}", {"source_id": source_id, "presets": presets, "idempotency_key": key})

    def task(self, source_id: str, mode: str = "voice_clean", key: str | None = None, **presets: Any) -> str:
        answer = self.split(source_id, mode, key, **presets)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["task_id"])

    def batch(self, *source_ids: str, key: str | None = None) -> httpx.Response:
        items = [{"source_id": each, "presets": {"stem": "voice"}, "idempotency_key": key} for each in source_ids]
        return self.post("split/batch/voice_clean", {"items": items})

    def check(self, *task_ids: str) -> Json:
        answer = self.post("check", {"task_ids": list(task_ids)})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["result"])

    def checked(self, task_id: str) -> Json:
        return dict(self.check(task_id)[task_id])

    def tracks(self, task_id: str) -> list[Json]:
        return list(self.checked(task_id)["result"]["tracks"])


def new_key() -> str:
    return str(uuid4())
