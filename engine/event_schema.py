"""Business events as JSON Schema: CloudEvents 1.0 with our attributes, and the `data` of each type.

Written down by hand, not derived: this is what the ERP side builds on, and the core's output is tested against it.
"""

from __future__ import annotations

import re
from typing import Any

from engine.model import BUSINESS, MAJOR, TYPE_PREFIX

Schema = dict[str, Any]

EVIDENCE = ("exact", "inferred", "incomplete")

DATA: dict[str, str] = {
    # type -> the fields of its data: `name:type`, a text without `:type`, optional with `?`
    "pick.confirmed": (
        "task? order line:int sku qty:int qty_task:int over_qty:int lu? carton? loc? cancelled?:bool t_first:int "
        "t_close:int"
    ),
    "pick.short": (
        "task? order line:int sku qty_task:int qty_picked:int qty_short:int reason decided_by:decided_by "
        "policy?:policy loc? t_close:int"
    ),
    "pick.reversed": "task? order line:int sku qty:int",
    "carton.closed": "carton lu sscc? shipment? contents:contents weight_g?:int t_open:int t_close:int",
    "carton.reopened": "cause",
    "carton.voided": "cause",
    "shipment.ready": "plan_rev:int cartons:texts lines:lines partial:bool",
    "shipment.unready": "cause carton? order? line?:int",
    "shipment.manifested": (
        "manifest_no? carrier? trailer? seal? cartons:manifested_cartons freight?:any left_behind:texts"
    ),
    "shipment.voided": "cause",
    "inventory.discrepancy": "kind:discrepancy expected?:figure actual?:figure as_of:int",
    "return.received": "sku? qty:int expected_qty?:int serials?:texts condition",
    "return.dispositioned": "sku? qty:int grade disposition:disposition",
    "exception.raised": "code severity subject detail",
    "exception.cleared": "code severity subject detail",
}

NESTED: dict[str, str] = {
    "contents": "order line:int sku lot? qty:int",
    "lines": "order line:int ordered:int packed:int short:int cancelled:int",
    "manifested_cartons": "carton weight_g?:int tracking_no?",
}

CHOICES: dict[str, str] = {
    "decided_by": "OPERATOR CLOSE DEADLINE ALLOC",
    "policy": "SHIP_PARTIAL HOLD CANCEL_LINE BACKORDER",
    "discrepancy": "SHORT_AT_LOC OVER_AT_LOC COUNT_DIFF LU_MISSING LU_UNEXPECTED POST_SHIP",
    "disposition": "RESTOCK QUARANTINE SCRAP VENDOR",
}

_FIELD = re.compile(r"([a-z_]+)(\?)?(?::([a-z_]+))?")


def event_schema() -> Schema:
    """One object a type, chosen by `type`."""
    return {
        "oneOf": [{"$ref": f"#/$defs/{type_}"} for type_ in BUSINESS],
        "$defs": {type_: _event(type_) for type_ in BUSINESS},
    }


def _event(type_: str) -> Schema:
    id_ = rf"^{BUSINESS[type_].code}{MAJOR}\.[a-z2-7]{{26}}:r(0|[1-9][0-9]*)$"
    text = {"type": "string", "minLength": 1}
    required: Schema = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "pattern": id_},
        "source": {"type": "string", "pattern": "^/sites/"},
        "type": {"const": f"{TYPE_PREFIX}{type_}.v{MAJOR}"},
        "subject": text,
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"const": f"urn:sortline:schema:{type_}:{MAJOR}"},
        "correlationid": text,
        "causationid": text,
        "partitionkey": text,
        "sequence": {"type": "string", "pattern": "^[0-9]{20}$"},
        "evidence": {"enum": list(EVIDENCE)},
        "data": _object(DATA[type_]),
    }
    optional = {"supersedes": {"type": "string", "pattern": id_}}
    return {
        "type": "object",
        "properties": required | optional,
        "required": sorted(required),
        "additionalProperties": False,
    }


def _object(fields: str) -> Schema:
    parsed = [match.groups() for match in map(_FIELD.fullmatch, fields.split()) if match]
    return {
        "type": "object",
        "properties": {name: _type(type_) for name, _, type_ in parsed},
        "required": sorted(name for name, optional, _ in parsed if not optional),
        "additionalProperties": False,
    }


def _type(name: str | None) -> Schema:
    if name in NESTED:
        return {"type": "array", "items": _object(NESTED[name])}
    if name in CHOICES:
        return {"enum": CHOICES[name].split()}
    plain: dict[str | None, Schema] = {
        None: {"type": "string"},
        "int": {"type": "integer", "minimum": 0},
        "figure": {"type": "integer"},  # stock on the books may be below zero
        "bool": {"type": "boolean"},
        "texts": {"type": "array", "items": {"type": "string"}},
        "any": {},
    }
    return plain[name]
