"""Every mistake in the configuration, or what would be watched."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lalald.commands.layout import Section
from lalald.config import Config, Inbox, Rule
from lalald.errors import ConfigError

_FIRST_LOOK = {
    "take": "taken at the first look",
    "hold": "taken at the first look; more than 20 are held until `lalald release`",
    "skip": "left alone",
}


def add_arguments(parser: ArgumentParser) -> None:
    """It takes none but --config."""
    del parser


def run(arguments: Namespace) -> int:
    """0 where all is well, 2 on mistakes, which go to standard error."""
    from lalald.commands.layout import show
    from lalald.config import check_folders, find, load
    from lalald.config.mistakes import config_error

    config = load(find(arguments.config, os.environ), os.environ)
    licence, licence_mistakes = _licence(config, os.environ)
    mistakes = [*check_folders(config), *licence_mistakes]
    if mistakes:
        raise config_error(str(config.path), mistakes)
    show(_sections(config, licence))
    return 0


def _licence(config: Config, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Where the licence key comes from, and what is wrong with it."""
    from lalald.credentials import license_key_with_origin

    try:
        key, origin = license_key_with_origin(config, environ)
    except ConfigError as error:
        line = config.lines.get("license_key_file") if str(error).startswith("license_key_file") else None
        return "", [f"line {line}  {error}; {error.hint}" if line else f"{error}; {error.hint}"]
    return (f"found ({origin})" if key else "none: everything will be held (licence) until there is one"), []


def _sections(config: Config, licence: str) -> Iterator[Section]:
    from lalald import mounts
    from lalald.config import literal_names

    kind = mounts.filesystem_type(config.state_dir)
    rows = [
        ("service", config.api_url),
        ("licence key", licence),
        ("state", f"{config.state_dir} ({kind})" if kind else str(config.state_dir)),
        ("spend guard", _guard(config)),
        ("transfers", _transfers(config)),
    ]
    yield Section(f"{config.path}: no mistakes", rows)
    if warnings := [*config.warnings, *literal_names.warnings(config)]:
        yield Section("warnings", [(warning,) for warning in warnings])
    for inbox in config.inboxes:
        yield _inbox(inbox)
        yield Section("rules: the first that matches decides", [_rule(rule) for rule in inbox.rules], _COLUMNS)


def _guard(config: Config) -> str:
    limits = config.minutes
    told = [f"{limits.reserve:g} minutes are kept"] if limits.reserve else []
    told += [f"at most {limits.per_file:g} minutes a file"] if limits.per_file else []
    told += [f"at most {limits.per_day:g} minutes a day"] if limits.per_day else []
    return ", ".join(told) or "no limits but the minutes left"


def _transfers(config: Config) -> str:
    from lalald.quantities import format_rate

    told = []
    for what, many, rate in (
        ("uploads", config.transfers.uploads, config.transfers.upload_rate),
        ("downloads", config.transfers.downloads, config.transfers.download_rate),
    ):
        told.append(f"{many} {what} at once" + (f", at most {format_rate(rate)} together" if rate else ""))
    return "; ".join(told)


def _inbox(inbox: Inbox) -> Section:
    from lalald.inbox.mode import choose_mode
    from lalald.quantities import format_duration

    mode = choose_mode(inbox)
    depth = "subfolders too" if inbox.recursive else "without subfolders"
    still = f"once it stood still for {format_duration(inbox.settle)}" if inbox.settle else "once nothing has it open"
    rows = [
        ("results", str(inbox.outbox)),
        ("watched", f"{mode.watch} ({mode.reason}), {depth}; in full every {format_duration(inbox.rescan)}"),
        ("a file is taken", still),
        ("files there", _FIRST_LOOK[inbox.existing]),
        ("ignored", ", ".join(inbox.ignore) or "only what is hidden, temporary or litter"),
        ("empty folders", "are removed once their files were archived" if inbox.prune else "stay"),
        ("afterwards", f"the source {_fate(inbox.on_success, inbox.done_dir)}"),
        ("on failure", f"the source {_fate(inbox.on_failure, inbox.failed_dir)}"),
    ]
    return Section(f"inbox {inbox.path}", rows)


def _fate(policy: str, folder: Path) -> str:
    return {"move": f"is moved to {folder}", "keep": "stays", "delete": "is deleted"}[policy]


_COLUMNS = ("rule", "takes", "asks for", "delivers", "costs")


def _rule(rule: Rule) -> Sequence[str]:
    from lalald.presets import stems

    kinds = "audio and video" if rule.types == "media" else "any file"
    times = sum(stems(task.mode, task.presets) for task in rule.tasks)
    return (
        rule.name,
        f"{kinds}: {', '.join(rule.match)}" if rule.match else kinds,
        "; ".join(_task(task.name, task.mode, task.presets) for task in rule.tasks),
        f"{_delivered(rule)} to {rule.output}",
        "its duration" if times == 1 else f"{times} × its duration",
    )


def _task(name: str | None, mode: str, presets: Mapping[str, object]) -> str:
    told = " ".join(f"{key}={_plain(value)}" for key, value in presets.items())
    return f"{f'{name}: ' if name else ''}{mode} {told}".strip()


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _delivered(rule: Rule) -> str:
    from lalald.config.delivery import delivered_labels

    return ", ".join(delivered_labels(rule)) or "every track"
