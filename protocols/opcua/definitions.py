"""What structures consist of (StructureDefinition, OPC 10000-3 section 8.48)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

EXTENSION_OBJECT = 22

PLAIN, OPTIONAL, UNION, SUBTYPED, SUBTYPED_UNION = range(5)
"""StructureType."""


class Field(NamedTuple):
    """`type`: the built-in type of its encoding; `structure`: the data type of one whose type stands fast. `array`: a
    list of them."""

    name: str
    type: int
    structure: str | None = None
    array: bool = False
    optional: bool = False


class Definition(NamedTuple):
    """`kind`: a StructureType."""

    kind: int
    fields: Sequence[Field]
