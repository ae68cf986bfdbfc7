"""What is kept of an exchange can be stored by every database."""

import json

import pytest

from crm_sync.recorder import MASK, Recorder, mask_literals


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00 raw",
        json.dumps({"message": "nul \x00", "token": "masked"}).encode(),
        b'{"message": "half a pair \\ud800", "token": "masked"}',
    ],
)
def test_what_a_crm_answers_can_be_stored_whatever_it_is(answer: bytes) -> None:
    recorder = Recorder()
    recorder.record(
        "POST", "https://crm.example/\x00", {"x-odd": "\x00"}, b"{}",
        status=400, answer_headers={"x-odd": "\x00"}, answer=answer, error="\x00", duration=0.1,
    )  # fmt: skip
    kept = str(list(recorder.exchanges[0].as_dict().values()))
    texts = [value for value in recorder.exchanges[0].as_dict().values() if isinstance(value, str)]
    assert "\x00" not in "".join(texts)
    assert "".join(texts).encode()  # half a surrogate pair would raise
    assert "\\x00" not in kept


@pytest.mark.parametrize(
    ("secret", "quoted"),
    [
        ("https://x.example/in?sp=a&sig=Zm9v%2FYmFy%3D", "Cannot POST /in?sp=a&amp;sig=Zm9v%2FYmFy%3D"),
        ("https://x.example/in?sp=a&sig=Zm9v%2FYmFy%3D", "The signature Zm9v/YmFy= does not match"),
        ("AccountName=contoso;AccountKey=Y29udG9zbw==;EndpointSuffix=x", "no key Y29udG9zbw=="),
    ],
)
def test_the_signature_of_a_url_and_the_key_in_a_connection_string_are_secret_by_themselves(
    secret: str, quoted: str
) -> None:
    masked = mask_literals(quoted, [secret])
    assert MASK in masked
    assert "Zm9v" not in masked
    assert "Y29u" not in masked


def test_what_else_stands_in_a_secret_may_be_said() -> None:
    secret = "https://x.example/in?api-version=2026-11-22&sp=a&sig=Zm9vYmFyYmF6&key=on"
    assert mask_literals("contoso turned it on, 2026-11-22", [secret]) == "contoso turned it on, 2026-11-22"
