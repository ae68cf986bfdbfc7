"""Pure: what a thousand reasons have in common that differ by an id, an address or a quoted value."""

import re

LIMIT = 200  # characters of a group, as the database holds them
READ = (
    2_000  # characters of a reason that are looked at: reasons are sentences, and strangers write longer ones
)
GAP = "…"  # stands for whatever differs from lead to lead

# Every repetition is bounded or possessive, so hostile text takes linear time. The first alternative that fits wins.
_DIFFERS = re.compile(
    r"""
    (?P<kept> \bHTTP\ \d{3}\b | \b0x[0-9A-Fa-f]{8}\b | \bAADSTS\d{4,10}\b )   # says what is wrong, not with whom
    | \b[a-z][a-z0-9+.-]{1,20}+://[^\s"'<>]++                                 # an address
    | "[^"]{0,300}+(?:"|\Z) | “[^”]{0,300}+(?:”|\Z) | «[^»]{0,300}+(?:»|\Z) | `[^`]{0,300}+(?:`|\Z)
    | (?<!\w)'.{0,300}?'(?!\w) | (?<!\w)\u2018[^\u2019]{0,300}+(?:\u2019|\Z)
    | [^\s@"<>()\[\],;:“\u2018«]{1,64}+@[\w.-]++                                   # an e-mail address
    | \b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b                # a UUID
    | \b\d{1,4}(?P<sign>[-/.])\d{1,2}(?P=sign)\d{1,4}(?:[T ]\d\d:\d\d[\d:.,]*+(?:Z|[+-]\d\d:?\d\d)?)?
    | (?<!\w)(?=(?:[A-Za-z_-]{0,40}\d){3})[A-Za-z\d_-]{8,80}+(?!\w)           # an id: letters and three digits
    | \d++(?:[.,:]\d++)*+                                                     # a number, an amount, a time
    """,
    re.VERBOSE,
)
_SEVERAL = re.compile(rf"{GAP}(?:[\s,;:/+]*+{GAP})++")


def group_of(reason: str) -> str:
    """The reason with a gap in place of what differs from lead to lead; "" for none. At most 200 characters."""
    text = " ".join(reason[:READ].split())
    found = _DIFFERS.sub(lambda match: match["kept"] or GAP, text)
    return _SEVERAL.sub(GAP, found)[:LIMIT].strip()
