"""The sandbox against the service's own OpenAPI document: arbitrary requests, and a client generated from it.

A development check: it needs `pip install '.[dev]'` and the document, which the project keeps no copy of. Set `LALAL_OPENAPI` to its
path.
"""

from __future__ import annotations

import copy
import importlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lalald.sandbox.options import Options
from lalald.sandbox.server import Sandbox
from tests.support import ROOT
from tests.support.sandbox_client import wav_bytes

DOCUMENT = Path(os.environ.get("LALAL_OPENAPI", ROOT.parent / "shared/spec/lalal-ai-openapi.yml"))
pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="the service's OpenAPI document is not here")
schemathesis = pytest.importorskip("schemathesis", reason="pip install '.[dev]'")

# What the document says that cannot be so, or leaves out. Each is what the sandbox, and a client, has to know beyond it.
WITHOUT_422 = {"POST /api/v1/split/stem_separator/", "POST /api/v1/split/demuser/"}  # though the others have it
NOWHERE_403 = "no operation lists the answer to a missing or wrong key, though all require one"
AUTO_IS_NOT_LISTED = "the default of `splitter` is `auto`, which the enum SplitterType does not have"
NESTED_DISCRIMINATORS = "a discriminator within a discriminator's mapping, which OpenAPI 3.1 does not know"
UUID4 = "the format `uuid4` is not one of JSON Schema's"


@pytest.fixture(scope="module")
def document() -> Any:
    return yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Options(checks_per_minute=10**9, minutes=10**9)) as started:
        yield started


def faults_of(document: Any) -> set[str]:
    """The known errors that the document still has."""
    responses = [operation["post"]["responses"] for operation in document["paths"].values()]
    schemas = document["components"]["schemas"]
    found = {
        NOWHERE_403: not any("403" in answers for answers in responses),
        AUTO_IS_NOT_LISTED: "auto" not in schemas["SplitterType"]["enum"],
        NESTED_DISCRIMINATORS: bool(list(nested(document))),
        UUID4: "uuid4" in DOCUMENT.read_text(encoding="utf-8"),
    }
    return {fault for fault, is_there in found.items() if is_there}


def nested(node: Any) -> Iterator[dict[str, Any]]:
    """Objects whose discriminator maps to something else than a schema's name."""
    if isinstance(node, dict):
        mapping = (
            node.get("discriminator", {}).get("mapping", {}) if isinstance(node.get("discriminator"), dict) else {}
        )
        if any(not isinstance(name, str) for name in mapping.values()):
            yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nested(inner)


def test_every_known_error_of_the_document_is_still_there(document: Any) -> None:
    """Otherwise the exceptions for them can be removed."""
    assert faults_of(document) == {NOWHERE_403, AUTO_IS_NOT_LISTED, NESTED_DISCRIMINATORS, UUID4}
    without = {
        f"POST {path}" for path, operation in document["paths"].items() if "422" not in operation["post"]["responses"]
    }
    assert without - {"POST /api/v1/cancel/all/"} == WITHOUT_422  # that one takes nothing that could be wrong


def test_no_request_gets_an_answer_outside_the_document(sandbox: Sandbox) -> None:
    schemathesis.openapi.format("uuid4", st.uuids(version=4).map(str))
    operations = [found.ok() for found in schemathesis.openapi.from_path(DOCUMENT).get_all_operations()]
    odd: Counter[str] = Counter()
    for operation in operations:

        @given(operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
        @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def ask(case: Any) -> None:
            answer = case.call(base_url=sandbox.url, headers={"X-License-Key": "a-key"})
            known_fault = answer.status_code == 422 and case.operation.label in WITHOUT_422
            documented = str(answer.status_code) in case.operation.definition.raw["responses"]
            if not documented and not known_fault and answer.status_code not in (403, 405):
                odd[f"{case.operation.label}: {answer.status_code}"] += 1
            elif documented:
                case.validate_response(answer, checks=[schemathesis.checks.not_a_server_error, conforms])

        ask()
    assert len(operations) == 15
    assert odd == Counter()


def conforms(context: Any, answer: Any, case: Any) -> None:
    """The body matches the document's schema for this status."""
    del context
    case.operation.validate_response(answer)


def test_a_generated_client_gets_its_stems(sandbox: Sandbox, document: Any, tmp_path: Path) -> None:
    """By openapi-python-client, whose models send `splitter: auto`, since the document calls that the default."""
    pytest.importorskip("openapi_python_client", reason="pip install '.[dev]'")
    mended = copy.deepcopy(document)
    for node in list(nested(mended)):
        del node["discriminator"]
    mended["components"]["schemas"]["SplitterType"]["enum"].append("auto")
    (tmp_path / "document.yml").write_text(yaml.safe_dump(mended), encoding="utf-8")
    command = ["generate", "--path", str(tmp_path / "document.yml"), "--output-path", str(tmp_path / "generated")]
    subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *command, "--meta", "none"], check=True, capture_output=True
    )
    sys.path.insert(0, str(tmp_path))
    try:
        tracks, sent = process_source(sandbox)
    finally:
        sys.path.remove(str(tmp_path))
    assert [track.label for track in tracks] == ["vocals", "no_vocals"]
    assert sent["splitter"] == "auto"
    assert sandbox.state()["sources"][0]["deleted_at"] is not None


def process_source(sandbox: Sandbox) -> tuple[list[Any], dict[str, Any]]:
    """Upload, split, check and delete by the generated package: the tracks, and the presets that were sent."""

    def part(name: str) -> Any:
        return importlib.import_module(f"generated.{name}")

    models = part("models")
    body = part("types").File(wav_bytes(3), file_name="song.wav")
    presets = models.StemSeparatorSplitterPresetsV1(stem=models.StemSeparatorSplitterPresetsV1Stem("vocals"))
    with part("client").AuthenticatedClient(
        sandbox.url, token="a-key", prefix="", auth_header_name="X-License-Key"
    ) as client:

        def ask(name: str, **request: Any) -> Any:
            return part(f"api.{name}").sync(client=client, **request)

        uploaded = ask("common.upload_upload", body=body, content_disposition="attachment; filename=song.wav")
        parameters = models.StemSeparatorSplitParameters(source_id=uploaded.id, presets=presets)
        started = ask("stem_separation.split_split_enhanced", body=parameters)
        request = models.CheckV1Request(task_ids=[started.task_id])
        reply = ask("common.check_check", body=request).result[started.task_id]
        ask("common.delete_delete", body=models.DeleteParameters(source_id=uploaded.id))
    return reply.result.tracks, presets.to_dict()
