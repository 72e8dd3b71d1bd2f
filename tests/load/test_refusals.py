"""In the words of those who refuse: PostgREST 14, the hosted gateway, Kong."""

from __future__ import annotations

import pytest

from phasegate.load.transport import Answer
from phasegate.model.api_refusals import (
    EXPIRED_ADVICE,
    KEY_ADVICE,
    MESSAGE_LENGTH_MAX,
    OTHER_ADVICE,
    TOKEN_ADVICE,
    advice,
    said,
)


def refusal(body: bytes) -> str:
    return said(Answer(401, body, {}, 0.0, 0.1))


@pytest.mark.parametrize(
    ("body", "message", "then"),
    [
        (
            b'{"code":"PGRST301","message":"No suitable key or wrong key type"}',
            "PGRST301 No suitable key or wrong key type",
            TOKEN_ADVICE,
        ),
        (
            b'{"code":"PGRST301","message":"JWSError JWSInvalidSignature"}',
            "PGRST301 JWSError JWSInvalidSignature",
            TOKEN_ADVICE,
        ),
        (b'{"code":"PGRST303","message":"JWT expired"}', "PGRST303 JWT expired", EXPIRED_ADVICE),
        (
            b'{"message":"Invalid API key","hint":"Double check your key"}',
            "Invalid API key",
            KEY_ADVICE,
        ),
        (
            b'{"message":"Legacy API keys are disabled"}',
            "Legacy API keys are disabled",
            KEY_ADVICE,
        ),
        (
            b'{"message":"Invalid authentication credentials"}',
            "Invalid authentication credentials",
            KEY_ADVICE,
        ),
        (b"", "no message", KEY_ADVICE),
        (b"<html>", "no message", KEY_ADVICE),
        (b"[1]", "no message", KEY_ADVICE),
        (
            b'{"code":"42501","message":"permission denied for table tasks"}',
            "42501 permission denied for table tasks",
            OTHER_ADVICE,
        ),
    ],
)
def test_a_refusal_says_what_to_do(body: bytes, message: str, then: str) -> None:
    assert refusal(body) == message
    assert advice(401, message) == then


def test_a_refusal_is_no_longer_than_a_sentence() -> None:
    assert len(refusal(b'{"message":"' + b"x" * 9000 + b'"}')) == MESSAGE_LENGTH_MAX
