"""Batches of requests in one body, and the answers to each."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odatapy.server.batch import BatchParser, BatchResponseSerializer
from odatapy.server.request import ODataResponse

from crm_sync.connectors.base import Request
from crm_sync.connectors.dynamics365 import batch
from crm_sync.http import Response, Unreadable

BASE = "https://crm.example/api/data/v9.2"


def answer(content: bytes, kind: str = 'multipart/mixed; boundary="b"') -> Response:
    return Response(200, {"content-type": kind}, content)


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["\r\n--batch_1--\r\n", "--batch_1", "\r\n\r\nHTTP/1.1 204 No Content", "\u2028", "\x85"]
)
_bodies = st.dictionaries(st.sampled_from(["a", "b@odata.bind"]), _texts | st.integers() | st.booleans())


@given(st.lists(_bodies, min_size=1, max_size=5))
def test_another_reads_from_a_batch_what_was_written_into_it(bodies: list[dict[str, Any]]) -> None:
    """Whatever texts are in it, also ones that look like the end of a part."""
    requests = [
        Request("PATCH", f"{BASE}/leads({number})", {"if-none-match": "*", "content-type": "x/y"}, body)
        for number, body in enumerate(bodies)
    ]
    content = batch.written(requests, "batch_1").encode()
    parts = BatchParser(BASE).parse(content, "batch_1")
    read = [part.item.request for part in parts if part.item]
    assert [json.loads(each.body) for each in read] == bodies
    assert [each.raw_odata_path for each in read] == [f"leads({number})" for number in range(len(bodies))]
    assert all(each.headers == {"if-none-match": "*", "content-type": "x/y"} for each in read)


_answers = st.tuples(
    st.sampled_from([200, 204, 400, 412, 429, 500]),
    st.dictionaries(
        st.sampled_from(["Retry-After", "OData-EntityId"]), st.text("abc/(): 0-9", min_size=1, max_size=9)
    ),
    st.dictionaries(st.just("error"), _texts, max_size=1),
)


@given(st.lists(_answers, max_size=5))
def test_what_another_answers_to_a_batch_is_read(answers: list[tuple[int, dict[str, str], Any]]) -> None:
    told = []
    for status, headers, body in answers:
        response = ODataResponse()
        response.set_status(status)
        for name, value in headers.items():
            response.set_header(name, value.strip() or "x")
        response.set_content(json.dumps(body) if status != 204 else "", "application/json")
        told.append(response)
    serializer = BatchResponseSerializer("batchresponse_1")
    content = serializer.serialize((None, each) for each in told)
    read = batch.read(answer(content, "multipart/mixed; boundary=batchresponse_1"))
    assert [each and each.status for each in read] == [status for status, _, _ in answers]
    for each, (status, _, body), sent in zip(read, answers, told, strict=True):
        assert each is not None
        assert all(each.headers[name.lower()] == value for name, value in sent.headers.items())
        assert status == 204 or each.json() == body


_pieces = st.lists(
    st.sampled_from(
        [
            *(b"--b", b"--b--", b"--b \t", b"\r\n", b"\n", b"--bc", b"x", b"\r\n\r\n"),
            *(
                b"Content-Type: application/http",
                b"HTTP/1.1 204 No Content",
                b"HTTP/1.1 2040",
                b"HTTP/1.1 204",
            ),
            *(b"\xff\x00", b": ", b"--"),
        ]
    )
    | st.binary(max_size=8),
    max_size=40,
).map(b"".join)


@given(_pieces, st.text(max_size=30) | st.sampled_from(["multipart/mixed; boundary=b"] * 3))
def test_no_answer_to_a_batch_does_harm(content: bytes, kind: str) -> None:
    try:
        parts = batch.read(answer(content, kind))
    except Unreadable as error:
        assert error.sent
        return
    assert all(part is None or 100 <= part.status < 600 for part in parts)
    assert len(parts) <= content.count(b"--b")


@pytest.mark.parametrize(
    ("content", "statuses"),
    [
        (b"", []),
        (b"--b--", []),
        (b"preamble\r\n--b\r\n\r\n--b--\r\nepilogue", [None]),
        (b"--b\nContent-Type: application/http\n\nHTTP/1.1 204 No Content\n\n--b--", [204]),
        (b"--b\r\ncontent-type: APPLICATION/HTTP; v=1\r\n\r\nHTTP/1.1 204\r\n\r\n--b--", [204]),
        (b"--b\r\nContent-Type: text/plain\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n--b--", [None]),
        (b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 2 04\r\n\r\n--b--", [None]),
        # The end is missing: what came last may have been cut off.
        (b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", []),
        (b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n--b\r\n", [204]),
    ],
)
def test_parts_that_cannot_be_read_are_told_from_those_that_are_not_there(
    content: bytes, statuses: list[int | None]
) -> None:
    assert [part and part.status for part in batch.read(answer(content))] == statuses


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/html",
        "multipart/mixed",
        "multipart/mixed; boundary=",
        "multipart/mixed; boundary=" + "x" * 71,
    ],
)
def test_what_is_no_answer_to_a_batch_is_unreadable(kind: str) -> None:
    with pytest.raises(Unreadable):
        batch.read(answer(b"--b--", kind))
