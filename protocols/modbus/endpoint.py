"""Where a Modbus server is, as the site file says it: an address in the network, or a serial line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import msgspec

from engine.tls import Tls

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Transport = Literal["tcp", "rtu_over_tcp", "rtu"]

PORT = 502
PORT_TLS = 802  # MODBUS/TCP Security Protocol Specification, section 5

_ADDRESS = re.compile(r"^(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:\[\]]+))(?::(?P<port>\d{1,5}))?$")


class Serial(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A serial line that speaks RTU (MODBUS over Serial Line 1.02): RS-485 or RS-232, one master, which we are.

    device: `/dev/ttyUSB0`, better `/dev/serial/by-id/...`, which stays the same when something else is plugged in.
    baud: bits a second, 19200 as the specification's default.
    parity: `"even"` (the specification's default), `"odd"` or `"none"`, with which it wants two stop bits.
    stop_bits: default: 1, and 2 without parity.
    """

    device: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600] = 19200
    parity: Literal["even", "odd", "none"] = "even"
    stop_bits: Literal[1, 2] | None = None

    @property
    def silence_s(self) -> float:
        """Between two frames: 3.5 characters of 11 bits, and 1.75 ms above 19200 (section 2.5.1.1)."""
        return 0.00175 if self.baud > 19200 else 3.5 * 11 / self.baud


class Endpoint(NamedTuple):
    """One connection's other end. `addresses`: tried in turn, the first is the usual one; empty for a serial line."""

    transport: Transport
    addresses: tuple[tuple[str, int], ...]
    tls: Tls | None = None
    serial: Serial | None = None

    @property
    def is_rtu(self) -> bool:
        return self.transport != "tcp"

    def __str__(self) -> str:
        if self.serial is not None:
            return self.serial.device
        host, port = self.addresses[0]
        return f"{host}:{port}"


def parse_address(text: str, port: int) -> tuple[str, int] | None:
    """`host`, `host:port`, `[v6]:port` -> (host, port); None: it is none of them."""
    found = _ADDRESS.match(text)
    if found is None or not 1 <= int(found["port"] or port) <= 65_535:
        return None
    return found["v6"] or found["name"], int(found["port"] or port)


def backup_faults(backups: list[str]) -> Iterator[tuple[str, str]]:
    for index, text in enumerate(backups):
        if parse_address(text, PORT) is None:
            yield f"backups[{index}]", f'"{text}" is no address: "host" or "host:port"'
