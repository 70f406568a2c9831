"""The configuration as the program uses it: absolute paths, times in seconds, defaults filled in. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lalald.jobs.event_kinds import EventKind
from lalald.media.tags.title_template import DEFAULT_TITLE

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]
OnLostTask = Literal["hold", "resubmit"]
Existing = Literal["take", "hold", "skip"]
Watch = Literal["auto", "native", "polling"]
Changed = Literal["process", "skip"]
OnSuccess = Literal["move", "keep", "delete"]
OnFailure = Literal["move", "keep"]
Types = Literal["media", "any"]
OnConflict = Literal["rename", "overwrite", "skip"]
Duplicates = Literal["reuse", "hold", "process"]
WebAuth = Literal["password", "none"]

DEFAULT_API_URL = "https://www.lalal.ai"
DEFAULT_OUTPUT = "{dir}/{name}/{label}.{ext}"
CHECKS_PER_MINUTE = 30  # what the service's document allows
DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Log:
    level: LogLevel = "info"
    format: LogFormat = "auto"


@dataclass(frozen=True, slots=True)
class Transfers:
    """How many at once; rates in bytes per second, all together, None for no limit."""

    uploads: int = 3
    downloads: int = 6
    upload_rate: int | None = None
    download_rate: int | None = None


@dataclass(frozen=True, slots=True)
class Minutes:
    """The spend guard, in minutes; None for no limit."""

    reserve: float = 0.0
    per_file: float | None = None
    per_day: float | None = None


@dataclass(frozen=True, slots=True)
class Web:
    """The page. `listen`: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`; None: there is no page."""

    listen: str | None = None
    auth: WebAuth = "password"
    password_file: Path | None = None
    read_token_file: Path | None = None
    trusted_proxies: tuple[str, ...] = ()  # networks, such as 172.16.0.0/12
    hosts: tuple[str, ...] = ()
    uploads: bool = True


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One split or voice change of a rule; `presets` as they are sent to the service."""

    mode: str
    presets: Mapping[str, Any] = field(default_factory=dict, hash=False)
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to the files that match. No patterns: every file of a known type."""

    name: str
    tasks: tuple[TaskSpec, ...]
    match: tuple[str, ...] = ()
    types: Types = "media"
    output: str = DEFAULT_OUTPUT
    on_conflict: OnConflict = "rename"
    duplicates: Duplicates = "reuse"
    tracks: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    delete: bool = True
    tags: bool = True
    tag_title: str = DEFAULT_TITLE
    manifest: bool = False
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class Inbox:
    """A watched folder. All paths are absolute; outbox, done and failed folders within it are never watched."""

    path: Path
    outbox: Path
    done_dir: Path
    failed_dir: Path
    rules: tuple[Rule, ...]
    existing: Existing = "hold"
    recursive: bool = True
    watch: Watch = "auto"
    poll_interval: float = 10.0
    settle: float = 5.0
    rescan: float = 3600.0
    changed: Changed = "process"
    ignore: tuple[str, ...] = ()
    prune: bool = False
    on_success: OnSuccess = "move"
    on_failure: OnFailure = "move"
    former: tuple[Path, ...] = ()  # from the store: folders that earlier configurations put files into

    @property
    def archive_folders(self) -> list[Path]:
        """The done and failed folders in use that lie outside the inbox: they are never created, and may be unavailable."""
        used = {self.done_dir: self.on_success == "move", self.failed_dir: self.on_failure == "move"}
        return [folder for folder, is_used in used.items() if is_used and not folder.is_relative_to(self.path)]


@dataclass(frozen=True, slots=True)
class NotifyEntry:
    """A receiver of events: messages by Apprise (`url` or `url_file`), a webhook, or a command.

    `problems`: every problem and its end, besides the events of `kinds`. No address is ever shown.
    """

    name: str
    kinds: frozenset[EventKind] = frozenset()
    problems: bool = True
    url: str | None = field(default=None, repr=False)
    url_file: Path | None = None
    webhook: str | None = field(default=None, repr=False)
    secret_file: Path | None = None
    command: tuple[str, ...] = ()
    gather: float = 60.0
    names: bool = True
    timeout: float = 600.0

    @property
    def way(self) -> Literal["message", "webhook", "command"]:
        """The kind of receiver: the only thing shown besides its name."""
        if self.command:
            return "command"
        return "message" if self.webhook is None else "webhook"

    @property
    def receiver_key(self) -> Literal["url", "url_file", "webhook", "command"]:
        """The key of the configuration that names the receiver."""
        if self.way != "message":
            return self.way
        return "url" if self.url_file is None else "url_file"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `lines`: the line of each key; `warnings`: settings that are allowed, but probably not intended."""

    path: Path
    state_dir: Path
    inboxes: tuple[Inbox, ...]
    license_key_file: Path | None = None
    api_url: str = DEFAULT_API_URL
    log: Log = Log()
    transfers: Transfers = Transfers()
    checks_per_minute: int = CHECKS_PER_MINUTE
    minutes: Minutes = Minutes()
    on_lost_task: OnLostTask = "hold"
    history: float = 90 * DAY_SECONDS
    web: Web = Web()
    notify: tuple[NotifyEntry, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


PLACEHOLDERS = frozenset({"dir", "name", "label", "ext", "task", "rule", "mode", "type", "id", "date"})
