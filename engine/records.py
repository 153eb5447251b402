"""The decoder of canonical records, made from the model's tables."""

from __future__ import annotations

from functools import cache
from typing import Any

from engine.model import ELEMENT_VALUES, ELEMENTS, ENVELOPE, FIELDS, KINDS, VALUES, Group, field_type
from ext.ndjson import NdjsonDecoder
from ext.texts import Texts


def make_decoder(texts: Texts) -> NdjsonDecoder:
    """A decoder that interns in `texts`: the batches that it fills must use the same table."""
    return NdjsonDecoder(texts, *_tables())


@cache
def _tables() -> tuple[Any, ...]:
    types = {name: kind.value for name, kind in {**ENVELOPE, **FIELDS}.items()}
    exceptions = {
        (kind, name): special.value
        for kind in KINDS
        for name, usual in FIELDS.items()
        if (special := field_type(kind, name)) is not None and special is not usual
    }
    return (
        {name: (kind.group is Group.NOISE, _in_order(kind.required)) for name, kind in KINDS.items()},
        types,
        exceptions,
        {place: _in_order(alternatives) for place, alternatives in ELEMENTS.items()},
        VALUES,
        ELEMENT_VALUES,
    )


def _in_order(alternatives: tuple[frozenset[str], ...]) -> list[list[str]]:
    """Sorted, so that reasons name the fields in the same order in every process."""
    return [sorted(names) for names in alternatives]
