"""Print the lowest version of each dependency that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def main() -> None:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(one for extra in extras for one in extra)]:
        if bound := re.match(r"([\w.-]+)(?:\[[^]]*\])?>=([\d.]+)", requirement):
            sys.stdout.write(f"{bound[1]}=={bound[2]}\n")


if __name__ == "__main__":
    main()
