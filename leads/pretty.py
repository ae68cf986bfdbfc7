"""Pure: a body of JSON, line by line, for reading. Only the space between its parts changes.

It is not parsed and written anew: a number stays as it was spelt, a key that comes twice comes twice, and what is
broken is broken still.
"""

import re

_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_DEEPEST = 20  # levels that move to the right: each costs its depth on every line


def indented(text: str) -> str:
    """The text with a line for each of its values; "" for what does not begin as JSON does."""
    if not text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return ""
    lines = [""]
    depth, before = 0, ""
    for part in _PARTS.findall(text.lstrip("\ufeff")):
        if part in "}]":
            depth = max(depth - 1, 0)
        if _breaks(before, part):
            lines.append("  " * min(depth, _DEEPEST))
        lines[-1] += f"{part} " if part == ":" else part
        if part in "{[":
            depth += 1
        before = part
    return "\n".join(lines)


def _breaks(before: str, part: str) -> bool:
    """Whether a part begins a line: behind an opening or a comma, before a closing, and where a comma is missing."""
    if part in ",:" or before in ("", ":"):
        return False
    return not (before in "{[" and part in "}]")
