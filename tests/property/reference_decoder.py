"""What a canonical line must be, written a second time in plain Python: the standard library's JSON, then checks.

It shares the model's tables with the compiled decoder and nothing else. `read_line` gives the columns or raises.
"""

from __future__ import annotations

import json
import re
from typing import Any

from engine.model import ELEMENT_VALUES, ELEMENTS, ENVELOPE, FIELDS, KINDS, VALUES, Group, Type, field_type
from ext.kinds import NAMES

ABSENT = -(2**63)
TOPS = {
    **dict.fromkeys(("line", "sub"), 2**31 - 1),
    **dict.fromkeys(("t", "t_rx"), 7258118400000000),
    **dict.fromkeys(("qty", "weight_g", "tol_g"), 2**53 - 1),
    "over_tol_pct": 1000,
}
TEXT_COLUMNS = ["task", "order", "sku", "lu", "carton", "track", "lot", "loc", "dest", "dest_req", "code", "press"]


def read_line(line: bytes) -> dict[str, Any] | None:
    """The columns of a record, texts as texts; None for a blank line; ValueError for one that is refused."""
    if len(line.removesuffix(b"\r")) > 256 * 1024:
        raise ValueError("line")
    line = line.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    if not line:
        return None
    try:
        record = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refuse,
        )
    except RecursionError:
        raise ValueError("depth") from None
    if not isinstance(record, dict):
        raise ValueError("object")
    _walk(record, 1)
    return _columns(record)


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs) or len(pairs) > 256:
        raise ValueError("keys")
    return members


def _number(text: str) -> float:
    exponent = re.search(r"[eE]([+-]?\d+)", text)
    if len(text) > 64 or (exponent and abs(int(exponent[1])) > 240):
        raise ValueError("number")
    return float(text)


def _integer(text: str) -> Any:
    _number(text)
    return -1 if text.startswith("-") else int(text)  # -0 too is no quantity


def _walk(value: Any, depth: int) -> None:
    if isinstance(value, (dict, list)):
        if depth > 32:
            raise ValueError("depth")
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _walk(item, depth + 1)
    elif isinstance(value, str) and len(value.encode()) > 4096:  # a lone surrogate raises here
        raise ValueError("text")


def _check(value: Any, wanted: Type, name: str) -> None:
    if wanted is Type.TEXT:
        good = isinstance(value, str) and 0 < len(value.encode()) <= (128 if name == "src" else 4096)
    elif wanted is Type.INT:
        good = type(value) is int and int(name == "rev") <= value <= TOPS.get(name, 2**63 - 1)
    elif wanted is Type.BOOL:
        good = isinstance(value, bool)
    elif wanted is Type.TEXTS:
        good = isinstance(value, list) and all(isinstance(text, str) and text for text in value)
    elif wanted is Type.NESTED:
        good = isinstance(value, list)
    else:
        good = value is not None
    if not good:
        raise ValueError(name)


def _check_elements(kind: str, name: str, elements: list[Any]) -> None:
    alternatives = ELEMENTS[kind, name]
    for element in elements:
        if not alternatives:
            _check(element, Type.INT, "line")
            continue
        if not isinstance(element, dict) or not any(names <= element.keys() for names in alternatives):
            raise ValueError(name)
        for key, value in element.items():
            if FIELDS.get(key) in (Type.TEXT, Type.INT, Type.BOOL):
                _check(value, FIELDS[key], key)
            if value not in ELEMENT_VALUES.get(key, (value,)):
                raise ValueError(key)


def _columns(record: dict[str, Any]) -> dict[str, Any]:
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError("kind")
    noise = KINDS[kind].group is Group.NOISE
    for name, value in record.items():
        wanted = ENVELOPE.get(name) or (None if noise else field_type(kind, name))
        if wanted is not None:
            _check(value, wanted, name)
            if value not in VALUES.get((kind, name), (value,)):
                raise ValueError(name)
            if (kind, name) in ELEMENTS and not noise:
                _check_elements(kind, name, value)
    if "t_rx" not in record or ("src" not in record and kind != "clock.tick"):
        raise ValueError("envelope")
    if not any(names <= record.keys() for names in KINDS[kind].required):
        raise ValueError("required")
    payload = {} if noise else record
    return {
        "kind": NAMES.index(kind),
        "flags": bool(record.get("hist")) + 2 * ("alloc" in payload),
        "src": record.get("src", ""),
        "t_rx": record["t_rx"],
        "t": record.get("t", ABSENT),
        "epoch": record.get("epoch", 0),
        "seq": record.get("seq", ABSENT),
        "sub": record.get("sub", 0),
        "qty": payload.get("qty", ABSENT),
        "weight_g": payload.get("weight_g", ABSENT),
        "line": payload.get("line", -1),
        **{name: payload.get(name, "") for name in TEXT_COLUMNS},
    }
