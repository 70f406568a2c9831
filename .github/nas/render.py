"""Writes the store entries of NAS systems from source.yaml: `python .github/nas/render.py [FOLDER [DIGEST]]`, by default beside this file.

DIGEST is that of a published image, `sha256:…`. Umbrel's store wants it; a release has its entries with it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

HERE = Path(__file__).parent
SOURCE: dict[str, Any] = yaml.safe_load((HERE / "source.yaml").read_text(encoding="utf-8"))
INIT = (HERE.parents[1] / "lalald/__init__.py").read_text(encoding="utf-8")
VERSION = re.findall(r'^__version__ = "([^"]+)"$', INIT, re.MULTILINE)[0]
PROJECT = f"https://github.com/{SOURCE['repository']}"
IMAGE = f"ghcr.io/{SOURCE['repository']}:{VERSION}"
ICON = f"https://raw.githubusercontent.com/{SOURCE['repository']}/v{VERSION}/.github/nas/icon.png"
HEADER = "# Written by render.py from source.yaml: change that.\n"
PORT: int = SOURCE["port"]["container"]
VARIABLES: list[dict[str, Any]] = SOURCE["variables"]


def service(user: tuple[int, int], folders: dict[str, str], values: dict[str, str]) -> dict[str, Any]:
    """The container as compose files have it: read-only, with the capabilities that switching its user takes."""
    return {
        "image": IMAGE,
        "container_name": SOURCE["name"],
        "restart": "unless-stopped",
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - the container's own
        "cap_drop": ["ALL"],
        "cap_add": ["SETUID", "SETGID", "CHOWN"],
        "environment": {"PUID": str(user[0]), "PGID": str(user[1]), **values},
        "volumes": [
            {"type": "bind", "source": source, "target": target, "bind": {"create_host_path": True}}
            for target, source in folders.items()
        ],
    }


def set_by_user(form: str) -> dict[str, str]:
    """Each variable as `${NAME:-default}`, or as `form` says, for interfaces that ask for values."""
    return {one["name"]: form.format(name=one["name"], default=one.get("default", "")) for one in VARIABLES}


def portainer() -> str:
    """A stack: the folders and values are environment variables of the stack."""
    names = {"/config": "CONFIG_FOLDER", "/inbox": "INBOX_FOLDER", "/outbox": "OUTBOX_FOLDER"}
    folders = {target: f"${{{name}:?the folder on the host}}" for target, name in names.items()}
    lalald = service((1000, 1000), folders, set_by_user("${{{name}:-{default}}}"))
    lalald["environment"] |= {"PUID": "${PUID:-1000}", "PGID": "${PGID:-1000}"}
    return _yaml({"services": {"lalald": {**lalald, "ports": [f"{PORT}:{PORT}"]}}})


def portainer_templates() -> str:
    """The app template that offers the stack with a form."""
    folders = [
        {"name": "CONFIG_FOLDER", "label": "Folder of /config"}, {"name": "INBOX_FOLDER", "label": "Folder of /inbox"},
        {"name": "OUTBOX_FOLDER", "label": "Folder of /outbox"},
    ]  # fmt: skip
    template = {
        "id": 1, "type": 3, "title": SOURCE["title"], "description": SOURCE["tagline"], "note": SOURCE["description"].strip(),
        "categories": SOURCE["category"]["portainer"], "platform": "linux", "logo": ICON,
        "repository": {"url": PROJECT, "stackfile": ".github/nas/portainer-stack.yaml"},
        "env": [*folders, *map(_asked, VARIABLES)],
    }  # fmt: skip
    return json.dumps({"version": "3", "templates": [template]}, indent=2) + "\n"


def _asked(one: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {"name": one["name"], "label": one["label"], "description": one["description"]}
    if "values" in one:
        asked["select"] = [
            {"text": value, "value": value, "default": value == one.get("default")} for value in one["values"]
        ]
    elif "default" in one:
        asked["default"] = one["default"]
    return asked


def casaos() -> str:
    """A compose app with CasaOS's own description of each port, folder and variable."""
    folders = {
        "/config": "/DATA/AppData/$AppID/config",
        "/inbox": "/DATA/Media/lalald/inbox",
        "/outbox": "/DATA/Media/lalald/outbox",
    }
    values = {one["name"]: str(one.get("default", "")) for one in VARIABLES}
    lalald = service((1000, 1000), folders, values)
    lalald["environment"] |= {"PUID": "$PUID", "PGID": "$PGID", "TZ": "$TZ"}
    lalald["ports"] = [{"target": PORT, "published": str(PORT), "protocol": "tcp"}]
    lalald["x-casaos"] = {
        "ports": [{"container": str(PORT), "description": _english(SOURCE["port"]["description"])}],
        "volumes": [
            {"container": one["container"], "description": _english(one["description"])} for one in SOURCE["folders"]
        ],
        "envs": [{"container": one["name"], "description": _english(one["description"])} for one in VARIABLES],
    }
    owner, project = SOURCE["repository"].split("/")
    store = {
        "id": f"io.github.{owner}.{project}", "version": VERSION, "website": PROJECT, "repo": PROJECT, "support": f"{PROJECT}/issues",
        "architectures": ["amd64", "arm64"], "main": "lalald", "category": SOURCE["category"]["casaos"], "author": SOURCE["name"],
        "developer": SOURCE["name"], "title": _english(SOURCE["title"]), "tagline": _english(SOURCE["tagline"]),
        "description": _english(SOURCE["description"].strip()), "icon": ICON, "index": "/", "port_map": str(PORT), "scheme": "http",
        "tips": {"before_install": _english("Set LALALD_LICENSE_KEY, and LALALD_WEB_PASSWORD for the page.")},
    }  # fmt: skip
    return _yaml({"name": SOURCE["name"], "services": {"lalald": lalald}, "x-casaos": store})


