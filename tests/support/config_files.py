"""Configurations written and read in tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lalald.config import Config, load
from lalald.errors import ConfigError

CONTRACT = """\
license_key_file: /etc/lalald/license-key
api_url: https://www.lalal.ai
state_dir: /var/lib/lalald
log: {level: info, format: auto}
transfers: {uploads: 3, downloads: 6, upload_rate: null, download_rate: null}
checks_per_minute: 30
minutes: {reserve: 0, per_file: null, per_day: null}
on_lost_task: hold
history: 90d
inboxes:
  - path: /srv/lalal/inbox
    outbox: /srv/lalal/outbox
    existing: hold
    recursive: true
    watch: auto
    poll_interval: 10s
    settle: 5s
    rescan: 1h
    changed: process
    ignore: ["*.txt", "drafts/"]
    prune: false
    on_success: move
    done_dir: done
    on_failure: move
    failed_dir: failed
    rules:
      - name: podcasts
        match: ["podcasts/", "*.wav"]
        types: media
        mode: voice_clean
        presets: {noise_cancelling_level: 2, dereverb_enabled: true, encoder_format: flac}
        output: "{dir}/{name}/{label}.{ext}"
        on_conflict: rename
        duplicates: reuse
        tracks: [voice]
        labels: {voice: Clean}
        delete: true
        manifest: false
      - name: remix
        tasks:
          - {name: lead, mode: stem_separator, presets: {stem: vocals, multivocal: lead_back}}
          - {mode: multistem, presets: {stem_list: [drum, bass]}}
"""

ONE_RULE = """\
state_dir: /var/lib/lalald
inboxes:
  - path: /srv/in
    outbox: /srv/out
    rules:
      - mode: voice_clean
"""


def loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ or {})


def mistakes(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    """What is said of a wrong configuration, mistake by mistake."""
    path = folder / "config.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as refused:
        load(path, environ or {})
    head, *messages = str(refused.value).split("\n")
    count = "1 error" if len(messages) == 1 else f"{len(messages)} errors"
    assert head == f"{path}: {count}"
    assert all(line.startswith("  ") for line in messages)
    return [line.removeprefix("  ") for line in messages]


def warnings(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    return [*loaded(folder, text, environ).warnings]


def one(messages: list[str]) -> str:
    (line,) = messages
    return line


def with_inbox(*keys: str) -> str:
    """`ONE_RULE` with more keys in its inbox; another path or outbox takes the place of the one that stands there."""
    text = ONE_RULE
    for key in keys:
        old = {"path": "path: /srv/in\n", "outbox": "outbox: /srv/out\n"}.get(key.split(":")[0])
        text = text.replace(old, f"{key}\n") if old else text.replace("    rules:\n", f"    {key}\n    rules:\n")
    return text


def with_rule(rule: str) -> str:
    """`ONE_RULE` with another rule, or several, each after its dash."""
    entries = "".join(f"      {line}\n" for line in rule.strip().splitlines())
    return ONE_RULE.replace("      - mode: voice_clean\n", entries)
