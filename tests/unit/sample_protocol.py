"""A protocol's settings as the tests of the site file need them: one of every shape that a table can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from engine.secret import Secret

Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
PollMs = Annotated[int, msgspec.Meta(ge=10, le=3_600_000)]


class Login(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    user: str
    password: Secret


class Mailbox(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="mailbox", tag_field="layout"):
    ack: Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Ring(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="ring", tag_field="layout"):
    size: Annotated[int, msgspec.Meta(ge=1)] = 64


class Unit(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    unit: Annotated[int, msgspec.Meta(ge=0, le=247)]
    poll_ms: PollMs = 1_000
    word_order: Literal["big", "little"] = "big"
    block: Mailbox | Ring | None = None


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    host: Annotated[str, msgspec.Meta(min_length=1)]
    port: Port = 502
    ratio: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    login: Login | None = None
    units: Annotated[list[Unit], msgspec.Meta(max_length=247)] = []
    table: dict[str, str | int] = {}
    tls: bool = False

    def faults(self) -> Iterator[tuple[str, str]]:
        seen: set[int] = set()
        for index, unit in enumerate(self.units):
            if unit.unit in seen:
                yield f"units[{index}].unit", f"{unit.unit} is already used"
            seen.add(unit.unit)
        if self.login is not None and not self.tls:
            yield "tls", "a password needs tls = true"