def _english(text: str) -> dict[str, str]:
    return {"en_US": text}


def umbrel_compose(digest: str = "") -> str:
    """The page's password is the one that Umbrel shows for the app; the key is written into the app's folder.

    Umbrel itself names its containers and starts them again. Its store wants an image by its digest, too.
    """
    folders = {
        "/config": "${APP_DATA_DIR}/data/config",
        "/inbox": "${UMBREL_ROOT}/data/storage/downloads/lalald/inbox",
        "/outbox": "${UMBREL_ROOT}/data/storage/downloads/lalald/outbox",
    }
    values = {"LALALD_LICENSE_KEY_FILE": "/config/license-key", "LALALD_WEB_PASSWORD": "${APP_PASSWORD}"}
    lalald = service((1000, 1000), folders, values)
    del lalald["container_name"]
    lalald |= {"restart": "on-failure", "image": f"{IMAGE}@{digest}" if digest else IMAGE}
    proxy = {"environment": {"APP_HOST": "lalald_web_1", "APP_PORT": PORT}}
    return _yaml({"services": {"app_proxy": proxy, "web": lalald}})


def umbrel_manifest() -> str:
    """The entry in Umbrel's store."""
    return _yaml(
        {
            "manifestVersion": 1, "id": SOURCE["name"], "category": SOURCE["category"]["umbrel"], "name": SOURCE["title"],
            "version": VERSION, "tagline": SOURCE["tagline"], "description": SOURCE["description"].strip(),
            "releaseNotes": f"{PROJECT}/releases/tag/v{VERSION}", "developer": SOURCE["name"], "website": PROJECT, "dependencies": [],
            "repo": PROJECT, "support": f"{PROJECT}/issues", "port": PORT, "gallery": [], "path": "", "defaultUsername": "",
            "permissions": ["STORAGE_DOWNLOADS"],
            "deterministicPassword": True, "submitter": SOURCE["name"], "submission": PROJECT,
        }
    )  # fmt: skip


def truenas() -> str:
    """The questions of a TrueNAS app: the same variables, the user of its apps, three host paths and a port."""
    variables = [_question(one, "Settings") for one in VARIABLES]
    user = [_number("run_as_user", "User ID", 568), _number("run_as_group", "Group ID", 568)]
    folders = [
        {
            "variable": f"{one['container'].strip('/')}_path", "label": f"Folder of {one['container']}", "group": "Storage",
            "description": one["description"], "schema": {"type": "hostpath", "required": True},
        }
        for one in SOURCE["folders"]
    ]  # fmt: skip
    port = {
        "variable": "web_port", "label": "Port of the page", "group": "Network",
        "schema": {"type": "int", "default": 30910, "min": 1, "max": 65535, "required": True},
    }  # fmt: skip
    groups = [
        {"name": name, "description": f"{name} of lalald"}
        for name in ("Settings", "User and group", "Storage", "Network")
    ]
    return _yaml({"groups": groups, "questions": [*variables, *user, *folders, port]})


