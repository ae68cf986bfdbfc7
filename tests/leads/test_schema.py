import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.schema import DEFAULT_SCHEMA, Problem, SchemaError, check_schema, problems

modestly = settings(max_examples=150, deadline=None, database=None)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["LeadSource", "UserDetails", "Phone", "type", "$ref", "pattern", "properties", "id"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


def test_the_default_schema_is_accepted():
    check_schema(DEFAULT_SCHEMA)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("end", ["", "#"])
@pytest.mark.parametrize(
    "draft", ["draft-04/schema", "draft-06/schema", "draft-07/schema", "draft/2020-12/schema"]
)
def test_a_draft_is_known_by_http_and_https_with_and_without_its_hash(scheme, draft, end):
    check_schema({"$schema": f"{scheme}://json-schema.org/{draft}{end}", "type": "object"})


def test_a_schema_without_a_draft_is_draft_04():
    exclusive = {"properties": {"n": {"type": "number", "minimum": 1, "exclusiveMinimum": True}}}
    check_schema(exclusive)
    assert problems({"n": 1}, exclusive)
    with pytest.raises(SchemaError, match="exclusiveMinimum"):
        check_schema(exclusive | {"$schema": "http://json-schema.org/draft-07/schema#"})


def test_a_later_draft_is_applied_by_its_own_rules():
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "dependentRequired": {"a": ["b"]}}
    assert problems({"a": 1}, schema)


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-03/schema#", "http://example.com/", "", 4, None]
)
def test_an_unknown_draft_is_refused_with_the_accepted_ones(draft):
    with pytest.raises(SchemaError, match=r"accepted are .*draft-04/schema.*2020-12"):
        check_schema({"$schema": draft})


@pytest.mark.parametrize("schema", [None, True, [], "{}", 1])
def test_a_schema_is_an_object(schema):
    with pytest.raises(SchemaError, match="JSON object"):
        check_schema(schema)


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ({"type": "texxt"}, "/properties/Email/type"),
        ({"pattern": "("}, "/properties/Email/pattern"),
        ({"patternProperties": {"(": {}}}, "/properties/Email/patternProperties"),
        ({"$ref": "http://example.com/lead.json"}, "/properties/Email/$ref"),
        ({"$ref": "lead.json"}, "/properties/Email/$ref"),
        ({"anyOf": [{"$ref": "file:///etc/passwd"}]}, "/properties/Email/anyOf/0/$ref"),
        ({"$ref": None}, "/properties/Email/$ref"),
        ({"$ref": "#/definitions/nowhere"}, "/properties/Email/$ref"),
    ],
)
def test_a_schema_that_cannot_be_applied_is_refused_with_the_place(part, where):
    with pytest.raises(SchemaError) as caught:
        check_schema({"properties": {"Email": part}})
    assert f"At {where}:" in str(caught.value)


def test_a_circle_of_references_is_refused():
    with pytest.raises(SchemaError, match="circle"):
        check_schema({"$ref": "#"})


def test_a_schema_nested_beyond_reason_is_refused():
    schema = {}
    for _ in range(5000):
        schema = {"not": schema}
    with pytest.raises(SchemaError, match="nested too deeply"):
        check_schema(schema)


def test_a_local_reference_is_followed():
    schema = {"id": "http://example.com/a.json", "definitions": {"t": {"type": "string"}}}
    schema["properties"] = {"a": {"$ref": "#/definitions/t"}}
    check_schema(schema)
    assert problems({"a": "x"}, schema) == []
    assert problems({"a": 1}, schema) == [Problem("/a", "a must be text, but a number came.")]


def test_an_id_among_allowed_values_is_a_value():
    schema = {"properties": {"a": {"enum": [{"id": "x"}]}}}
    assert problems({"a": {"id": "x"}}, schema) == []
    assert problems({"a": {}}, schema)


def test_problems_are_sorted_and_few_and_short():
    schema = {"additionalProperties": {"enum": ["x"]}}
    found = problems({f"k{n}": "y" * 100_000 for n in range(50)}, schema)
    assert len(found) == 20
    assert found == sorted(found, key=lambda problem: problem.pointer)
    assert max(len(problem.message) for problem in found) <= 300


def test_a_pointer_escapes_what_rfc_6901_says():
    assert problems({"a/b~": 1}, {"additionalProperties": {"type": "string"}})[0].pointer == "/a~1b~0"


def test_a_schema_that_breaks_while_it_is_applied_is_the_problem_and_no_crash():
    (problem,) = problems({}, {"$ref": "#"})
    assert "schema cannot be applied" in problem.message


def test_nothing_is_ever_fetched():
    (problem,) = problems({}, {"$ref": "http://127.0.0.1:1/schema.json"})
    assert "schema cannot be applied" in problem.message


def test_a_problem_is_a_dictionary_for_the_answer():
    assert Problem("/a", "wrong", 1, 2).as_dict() == {
        "pointer": "/a",
        "line": 1,
        "column": 2,
        "message": "wrong",
    }


