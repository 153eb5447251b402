"""JSON from outside: each limit at n - 1, n and n + 1, and nothing but DecodeError for anything at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import DecodeError
from protocols.mapping.payload import (
    DEPTH_MAX,
    KEYS_MAX,
    PARSERS,
    PAYLOAD_BYTES_MAX,
    TEXT_BYTES_MAX,
    parse_json,
    parse_record,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def keys(count: int) -> bytes:
    return b"{" + b",".join(b'"k%d":1' % key for key in range(count)) + b"}"


def texts(length: int) -> bytes:
    return b'{"a":["%s"]}' % (b"x" * length)


def long(length: int) -> bytes:
    return b"[%s]" % (b" " * (length - 2))


@pytest.mark.parametrize(
    ("make", "limit", "cause"),
    [
        (nested, DEPTH_MAX, "too deep"),
        (keys, KEYS_MAX, "keys"),
        (texts, TEXT_BYTES_MAX, "text longer"),
        (long, PAYLOAD_BYTES_MAX, "longer than 262144"),
    ],
)
def test_limits(make: object, limit: int, cause: str) -> None:
    assert callable(make)
    parse_json(make(limit - 1))
    parse_json(make(limit))
    with pytest.raises(DecodeError, match=cause):
        parse_json(make(limit + 1))


def test_limits_count_bytes_not_letters() -> None:
    parse_json('"{}"'.format("ü" * (TEXT_BYTES_MAX // 2)).encode())
    with pytest.raises(DecodeError, match="text longer"):
        parse_json('"{}"'.format("ü" * (TEXT_BYTES_MAX // 2 + 1)).encode())
    with pytest.raises(DecodeError, match="text longer"):
        parse_json(b'{"%s":1}' % (b"k" * (TEXT_BYTES_MAX + 1)))


@pytest.mark.parametrize("payload", [b'{"qty":1,"sku":"S","qty":2}', b'{"lines":[{"qty":1,"q\\u0074y":1}]}'])
def test_a_record_with_a_key_twice_is_none(payload: bytes) -> None:
    with pytest.raises(DecodeError, match="a key twice"):
        parse_record(payload)
    parse_json(payload)
    assert parse_record(payload.replace(b'"q', b'"p', 1)) == parse_json(payload.replace(b'"q', b'"p', 1))


def test_a_decimal_keeps_its_spelling() -> None:
    assert parse_json(b'{"kg":0.10}') == {"kg": Decimal("0.10")}


@pytest.mark.parametrize(
    ("payload", "cause"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"NaN", "not JSON"),
        (b'{"a":1}{', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b'"\\ud800"', "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b"[" * 200_000, "too deep"),
    ],
)
def test_what_is_no_json_is_named(payload: bytes, cause: str) -> None:
    with pytest.raises(DecodeError, match=cause):
        parse_json(payload)


@given(st.binary(max_size=200))
@example(b"1e999999999999999999")
@example(b"-" * 100)
def test_any_bytes_are_json_or_a_decode_error(payload: bytes) -> None:
    for parse in PARSERS.values():
        try:
            parse(payload, PAYLOAD_BYTES_MAX)
        except DecodeError as error:
            assert len(error.cause) < 100
