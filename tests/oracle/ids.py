"""Ids and times as CONTRACT 4 and 1 spell them, written again so that a slip in the engine's own cannot hide."""

from __future__ import annotations

import base64
import hashlib
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
    """CONTRACT 4: code + major version, a dot, 26 characters of base32; without the revision."""
    digest = hashlib.sha256(f"{site}|{type_}|{key}".encode()).digest()
    return f"{(CODES | EXCEPTIONS)[type_]}1.{base64.b32encode(digest).decode().lower()[:26]}"


def utc(t: int) -> str:
    """CONTRACT 4: `time` with six decimals and Z."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def dev_id(record: dict[str, Any]) -> str:
    """CONTRACT 1: the name of a numbered record. Records without `seq` get none here: no key of ours needs it."""
    if record.get("seq") is None:
        return f"{record['src']}/h/?"
    return f"{record['src']}/{record.get('epoch', 0)}/{record['seq']}/{record.get('sub', 0)}"
