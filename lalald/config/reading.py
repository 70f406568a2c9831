"""The context in which one configuration file is resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lalald.config.checks.real_paths import RealPaths
from lalald.config.diagnostics import Diagnostics, Where
from lalald.config.paths import PathError, expanded


@dataclass(frozen=True, slots=True)
class Reading:
    """The file's path, the environment, and the diagnostics so far: what resolving needs besides the file's sections."""

    path: Path
    environ: Mapping[str, str]
    diagnostics: Diagnostics
    real: RealPaths = field(default_factory=RealPaths)

    def folder(self, where: Where, text: str | None, base: Path | None, what: str) -> Path | None:
        """The absolute path of a key. A relative one starts at `base`, or at the working folder if that is None.

        None, and an error, if the key has no value or an invalid one; `what` says what is missing.
        """
        if text is None:
            self.diagnostics.add_error(where, f"missing: {what}")
            return None
        try:
            return expanded(text, self.environ, base)
        except PathError as error:
            self.diagnostics.add_error(where, str(error))
            return None

    def secret_file(self, where: Where, text: str | None) -> Path | None:
        """The file of a secret. A relative path starts at the folder of the configuration; no error repeats the text."""
        if not text:
            return None
        try:
            return expanded(text, self.environ, self.path.parent)
        except PathError as error:
            self.diagnostics.add_error(where, error.unshown)
            return None