@modestly
@given(values)
def test_the_short_cut_for_the_default_schema_and_the_validator_agree(document):
    same_schema_without_the_short_cut = json.loads(json.dumps(DEFAULT_SCHEMA))
    assert problems(document, None) == problems(document, same_schema_without_the_short_cut)


@modestly
@given(values, values)
def test_a_schema_that_is_accepted_can_be_applied_to_anything(schema, document):
    with suppress(SchemaError):
        check_schema(schema)
        assert not any("cannot be applied" in problem.message for problem in problems(document, schema))


# Bounded in time


DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
DRAFT_2020 = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
EXPLODES = r"^(\w+\s?)*$"  # doubles its work with every letter in front of one that it does not take
SLOW = "a" * 19_000 + "!"


def doubling(keyword):
    """Sixty parts, each of which refers twice to the next."""
    steps = {f"d{n}": {keyword: [{"$ref": f"#/definitions/d{n + 1}"}] * 2} for n in range(60)}
    return {"definitions": steps | {"d60": {"type": "null"}}, "$ref": "#/definitions/d0"}


NASTY_SCHEMAS = {
    "pattern": {"additionalProperties": {"pattern": EXPLODES, "items": {"pattern": r"[^\W\d_]+\d"}}},
    "patternProperties": {"patternProperties": {EXPLODES: {}, r"(\w+\s?)*#": {}}},
    "additionalProperties": {"patternProperties": {EXPLODES: {}}, "additionalProperties": False},
    "propertyNames": {**DRAFT_7, "propertyNames": {"pattern": EXPLODES}},
    "another draft inside": {"properties": {"x": {**DRAFT_7, "items": {"pattern": EXPLODES}}}},
    "itself": {**DRAFT_7, "items": {"$ref": "#"}, "properties": {"x": {"$ref": "#"}}, "pattern": EXPLODES},
    "uniqueItems": {"properties": {"x": {"uniqueItems": True}}},
    "enum": {"properties": {"x": {"items": {"enum": [f"v{n}" for n in range(6000)]}}}},
    "deep enum": {"properties": {"x": {"enum": [[0] * 300 + [n] for n in range(60)]}}},
    "const": {**DRAFT_7, "properties": {"x": {"contains": {"const": {"a": [1] * 10_000}}}}},
    "allOf": {"properties": {"x": {"items": {"allOf": [{}] * 15_000}}}},
    "oneOf": {"properties": {"x": {"items": {"oneOf": [{"type": "null"}] * 1000}}}},
    "anyOf": {"properties": {"x": {"anyOf": [{"items": {"type": "null"}}] * 50}}},
    "references": doubling("anyOf"),
    "required": {"properties": {"x": {"items": {"required": [f"p{n}" for n in range(5000)]}}}},
    "multipleOf": {"properties": {"x": {"items": {"multipleOf": 1e-300}}}},
    "minimum": {"properties": {"x": {"items": {"minimum": int("9" * 4000)}}}},
    "anchor": {
        **DRAFT_2020,
        "$defs": {f"a{n}": {"$anchor": f"n{n}"} for n in range(1500)},
        "properties": {"x": {"items": {"$ref": "#n1499"}}},
    },
    "unevaluatedProperties": {**DRAFT_2020, "properties": {}, "unevaluatedProperties": False},
}
NASTY_BODIES = {
    "a long text": {"x": "a" * 250_000, "Phone": SLOW},
    "long texts": {f"k{n}": SLOW for n in range(13)},
    "texts": {"x": ["a" * 60 + "!"] * 4000},
    "names": {"a" * 50 + f"!{n}": 0 for n in range(4000)},
    "numbers": {"x": [1e300] * 40_000},
    "objects": {"x": [{}] * 80_000},
    "different things": {"x": [[n] if n % 2 else {"a": n} for n in range(24_000)]},
    "a tree": {"x": [[[[[[0, 0, 0]] * 8] * 8] * 8] * 8]},
}


@pytest.mark.parametrize("schema", NASTY_SCHEMAS.values(), ids=NASTY_SCHEMAS)
def test_no_schema_holds_up_any_body_for_a_second(schema):
    def seconds(body):
        start = thread_time()  # processor time: a busy machine is no fault of the schema's
        problems(body, schema)
        return thread_time() - start

    # On a busy machine even that is longer now and then, but not three times in a row.
    slow = {name: body for name, body in NASTY_BODIES.items() if seconds(body) > 0.8}
    assert [name for name, body in slow.items() if min(seconds(body), seconds(body)) > 0.8] == []


def test_a_pattern_that_takes_too_long_says_whose_it_is():
    schema = {"properties": {"UserDetails": {"properties": {"Phone": {"pattern": EXPLODES}}}}}
    assert problems({"UserDetails": {"Phone": SLOW}}, schema) == [
        Problem(
            "/UserDetails/Phone",
            "The pattern of Phone took longer than 50 ms: simplify it in the offer's schema.",
        )
    ]


