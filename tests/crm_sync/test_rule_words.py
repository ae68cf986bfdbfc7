"""A rule for reading: what people see of it who write no templates."""

import pytest

from crm_sync import connectors
from crm_sync.mapping import Rule
from crm_sync.rule_words import row

SPEC = connectors.get("demo").spec


@pytest.mark.parametrize(
    ("template", "made_of"),
    [
        ("{{ offer_title }}: {{ full_name }}", ""),
        ("Only words", ""),
        ("{{ phone | digits }}", "Made of Phone."),
        ("{% if last_name %}{{ last_name }}{% else %}{{ email }}{% endif %}", "Made of Last name, E-mail."),
        ("{% if nothing }", ""),
    ],
)
def test_a_text_that_reads_like_a_program_is_told_by_what_it_is_made_of(template: str, made_of: str) -> None:
    said = row(Rule(target="topic", kind="template", template=template), SPEC)
    assert (said.made_of, said.value) == (made_of, template)


def test_no_other_rule_is_made_of_fields() -> None:
    assert row(Rule(target="topic", kind="constant", value="{% odd %}"), SPEC).made_of == ""
