"""Write a starter configuration, or that of a recipe, and its folders. Existing files are never changed."""

from __future__ import annotations

import json
import os
import shlex
from argparse import ArgumentParser, Namespace
from pathlib import Path

from lalald.commands.output.json_output import show_json
from lalald.commands.output.printing import say
from lalald.errors import FileError, UsageError
from lalald.suggestions import unknown

_STARTER = Path(__file__).with_name("starter.yaml")
RECIPES = {path.stem: path for path in sorted(Path(__file__).with_name("recipes").glob("*.yaml"))}
_FOLDERS = ("inbox", "outbox")
_KEY_FILE = "license-key"
_COMMAND = "     lalald"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", default=".", help="the folder to create them in; default: the current one"
    )
    parser.add_argument(
        "--recipe", metavar="NAME", help=f"a complete configuration for one purpose: {', '.join(RECIPES)}"
    )
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    folder = Path(os.path.abspath(arguments.folder))
    template = _template(arguments.recipe)
    try:
        _write(folder, template)
    except OSError as error:
        raise FileError(f"{error.filename or folder} cannot be created: {error.strerror}") from error
    if arguments.json:
        show_json(_paths(folder))
    else:
        for line in _next_steps(folder).split("\n"):
            if line.startswith(_COMMAND):
                print(line)  # never broken: it is copied as it is
            else:
                say(line)
    return 0


def _paths(folder: Path) -> dict[str, str]:
    names = {"config": "config.yaml", "license_key_file": _KEY_FILE, "state_dir": "state"}
    return {key: str(folder / name) for key, name in (names | {name: name for name in _FOLDERS}).items()}


def _template(recipe: str | None) -> Path:
    if recipe is None:
        return _STARTER
    if recipe not in RECIPES:
        raise UsageError(
            f"{unknown('recipe', recipe, RECIPES)}",
            hint="Nothing was written. `lalald init` without --recipe writes a starter.",
        )
    return RECIPES[recipe]


def _write(folder: Path, template: Path) -> None:
    config = folder / "config.yaml"
    if os.path.lexists(config):
        raise UsageError(
            f"{config} already exists; nothing was changed.", hint="Name another folder: `lalald init DIR`."
        )
    text = _filled(template, folder)
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    _create(folder / _KEY_FILE, b"", 0o600)
    _create(config, text, 0o666)  # last: when it exists, everything else does


def _create(path: Path, content: bytes, mode: int) -> None:
    """Create a file, unless it exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _filled(template: Path, folder: Path) -> bytes:
    """With whole paths, so that it may be linked from the place where lalald looks for it, and with a state of its own:
    two folders that share one would show each other's jobs."""
    text = template.read_text(encoding="utf-8")
    names = (("KEY_FILE", _KEY_FILE), ("STATE", "state"), ("INBOX", "inbox"), ("OUTBOX", "outbox"))
    for word, name in names:
        text = text.replace(f" {word}\n", f" {_yaml_path(folder / name)}\n")
    return text.encode()


def _yaml_path(path: Path) -> str:
    """A path in quotes, its dollar signs doubled, since $VAR is expanded."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(f"{path} cannot be used: its name is not UTF-8.", hint="Choose another folder.") from None
    return json.dumps(str(path).replace("$", "$$"), ensure_ascii=False)


def _next_steps(folder: Path) -> str:
    key, config = folder / _KEY_FILE, shlex.quote(str(folder / "config.yaml"))
    command = f"lalald --config {config}"
    return f"""\
{folder} now has a config.yaml, an inbox and an outbox. What to do next:

  1. Paste your LALAL.AI license key into {key}
  2. List every configuration error, or see what will be watched:
     {command} check-config
  3. Start it, then drop audio or video into {folder / "inbox"}:
     {command} run
  4. In another terminal:
     {command} status

See what your files will cost before you drop a whole library:
     {command} plan
See it work without a key and without spending anything:
     lalald demo"""
