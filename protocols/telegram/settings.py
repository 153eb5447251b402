"""The site file's `[sources.NAME]` with `protocol = "telegram"`: a device that sends telegrams over TCP, and what they
mean.

    [sources.crane]
    protocol = "telegram"
    role = "client"                                   # we connect; or "server": we are connected to
    host = "192.0.2.20"
    port = 2000
    src = "dc1/asrs/CRN-01"
    framing = { kind = "stx_etx" }                    # or { kind = "length", length_bytes = 4, format = "ascii" }
    header = { type = { at = 0, length = 2 }, seq = { at = 2, length = 4, type = "decimal" } }
    number = { field = "seq", first = 1, last = 9999 }
    acknowledge = "AK{seq}"                           # sent when the telegram is safe on our disk

    [[sources.crane.telegrams]]
    when = { type = "ST" }
    fields = { lu = { at = 6, length = 18 }, loc = { at = 24, length = 10 } }
    record = { kind = { const = "store.confirmed" }, lu = "lu", loc = "loc" }

Places are counted from 0, the first byte behind STX or behind the length.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from engine.tls import is_loopback
from protocols.mapping.faults import record_faults
from protocols.mapping.settings import Name, RecordSettings, When

Src = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Template = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]

BINARY_BYTES_MAX = 8
REMEMBERED_MAX = 256
"""So many telegrams are remembered, for devices that send many before the first is acknowledged."""

PLACEHOLDER = re.compile(r"\{(\w*)\}")

Fault = tuple[str, str]


class StxEtx(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="stx_etx", tag_field="kind"):
    """A telegram between two bytes that never stand in one.

    start, end: default: STX (2) and ETX (3).
    """

    start: Byte = 2
    end: Byte = 3

    def faults(self) -> Iterator[Fault]:
        if self.start == self.end:
            yield "end", "the same byte as start: where would a telegram end?"


class Length(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, tag="length", tag_field="kind"):
    """A telegram behind its length.

    length_bytes: how many bytes say the length.
    format: `"binary"` (default), or `"ascii"`: decimal digits.
    byte_order: of a binary length: `"big"` (default) or `"little"`.
    counts_itself: whether the length counts its own bytes too; `false` (default): only what follows.
    """

    length_bytes: Annotated[int, msgspec.Meta(ge=1, le=8)] = 4
    format: Literal["binary", "ascii"] = "binary"
    byte_order: Literal["big", "little"] = "big"
    counts_itself: bool = False


class Field(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One value at its place in a telegram.

    at: place of its first byte.
    length: in bytes; absent: up to the end of the telegram.
    type: `"text"` (default), `"decimal"` (a whole number in digits, blanks around it are nothing), `"binary"` and
      `"binary_little"` (an unsigned number of up to 8 bytes). A text or decimal of blanks only is no value.
    """

    at: Annotated[int, msgspec.Meta(ge=0, le=65_535)]
    length: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    type: Literal["text", "decimal", "binary", "binary_little"] = "text"

    @property
    def is_binary(self) -> bool:
        return self.type in ("binary", "binary_little")

    @property
    def values(self) -> int | None:
        """How many numbers there is room for; None: any number."""
        return (256 if self.is_binary else 10) ** self.length if self.length is not None else None

    def faults(self) -> Iterator[Fault]:
        if self.is_binary and (self.length is None or self.length > BINARY_BYTES_MAX):
            yield "length", f"a binary number needs one, of at most {BINARY_BYTES_MAX} bytes"


Fields = dict[Name, Field]


