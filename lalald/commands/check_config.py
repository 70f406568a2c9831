"""List every configuration error, or summarize what will be watched."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lalald.commands.output.tables import Section
from lalald.config import Config, Inbox, Rule
from lalald.errors import ConfigError, SettingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lalald.config.diagnostics import Diagnostics
    from lalald.config.loading import Examined
    from lalald.config.resolving import Resolved
    from lalald.filesystem.bounded_calls import BoundedCalls

_WAYS = {"message": "messages by Apprise", "webhook": "a webhook", "command": "a command"}
_EXISTING = {
    "take": "are processed",
    "hold": "are processed; more than 20 are held until `lalald release --all --hold first_scan`, and so are all if another database"
    " watched the inbox before",
    "skip": "are skipped",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON: an object")


def run(arguments: Namespace) -> int:
    """Exit with 0, or with 2 for errors in the configuration: on standard error, or with --json in the object."""
    from lalald.commands.output.printing import show_sections
    from lalald.config import find
    from lalald.config.loading import examine

    examined = examine(find(arguments.config, os.environ), os.environ)
    key = check_surroundings(examined, os.environ)
    if arguments.json:
        return _print_json(examined, key)
    show_sections(_sections(_valid_config(examined), key))
    return 0


def _print_json(examined: Examined, key: str) -> int:
    from lalald.commands.output.error_output import exit_code_of
    from lalald.commands.output.json_output import error_facts, show_json
    from lalald.config.checks import literal_names

    try:
        config = examined.config()
    except ConfigError as error:
        diagnostics = examined.diagnostics
        lists = {"errors": diagnostics.facts(diagnostics.errors), "warnings": list(diagnostics.formatted_warnings())}
        show_json({**error_facts(error), "config": str(examined.path), **lists})
        return exit_code_of(error)
    show_json(
        {
            "config": str(config.path),
            "errors": [],
            "warnings": [*config.warnings, *literal_names.warnings(config)],
            "api_url": config.api_url,
            "state_dir": str(config.state_dir),
            "license": key,
            "notify": [{"name": entry.name, "way": entry.way} for entry in config.notify],
            "inboxes": [_facts(inbox) for inbox in config.inboxes],
        }
    )
    return 0


def _facts(inbox: Inbox) -> dict[str, Any]:
    from lalald.inbox.scanning.watch_mode import choose_mode

    mode = choose_mode(inbox)
    return {
        "path": str(inbox.path),
        "outbox": str(inbox.outbox),
        "watch": mode.watch,
        "watch_reason": mode.reason,
        "rules": [
            {
                "name": rule.name,
                "match": list(rule.match),
                "output": rule.output,
                "tasks": [{"name": task.name, "mode": task.mode, "presets": dict(task.presets)} for task in rule.tasks],
            }
            for rule in inbox.rules
        ],
    }


def check_surroundings(examined: Examined, environ: Mapping[str, str], calls: BoundedCalls | None = None) -> str:
    """Add the errors of folders, of other files and of the license key to those of the file. Return where the key comes from."""
    from lalald.config.checks.folders import folder_errors
    from lalald.config.key_files import BY_CONFIGURATION
    from lalald.config.license_key import find_key
    from lalald.config.secrets.secret_search import found_by
    from lalald.filesystem.bounded_calls import BoundedCalls

    calls = calls or BoundedCalls()
    resolved, diagnostics = examined.resolved, examined.diagnostics
    if resolved is None:
        return ""
    if ("state_dir",) not in diagnostics.lines:
        diagnostics.sources.setdefault(("state_dir",), "state_dir")  # its default: no line of the file
    for where, message in folder_errors(resolved.inboxes, resolved.state_dir, calls):
        diagnostics.add_error(where, message)
    _check_notify(resolved, diagnostics, environ, calls)
    _check_page(resolved, diagnostics, environ, calls)
    found = found_by(find_key(resolved.license_key_file, environ), calls)
    if found.error is not None:
        if found.origin != BY_CONFIGURATION:
            diagnostics.sources[found.origin,] = found.origin
        message = f"{found.error}. {found.hint}".removeprefix(f"{found.origin}: ")
        diagnostics.add_error((found.origin,), message)
    if found.key is not None:
        return f"found ({found.origin})"
    return f"{found.problem}; every file will be held until there is one"


def _check_notify(
    resolved: Resolved, diagnostics: Diagnostics, environ: Mapping[str, str], calls: BoundedCalls
) -> None:
    """Adds what is wrong with the files, programs and addresses of `notify`."""
    if not resolved.notify:
        return
    import asyncio

    from lalald.notify.entry_checks import entry_problems, entry_warnings

    uid = _daemon_uid(resolved.state_dir)
    for place, entry in resolved.notify:
        for key, message in asyncio.run(entry_problems(entry, environ, uid, calls)):
            diagnostics.add_error(("notify", place, key), message)
        for key, message in entry_warnings(entry, calls):
            diagnostics.add_warning(("notify", place, key), message)


def _check_page(resolved: Resolved, diagnostics: Diagnostics, environ: Mapping[str, str], calls: BoundedCalls) -> None:
    """Adds what keeps the page from running: `run` goes on without it."""
    from lalald.config.secrets.page_secrets import check_secrets
    from lalald.config.secrets.secret_search import found_by

    try:
        found_by(check_secrets(resolved.web, environ), calls)
    except SettingError as error:
        key = error.origin if error.origin.startswith("web.") else "web.password_file"
        where = tuple(key.split("."))
        if key != error.origin:
            diagnostics.sources[where] = error.origin
        diagnostics.add_error(where, f"{error.problem}. {error.hint}")


def _daemon_uid(state_dir: Path | None) -> int:
    """Of the owner of the state folder where this is root's look at it."""
    try:
        return state_dir.stat().st_uid if state_dir is not None and os.geteuid() == 0 else os.geteuid()
    except OSError:
        return os.geteuid()


