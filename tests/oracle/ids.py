"""Ids and times by the contract (docs/records.md), written again so that a slip in the engine's own cannot hide."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

CODES = {
    "pick.confirmed": "pc",
    "pick.short": "ps",
    "pick.reversed": "pr",
    "carton.closed": "cc",
    "carton.reopened": "co",
    "carton.voided": "cv",
    "shipment.ready": "sr",
    "shipment.unready": "su",
    "shipment.manifested": "sm",
    "shipment.voided": "sv",
    "inventory.discrepancy": "id",
    "return.received": "rr",
    "return.dispositioned": "rd",
}
EXCEPTIONS = {"exception.raised": "xr", "exception.cleared": "xc"}  # named by cases, not foretold by the oracle


def base_id(site: str, type_: str, key: str) -> str:
    """Code + major version, a dot, 26 characters of base32; without the revision."""
    digest = hashlib.sha256(f"{site}|{type_}|{key}".encode()).digest()
    return f"{(CODES | EXCEPTIONS)[type_]}1.{base64.b32encode(digest).decode().lower()[:26]}"


def utc(t: int) -> str:
    """`time` with six decimals and Z."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def dev_id(record: dict[str, Any]) -> str:
    """reading: a record with neither `seq` nor `t` is named as if it had no equal at its `t_rx`."""
    src, zeros = record["src"], {name for name in ("epoch", "sub") if record.get(name) == 0}
    if record.get("seq") is not None:
        return f"{src}/{record.get('epoch', 0)}/{record['seq']}/{record.get('sub', 0)}"
    payload = {k: v for k, v in record.items() if k not in {"src", "kind", "t", "t_rx", "hist", *zeros}}
    when = [record["t"]] if record.get("t") is not None else [record["t_rx"], 0]
    text = json.dumps([src, record["kind"], payload, *when], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{src}/h/{base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:26]}"
