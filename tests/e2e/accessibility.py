"""What axe-core, of tests/tools, finds on a page that not everybody could use."""

from typing import Any

from playwright.sync_api import Page

from tests.node_tools import node_tools

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# Through the browser's own door for tools: our policy lets no page load a script that is not ours, and stays as it is.
RUN = "options => axe.run(document, options)"


def barriers(page: Page) -> list[str]:
    """Each rule that the page breaks, and where. Skips the test where npm's tools are not installed."""
    page.evaluate(_axe())
    found: dict[str, Any] = page.evaluate(
        RUN, {"runOnly": RULES, "preload": False, "resultTypes": ["violations"]}
    )
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def _axe() -> str:
    return (node_tools() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
