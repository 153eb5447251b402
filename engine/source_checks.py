"""What the site file says about sources and secrets that can lose something, or tell it to somebody.

Settings are looked at by their names: no protocol's library is imported for it. Wires are tried with a bare TCP
connection.
"""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engine.config.site import Site, Source
from engine.findings import Finding, error, good, note, warning
from engine.secret import Secret
from engine.tls import Tls, is_loopback

CONNECT_S = 2.0
MOSQUITTO = (Path("/etc/mosquitto/mosquitto.conf"), Path("/etc/mosquitto/conf.d"))
QUEUED_MIN = 100_000


def source_findings(site: Site) -> Iterator[Finding]:
    """What each source can lose by its nature, or by its settings."""
    for source in site.sources:
        if source.protocol is not None:
            yield from CHECKS.get(source.protocol, _nothing)(f"sources.{source.name}", source)


def _nothing(where: str, source: Source) -> Iterator[Finding]:
    yield from ()


def _mqtt(where: str, source: Source) -> Iterator[Finding]:
    settings = source.settings
    for index, topic in enumerate(settings.topics):
        if topic.qos == 0:
            yield warning(
                f"{where}.topics[{index}]",
                f"{topic.filter} comes with QoS 0: what is sent while the engine is away or full is lost",
                "publish and subscribe with QoS 1",
            )
    if getattr(settings, "session_expiry_s", 10**9) < 86_400:
        yield warning(
            where,
            f"the broker forgets our session after {settings.session_expiry_s} s, and what it holds with it",
            "let session_expiry_s be longer than any repair takes (a week is the default)",
        )
    if is_loopback(settings.host):
        yield from mosquitto_findings(where, MOSQUITTO)
    else:
        yield note(
            where,
            f"what the broker at {settings.host} holds while the engine is away cannot be seen from here",
            "look there: max_queued_messages 0 or large, persistence true (deploy/mosquitto.conf)",
        )


def mosquitto_findings(where: str, places: tuple[Path, ...]) -> Iterator[Finding]:
    """What the configuration of a mosquitto on this box says, if this user may read it."""
    files = [file for place in places for file in (sorted(place.glob("*.conf")) if place.is_dir() else [place])]
    lines: list[str] = []
    for file in files:
        try:
            lines += file.read_text(errors="replace").splitlines()
        except OSError:
            continue
    if not lines:
        return
    matches = (re.match(r"\s*(\w+)\s+(\S+)", line) for line in lines)
    says = {found[1]: found[2] for found in matches if found is not None}
    if says.get("persistence", "false") != "true":
        yield error(
            where,
            "mosquitto on this box keeps nothing over a restart (persistence is not true)",
            "take deploy/mosquitto.conf, or set persistence true",
        )
    queued = says.get("max_queued_messages", "1000")
    if queued.isdecimal() and 0 < int(queued) < QUEUED_MIN:
        yield warning(
            where,
            f"mosquitto on this box drops what comes after {queued} messages while the engine is away",
            "set max_queued_messages 0, or to what a repair's time brings, and max_queued_bytes",
        )


def _modbus(where: str, source: Source) -> Iterator[Finding]:
    for name, unit in source.settings.units.items():
        at = f"{where}.units.{name}"
        if getattr(unit, "groups", None):
            yield warning(
                f"{at}.groups",
                "plain polling: what changes twice between two polls is seen once, and nothing can be held back",
                "let the machine keep records (a mailbox or a ring) for what an ERP counts",
            )
        for kind in ("mailboxes", "rings"):
            for box, settings in (getattr(unit, kind, None) or {}).items():
                if getattr(settings, "ack", None) is None:
                    yield warning(
                        f"{at}.{kind}.{box}",
                        "no acknowledgement: the machine does not wait, and overwrites what was not read in time",
                        "give the machine a register to wait for, and name it `ack`",
                    )


def _opcua(where: str, source: Source) -> Iterator[Finding]:
    security = getattr(source.settings, "security", None)
    if security is None or getattr(security, "policy", "None") == "None":
        yield warning(
            where,
            "OPC UA without security: whoever is on the network can read and forge",
            "use a policy and certificates",
        )
    for name, entry in (getattr(source.settings, "variables", None) or {}).items():
        if entry.collect == "read" and entry.check is None and len(entry.nodes) > 1:
            yield warning(
                f"{where}.variables.{name}",
                "without a check only the server's times tell values of this event from those of the next",
                "name a node that the machine counts up before it writes the values",
            )


