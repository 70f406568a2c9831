"""What was probably meant: the closest known word to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 9


def unknown(noun: str, got: object, known: Iterable[str]) -> str:
    """`unknown stem "vocal" (known: vocals, drum, …). Did you mean "vocals"?`"""
    names = list(known)
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"unknown {noun} {quoted(got)} (known: {shown}){did_you_mean(str(got), names)}"


def did_you_mean(got: str, known: Iterable[str]) -> str:
    """`. Did you mean "vocals"?`, or nothing where no known word is close."""
    closest = _closest(got, list(known))
    return f'. Did you mean "{closest}"?' if closest else ""


def _closest(got: str, known: list[str]) -> str | None:
    from difflib import get_close_matches

    plain = {_plain(word): word for word in reversed(known)}
    close = get_close_matches(_plain(got)[:100], plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")


def quoted(value: object) -> str:
    """A value as its writer would recognise it, on one line and not too long."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + _shortened("".join(char if char.isprintable() else " " for char in value)) + '"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return _shortened(str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"
