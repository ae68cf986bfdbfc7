"""What is kept of an exchange can be stored by every database."""

import json

import pytest

from crm_sync.recorder import Recorder


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
