"""Holds a decoded TOML value against a msgspec type and names every fault, where msgspec itself stops at the first.

Two passes in one walk. Each struct is built, and its optional method
`faults() -> Iterable[tuple[path relative to the table, message]]` says what types cannot; nested structs are asked
before the ones that hold them. Where something does not fit its type, the struct is built with the default in its
place, so that one fault does not hide another; what `faults()` then says about that very field is left out.

Values are quoted in messages only where the type already limits them (bounds, choices): a secret that was put where
something else belongs must not show.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from inspect import signature
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, inspect

from engine.config.faults import Fault, below, count, item_path, key_path, nearest, suggest
from engine.config.words import LISTS, choices_of, described, is_a, meant, must_be, values_of

BROKEN: Final = object()


def check(
    value: object, kind: Any, path: str = "", also: Iterable[str] = (), elsewhere: Mapping[str, str] | None = None
) -> list[Fault]:
    """All faults of `value` (what tomllib made) as a `kind` (a struct class or any type msgspec knows), by path.

    `also`: names that the table may have as well and that the caller took out of it, for suggestions only. `elsewhere`:
    names that belong in another table, and in which.
    """
    walk = _Walk(path, tuple(also), elsewhere or {})
    walk.value(value, inspect.type_info(kind), path)
    return list(dict.fromkeys(walk.typed + walk.meant))


class _Walk:
    """`typed`: what does not fit its type. `meant`: what fits and yet cannot be meant, as `faults()` methods say.

    Each method gives back what may stand for the value when a struct is built: the value, mended, or BROKEN.
    """

    def __init__(self, root: str, also: tuple[str, ...], elsewhere: Mapping[str, str]) -> None:
        self.root = root
        self.also = also
        self.elsewhere = elsewhere
        self.typed: list[Fault] = []
        self.meant: list[Fault] = []
        self.spoilt: list[str] = []  # names of keys that are not in the structs as they stand in the file

    def wrong(self, path: str, message: str) -> object:
        self.typed.append(Fault(path, message))
        return BROKEN

    def value(self, value: object, kind: inspect.Type, path: str) -> object:
        if isinstance(kind, inspect.Metadata):
            if described(kind) and not _fits(value, kind.type):
                return self.wrong(path, f"{must_be(kind)}, is {is_a(value)}")
            if described(kind) and isinstance(value, str) and not _matches(value, kind.type):
                return self.wrong(path, must_be(kind))
            return self.value(value, kind.type, path)
        if isinstance(kind, inspect.UnionType):
            return self.union(value, kind, path)
        if not _fits(value, kind):
            return self.wrong(path, f"{must_be(kind)}, is {is_a(value)}")
        if isinstance(kind, inspect.StructType):
            return self.struct(_table(value), kind, path)
        if isinstance(kind, inspect.DictType):
            return self.mapping(_table(value), kind, path)
        if isinstance(kind, inspect.TupleType):
            return self.row(value, kind, path)
        if isinstance(kind, LISTS):
            return self.items(value, kind, path)
        return self.scalar(value, kind, path)

    def union(self, value: object, kind: inspect.UnionType, path: str) -> object:
        fitting = [member for member in kind.types if _fits(value, member)]
        if not fitting:
            return self.wrong(path, f"{must_be(kind)}, is {is_a(value)}")
        structs = [member for member in fitting if isinstance(member, inspect.StructType)]
        if len(structs) > 1:
            return self.tagged(_table(value), structs, path)
        if len(fitting) == 1 or isinstance(value, dict):
            return self.value(value, fitting[0], path)
        return self.any_of(value, fitting, kind, path)

    def any_of(self, value: object, fitting: list[inspect.Type], kind: inspect.UnionType, path: str) -> object:
        """Several plain types of one shape (an int that may be a float, a text that may be a choice)."""
        for member in fitting:
            attempt = _Walk("", (), {})
            mended = attempt.value(value, member, path)
            if not attempt.typed:
                self.meant += attempt.meant
                return mended
        return self.wrong(path, must_be(kind))

    def tagged(self, table: Mapping[str, object], structs: list[inspect.StructType], path: str) -> object:
        field = structs[0].tag_field or "type"
        by_tag: dict[object, inspect.StructType] = {member.tag: member for member in structs}
        tag = table.get(field, NODEFAULT)
        if isinstance(tag, str | int) and tag in by_tag:
            return self.struct(table, by_tag[tag], path)
        at = key_path(path, field)
        if tag is NODEFAULT:
            return self.wrong(at, f"missing: must be {choices_of(by_tag)}")
        return self.wrong(at, f"must be {choices_of(by_tag)}{meant(tag, by_tag)}")

    def struct(self, table: Mapping[str, object], kind: inspect.StructType, path: str) -> object:
        typed, spoilt = len(self.typed), len(self.spoilt)
        self.unknown(table, kind, path)
        sound = {key: value for key, value in table.items() if key == kind.tag_field}
        complete = True
        for field in kind.fields:
            name = field.encode_name
            at = key_path(path, name)
            mended = self.value(table[name], field.type, at) if name in table else NODEFAULT
            if mended is NODEFAULT and field.required:
                mended = self.wrong(at, f"missing: {must_be(field.type)}")
            if mended is BROKEN:
                self.spoilt.append(name)
                complete = complete and not field.required
            elif mended is not NODEFAULT:
                sound[name] = mended
        if not complete:
            return BROKEN
        return self.built(sound, kind.cls, path, self.spoilt[spoilt:], whole=len(self.typed) == typed)

    def unknown(self, table: Mapping[str, object], kind: inspect.StructType, path: str) -> None:
        known = [field.encode_name for field in kind.fields]
        if kind.tag_field is not None:
            known.append(kind.tag_field)
        for key in table:
            if key not in known:
                near = [*known, *(self.also if path == self.root else ())]
                place = self.elsewhere.get(key)
                self.wrong(key_path(path, key), f"stands in {place}" if place else f"unknown key: {suggest(key, near)}")
                self.spoilt += {key, nearest(key, near) or key}

    def built(self, table: Mapping[str, object], cls: type, path: str, spoilt: list[str], *, whole: bool) -> object:
        """The table, if a struct can be made of it; `whole`: nothing in it had to be mended."""
        try:
            struct: Any = msgspec.convert(table, cls)
        except msgspec.ValidationError as error:  # what this walk does not know, and __post_init__
            if whole:
                message, _, where = str(error).partition(" - at `$")
                where = where.rstrip("`").partition("[...]")[0]  # so it writes a key of a table, without saying which
                self.wrong(below(path, where.removeprefix(".")), message)
            return BROKEN
        for relative, message in struct.faults() if _answers_alone(cls) else ():
            if not any(re.search(rf"\b{re.escape(name)}\b", f"{relative} {message}") for name in spoilt):
                self.meant.append(Fault(below(path, relative), message))
        return table

    def mapping(self, table: Mapping[str, object], kind: inspect.DictType, path: str) -> object:
        fits = self.length(len(table), "key", kind, path)
        sound = {}
        for key, item in table.items():
            at = key_path(path, key)
            mended = self.value(item, kind.value_type, at)
            if self.value(key, kind.key_type, at) is BROKEN or mended is BROKEN:
                self.spoilt.append(key)
            else:
                sound[key] = mended
        return sound if fits else BROKEN

    def items(self, value: Any, kind: Any, path: str) -> object:
        fits = self.length(len(value), "element", kind, path)
        sound = [self.value(item, kind.item_type, item_path(path, index)) for index, item in enumerate(value)]
        # without the broken ones the others would have other numbers
        return sound if fits and BROKEN not in sound else BROKEN

    def row(self, value: Any, kind: inspect.TupleType, path: str) -> object:
        if len(value) != len(kind.item_types):
            return self.wrong(path, f"must have {len(kind.item_types)} elements, has {len(value)}")
        sound = [self.value(item, kind.item_types[index], item_path(path, index)) for index, item in enumerate(value)]
        return BROKEN if BROKEN in sound else sound

    def length(self, length: int, noun: str, kind: Any, path: str) -> bool:
        """Whether a length is within the type's bounds; says what is wrong if not."""
        least, most = kind.min_length, kind.max_length
        if least is not None and length < least:
            self.wrong(path, f"must have at least {count(least, noun)}, has {length}")
            return False
        if most is not None and length > most:
            self.wrong(path, f"must have at most {count(most, noun)}, has {length}")
            return False
        return True

    def scalar(self, value: Any, kind: inspect.Type, path: str) -> object:
        if isinstance(kind, inspect.LiteralType | inspect.EnumType):
            values = values_of(kind)
            if not any(value == allowed and type(value) is type(allowed) for allowed in values):
                return self.wrong(path, f"must be {choices_of(values)}{meant(value, values)}")
        elif isinstance(kind, inspect.IntType | inspect.FloatType):
            if isinstance(value, float) and not math.isfinite(value):
                return self.wrong(path, f"{must_be(kind)}, is not finite")
            if not _within(value, kind):
                return self.wrong(path, f"{must_be(kind)}, is {value}")
        elif isinstance(kind, inspect.StrType):
            if not self.length(len(value), "character", kind, path):
                return BROKEN
            if not _matches(value, kind):
                return self.wrong(path, f"must match {kind.pattern}")
        return value


@cache
def _answers_alone(cls: type) -> bool:
    """Whether it has a `faults()` to ask; the struct that holds it asks one with parameters, and can fill them."""
    faults = getattr(cls, "faults", None)
    return faults is not None and len(signature(faults).parameters) == 1


def _matches(value: str, kind: inspect.Type) -> bool:
    return not isinstance(kind, inspect.StrType) or kind.pattern is None or re.search(kind.pattern, value) is not None


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
        return any(type(value) is type(allowed) for allowed in values_of(kind))
    if isinstance(kind, (*LISTS, inspect.TupleType)):
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


def _within(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
        and (kind.multiple_of is None or value % kind.multiple_of == 0)
    )
