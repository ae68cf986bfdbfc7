"""The restricted Liquid of template rules: what it can say, what it refuses, and that nothing makes it run long."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_sync.templates import FILTERS, OUTPUT_LIMIT, SOURCE_LIMIT, VALUE_LIMIT, TemplateError, check, render
from crm_sync.transforms import LEAD_VALUES

JANE = {
    "first_name": "Jane",
    "last_name": "Doe",
    "full_name": "Jane Doe",
    "company": "",
    "phone": "(425) 555-0100",
    "country_code": "US",
    "offer_title": "Contoso Backup",
    "received_at": "2026-11-22T10:00:00Z",
    "is_test": False,
    "campaign.utm_source": "newsletter",
    "extra.Deal size (USD)": "12",
    "extra.a.b": "dotted",
}


def refusal(source: str) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        check(source)
    return caught.value


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("no field at all", "no field at all"),
        ("{{ offer_title }}: {{ full_name }}", "Contoso Backup: Jane Doe"),
        ("{{ first_name }}{% if last_name %} {% endif %}{{ last_name }}", "Jane Doe"),
        ("{% if company %}at {{ company }}{% else %}alone{% endif %}", "alone"),
        ("{% if company == blank %}alone{% endif %}", "alone"),
        ("{% if company != '' %}{{ company }}{% endif %}", ""),
        ("{% if company or first_name %}known{% endif %}", "known"),
        ("{% if company and first_name %}both{% endif %}", ""),
        ("{% unless is_test %}real{% endunless %}", "real"),
        ("{% if is_test == false %}real{% endif %}", "real"),
        ("{% if country_code == 'DE' %}Hallo{% elsif country_code == 'US' %}Hi{% endif %}", "Hi"),
        ("{% if phone contains '425' %}near{% endif %}", "near"),
        ("{{ is_test }}", "false"),
        ("{% comment %}{% for %} {{ nonsense }}{% endcomment %}x", "x"),
        ("{% raw %}{{ as it is }}{% endraw %}", "{{ as it is }}"),
        ("a {{- first_name -}} b", "aJaneb"),
    ],
)
def test_a_template_writes_text_with_fields_and_conditions(source, text):
    assert render(source, JANE) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ campaign.utm_source }}", "newsletter"),
        ('{{ campaign["utm_source"] }}', "newsletter"),
        ('{{ extra["Deal size (USD)"] }}', "12"),
        ("{{ extra.a.b }}", "dotted"),
        ("[{{ campaign.utm_medium }}]", "[]"),
        ("[{{ campaign.size }}{{ extra.first }}]", "[]"),
        ("[{{ email }}]", "[]"),
    ],
)
def test_a_key_that_this_lead_lacks_is_empty(source, text):
    assert render(source, JANE) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ first_name | upcase }}", "JANE"),
        ("{{ first_name | downcase }}", "jane"),
        ("{{ 'hELLO you' | capitalize }}", "Hello you"),
        ("{{ '  x ' | strip }}", "x"),
        ('{{ company | default: "unknown" }}', "unknown"),
        ('{{ first_name | default: "unknown" }}', "Jane"),
        ("{{ company | default: last_name }}", "Doe"),
        ('{{ first_name | append: "!" | prepend: "Hi " }}', "Hi Jane!"),
        ('{{ full_name | replace: " ", "_" }}', "Jane_Doe"),
        ('{{ full_name | replace: "", "_" }}', "Jane Doe"),
        ('{{ full_name | remove: "e" }}', "Jan Do"),
        ("{{ full_name | truncate: 6 }}", "Jan..."),
        ("{{ full_name | truncate: 8 }}", "Jane Doe"),
        ('{{ full_name | truncate: 4, "" }}', "Jane"),
        ("{{ full_name | truncate: 2 }}", ".."),
        ('{{ received_at | date: "%d.%m.%Y" }}', "22.11.2026"),
        ('{{ first_name | date: "%d.%m.%Y" }}', "Jane"),
        ("{{ full_name | first_word }}", "Jane"),
        ("{{ full_name | last_word }}", "Doe"),
        ("{{ company | last_word | default: 'Unknown' }}", "Unknown"),
        ("{{ phone | digits }}", "4255550100"),
        ("{{ phone | e164 }}", "+14255550100"),
        ("{{ country_code | country_name }}", "United States"),
        ("{{ is_test | upcase }}{{ 1 | append: 2 }}{{ nil | default: 'x' }}", "FALSE12x"),
    ],
)
def test_a_filter_changes_text(source, text):
    assert render(source, JANE) == text


def test_every_filter_explains_itself_with_an_example_that_passes():
    for name, sentence in FILTERS.items():
        example = sentence[sentence.index("{{") :]
        assert f"| {name}" in example
        check(example)


def test_every_lead_value_can_be_named():
    for name in LEAD_VALUES:
        assert render(f"{{{{ {name} }}}}", {name: "x"}) == "x"


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("{{ frist_name }}", "did you mean “first_name”?"),
        ("{{ now }}", "no lead value “now”. Choose one of: id, first_name"),
        ("{{ first_name.size }}", "no lead value “first_name.size”"),
        ("{{ campaign }}", "“campaign” needs a key"),
        ('{{ campaign[""] }}', "no lead value “campaign.”"),
        ("{{ campaign[source] }}", "Put the key in quotes"),
        ("{% if frist_name %}{% endif %}", "did you mean “first_name”?"),
        ("{{ first_name | append: lst_name }}", "did you mean “last_name”?"),
        ("{{ first_name | upcas }}", "did you mean “upcase”?"),
        ("{{ first_name | join }}", "no filter “join”. Choose one of: upcase"),
        ("{{ first_name | append }}", "append is written otherwise. With text after it:"),
        ("{{ first_name | upcase: 1 }}", "upcase is written otherwise"),
        ("{{ first_name | default: other: 1 }}", "default is written otherwise"),
        ('{{ first_name | truncate: "x" }}', "truncate needs the number"),
        ('{{ first_name | truncate: "²" }}', "truncate needs the number"),
        ('{{ received_at | date: "%s" }}', "date knows %Y"),
        ("{{ (1..5) }}", "range"),
        ("{{ first_name | append: (1..5) }}", "range"),
        ('{% if (1..100000000) contains "x" %}{% endif %}', "range"),
        ("{% if first_name == (1..100000000) %}{% endif %}", "range"),
        ("{{ first_name", "expected '}}'"),
        ("{{ first_name | }}", "Liquid"),
        ("{{ }}", "Liquid"),
        ("{% if first_name %}", "endif"),
        ("{% if %}{% endif %}", "missing expression"),
        ("{% endif %}", "unexpected tag 'endif'"),
        ("{% if id %}a{% else %}b{% else %}c{% endif %}", "endif"),
        ("{% comment %}", "never closed"),
        ("{% raw %}", "raw"),
        ("{% doc %}x{% enddoc %}", "doc"),
        ("x" * (SOURCE_LIMIT + 1), "shorten it to at most 2,000"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_a_reason(source, part):
    assert part in refusal(source).message


@pytest.mark.parametrize(
    "tag",
    ["for x in campaign", "tablerow x in campaign", "case id", "assign x = 1", "capture x", "include 'x'", "render 'x'",
     "cycle 'a'", "increment x", "liquid echo id", "echo id", "extends 'x'", "# note", "break"],
)  # fmt: skip
def test_a_tag_that_repeats_stores_or_loads_is_refused(tag):
    assert f"“{tag.split()[0]}” cannot be used here, only if, elsif" in refusal(f"{{% {tag} %}}").message


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("{{ nonsense }}", (1, 4)),
        ("one\ntwo {{ nonsense }}", (2, 8)),
        ("\n\n{% for %}", (3, 4)),
        ("a\n{{ id | upcas }}", (2, 9)),
        ("a\n{{ id", (2, 1)),
        ("x" * 3000, (None, None)),
    ],
)
def test_a_refusal_names_the_place(source, place):
    error = refusal(source)
    assert (error.line, error.column) == place


def test_a_refused_template_does_not_render_either():
    with pytest.raises(TemplateError, match="range"):
        render("{{ (1..5) }}", JANE)


def test_an_output_beyond_the_limit_is_refused_not_cut():
    full = {"id": "é" * OUTPUT_LIMIT}
    assert len(render("{{ id }}", full)) == OUTPUT_LIMIT
    with pytest.raises(TemplateError, match="longer than 10,000"):
        render("{{ id }}.", full)
    assert render("{{ id | truncate: 5 }}.", full) == "éé...."


def test_a_huge_value_spoils_only_the_templates_that_use_it():
    huge = {"description": "x" * (VALUE_LIMIT + 1), "email": "jane@example.com"}
    assert render("{{ email }}", huge) == "jane@example.com"
    with pytest.raises(TemplateError, match="“description” of this lead is longer"):
        render("{{ description | truncate: 5 }}", huge)


def test_an_argument_that_comes_from_the_lead_is_checked_when_it_comes():
    with pytest.raises(TemplateError, match="truncate needs the number"):
        render("{{ id | truncate: company }}", {"id": "x", "company": "Contoso"})
    with pytest.raises(TemplateError, match="date knows"):
        render("{{ received_at | date: company }}", JANE | {"company": "%s"})


def test_a_comparison_that_makes_no_sense_is_refused_when_it_happens():
    with pytest.raises(TemplateError, match="not supported between") as caught:
        render("{% if phone < 5 %}{% endif %}", JANE)
    assert caught.value.line == 1


A50K = {"id": "a" * VALUE_LIMIT, "phone": "a" * 49 + "b" + "a" * 49}
HOSTILE = {
    "unclosed outputs": "{{" * 1000,
    "unclosed tags": "{% " * 660,
    "output of spaces": "{{" + " " * 1998,
    "tag of spaces": "{% a" + " " * 1990,
    "endless tag name": "{%" + "a" * 1998,
    "tag name and spaces": "{%" + "a" * 900 + " " * 900,
    "unclosed raws": "{%raw%}" * 285,
    "unclosed docs": "{%doc%}" * 285,
    "brackets": "{{ " + "['" * 990 + " }}",
    "parentheses": "{{ " + "(" * 1990 + " }}",
    "nested keys": "{{" + "id[" * 400 + "id" + "]" * 400 + "}}",
    "long condition": "{% if " + "id or " * 320 + "id %}{% endif %}",
    "deep conditions": "{% if id %}" * 90 + "x" + "{% endif %}" * 90,
    "allowed conditions": "{% if id %}" * 19 + "x" + "{% endif %}" * 19,
    "case that doubles": "{%case id%}{%when id,id,id,id,id%}" * 40 + "{%endcase%}" * 40,
    "long number": "{{ " + "9" * 1990 + " }}",
    "range of a condition": "{% if (1..99999999999) contains id %}{% endif %}",
    "replace chain": "{{ phone" + '|replace:"a","aaaaaaaa"' * 80 + "}}",
    "replace by values": "{{ id" + "|replace:phone,id" * 110 + "}}",
    "needle in a value": "{{ id" + "|remove:phone" * 140 + "}}",
    "needle in conditions": "{% if id contains phone %}{%endif%}" * 55,
    "append chain": "{{ id" + "|append:id" * 190 + "}}",
    "many filters": "{{ id" + "|upcase" * 280 + "|truncate:5}}",
    "many phones": "{{ phone" + "|e164" * 390 + "}}",
    "many countries": "{{ id" + "|country_name" * 150 + "}}",
    "many outputs": "{{id}}" * 330,
    "huge width": "{{ id | truncate: 999999 }}{{ id | truncate: 99999999999999999999 }}",
    "long date": "{{ received_at | date: id }}",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_template_ends_soon(source):
    started = time.process_time()
    try:
        text = render(source, A50K)
    except TemplateError:
        text = ""
    # The lexer of Liquid takes the square of a source that never closes what it opens; the rest is far quicker.
    assert time.process_time() - started < 3
    assert len(text) <= OUTPUT_LIMIT


PIECES = st.one_of(
    st.sampled_from(
        ("{{", "}}", "{%", "%}", "'", '"', "[", "]", "['", "']", "-", "\n", "\0", "é", "\ud800", "%Y")
    ),
    st.sampled_from(
        (" id ", " campaign.x ", "(1..9)", "1.5", " empty ", " nil ", " true ", " == ", " contains ", " and ")
    ),
    st.sampled_from(
        (" | ", "append: id", "upcase", "replace: 'a', id", "{{ id }}", "{% if id %}", "{% endif %}")
    ),
    st.sampled_from(
        (" if ", " elsif ", " else ", " endif ", " unless ", " comment ", " endcomment ", " raw ", " endraw ")
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join), st.text(max_size=50))
def test_any_source_renders_within_the_limit_or_is_refused(source, value):
    try:
        text = render(source, {"id": value, "campaign.x": value, "is_test": True})
    except TemplateError:
        return
    assert len(text) <= OUTPUT_LIMIT
    check(source)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*LEAD_VALUES]), st.none() | st.booleans() | st.integers() | st.text())
)
def test_what_passed_the_check_renders_for_any_lead(values):
    source = "".join(f"{{% if {name} %}}{{{{ {name} | strip }}}}{{% endif %}}" for name in LEAD_VALUES)
    assert isinstance(render(source, values), str)
