"""What axe-core, of tests/tools, finds on a page that not everybody could use."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from playwright.sync_api import Page

from tests.node_tools import node_tools

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# Through the browser's own door for tools: our policy lets no page load a script that is not ours, and stays as it is.
RUN = "options => axe.run(document, options)"
ABOUT_COLOURS = ("color-contrast", "link-in-text-block")  # all that changes with the theme alone


def barriers(page: Page, rules: Sequence[str] = RULES) -> list[str]:
    """Each rule that the page breaks, and where. Skips the test where npm's tools are not installed."""
    if not page.evaluate("() => 'axe' in window"):  # once a page: it is large
        page.evaluate(_axe())
    found: dict[str, Any] = page.evaluate(
        RUN, {"runOnly": rules, "preload": False, "resultTypes": ["violations"]}
    )
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@cache
def _axe() -> str:
    return (node_tools() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
