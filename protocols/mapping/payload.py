"""JSON from outside, read within limits: bytes before parsing, depth, keys and text lengths right after it."""

from __future__ import annotations

from decimal import Decimal

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


def parse_text(payload: bytes, bytes_max: int = PAYLOAD_BYTES_MAX) -> str:
    """The payload as UTF-8 text. Raises DecodeError."""
    if len(payload) > min(bytes_max, TEXT_BYTES_MAX):
        raise DecodeError(f"payload: longer than {min(bytes_max, TEXT_BYTES_MAX)} bytes")
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise DecodeError("payload: not UTF-8") from None


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