def _redis_stream(where: str, source: Source) -> Iterator[Finding]:
    yield note(where, "what somebody trims off the stream before it was read is lost, and nothing tells of it")


CHECKS: dict[str, Callable[[str, Source], Iterator[Finding]]] = {
    "mqtt": _mqtt,
    "modbus": _modbus,
    "opcua": _opcua,
    "redis_stream": _redis_stream,
}


def secret_findings(site: Site) -> Iterator[Finding]:
    """Files of passwords and private keys that others may read; secrets that the process list may show."""
    tables = [(f"sources.{source.name}", source.settings) for source in site.sources if source.protocol]
    tables += [(f"sinks.{sink.name}", sink.settings) for sink in site.sinks]
    for where, settings in tables:
        for path, file in secret_files(settings, where):
            yield from _file_findings(path, file)


def secret_files(value: Any, where: str) -> Iterator[tuple[str, Path | str]]:
    """(path in the site file, the file, or the name of a variable) of every secret below a struct."""
    if isinstance(value, Secret):
        yield where, Path(value.file) if value.file is not None else str(value.env)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            inner = getattr(value, name)
            if name == "private_key" and isinstance(inner, str):
                yield f"{where}.{name}", Path(inner)
            else:
                yield from secret_files(inner, f"{where}.{name}")
        if isinstance(value, Tls) and value.certificate is not None and value.private_key is None:
            yield f"{where}.certificate", Path(value.certificate)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from secret_files(inner, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from secret_files(inner, f"{where}[{index}]")


def _file_findings(where: str, file: Path | str) -> Iterator[Finding]:
    if isinstance(file, str):
        yield note(where, f"the secret is in the environment ({file}): whoever is this user or root can read it there")
        return
    try:
        mode = file.stat().st_mode
        folder = file.parent.stat().st_mode
    except OSError as failure:
        yield error(where, f"{file}: {failure.strerror}", "put the file there, readable by the engine's user")
        return
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield error(where, f"{file} is open to others ({stat.filemode(mode)})", f"chmod 0640 {file}, or 0600")
    elif folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
        yield error(where, f"{file.parent}: anybody can put another file there", f"chmod o-w {file.parent}")
    else:
        yield good(where, f"{file} ({stat.filemode(mode)})")


async def reach_findings(site: Site, *, engine_runs: bool) -> list[Finding]:
    """Whether something listens where the sources are said to be, as far as that takes no connection away."""
    found: list[Finding] = []
    to_reach = []
    for source in (source for source in site.sources if source.protocol):
        where, address = f"sources.{source.name}", _address(source)
        kept = why_not_dialled(source, engine_runs=engine_runs)
        if kept:
            found.append(note(where, f"was not dialled: {kept}", "sortline tap shows what comes of it"))
        elif address is not None:
            to_reach.append(reach(where, address))
    return [*found, *await asyncio.gather(*to_reach)]


def why_not_dialled(source: Source, *, engine_runs: bool) -> str:
    """Devices that have room for one connection end the one before for a second; empty: nobody is thrown out."""
    if source.protocol == "telegram":
        if source.settings.role == "server":
            return "its device comes to the engine, which takes a second connection for the device's new one"
        return "its device has one connection, and takes a second one for the engine's new one"
    if source.protocol == "modbus" and engine_runs:
        return "the running engine holds its connection, and many devices have room for one"
    return ""


def _address(source: Source) -> tuple[str, int] | None:
    settings = source.settings
    url = getattr(settings, "url", None)
    if isinstance(url, str):
        parts = urlsplit(url)
        return (parts.hostname, parts.port or 4840) if parts.hostname else None
    if source.protocol == "mqtt":
        known: tuple[str, int] = settings.address()
        return known
    usual = {"modbus": 502, "redis_stream": 6379}
    host, port = getattr(settings, "host", None), getattr(settings, "port", None)
    return (host, port or usual.get(source.protocol or "", 0)) if isinstance(host, str) else None


async def reach(where: str, address: tuple[str, int]) -> Finding:
    """Whether something takes TCP connections there."""
    host, port = address
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as failure:
        why = getattr(failure, "strerror", None) or type(failure).__name__
        return warning(where, f"nobody answers at {host}:{port}: {why}", "start it, or put the address right")
    writer.transport.abort()
    return good(where, f"{host}:{port} answers")