def _question(one: dict[str, Any], group: str) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "string",
        "default": one.get("default", ""),
        "required": one.get("required", False),
    }
    if one.get("secret"):
        schema["private"] = True
    if "values" in one:
        schema["enum"] = [{"value": value, "description": value} for value in one["values"]]
    return {
        "variable": one["name"].lower(),
        "label": one["label"],
        "group": group,
        "description": one["description"],
        "schema": schema,
    }


def _number(variable: str, label: str, default: int) -> dict[str, Any]:
    return {
        "variable": variable, "label": label, "group": "User and group",
        "schema": {"type": "int", "default": default, "min": 1, "required": True},
    }  # fmt: skip


def unraid() -> str:
    """A template for Community Applications: pinned tag, the page, user 99 and group 100, masked secrets."""
    container = ElementTree.Element("Container", version="2")
    facts = {
        "Name": SOURCE["name"], "Repository": IMAGE, "Registry": f"{PROJECT}/pkgs/container/lalald", "Network": "bridge", "Shell": "sh",
        "Privileged": "false", "Support": f"{PROJECT}/issues", "Project": PROJECT, "Overview": SOURCE["description"].strip(),
        "Category": SOURCE["category"]["unraid"], "WebUI": f"http://[IP]:[PORT:{PORT}]/", "Icon": ICON,
        "TemplateURL": f"https://raw.githubusercontent.com/{SOURCE['repository']}/main/.github/nas/unraid.xml",
        "ExtraParams": "--read-only --tmpfs /tmp --restart unless-stopped",
    }  # fmt: skip
    for name, value in facts.items():
        ElementTree.SubElement(container, name).text = value
    hosts = {
        "/config": "/mnt/user/appdata/lalald",
        "/inbox": "/mnt/user/lalald/inbox",
        "/outbox": "/mnt/user/lalald/outbox",
    }
    for one in SOURCE["folders"]:
        _config(
            container,
            "Path",
            one["container"],
            one["container"],
            hosts[one["container"]],
            one["description"],
            mode="rw",
            required=True,
        )
    _config(container, "Port", "Page", str(PORT), str(PORT), SOURCE["port"]["description"], mode="tcp")
    for name, value in (("PUID", "99"), ("PGID", "100"), ("UMASK", "002")):
        _config(container, "Variable", name, name, value, "The user, group and umask that own the results")
    for one in VARIABLES:
        value = "|".join(one["values"]) if "values" in one else str(one.get("default", ""))
        _config(
            container, "Variable", one["label"], one["name"], value, one["description"], required=one.get("required", False),
            mask=one.get("secret", False),
        )  # fmt: skip
    ElementTree.indent(container)
    text = ElementTree.tostring(container, encoding="unicode")
    return f'<?xml version="1.0"?>\n<!-- {HEADER[2:].strip()} -->\n{text}\n'


def _config(
    container: ElementTree.Element, kind: str, name: str, target: str, default: str, description: str, *, mode: str = "",
    required: bool = False, mask: bool = False,
) -> None:  # fmt: skip
    yes = {True: "true", False: "false"}
    ElementTree.SubElement(
        container, "Config", Name=name, Target=target, Default=default, Mode=mode, Description=description, Type=kind,
        Display="always" if required or kind != "Variable" else "advanced", Required=yes[required], Mask=yes[mask],
    )  # fmt: skip


def _yaml(content: dict[str, Any]) -> str:
    return HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)


FILES = {
    "unraid.xml": unraid, "casaos.yaml": casaos, "umbrel/docker-compose.yml": umbrel_compose, "umbrel/umbrel-app.yml": umbrel_manifest,
    "truenas/questions.yaml": truenas, "portainer-stack.yaml": portainer, "portainer-templates.json": portainer_templates,
}  # fmt: skip


def render(folder: Path, digest: str = "") -> None:
    """Write every entry below a folder."""
    for name, made in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(made(), encoding="utf-8")
    if digest:
        (folder / "umbrel/docker-compose.yml").write_text(umbrel_compose(digest), encoding="utf-8")


if __name__ == "__main__":
    render(Path(sys.argv[1]) if sys.argv[1:] else HERE, *sys.argv[2:3])