def _valid_config(examined: Examined) -> Config:
    """The configuration. Raises ConfigError with every error, and with the warnings as its hint."""
    try:
        return examined.config()
    except ConfigError as error:
        warnings = "".join(f"\n    {warning}" for warning in examined.diagnostics.formatted_warnings())
        hint = f"Also, as warnings:{warnings}" if warnings else ""
        raise ConfigError(str(error), hint=hint) from None


def _sections(config: Config, key: str) -> Iterator[Section]:
    from lalald.config.checks import literal_names
    from lalald.filesystem import mounts

    kind = mounts.filesystem_type(config.state_dir)
    rows = [
        ("service", config.api_url),
        ("license key", key),
        ("state", f"{config.state_dir} ({kind})" if kind else str(config.state_dir)),
        ("spending", _spending_limits(config)),
        ("transfers", _transfers(config)),
        *(("notify", f"{entry.name}: {_WAYS[entry.way]}") for entry in config.notify),
    ]
    yield Section(f"{config.path}: no errors", rows)
    if warnings := [*config.warnings, *literal_names.warnings(config)]:
        yield Section("warnings", [(warning,) for warning in warnings])
    for inbox in config.inboxes:
        yield _inbox(inbox)
        yield from map(_rule, inbox.rules)


def _spending_limits(config: Config) -> str:
    minutes = config.minutes
    limits = [f"{minutes.reserve:g} minutes are kept in reserve"] if minutes.reserve else []
    limits += [f"at most {minutes.per_file:g} minutes a file"] if minutes.per_file else []
    limits += [f"at most {minutes.per_day:g} minutes a day"] if minutes.per_day else []
    return ", ".join(limits) or "no limits but the minutes left"


def _transfers(config: Config) -> str:
    from lalald.config.quantities import format_rate

    parts = []
    for what, number, rate in (
        ("uploads", config.transfers.uploads, config.transfers.upload_rate),
        ("downloads", config.transfers.downloads, config.transfers.download_rate),
    ):
        parts.append(f"{number} {what} at once" + (f", at most {format_rate(rate)} together" if rate else ""))
    return "; ".join(parts)


def _inbox(inbox: Inbox) -> Section:
    from lalald.config.quantities import format_duration
    from lalald.inbox.scanning.watch_mode import choose_mode

    mode = choose_mode(inbox)
    depth = "with subfolders" if inbox.recursive else "without subfolders"
    rows = [
        ("results", str(inbox.outbox)),
        ("watched", f"{mode.watch} ({mode.reason}), {depth}; full scan every {format_duration(inbox.rescan)}"),
        ("new files", f"are processed {_when_finished(inbox.settle)}"),
        ("existing files", _EXISTING[inbox.existing]),
        ("ignored", ", ".join(inbox.ignore) or "only hidden, temporary and system files"),
        ("empty folders", "are removed once their files are archived" if inbox.prune else "stay"),
        ("afterwards", f"the source {_destination(inbox.on_success, inbox.done_dir)}"),
        ("on failure", f"the source {_destination(inbox.on_failure, inbox.failed_dir)}"),
    ]
    return Section(f"inbox {inbox.path}; the first rule that matches a file decides", rows)


def _when_finished(settle: float) -> str:
    from lalald.config.quantities import format_duration

    unchanged = f" and they have not changed for {format_duration(settle)}" if settle else ""
    return f"once no program is writing to them{unchanged}"


def _destination(policy: str, folder: Path) -> str:
    return {"move": f"moves to {folder}", "keep": "stays", "delete": "is deleted"}[policy]


def _rule(rule: Rule) -> Section:
    from lalald.config.checks.outputs import delivered_labels
    from lalald.presets import stems

    kinds = "audio and video" if rule.types == "media" else "any file"
    stem_count = sum(stems(task.mode, task.presets) for task in rule.tasks)
    rows = [
        ("files", f"{kinds}: {', '.join(rule.match)}" if rule.match else kinds),
        *(("task", _task(task.name, task.mode, task.presets)) for task in rule.tasks),
        ("results", f"{', '.join(delivered_labels(rule)) or 'every track'} to {rule.output}"),
        ("cost", "its duration" if stem_count == 1 else f"{stem_count} × its duration"),
    ]
    return Section(f"rule {rule.name}", rows)


def _task(name: str | None, mode: str, presets: Mapping[str, object]) -> str:
    settings = " ".join(f"{key}={_setting(value)}" for key, value in presets.items())
    return f"{f'{name}: ' if name else ''}{mode} {settings}".strip()


def _setting(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
