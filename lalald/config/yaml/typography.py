"""Find quotes and spaces that word processors and web pages replace plain ones with; to YAML they are letters."""

from __future__ import annotations

import re

_QUOTES = re.compile(r"[“”„‟‘’‚«»][^“”„‟‘’‚«»]*[“”„‟‘’‚«»]")
_INVISIBLE = re.compile("[\u00a0\u00ad\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]")


def invisible(text: str) -> str | None:
    """`U+00A0`: the first character that looks like a space, or like nothing, but is another one."""
    found = _INVISIBLE.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def oddity(value: str) -> str | None:
    """A warning for an unquoted value with such characters."""
    if _QUOTES.fullmatch(value.strip()):
        return f'has typographic quotes, which are part of the value; write "{value.strip()[1:-1]}"'
    code = invisible(value)
    return f"has an invisible character in it ({code}); if it is not meant, type the value again" if code else None
