"""`sortline schema`: JSON Schema (draft 2020-12) of all that crosses the engine's boundary.

`record` (device, source and noise kinds), `context` and `site` are made from the tables and structs that the engine
itself works by; `event`, the promise to the ERP side, from the table in `engine.event_schema`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.config.load import Coverage, Document, Served
from engine.config.rules import SourceRules
from engine.event_schema import event_schema
from engine.model import (
    ELEMENT_VALUES,
    ELEMENTS,
    ENVELOPE,
    FIELDS,
    KINDS,
    SRC_BYTES_MAX,
    TEXT_BYTES_MAX,
    VALUES,
    Group,
    Type,
    field_type,
)
from engine.sinks import registry as sinks
from protocols import registry as protocols

DIALECT = "https://json-schema.org/draft/2020-12/schema"
INT_MAX = 2**63 - 1

Schema = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("part", nargs="?", choices=sorted(PARTS), help="only this part (default: all, under $defs)")


def run(args: argparse.Namespace) -> int:
    print(json.dumps(whole() if args.part is None else part(args.part), indent=2, sort_keys=True))
    return 0


def part(name: str) -> Schema:
    """The schema of one part: `record`, `context`, `event` or `site`."""
    return {"$schema": DIALECT, "$id": f"urn:sortline:schema:{name}", **PARTS[name]()}


def whole() -> Schema:
    """All parts as one document. Each stands under $defs with its own $id, so that its references stay inside it."""
    return {
        "$schema": DIALECT,
        "$id": "urn:sortline:schema",
        "title": "sortline",
        "$defs": {name: part(name) for name in PARTS},
        "anyOf": [{"$ref": f"urn:sortline:schema:{name}"} for name in PARTS],
    }


def _records(*groups: Group) -> Schema:
    """One object a kind, chosen by `kind`; fields that the model does not know are kept and not checked."""
    kinds = [name for name, kind in KINDS.items() if kind.group in groups]
    return {
        "type": "object",
        "required": ["src", "kind"],
        "properties": {
            **{name: _type(type_) for name, type_ in ENVELOPE.items()},
            "src": {**_type(Type.TEXT), "maxLength": SRC_BYTES_MAX},
            "kind": {"enum": kinds},
        },
        "allOf": [
            {"if": {"properties": {"kind": {"const": name}}}, "then": {"$ref": f"#/$defs/{name}"}} for name in kinds
        ],
        "$defs": {
            "fields": {"properties": {name: _usual(name) for name in FIELDS if name not in VARYING}},
            **{name: _kind(name) for name in kinds},
        },
    }


VARYING = frozenset(
    name
    for name, usual in FIELDS.items()
    for kind in KINDS
    if field_type(kind, name) != usual or usual is Type.NESTED or (kind, name) in VALUES
)
"""Fields that do not look the same in every kind."""


def _kind(name: str) -> Schema:
    kind = KINDS[name]
    if kind.group is Group.NOISE:
        return {"description": "Noise: counted, never forwarded; carries anything."}
    properties = {field: _field(name, field) for field in sorted(VARYING)}
    return {"allOf": [{"$ref": "#/$defs/fields"}], "properties": properties, **_alternatives(kind.required)}


def _usual(field: str) -> Schema:
    if field in ELEMENT_VALUES:
        return {"enum": list(ELEMENT_VALUES[field])}
    return {**_type(FIELDS[field]), **({"minimum": 1} if field == "rev" else {})}


def _field(kind: str, field: str) -> Schema:
    type_ = field_type(kind, field) or Type.TEXT
    if (kind, field) in VALUES:
        return {"enum": list(VALUES[kind, field])}
    alternatives = ELEMENTS.get((kind, field))
    if type_ is not Type.NESTED or alternatives is None:
        return _type(type_)
    if not alternatives:
        return {"type": "array", "items": _type(Type.INT)}
    element = {"type": "object", "allOf": [{"$ref": "#/$defs/fields"}], **_alternatives(alternatives)}
    return {"type": "array", "items": element}


def _alternatives(required: tuple[frozenset[str], ...]) -> Schema:
    choices = [sorted(names) for names in required]
    return {"required": choices[0]} if len(choices) == 1 else {"anyOf": [{"required": names} for names in choices]}


def _type(type_: Type) -> Schema:
    text: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX}
    return {
        Type.TEXT: text,
        Type.INT: {"type": "integer", "minimum": 0, "maximum": INT_MAX},
        Type.BOOL: {"type": "boolean"},
        Type.TEXTS: {"type": "array", "items": text},
        Type.NESTED: {"type": "array"},
    }.get(type_, {})


def _site() -> Schema:
    """The document's struct, with each source and sink as its own struct says."""
    tables = {f"{name} source": protocols.settings_of(name) for name in protocols.PROTOCOLS}
    tables |= {f"{name} sink": sinks.settings_of(name) for name in sinks.SINKS}
    structs = [Document, Coverage, SourceRules, Served, *tables.values()]
    references, components = msgspec.json.schema_components(structs, ref_template="#/$defs/{name}")
    document, coverage, rules, served, *settings = [_resolved(reference, components) for reference in references]
    parts = dict(zip(tables, settings, strict=True))

    def source(name: str) -> Schema:
        return _joined(parts[f"{name} source"], coverage, rules, chosen=("protocol", name))

    def sink(name: str) -> Schema:
        return _joined(parts[f"{name} sink"], served, chosen=("kind", name))

    bare = _joined(rules, coverage)
    del bare["properties"]["protocol"]
    unnamed_sink = _joined(parts["queue sink"], served)  # `kind` has a default
    properties = {
        **document["properties"],
        "sources": {"type": "object", "additionalProperties": {"anyOf": [*map(source, protocols.PROTOCOLS), bare]}},
        "sinks": {"type": "object", "additionalProperties": {"anyOf": [*map(sink, sinks.SINKS), unnamed_sink]}},
    }
    return {**document, "properties": properties, "$defs": components}


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Schema:
    reference: str | None = schema.get("$ref")
    return dict(schema if reference is None else components[reference.removeprefix("#/$defs/")])


def _joined(*tables: Schema, chosen: tuple[str, str] | None = None) -> Schema:
    """One table with the keys of several structs, in which the key of `chosen` must have its value."""
    joined: Schema = {
        "type": "object",
        "properties": {key: value for table in reversed(tables) for key, value in table["properties"].items()},
        "required": [key for table in tables for key in table.get("required", ())],
        "additionalProperties": False,
    }
    if "description" in tables[0]:
        joined["description"] = tables[0]["description"]
    if chosen is not None:
        joined["properties"][chosen[0]] = {"const": chosen[1]}
        joined["required"].append(chosen[0])
    return joined


PARTS: dict[str, Callable[[], Schema]] = {
    "record": lambda: _records(Group.DEVICE, Group.SOURCE, Group.NOISE),
    "context": lambda: _records(Group.CONTEXT),
    "event": event_schema,
    "site": _site,
}
