"""Characters that word processors and web pages put in the place of plain ones: quotes and spaces that YAML takes for letters."""

from __future__ import annotations

import re

_QUOTES = re.compile(r"[“”„‟‘’‚«»][^“”„‟‘’‚«»]*[“”„‟‘’‚«»]")
_INVISIBLE = re.compile("[\u00a0\u00ad\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]")


def invisible(text: str) -> str | None:
    """`U+00A0` for the first character that looks like a plain space, or like nothing, and is not one."""
    found = _INVISIBLE.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def oddity(value: str) -> str | None:
    """What to say of an unquoted value that holds such characters."""
    if _QUOTES.fullmatch(value.strip()):
        return f'has typographic quotes, which are part of the value; write "{value.strip()[1:-1]}"'
    code = invisible(value)
    return f"has an invisible character in it ({code}); if it is not meant, type the value again" if code else None
