"""Check how keys fit together: patterns that match nothing or everything, unreachable rules, keys without effect, the address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from lalald.config import patterns
from lalald.config.checks import pattern_advice
from lalald.config.checks.pattern_advice import Context
from lalald.config.diagnostics import Diagnostics, Where
from lalald.config.model import CHECKS_PER_MINUTE, DEFAULT_API_URL, Inbox, Rule
from lalald.config.schema import file_schema
from lalald.media.types import MEDIA
from lalald.suggestions import quoted

_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?\.?")  # in small letters


def check_patterns(written: Sequence[str], where: Where, diagnostics: Diagnostics) -> None:
    """Report every invalid pattern."""
    for place, pattern in enumerate(written):
        if not patterns.is_pattern(pattern):
            diagnostics.add_error(
                (*where, place),
                f"{quoted(pattern)} is not a gitignore pattern that can match a file{pattern_advice.remedy(pattern)}",
            )


def check_ignored(written: tuple[str, ...], where: Where, diagnostics: Diagnostics) -> None:
    check_patterns(written, where, diagnostics)
    if not written or not takes_everything(written):
        return
    culprit = next((pattern for pattern in written if takes_everything((pattern,))), "")
    said = f"{quoted(culprit)} matches" if culprit else "together these match"
    diagnostics.add_warning(where, f"{said} every file, so that no file in this inbox will be processed")


def check_meaning(inbox: Inbox, context: Context, where: Where, diagnostics: Diagnostics) -> None:
    """Warn about patterns that match nothing, or not what was probably meant."""
    for place, pattern in enumerate(inbox.ignore):
        if odd := pattern_advice.advice(pattern, context):
            diagnostics.add_warning((*where, "ignore", place), odd.message(pattern))
    for number, rule in enumerate(inbox.rules):
        for place, pattern in enumerate(rule.match):
            if odd := pattern_advice.advice(pattern, context, rule):
                diagnostics.add_warning((*where, "rules", number, "match", place), odd.message(pattern))


def takes_everything(written: tuple[str, ...]) -> bool:
    """Whether patterns match every media file, as `*` does: tried with a name of each type, at the top and in a folder."""
    names = (f"{folder}{ending} 1.{ending}" for ending in MEDIA for folder in ("", "x y/z/"))
    return all(patterns.takes(written, name) for name in names)


def check_reach(found: Sequence[Rule], where: Where, diagnostics: Diagnostics) -> None:
    """Warn about rules that no file reaches: an earlier rule matches all their files, or they match nothing."""
    for place, rule in enumerate(found):
        earlier = next((other for other in found[:place] if _covers(other, rule)), None)
        if earlier:
            diagnostics.add_warning(
                (*where, place),
                f"never reached: the rule {quoted(earlier.name)} before it takes every file that it matches",
            )
        elif rule.match and all(pattern.startswith("!") for pattern in rule.match):
            diagnostics.add_warning(
                (*where, place, "match"),
                'matches nothing: patterns with ! only take back what an earlier one, such as "*", took',
            )


def _covers(earlier: Rule, later: Rule) -> bool:
    if earlier.types == "media" and later.types == "any":
        return False
    if not earlier.match or takes_everything(earlier.match):
        return True
    plain = not any(pattern.startswith("!") for pattern in (*earlier.match, *later.match))
    return bool(later.match) and plain and set(later.match) <= set(earlier.match)


def check_unused(section: file_schema.Inbox, where: Where, diagnostics: Diagnostics) -> None:
    """Warn about folders without effect: nothing is moved to them, or out of them."""
    written = section.model_fields_set
    if "done_dir" in written and section.on_success != "move":
        diagnostics.add_warning((*where, "done_dir"), f"has no effect with on_success: {section.on_success}")
    if section.prune and section.on_success == "keep":
        diagnostics.add_warning((*where, "prune"), "has no effect with on_success: keep: no folder is ever emptied")
    if "failed_dir" in written and section.on_failure != "move":
        diagnostics.add_warning((*where, "failed_dir"), f"has no effect with on_failure: {section.on_failure}")


def check_pace(checks_per_minute: int, diagnostics: Diagnostics) -> None:
    if checks_per_minute > CHECKS_PER_MINUTE:
        words = f"the service's document allows {CHECKS_PER_MINUTE}; more may be refused"
        diagnostics.add_warning(("checks_per_minute",), words)


def origin(written: str, diagnostics: Diagnostics) -> str:
    """The service's address without a slash at its end: https, or http on this machine only, since the license key goes there."""
    try:
        parts = urlsplit(written.strip())
        words = _address_error(parts)
    except ValueError as error:
        words = f"expected an address such as {DEFAULT_API_URL}, got {quoted(written)} ({error})"
    if words:
        diagnostics.add_error(("api_url",), words)
        return DEFAULT_API_URL
    return f"{parts.scheme}://{parts.netloc}".lower()


def _address_error(parts: SplitResult) -> str | None:
    from lalald.config.proxies import is_loopback  # loads `urllib.request`, which few commands need

    if parts.username is not None or parts.password is not None:
        return "expected an address without a name and password in it"
    host, _ = parts.hostname, parts.port
    if parts.scheme not in ("https", "http") or not host or not _is_host(host):
        return f"expected an address such as {DEFAULT_API_URL}, got {quoted(parts.geturl())}"
    if parts.path.strip("/") or parts.query or parts.fragment or "?" in parts.geturl() or "#" in parts.geturl():
        return (
            f"expected the address alone, such as {parts.scheme}://{parts.netloc}: the paths of the API are added to it"
        )
    if parts.scheme == "http" and not is_loopback(host):
        return f"http is for this machine only, since the license key would travel in the open; write https://{parts.netloc}"
    return None


def _is_host(host: str) -> bool:
    """As strict as the HTTP client: otherwise the daemon would refuse an address that `check-config` accepts."""
    labels = host.removesuffix(".").split(".")
    return ":" in host or (_HOST_NAME.fullmatch(host) is not None and all(0 < len(part) <= 63 for part in labels))
