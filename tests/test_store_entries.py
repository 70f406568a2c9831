"""The store entries of NAS systems: written from one source, complete, and with the variables that the image knows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from lalald import __version__
from lalald.container.defaults import VARIABLES
from tests.support import ROOT

NAS = ROOT / ".github/nas"
ENTRIES = sorted(
    str(path.relative_to(NAS))
    for path in NAS.rglob("*.*")
    if path.suffix in (".xml", ".yaml", ".yml", ".json") and path.name != "source.yaml"
)
SOURCE: dict[str, Any] = yaml.safe_load((NAS / "source.yaml").read_text(encoding="utf-8"))
NAMES = [one["name"] for one in SOURCE["variables"]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nas")
    subprocess.run([sys.executable, NAS / "render.py", folder], check=True, timeout=60)
    return folder


@pytest.mark.parametrize("entry", ENTRIES)
def test_each_entry_is_what_the_source_says(entry: str, rendered: Path) -> None:
    assert (NAS / entry).read_text(encoding="utf-8") == (rendered / entry).read_text(encoding="utf-8")


def test_the_address_of_the_project_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Homepage"] == f"https://github.com/{SOURCE['repository']}"


def test_every_variable_of_the_image_is_offered() -> None:
    assert set(VARIABLES) <= set(NAMES)


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_has_every_variable_and_the_version(entry: str) -> None:
    text = (NAS / entry).read_text(encoding="utf-8")
    if entry not in (
        "umbrel/docker-compose.yml",
        "umbrel/umbrel-app.yml",
    ):  # Umbrel has no form: it takes no variables
        assert [name for name in NAMES if name not in text and name.lower() not in text] == []
    if entry not in ("portainer-templates.json", "truenas/questions.yaml"):
        assert __version__ in text
    assert ":latest" not in text


def test_unraid_masks_secrets_and_runs_as_its_usual_user() -> None:
    container = ElementTree.parse(NAS / "unraid.xml").getroot()
    configs = {config.get("Target"): config for config in container.iter("Config")}
    secrets = {one["name"] for one in SOURCE["variables"] if one.get("secret")}
    assert {target for target, config in configs.items() if config.get("Mask") == "true"} == secrets
    assert (configs["PUID"].get("Default"), configs["PGID"].get("Default")) == ("99", "100")
    assert container.findtext("WebUI") == "http://[IP]:[PORT:8910]/"
    required = {"Name", "Repository", "Network", "Privileged", "Support", "Project", "Overview", "Category", "Icon"}
    assert required <= {child.tag for child in container if child.text}


def test_the_icon_is_a_picture_that_stores_can_show() -> None:
    """Unraid and CasaOS show PNG; the URL names this file."""
    head = (NAS / "icon.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")) == (256, 256)
    url = ElementTree.parse(NAS / "unraid.xml").getroot().findtext("Icon") or ""
    assert url.endswith(f"/v{__version__}/.github/nas/icon.png")
    for entry in ("casaos.yaml", "portainer-templates.json"):
        assert url in (NAS / entry).read_text(encoding="utf-8")


def test_casaos_knows_the_app_by_a_reversed_domain_and_its_texts_by_locale() -> None:
    """What its store's own validator and documentation ask for; `docker compose config` is the gate's check of the schema."""
    store = yaml.safe_load((NAS / "casaos.yaml").read_text(encoding="utf-8"))["x-casaos"]
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9]+)+", store["id"])
    assert {"main", "index", "port_map", "icon", "title", "category", "version"} <= set(store)
    assert store["category"] in (
        "Media",
        "Productivity",
        "Home",
        "Networking",
        "AI",
        "Finance",
        "Social",
        "Developer",
        "Others",
    )
    assert set(store["title"]) == set(store["description"]) == {"en_US"}


def test_umbrel_gets_the_image_by_its_digest_in_a_release(tmp_path: Path) -> None:
    digest = f"sha256:{'0' * 64}"
    subprocess.run([sys.executable, NAS / "render.py", tmp_path, digest], check=True, timeout=60)
    web = yaml.safe_load((tmp_path / "umbrel/docker-compose.yml").read_text(encoding="utf-8"))["services"]["web"]
    assert web["image"].endswith(f":{__version__}@{digest}")
    assert (web["restart"], "container_name" in web) == ("on-failure", False)
    manifest = yaml.safe_load((tmp_path / "umbrel/umbrel-app.yml").read_text(encoding="utf-8"))
    assert manifest["permissions"] == ["STORAGE_DOWNLOADS"]
    assert len(manifest["tagline"]) <= 100
    assert not manifest["tagline"].endswith(".")


def test_casaos_describes_every_port_folder_and_variable() -> None:
    app = yaml.safe_load((NAS / "casaos.yaml").read_text(encoding="utf-8"))
    lalald, told = app["services"]["lalald"], app["services"]["lalald"]["x-casaos"]
    assert {one["container"] for one in told["volumes"]} == {one["target"] for one in lalald["volumes"]}
    assert {one["container"] for one in told["envs"]} | {"PUID", "PGID"} == set(lalald["environment"])
    assert app["x-casaos"]["main"] in app["services"]
    assert app["x-casaos"]["port_map"] == lalald["ports"][0]["published"]


def test_umbrels_proxy_finds_the_page() -> None:
    compose = yaml.safe_load((NAS / "umbrel/docker-compose.yml").read_text(encoding="utf-8"))
    manifest = yaml.safe_load((NAS / "umbrel/umbrel-app.yml").read_text(encoding="utf-8"))
    proxy = compose["services"]["app_proxy"]["environment"]
    assert proxy == {"APP_HOST": f"{manifest['id']}_web_1", "APP_PORT": manifest["port"]}
    assert "web" in compose["services"]


def test_truenas_questions_have_known_groups_and_types() -> None:
    entry = yaml.safe_load((NAS / "truenas/questions.yaml").read_text(encoding="utf-8"))
    groups = {group["name"] for group in entry["groups"]}
    assert {question["group"] for question in entry["questions"]} == groups
    assert {question["schema"]["type"] for question in entry["questions"]} <= {"string", "int", "hostpath"}
    private = {question["variable"].upper() for question in entry["questions"] if question["schema"].get("private")}
    assert private == {one["name"] for one in SOURCE["variables"] if one.get("secret")}


def test_portainer_asks_for_what_its_stack_needs() -> None:
    (template,) = json.loads((NAS / "portainer-templates.json").read_text(encoding="utf-8"))["templates"]
    stack = (NAS / "portainer-stack.yaml").read_text(encoding="utf-8")
    assert (ROOT / template["repository"]["stackfile"]).is_file()
    assert [one["name"] for one in template["env"] if f"${{{one['name']}" not in stack] == []
