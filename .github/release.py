"""What a release says of itself: `release.py version` prints the program's version, `release.py notes VERSION` its changelog section."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def version() -> str:
    """`__version__`, read without importing the program."""
    text = (ROOT / "lalald/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("lalald/__init__.py has no __version__")
    return found[1]


def notes(wanted: str) -> str:
    """The section of a version. Raises SystemExit where there is none, or an empty one."""
    text = (ROOT / ".github/CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, body = section.partition("\n")
        if heading.split()[0] == wanted and body.strip():
            return body.strip()
    raise SystemExit(f"CHANGELOG.md has no section for {wanted}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["version"]:
            print(version())
        case ["notes", wanted]:
            print(notes(wanted))
        case _:
            raise SystemExit(__doc__)
