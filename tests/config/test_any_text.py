"""Whatever is written: a configuration, or its mistakes, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lalald.config import load
from lalald.config.schema import file_schema
from lalald.errors import ConfigError


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200))
def test_any_text_gives_a_configuration_or_its_errors(tmp_path: Path, text: str) -> None:
    _read_or_refuse(tmp_path, text.encode("utf-8", "surrogatepass"))


KEYS = st.sampled_from(
    sorted(
        {
            key
            for section in (file_schema.File, file_schema.Inbox, file_schema.Rule, file_schema.Task)
            for key in section.model_fields
        }
    )
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.dates(),
    st.sampled_from(["5s", "2MB", "voice_clean", "multistem", "vocals", "{name}", "{label}.{ext}", "$HOME", "~", "*", "!", "auto", "/a"]),
)  # fmt: skip
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
SECTION = st.dictionaries(KEYS, DATA, max_size=5)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(SECTION, SECTION, SECTION)
def test_any_data_gives_a_configuration_or_its_errors(
    tmp_path: Path, top: dict[str, Any], inbox: dict[str, Any], rule: dict[str, Any]
) -> None:
    inbox = {"path": "/srv/in", "outbox": "/srv/out", **inbox}
    inbox.setdefault("rules", [rule])
    _read_or_refuse(
        tmp_path, yaml.safe_dump({"inboxes": [inbox], **top}, allow_unicode=True).encode("utf-8", "surrogatepass")
    )


def _read_or_refuse(folder: Path, content: bytes) -> None:
    path = folder / "any.yaml"
    path.write_bytes(content)
    try:
        config = load(path, {"HOME": "/h"})
    except ConfigError:
        return
    assert config.inboxes
    assert all(rule.tasks for inbox in config.inboxes for rule in inbox.rules)
