"""What intake tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InboxState:
    """How an inbox fares, as `status` shows it. `watch` is native or polling."""

    available: bool
    reason: str
    watch: str
    watch_reason: str


@dataclass(slots=True)
class ScanReport:
    """What a full look found. `unknown` files are new, or have new content; they are taken when they are finished."""

    available: bool = True
    reason: str = ""
    files: int = 0
    folders: int = 0
    unknown: int = 0
    gone: int = 0
    seconds: float = 0.0
    troubles: list[tuple[str, OSError]] = field(default_factory=list)
