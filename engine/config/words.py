"""What a type lets in and what a value is, in words for whoever writes a site file."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from msgspec import inspect

from engine.config.faults import nearest

_KEYS_SHOWN_MAX = 6
LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def values_of(kind: inspect.LiteralType | inspect.EnumType) -> list[object]:
    """The values that a choice is among."""
    if isinstance(kind, inspect.LiteralType):
        return list(kind.values)
    return [member.value for member in kind.cls]


def must_be(kind: inspect.Type) -> str:
    return f"must be {_allowed(kind)}"


def _allowed(kind: inspect.Type) -> str:
    """What a type lets in, in words."""
    if isinstance(kind, inspect.Metadata):
        return described(kind) or _allowed(kind.type)
    if isinstance(kind, inspect.UnionType):
        words = [_allowed(member) for member in kind.types if not isinstance(member, _ABSENT)]
        return " or ".join(dict.fromkeys(words))
    if isinstance(kind, inspect.LiteralType | inspect.EnumType):
        return choices_of(values_of(kind))
    if isinstance(kind, inspect.StructType):
        names = [field.encode_name for field in kind.fields]
        shown = ", ".join(f"{name} = ..." for name in names[:_KEYS_SHOWN_MAX])
        return f"a table {{ {shown}{', ...' if len(names) > _KEYS_SHOWN_MAX else ''} }}"
    if isinstance(kind, LISTS):
        return f"a list, each element {_allowed(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return "a table" + ("" if _is_anything(kind.value_type) else f", each value {_allowed(kind.value_type)}")
    if isinstance(kind, inspect.StrType):
        return "a string" + (f" that matches {kind.pattern}" if kind.pattern else "")
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return ("a whole number" if isinstance(kind, inspect.IntType) else "a number") + _bounds(kind)
    return _WORDS.get(type(kind).__name__, type(kind).__name__.removesuffix("Type").lower())


def described(kind: inspect.Metadata) -> str:
    """What a pattern means, as `description` of the type says it; "": it has none."""
    return str((kind.extra_json_schema or {}).get("description", ""))


def _is_anything(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.AnyType)


_ABSENT = (inspect.NoneType,)
_WORDS = {
    "BoolType": "true or false",
    "TupleType": "a list",
    "DateTimeType": "a date and time",
    "DateType": "a date",
    "TimeType": "a time",
}


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    bounds = [
        f"{sign} {bound}"
        for sign, bound in ((">=", kind.ge), (">", kind.gt), ("<=", kind.le), ("<", kind.lt))
        if bound is not None
    ]
    if kind.multiple_of is not None:
        bounds.append(f"a multiple of {kind.multiple_of}")
    return " " + " and ".join(bounds) if bounds else ""


def choices_of(values: Iterable[object]) -> str:
    words = sorted(f'"{value}"' if isinstance(value, str) else str(value).lower() for value in values)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def meant(value: object, choices: Iterable[object]) -> str:
    near = nearest(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else None
    return f'; did you mean "{near}"?' if near else ""


def is_a(value: object) -> str:
    """What a value is, never what it contains."""
    for shape, words in _IS:
        if isinstance(value, shape):
            return words
    return f"a {type(value).__name__}"


_IS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number with a fraction"),
    (str, "a string"),
    (dict, "a table"),
    (list, "a list"),
    (datetime.datetime, "a date and time"),
    (datetime.date, "a date"),
    (datetime.time, "a time"),
)