def test_a_pattern_for_names_that_takes_too_long_says_where():
    schema = {"properties": {"UserDetails": {"patternProperties": {EXPLODES: {}}}}}
    (problem,) = problems({"UserDetails": {SLOW: 1}}, schema)
    assert problem.message.startswith("The pattern for the names in UserDetails took longer than 50 ms")


def test_a_pattern_that_takes_too_long_never_counts_as_one_that_does_not_fit():
    schema = {"properties": {"Phone": {"not": {"pattern": EXPLODES}}}}
    (problem,) = problems({"Phone": SLOW}, schema)
    assert "took longer than 50 ms" in problem.message


def test_a_text_too_long_for_any_pattern_is_said_to_be():
    (problem,) = problems({"Phone": "a" * 20_001}, {"properties": {"Phone": {"pattern": "^a*$"}}})
    assert problem.message.startswith(
        "The pattern of Phone is tried on 20,000 characters at the most, but 20,001"
    )


def test_what_was_found_before_the_time_was_up_is_said_too():
    schema = {"properties": {"Phone": {"maxLength": 20, "pattern": EXPLODES}}}
    assert [problem.pointer for problem in problems({"Phone": SLOW}, schema)] == ["/Phone", "/Phone"]


def test_references_that_double_at_every_step_are_given_up():
    (problem,) = problems({"x": 1}, doubling("anyOf"))
    assert "took too long: simplify the schema" in problem.message


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, True, 0, False, "1", None], True),
        ([1, 1.0], False),
        ([True, True], False),
        ([[1], [True]], True),
        ([{"a": [1], "b": 2}, {"b": 2.0, "a": [1]}], False),
        ([{"a": 1}, {"a": True}], True),
        ([[], {}, ""], True),
        ([[1, 2], [2, 1]], True),
    ],
)
def test_items_are_unique_as_json_has_it(items, unique):
    assert (problems({"x": items}, {"properties": {"x": {"uniqueItems": True}}}) == []) is unique


def test_names_beside_the_allowed_ones_are_named():
    schema = {"properties": {"a": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False}
    assert problems({"a": 1, "x-b": 2}, schema) == []
    assert problems({"a": 1, "d": 3, "c": 2}, schema) == [
        Problem("", "The schema allows no other names here: 'c', 'd'")
    ]


def test_names_beside_the_allowed_ones_may_have_a_schema_of_their_own():
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "string"}}
    assert problems({"a": 1, "b": "x"}, schema) == []
    assert [problem.pointer for problem in problems({"a": 1, "b": 2}, schema)] == ["/b"]


@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_explodes_is_refused_when_it_is_saved(keyword):
    pattern = r"^(a|a)*$"
    part = {keyword: pattern if keyword == "pattern" else {pattern: {}}}
    with pytest.raises(
        SchemaError, match=f"At /properties/Phone/{keyword}: .* takes too long on a text of 100"
    ):
        check_schema({"properties": {"Phone": part}})


def test_a_pattern_may_use_what_javascript_has():
    schema = {"properties": {"Company": {"pattern": r"^\p{L}+$"}}}
    check_schema(schema)
    assert problems({"Company": "Müller"}, schema) == []
    assert problems({"Company": "4711"}, schema)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (
            {"properties": {"a": {"pattern": "x" * 2001}}},
            "At /properties/a/pattern: a pattern may have 2,000",
        ),
        ({"enum": ["x" * 70_000]}, "may have 65,536 characters"),
        ({"maximum": float("inf")}, "no JSON number"),
        ({"maximum": 10**5000}, "far too large"),
        ({"enum": ["\0"]}, "cannot be stored"),
        ({"enum": ["\ud800"]}, "cannot be stored"),
        ({**DRAFT_2020, "unevaluatedItems": False}, "use additionalItems"),
    ],
)
def test_a_schema_that_cannot_be_stored_or_bounded_is_refused(schema, reason):
    with pytest.raises(SchemaError, match=reason):
        check_schema(schema)


def test_a_schema_that_takes_too_long_to_check_is_refused(monkeypatch):
    monkeypatch.setattr("leads.schema._CHECK_BUDGET", 0.1)
    with pytest.raises(SchemaError, match="takes too long to check: simplify it"):
        check_schema(doubling("allOf"))


def test_a_pattern_may_speak_of_nul():
    check_schema({"properties": {"a": {"pattern": r"^[^\u0000]*$"}}})


def test_other_threads_do_not_use_up_the_time_of_this_one():
    """Leads that come all at once on one process must not be quarantined for being many."""
    schema = {"properties": {"x": {"items": {"pattern": "^[a-z]+$"}}}}
    body = {"x": ["abc"] * 600}  # far below the limit for one, far above it for all of them together
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(lambda _: problems(body, schema), range(48))) == [[]] * 48
