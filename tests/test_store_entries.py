"""The store entries of NAS systems: written from one source, complete, and with the variables that the image knows."""

from __future__ import annotations

import json
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
    if path.is_file() and path.name not in ("source.yaml", "render.py")
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
    ):  # Umbrel has no form: variables are not asked for
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
