import json
from contextlib import suppress

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
