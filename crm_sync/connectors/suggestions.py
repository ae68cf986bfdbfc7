"""Fields with the rules that a suggested mapping has for them, as a configuration file writes them.

A template's text ends at 10,000 characters and a lead may say more, so whatever is put together is cut before.
"""

from crm_sync.spec import FieldType, TargetField

Suggestion = dict[str, object]

DNC: Suggestion = {"kind": "constant", "value": "true", "when": {"action": ["DNC"]}}


def value(source: str, transform: str = "") -> Suggestion:
    """A lead value as it is, or put through a transform."""
    rule: Suggestion = {"kind": "field", "source": source}
    return rule | {"transform": transform} if transform else rule


def text(*parts: str) -> Suggestion:
    """A text with lead values in it, without the blanks around it."""
    return {"kind": "template", "template": "".join(parts), "transform": "trim"}


def table(source: str, names: dict[str, str], fallback: str) -> Suggestion:
    """What the table has for a lead value, else the fallback."""
    return {"kind": "lookup", "source": source, "table": names, "fallback": fallback}


def field(
    name: str,
    label: str,
    source: str = "",
    type: FieldType = "text",  # noqa: A002 - as TargetField calls it
    *,
    transform: str = "",
    max_length: int = 0,
) -> TargetField:
    """A field of the CRM that takes a lead value, or that is not part of the suggested mapping."""
    suggested = value(source, transform) if source else None
    return TargetField(name, label, type, max_length=max_length, suggested=suggested)


# What a record is called: the offer, the person, and what the person did.
TITLE = text(
    '{{ offer_title | default: offer_id | default: "Marketplace lead" | truncate: 150 }}: '
    '{{ full_name | default: email | default: company | default: "Unknown" | truncate: 100 }}'
    "{% if action %} ({{ action | truncate: 30 }}){% endif %}"
)
# For CRMs that require them: what stands before the @ for a name, what stands behind it for a company.
LAST_NAME = text(
    "{% if last_name %}{{ last_name | truncate: 1000 }}{% else %}"
    '{{ email | replace: "@", " " | first_word | truncate: 100 | default: "Unknown" }}{% endif %}'
)
COMPANY = text(
    "{% if company %}{{ company | truncate: 1000 }}{% else %}"
    '{{ email | replace: "@", " " | last_word | truncate: 100 | default: "Unknown" }}{% endif %}'
)
# Where the lead is from, in lines.
ORIGIN = (
    "{% if offer_title %}Offer: {{ offer_title | truncate: 300 }}\n{% endif %}"
    "{% if action %}Action: {{ action_label | truncate: 100 }} ({{ action | truncate: 100 }})\n{% endif %}"
    "{% if lead_source %}Source: {{ lead_source | truncate: 300 }}\n{% endif %}"
)
WORDS = "{{ description | truncate: 8000 }}"  # of the customer
# Whatever the CRM has no field for.
DESCRIPTION = text(ORIGIN, "{% if country %}Country: {{ country | truncate: 100 }}\n{% endif %}\n", WORDS)