class Number(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How the device numbers its telegrams: records get these numbers, with their wraps undone, as `seq`.

    field: the field of the header that holds it, a `decimal` or `binary`.
    first, last: the number after a wrap, and the last before one.
    ahead_max: so many telegrams the device sends before the first of them is acknowledged: 1 if it waits for each. What
      is older cannot come again, so that a device which starts again with the same telegrams under the same numbers is
      one that started again, and not one that repeats itself.
    A device that starts again at a small number begins a new epoch; so does a telegram that `restart` describes.
    """

    field: Name
    last: Annotated[int, msgspec.Meta(ge=15, le=1 << 32)]
    first: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    ahead_max: Annotated[int, msgspec.Meta(ge=1, le=REMEMBERED_MAX)] = REMEMBERED_MAX

    @property
    def modulus(self) -> int:
        return self.last - self.first + 1


class Telegram(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One type of telegram.

    when: the values by which it is known: `when = { type = "ST" }`, `when = { type = ["ST", "RT"] }`. The first
      description that fits counts.
    fields: its own fields, beside those of the header.
    record: canonical field -> where it comes from (the mapping language). The paths are the names of fields; `src`,
      `epoch` and `seq` come from the connection. Empty: it is acknowledged, and otherwise means nothing to us; with
      `number` it is noise (`telemetry`), so that its number is not missing among the others.
    """

    when: When = {}
    fields: Fields = {}
    record: RecordSettings = {}


class Life(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Telegrams that only say that somebody is there. They are not numbered, and make no record.

    when: the values by which one of the device's is known.
    reply: what we answer to it: a text with fields of the header in it, `"LA{seq}"`. Absent: nothing.
    send: what we send by ourselves, every `every_ms`. Absent: nothing.
    """

    when: When = {}
    reply: Template | None = None
    send: Template | None = None
    every_ms: Milliseconds = 10_000


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One device.

    role: `"client"` (default): we connect to it. `"server"`: it connects to us; a new connection takes the place of the
      one before, which a device that lost its power never closed.
    host, port: where the device is, or where we listen (`127.0.0.1`, or the address of the machines' network).
    peers: as a server: the IP addresses that may connect. Needed where we listen for other computers.
    src: the source that records and link states are reported for.
    framing: `StxEtx` or `Length`.
    header: the fields that every telegram has.
    telegrams: `[[sources.NAME.telegrams]]`: see `Telegram`.
    number: see `Number`. Without it a telegram that is sent again can only be known by its content and time (`t`).
    acknowledge: what is sent when a telegram is safe on our disk: a text with fields of the header in it, as the device
      sent them: `"AK{seq}"`. Also for telegrams that do not fit: they would not fit the next time. Absent: nothing.
    restart: the values by which a telegram is known that tells that the device starts to count anew. It is kept as a
      record of kind `machine.state`.
    life: see `Life`.
    silence_ms: nothing was heard for so long: the connection is dead, and is opened anew. Absent: it may be silent.
    encoding: of texts: `"latin-1"` (default), `"ascii"`, `"utf-8"`, `"cp1252"`.
    telegram_bytes_max: a longer one does not fit, and is never held in memory.
    connect_ms: connecting takes no longer.
    reconnect_min_ms, reconnect_max_ms: bounds of the pause between two attempts, doubled each time, full jitter.
    """

    host: Host
    port: Port
    src: Src
    framing: StxEtx | Length
    header: Fields
    telegrams: Annotated[list[Telegram], msgspec.Meta(min_length=1, max_length=1_000)]
    role: Literal["client", "server"] = "client"
    peers: list[Host] = []
    number: Number | None = None
    acknowledge: Template | None = None
    restart: When = {}
    life: Life | None = None
    silence_ms: Milliseconds | None = None
    encoding: Literal["latin-1", "ascii", "utf-8", "cp1252"] = "latin-1"
    telegram_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] = 4_096
    connect_ms: Milliseconds = 5_000
    reconnect_min_ms: Milliseconds = 100
    reconnect_max_ms: Milliseconds = 15_000

    def faults(self) -> Iterator[Fault]:
        """Yields (path inside the source's table, what is wrong and what to do) for what the types cannot say."""
        if self.reconnect_max_ms < self.reconnect_min_ms:
            yield "reconnect_max_ms", f"at least reconnect_min_ms: {self.reconnect_min_ms}"
        if self.role == "server" and not self.peers and not is_loopback(self.host):
            yield "peers", "we listen for other computers: which of them may connect?"
        if self.role == "client" and self.peers:
            yield "peers", 'only with role = "server"'
        yield from ((f"peers[{index}]", fault) for index, peer in enumerate(self.peers) if (fault := _no_address(peer)))
        if self.number is not None:
            field = self.header.get(self.number.field)
            if field is None or field.type == "text":
                yield "number.field", f"{self.number.field} is no number of the header"
            elif field.values is not None and self.number.last >= field.values:
                yield "number.last", f"{self.number.field} shows {field.values - 1} at most: it would wrap before"
        yield from self._template_faults()
        yield from self._when_faults("restart", self.restart)
        for index, telegram in enumerate(self.telegrams):
            place = f"telegrams[{index}]"
            yield from self._field_faults(f"{place}.fields", telegram.fields)
            yield from self._when_faults(f"{place}.when", telegram.when, telegram.fields)
            yield from ((f"{place}.{path}", fault) for path, fault in self._record_faults(telegram))
        yield from self._field_faults("header", self.header)

    def alone(self) -> Iterator[tuple[str, str]]:
        """Yields (key, what no other source may have)."""
        if self.role == "server":
            yield "port", f"port {self.port} of {self.host}"

    def _template_faults(self) -> Iterator[Fault]:
        life = self.life or Life()
        yield from self._when_faults("life.when", life.when)
        if life.reply is not None and not life.when:
            yield "life.when", "to which telegrams is reply the answer?"
        if self.life is not None and not life.when and life.send is None:
            yield "life", "neither when nor send: leave it out"
        templates = {"acknowledge": self.acknowledge, "life.reply": life.reply, "life.send": life.send}
        for place, template in templates.items():
            if template is None:
                continue
            known = () if place == "life.send" else self.header
            for name in PLACEHOLDER.findall(template):
                if name not in known:
                    yield place, f"{{{name}}} is no field of the header" + (", nothing is answered here" * (not known))
            yield from ((place, fault) for fault in self._literal_faults(template))

    def _literal_faults(self, template: str) -> Iterator[str]:
        literal = PLACEHOLDER.sub("", template)
        try:
            content = literal.encode("latin-1")
        except UnicodeEncodeError:
            yield "only characters of one byte (latin-1)"
            return
        if isinstance(self.framing, StxEtx) and {self.framing.start, self.framing.end} & set(content):
            yield "the bytes around it are added by the framing: leave them out"

    def _when_faults(self, place: str, when: When, own: Fields | None = None) -> Iterator[Fault]:
        for name in when:
            if name not in self.header and name not in (own or {}):
                yield f"{place}.{name}", f"there is no field {name}"

    def _field_faults(self, place: str, fields: Fields) -> Iterator[Fault]:
        for name, field in fields.items():
            if place != "header" and name in self.header:
                yield f"{place}.{name}", "the header has a field of this name: rename one"
            if field.is_binary and isinstance(self.framing, StxEtx):
                yield f"{place}.{name}.type", 'a byte of it could look like the end: binary fields need kind = "length"'

    def _record_faults(self, telegram: Telegram) -> Iterator[Fault]:
        if not telegram.record:
            return
        owned = ("src", "epoch", "seq") if self.number is not None else ("src",)
        for name in owned:
            if name in telegram.record:
                yield f"record.{name}", "comes from the connection: leave it out"
        names = [*self.header, *telegram.fields]
        yield from record_faults(telegram.record, constants={"src": self.src}, names=names)


def _no_address(text: str) -> str:
    """Why nobody who calls can be known by it; empty: it is an address as the system writes it."""
    try:
        written = str(ipaddress.ip_address(text))
    except ValueError:
        return f"{text} is no IP address, and a caller is known by nothing else"
    return "" if written == text else f"the system writes it as {written}"
