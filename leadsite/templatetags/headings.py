"""The headings of a list, where a narrow screen shows its rows as cards."""

from collections.abc import Iterable, Iterator
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

register = template.Library()


@register.filter
def headed(cells: Iterable[SafeString], headers: Iterable[dict[str, Any]]) -> Iterator[SafeString]:
    """The cells of a row, as the admin makes them, each data cell with the heading of its column in `data-heading`.

    The first cell says what the row is of, and is a `th`; a box to tick has no heading in words.
    """
    for cell, header in zip(cells, headers, strict=False):
        is_data = cell.startswith("<td") and "action-checkbox" not in header["class_attrib"]
        heading = format_html('<td data-heading="{}"', capfirst(header["text"]))
        yield SafeString(cell.replace("<td", heading, 1)) if is_data else cell
