"""The page of a field mapping as a browser without scripts sees it: its inputs filled in, its buttons pressed."""

from typing import Any

from django.test import Client

from crm_sync.mapping import Rule
from crm_sync.mapping_owner import Owner
from crm_sync.models import Destination, Route
from tests.crm_sync.screens import words
from tests.inputs import Inputs
from tests.staff import signed_in

BUTTONS = {"Save draft": "_save", "Preview": "_preview", "Publish": "_publish", "Add field": "_add"}


class Screen:
    """The page of a mapping in front of somebody."""

    def __init__(
        self, owner: Route | Destination, who: str | Client = "bob", response: Any = None, **query: str
    ) -> None:
        self.owner, self.client = owner, signed_in(who) if isinstance(who, str) else who
        self.url = Owner(owner).url()
        self.response = response or self.client.get(self.url, query)
        assert self.response.status_code == 200, self.response.status_code
        self.html = self.response.content.decode()
        self.inputs = Inputs(self.html)
        self.data = self.inputs.data

    @property
    def text(self) -> str:
        return words(self.html)

    @property
    def count(self) -> int:
        """Rows of its own."""
        return int(self.data["rows"][0])

    def row(self, number: int) -> dict[str, list[str]]:
        prefix = f"row-{number}-"
        return {
            name.removeprefix(prefix): values for name, values in self.data.items() if name.startswith(prefix)
        }

    def row_of(self, target: str) -> int:
        """The number of the first row of a field, by what its input shows."""
        return next(number for number in range(self.count) if self.row(number)["target"] == [target])

    def fill(self, number: int, **inputs: str | list[str]) -> "Screen":
        for name, value in inputs.items():
            self.data[f"row-{number}-{name}"] = value if isinstance(value, list) else [value]
        return self

    def send(self, button: str, value: str = "1", **more: Any) -> Any:
        """Press a button of the form."""
        return self.client.post(self.url, {**self.data, BUTTONS.get(button, button): value, **more})

    def press(self, button: str, value: str = "1", **more: Any) -> "Screen":
        """Press a button that stays on the page."""
        return Screen(self.owner, self.client, self.send(button, value, **more))

    def add(self, **inputs: str | list[str]) -> "Screen":
        """A new row with that in it."""
        page = self.press("Add field")
        return page.fill(page.count - 1, **inputs)

    def errors(self) -> list[set[str]]:
        """The inputs that are marked, row by row."""
        return [set(form.errors) for form in self.response.context["editing"].forms]


def save(owner: Route | Destination, *rows: dict[str, Any], who: str | Client = "bob") -> Any:
    """Add rows and save the draft."""
    page = Screen(owner, who)
    for given in rows:
        page = page.add(**given)
    return page.send("Save draft")


def publish(
    owner: Route | Destination, *rows: dict[str, Any], who: str | Client = "bob", note: str = ""
) -> Any:
    """Add rows and publish them, past the page that says what changes."""
    page = Screen(owner, who)
    for given in rows:
        page = page.add(**given)
    response = page.send("Publish")
    assert response.status_code == 302, page.errors()
    return confirm(owner, page.client, note)


def confirm(owner: Route | Destination, client: Client, note: str = "") -> Any:
    """Press *Publish* on the page that says what changes."""
    url = Owner(owner).url("mapping_publish")
    asked = client.get(url)
    if asked.status_code != 200:
        return asked
    where = {"worked_in": "here"} if asked.context["where"] else {}
    return client.post(url, {"seen": asked.context["seen"], "note": note, **where})


def draft_rules(owner: Route | Destination) -> tuple[Rule, ...]:
    draft = owner.draft
    return draft.as_rules() if draft else ()
