"""JSON from outside, read within limits: bytes before parsing, depth, keys and text lengths right after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from engine.errors import DecodeError

PAYLOAD_BYTES_MAX = 262_144
DEPTH_MAX = 32
KEYS_MAX = 256
TEXT_BYTES_MAX = 4096

# decimals as they are spelled: a weight of 0.1 kg is exactly 100 g
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def parse_json(payload: bytes, bytes_max: int = PAYLOAD_BYTES_MAX) -> object:
    """The JSON value: dict, list, str, int, Decimal, bool or None.

    Raises DecodeError: too long (more than `bytes_max`), not UTF-8, not JSON, deeper than DEPTH_MAX, an object with
    more than KEYS_MAX keys, a text longer than TEXT_BYTES_MAX.
    """
    if len(payload) > bytes_max:
        raise DecodeError(f"payload: longer than {bytes_max} bytes")
    try:
        value: object = _DECODER.decode(payload)
    except RecursionError:
        raise DecodeError("payload: JSON is too deep") from None
    except UnicodeDecodeError:
        raise DecodeError("payload: not UTF-8") from None
    except (msgspec.MsgspecError, ArithmeticError, ValueError):
        raise DecodeError("payload: not JSON") from None
    _check_limits(value)
    return value


def parse_record(payload: bytes, bytes_max: int = PAYLOAD_BYTES_MAX) -> object:
    """`parse_json` of what is a canonical record already, where a key that comes twice in one object is refused: which
    of the two is meant nobody can tell. (In other JSON the last one counts.) Raises DecodeError."""
    value = parse_json(payload, bytes_max)
    json.loads(payload.decode(), object_pairs_hook=_once, parse_int=str, parse_float=str)
    return value


def parse_text(payload: bytes, bytes_max: int = PAYLOAD_BYTES_MAX) -> str:
    """The payload as UTF-8 text. Raises DecodeError."""
    if len(payload) > min(bytes_max, TEXT_BYTES_MAX):
        raise DecodeError(f"payload: longer than {min(bytes_max, TEXT_BYTES_MAX)} bytes")
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise DecodeError("payload: not UTF-8") from None


PARSERS: Mapping[str, Callable[[bytes, int], object]] = {
    "canonical": parse_record,
    "json": parse_json,
    "text": parse_text,
}
"""How a payload is read, by the `format` of the site file."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise DecodeError("payload: a key twice in one object")


def _check_limits(value: object) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        below: list[object] = []
        for element in level:
            if isinstance(element, str):
                _check_text(element)
            elif isinstance(element, dict | list):
                if depth > DEPTH_MAX:
                    raise DecodeError("payload: JSON is too deep")
                below.extend(_inside(element))
        level = below


def _inside(value: dict[str, object] | list[object]) -> list[object]:
    if isinstance(value, list):
        return value
    if len(value) > KEYS_MAX:
        raise DecodeError(f"payload: an object with more than {KEYS_MAX} keys")
    for key in value:
        _check_text(key)
    return list(value.values())


def _check_text(text: str) -> None:
    if len(text) * 4 > TEXT_BYTES_MAX and len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES_MAX:
        raise DecodeError(f"payload: a text longer than {TEXT_BYTES_MAX} bytes")
