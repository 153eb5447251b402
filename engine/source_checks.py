"""What the site file says about sources and secrets that can lose something, or tell it to somebody.

What a protocol can lose, and where one may dial, it says itself (`protocols.checking`). Wires are tried with a bare TCP
connection.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.config.site import Site
from engine.findings import Finding, error, good, note, warning
from engine.secret import Secret
from engine.tls import Tls
from protocols import registry

CONNECT_S = 2.0
DIALS_MAX = 64
"""At once: a site may have thousands of devices."""


def source_findings(site: Site) -> Iterator[Finding]:
    """What each source can lose by its nature, or by its settings: its protocol says it."""
    for source in site.sources:
        checks = registry.checks_of(source.protocol) if source.protocol is not None else None
        if checks is not None:
            yield from checks.findings(f"sources.{source.name}", source.settings)


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
    for source in site.sources:
        checks = registry.checks_of(source.protocol) if source.protocol is not None else None
        if checks is None:
            continue
        where, there = f"sources.{source.name}", checks.reach(source.settings)
        found += [line_finding(where, Path(device)) for device in there.lines]
        kept = there.never or (there.beside_engine if engine_runs and there.addresses else "")
        if kept:
            found.append(note(where, f"was not dialled: {kept}", "sortline tap shows what comes of it"))
        else:
            to_reach += [(where, address) for address in there.addresses]
    at_once = asyncio.Semaphore(DIALS_MAX)

    async def reached(where: str, address: tuple[str, int]) -> Finding:
        async with at_once:
            return await reach(where, address)

    return [*found, *await asyncio.gather(*(reached(*each) for each in to_reach))]


def line_finding(where: str, device: Path) -> Finding:
    """Whether a serial line is there, and may be opened by this user. It is not: somebody else may have it."""
    try:
        is_line = stat.S_ISCHR(device.stat().st_mode)
    except OSError as failure:
        return warning(where, f"{device}: {failure.strerror}", "plug it in, or put its name right (/dev/serial/by-id)")
    if not is_line:
        return error(where, f"{device} is no serial line", "put its name right (/dev/serial/by-id)")
    if not os.access(device, os.R_OK | os.W_OK):
        return error(where, f"{device}: this user may not open it", "the engine's user belongs into the group of it")
    return good(where, f"{device} is there")


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
