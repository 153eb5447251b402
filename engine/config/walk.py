"""Holds a decoded TOML value against a msgspec type and names every fault, where msgspec itself stops at the first.

Two passes in one walk. A struct whose table has no fault of type is built, and its optional method
`faults() -> Iterable[tuple[path relative to the table, message]]` says what types cannot; nested structs are asked
before the ones that hold them. Values are quoted in messages only where the type already limits them (bounds, choices):
a secret that was put where something else belongs must not show.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from inspect import signature
from typing import Any

import msgspec
from msgspec import NODEFAULT, inspect

from engine.config.faults import Fault, below, item_path, key_path, nearest, suggest

_KEYS_SHOWN_MAX = 6


def check(value: object, kind: Any, path: str = "", also: Iterable[str] = ()) -> list[Fault]:
    """All faults of `value` (what tomllib made) as a `kind` (a struct class or any type msgspec knows), by path.

    `also`: names that the table may have as well and that the caller took out of it, for suggestions only.
    """
    walk = _Walk(path, tuple(also))
    walk.value(value, inspect.type_info(kind), path)
    return list(dict.fromkeys(walk.typed + walk.meant))


class _Walk:
    """`typed`: what does not fit its type. `meant`: what fits and yet cannot be meant, as `faults()` methods say."""

    def __init__(self, root: str = "", also: tuple[str, ...] = ()) -> None:
        self.root = root
        self.also = also
        self.typed: list[Fault] = []
        self.meant: list[Fault] = []

    def wrong(self, path: str, message: str) -> None:
        self.typed.append(Fault(path, message))

    def value(self, value: object, kind: inspect.Type, path: str) -> None:
        if isinstance(kind, inspect.Metadata):
            self.value(value, kind.type, path)
        elif isinstance(kind, inspect.UnionType):
            self.union(value, kind, path)
        elif not _fits(value, kind):
            self.wrong(path, f"{_must_be(kind)}, is {_is(value)}")
        elif isinstance(kind, inspect.StructType):
            self.struct(_table(value), kind, path)
        elif isinstance(kind, inspect.DictType):
            self.mapping(_table(value), kind, path)
        elif isinstance(kind, inspect.TupleType):
            self.row(value, kind, path)
        elif isinstance(kind, _LISTS):
            self.items(value, kind, path)
        else:
            self.scalar(value, kind, path)

    def union(self, value: object, kind: inspect.UnionType, path: str) -> None:
        fitting = [member for member in kind.types if _fits(value, member)]
        if not fitting:
            self.wrong(path, f"{_must_be(kind)}, is {_is(value)}")
            return
        structs = [member for member in fitting if isinstance(member, inspect.StructType)]
        if len(structs) > 1:
            self.tagged(_table(value), structs, path)
        elif len(fitting) == 1 or isinstance(value, dict):
            self.value(value, fitting[0], path)
        else:
            self.any_of(value, fitting, kind, path)

    def any_of(self, value: object, fitting: list[inspect.Type], kind: inspect.UnionType, path: str) -> None:
        """Several plain types of one shape (an int that may be a float, a text that may be a choice)."""
        for member in fitting:
            attempt = _Walk()
            attempt.value(value, member, path)
            if not attempt.typed:
                self.meant += attempt.meant
                return
        self.wrong(path, _must_be(kind))

    def tagged(self, table: Mapping[str, object], structs: list[inspect.StructType], path: str) -> None:
        field = structs[0].tag_field or "type"
        by_tag: dict[object, inspect.StructType] = {member.tag: member for member in structs}
        tag = table.get(field, NODEFAULT)
        if isinstance(tag, str | int) and tag in by_tag:
            self.struct(table, by_tag[tag], path)
            return
        choices = _choices(by_tag)
        at = key_path(path, field)
        if tag is NODEFAULT:
            self.wrong(at, f"missing: must be {choices}")
        else:
            self.wrong(at, f"must be {choices}{_meant(tag, by_tag)}")

    def struct(self, table: Mapping[str, object], kind: inspect.StructType, path: str) -> None:
        before = len(self.typed)
        fields = {field.encode_name: field for field in kind.fields}
        for key in table:
            if key not in fields and key != kind.tag_field:
                known = [
                    *fields,
                    *([kind.tag_field] if kind.tag_field else []),
                    *(self.also if path == self.root else ()),
                ]
                self.wrong(key_path(path, key), f"unknown key: {suggest(key, known)}")
        for name, field in fields.items():
            if name in table:
                self.value(table[name], field.type, key_path(path, name))
            elif field.required:
                self.wrong(key_path(path, name), f"missing: {_must_be(field.type)}")
        if len(self.typed) == before:
            self.built(table, kind.cls, path)

    def built(self, table: Mapping[str, object], cls: type, path: str) -> None:
        try:
            struct: Any = msgspec.convert(table, cls)
        except msgspec.ValidationError as error:  # what this walk does not know, and __post_init__
            message, _, where = str(error).partition(" - at `$")
            where = where.rstrip("`").partition("[...]")[0]  # so it writes a key of a table, without saying which
            self.wrong(below(path, where.removeprefix(".")), message)
            return
        if _answers_alone(cls):
            self.meant += [Fault(below(path, relative), message) for relative, message in struct.faults()]

    def mapping(self, table: Mapping[str, object], kind: inspect.DictType, path: str) -> None:
        self.length(len(table), "key", kind, path)
        for key, item in table.items():
            at = key_path(path, key)
            self.value(key, kind.key_type, at)
            self.value(item, kind.value_type, at)

    def items(self, value: Any, kind: Any, path: str) -> None:
        self.length(len(value), "element", kind, path)
        for index, item in enumerate(value):
            self.value(item, kind.item_type, item_path(path, index))

    def row(self, value: Any, kind: inspect.TupleType, path: str) -> None:
        if len(value) != len(kind.item_types):
            self.wrong(path, f"must have {len(kind.item_types)} elements, has {len(value)}")
            return
        for index, item in enumerate(value):
            self.value(item, kind.item_types[index], item_path(path, index))

    def length(self, length: int, noun: str, kind: Any, path: str) -> None:
        least, most = kind.min_length, kind.max_length
        if least is not None and length < least:
            self.wrong(path, f"must have at least {least} {noun}{'s' if least != 1 else ''}, has {length}")
        if most is not None and length > most:
            self.wrong(path, f"must have at most {most} {noun}{'s' if most != 1 else ''}, has {length}")

    def scalar(self, value: Any, kind: inspect.Type, path: str) -> None:
        if isinstance(kind, inspect.LiteralType | inspect.EnumType):
            values = _values(kind)
            if not any(value == allowed and type(value) is type(allowed) for allowed in values):
                self.wrong(path, f"must be {_choices(values)}{_meant(value, values)}")
        elif isinstance(kind, inspect.IntType | inspect.FloatType):
            if isinstance(value, float) and not math.isfinite(value):
                self.wrong(path, f"{_must_be(kind)}, is not finite")
            elif not _within(value, kind):
                self.wrong(path, f"{_must_be(kind)}, is {value}")
        elif isinstance(kind, inspect.StrType):
            self.length(len(value), "character", kind, path)
            if kind.pattern is not None and not re.search(kind.pattern, value):
                self.wrong(path, f"must match {kind.pattern}")


@cache
def _answers_alone(cls: type) -> bool:
    """Whether it has a `faults()` to ask; the struct that holds it asks one with parameters, and can fill them."""
    faults = getattr(cls, "faults", None)
    return faults is not None and len(signature(faults).parameters) == 1


_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def _table(value: object) -> Mapping[str, object]:
    assert isinstance(value, dict)
    return value


def _fits(value: object, kind: inspect.Type) -> bool:
    """Whether the value has the outer shape of the type; bounds, choices and contents come later."""
    if isinstance(kind, inspect.Metadata):
        return _fits(value, kind.type)
    if isinstance(kind, inspect.UnionType):
        return any(_fits(value, member) for member in kind.types)
    if isinstance(kind, inspect.LiteralType | inspect.EnumType):
        return any(type(value) is type(allowed) for allowed in _values(kind))
    if isinstance(kind, (*_LISTS, inspect.TupleType)):
        return isinstance(value, list)
    for types, shape in _SHAPES:
        if isinstance(kind, types):
            return isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    return True  # a type that no TOML value has: msgspec.convert gives its own message when the struct is built


_SHAPES: tuple[tuple[Any, Any], ...] = (
    (inspect.BoolType, bool),
    (inspect.IntType, int),
    (inspect.FloatType, (int, float)),
    (inspect.StrType, str),
    (inspect.NoneType, type(None)),
    ((inspect.StructType, inspect.DictType), dict),
    (inspect.DateTimeType, datetime.datetime),
    (inspect.DateType, datetime.date),
    (inspect.TimeType, datetime.time),
)


def _values(kind: inspect.LiteralType | inspect.EnumType) -> list[object]:
    if isinstance(kind, inspect.LiteralType):
        return list(kind.values)
    return [member.value for member in kind.cls]


def _within(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
        and (kind.multiple_of is None or value % kind.multiple_of == 0)
    )


def _must_be(kind: inspect.Type) -> str:
    return f"must be {_allowed(kind)}"


def _allowed(kind: inspect.Type) -> str:
    """What a type lets in, in words."""
    if isinstance(kind, inspect.Metadata):
        return _allowed(kind.type)
    if isinstance(kind, inspect.UnionType):
        words = [_allowed(member) for member in kind.types if not isinstance(member, _ABSENT)]
        return " or ".join(dict.fromkeys(words))
    if isinstance(kind, inspect.LiteralType | inspect.EnumType):
        return _choices(_values(kind))
    if isinstance(kind, inspect.StructType):
        names = [field.encode_name for field in kind.fields]
        shown = ", ".join(f"{name} = ..." for name in names[:_KEYS_SHOWN_MAX])
        return f"a table {{ {shown}{', ...' if len(names) > _KEYS_SHOWN_MAX else ''} }}"
    if isinstance(kind, _LISTS):
        return f"a list, each element {_allowed(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"a table, each value {_allowed(kind.value_type)}"
    if isinstance(kind, inspect.StrType):
        return "a string" + (f" that matches {kind.pattern}" if kind.pattern else "")
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return ("a whole number" if isinstance(kind, inspect.IntType) else "a number") + _bounds(kind)
    return _WORDS.get(type(kind).__name__, type(kind).__name__.removesuffix("Type").lower())


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


def _choices(values: Iterable[object]) -> str:
    words = sorted(f'"{value}"' if isinstance(value, str) else str(value).lower() for value in values)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _meant(value: object, choices: Iterable[object]) -> str:
    near = nearest(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else None
    return f'; did you mean "{near}"?' if near else ""


def _is(value: object) -> str:
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
