"""The rows of a field mapping as they stand on its page, saved or not, and what a button does to them.

No script is needed to edit: every button submits the page, and those that only move rows about save nothing.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from django.http import QueryDict

from crm_sync import row_forms
from crm_sync.mapping import Rule
from crm_sync.mapping_owner import Owner
from crm_sync.row_forms import Choices, Raw, RowForm
from crm_sync.rule_diff import Difference, differences
from crm_sync.rule_words import by_label

SAVING = frozenset({"_save", "_publish", "_overwrite"})


class Editing:
    """The rows on the page: those that are stored, or those that a browser sent.

    `posted`: what it sent, None for a page that is opened. `presses`: the button in it counts. `recent`: values of
    leads, as examples. `prefilled`: the new row that somebody came to fill in.
    """

    def __init__(
        self,
        owner: Owner,
        posted: QueryDict | None,
        *,
        presses: bool = True,
        recent: Sequence[Mapping[str, Any]] = (),
        prefilled: Rule | None = None,
    ) -> None:
        self.owner, self.posted = owner, QueryDict() if posted is None else posted
        self.choices = Choices(
            owner.spec, row_forms.source_choices(recent, owner.spec, owner.unknown_names())
        )
        self.presses = presses
        self.focus: int | None = None
        self.is_stored = posted is None
        self.raws = self._stored(prefilled) if posted is None else row_forms.raws_in(posted)
        if presses:
            self._obey()
        if self.saves:
            self.raws = [raw for raw in self.raws if not row_forms.is_blank(raw)]
        self.forms = row_forms.forms_of(self.raws, self.choices, finished=self.saves)
        self.is_valid = not sum(
            len(form.errors) for form in self.forms
        )  # of each, so that each says what is wrong

    def _stored(self, prefilled: Rule | None) -> list[Raw]:
        rules = row_forms.in_order(self.owner.rules, self.owner.spec)
        raws = row_forms.raws_of(rules, self.choices)
        if prefilled:
            raws.append({"kind": [prefilled.kind], "source": [prefilled.source], "new": ["1"]})
            self.focus = len(raws) - 1
        return raws

    @property
    def saves(self) -> bool:
        """Whether the button that was pressed saves."""
        return self.presses and bool(self.posted.keys() & SAVING)

    # What the other buttons do to the rows on the page

    def _obey(self) -> None:
        data = self.posted.dict()
        if "_add" in data:
            self._append({"kind": ["field"], "new": ["1"]})
        elif "_remove" in data:
            number = self._number(data["_remove"])
            self.raws[number : number + 1] = []
        elif "_up" in data:
            self._swap(self._number(data["_up"]), step=-1)
        elif "_down" in data:
            self._swap(self._number(data["_down"]), step=1)
        elif "_override" in data:
            inherited = [rule for rule in self.owner.inherited if rule.target == data["_override"]]
            for raw in row_forms.raws_of(inherited, self.choices):
                self._append(raw)
        elif "_leave_out" in data:
            self._append(row_forms.raws_of([Rule(str(data["_leave_out"]), "omit")], self.choices)[0])

    def _append(self, raw: Raw) -> None:
        self.raws.append(raw)
        self.focus = len(self.raws) - 1

    def _number(self, sent: Any) -> int:
        number = row_forms.number_in(sent)
        return len(self.raws) if number is None else min(number, len(self.raws))

    def _swap(self, number: int, *, step: int) -> None:
        """Let a row change places with the next one of its field in that direction."""
        if number >= len(self.raws):
            return
        target, at = self._target(number), number + step
        while 0 <= at < len(self.raws):
            if self._target(at) == target:
                self.raws[number], self.raws[at] = self.raws[at], self.raws[number]
                self.focus = at
                return
            at += step

    def _target(self, number: int) -> str:
        return self.choices.name("".join(self.raws[number].get("target", ())))

    # What they say

    @cached_property
    def counted(self) -> list[RowForm]:
        """The rows that say something now: all that are stored, and of those that were typed the ones in order."""
        return [form for form in self.forms if form.rule and (self.is_stored or not form.errors)]

    @cached_property
    def rules(self) -> list[Rule]:
        return [form.rule for form in self.counted if form.rule]

    @property
    def seen(self) -> str:
        """A mark of the stored rows that this page was made from."""
        return (
            self.current if self.is_stored else self.posted.get("_overwrite") or self.posted.get("seen", "")
        )

    @property
    def current(self) -> str:
        return row_forms.digest(self.owner.rules)

    @property
    def conflict(self) -> bool:
        """Whether somebody else saved since this page was made."""
        return self.saves and self.seen != self.current

    def conflicting(self) -> list[Difference]:
        """How what is on the page differs from what somebody else saved."""
        return differing(self.owner, self.owner.rules, self.rules)


def differing(owner: Owner, before: Sequence[Rule], after: Sequence[Rule]) -> list[Difference]:
    """How rows differ, in the order and the words of the page."""

    def shown(rules: Sequence[Rule]) -> list[Rule]:
        return [by_label(rule, owner.spec) for rule in row_forms.in_order(rules, owner.spec)]

    return differences(shown(before), shown(after), owner.labels)
