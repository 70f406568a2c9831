"""The configuration as the page shows it: secrets as `set`, never where they are."""

from __future__ import annotations

from typing import Any

from lalald.config import Inbox, Rule
from lalald.control.page_settings import PageSettings
from lalald.web.page_text import inbox_facts, limits, rule_lines

_INBOX = (
    "existing", "recursive", "watch", "poll_interval", "settle", "rescan", "changed", "ignore", "prune", "on_success",
    "on_failure",
)  # fmt: skip
_RULE = ("name", "match", "types", "output", "on_conflict", "duplicates", "tracks", "delete", "manifest")


def config_object(settings: PageSettings) -> dict[str, Any]:
    config = settings.config
    return {
        "path": str(config.path),
        "api_url": config.api_url,
        "limits": limits(settings),
        "license_key": _set(settings.license_key_is_set),
        "minutes": {
            "reserve": config.minutes.reserve,
            "per_file": config.minutes.per_file,
            "per_day": config.minutes.per_day,
        },
        "transfers": {
            "uploads": config.transfers.uploads,
            "downloads": config.transfers.downloads,
            "upload_rate": config.transfers.upload_rate,
            "download_rate": config.transfers.download_rate,
        },
        "on_lost_task": config.on_lost_task,
        "history": config.history,
        "inboxes": [_inbox(inbox) for inbox in config.inboxes],
        "web": _web(settings),
        "notify": list(settings.notify_names),
    }


def _set(is_set: bool) -> str:
    return "set" if is_set else "not set"


def _web(settings: PageSettings) -> dict[str, Any]:
    web = settings.config.web
    return {
        "listen": web.listen,
        "auth": web.auth,
        "uploads": web.uploads,
        "hosts": list(web.hosts),
        "trusted_proxies": list(web.trusted_proxies),
        "password": _set(settings.verifier is not None),
        "read_token": _set(settings.read_token is not None),
    }


def _inbox(inbox: Inbox) -> dict[str, Any]:
    return {
        "path": str(inbox.path),
        "outbox": str(inbox.outbox),
        "done_dir": str(inbox.done_dir),
        "failed_dir": str(inbox.failed_dir),
        **{name: getattr(inbox, name) for name in _INBOX},
        "facts": inbox_facts(inbox),
        "rules": [_rule(rule) for rule in inbox.rules],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    tasks = [{"name": task.name, "mode": task.mode, "presets": dict(task.presets)} for task in rule.tasks]
    facts = {name: getattr(rule, name) for name in _RULE}
    labels, tags = dict(rule.labels), getattr(rule, "tags", True)
    return {**facts, "labels": labels, "tags": tags, "tasks": tasks, "lines": rule_lines(rule)}
