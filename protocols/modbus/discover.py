"""`sortline discover modbus HOST`: asks units for registers, watches those that are there, drafts a source's table.

Read function codes only (1 to 4), one request at a time. Frames as in Modbus Messaging on TCP/IP 1.0b, section 3.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from engine.arguments import number_of_seconds
from engine.errors import Refused
from ext.modbus_frames import Frames
from protocols.discovery import Discovery, Seen, key, table, toml
from protocols.modbus.endpoint import PORT, parse_address
from protocols.modbus.wire import BUSY

PURPOSE = "read a server's registers, watch those that are there, draft the source's table; writes nothing"
FUNCTIONS = {"holding": 3, "input": 4, "coil": 1, "discrete": 2}
WORDS_PER_READ = 64
BITS_PER_READ = 256
TIMEOUT_S = 1.0
ANSWER_BYTES_MAX = 260
ILLEGAL_FUNCTION = 1
HALVED = (2, 3, 4)
"""Exceptions by which devices say that they do not have all that was asked for, or not so much of it at once."""
BUSY_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Before a device that says that it has no time is asked again."""
RUNS_SHOWN_MAX = 64


class Refusal(Exception):
    """The unit answered with an exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Silence(Exception):
    """No answer, or the connection was closed instead of one."""


class Run(NamedTuple):
    """Registers that follow one another and can be read, `at_once` in one request. `seen`: of each."""

    table: str
    first: int
    seen: list[Seen]
    at_once: int


class Unit(NamedTuple):
    number: int
    runs: list[Run]


class Line:
    """One connection; each `read` is one request and its answer. Opens anew after a silence.

    not_believed: why answers were none to what was asked, and how often; each ends the connection, as the driver's."""

    def __init__(self, host: str, port: int) -> None:
        self.not_believed: Counter[str] = Counter()
        self._host = host
        self._port = port
        self._frames = Frames()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._was_open = False

    async def read(self, unit: int, function: int, address: int, count: int) -> list[int]:
        """Raises Refusal, Silence; OSError where nobody was there from the beginning."""
        for pause_s in BUSY_PAUSES_S:
            try:
                return await self._ask(unit, function, address, count)
            except Refusal as refusal:
                if refusal.code not in BUSY:
                    raise
            await asyncio.sleep(pause_s)
        return await self._ask(unit, function, address, count)

    async def _ask(self, unit: int, function: int, address: int, count: int) -> list[int]:
        reader, writer = self._streams or await self._open()
        try:
            writer.write(self._frames.read(None, unit, function, address, count))
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._answer(reader)
        except OSError:
            self.close()
            raise Silence from None
        if isinstance(answer, int):
            raise Refusal(answer)
        return list(_values(function, answer, count))

    async def _answer(self, reader: asyncio.StreamReader) -> bytes | int:
        """The payload, or the number of an exception. Raises OSError where no answer to what was asked came."""
        while data := await reader.read(ANSWER_BYTES_MAX):
            for _, answer in self._frames.feed(data):
                return answer
            if self._frames.fault is not None:
                self.not_believed[self._frames.fault] += 1
                break
        raise ConnectionResetError

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self._streams = await asyncio.open_connection(self._host, self._port)
                self._frames = Frames()
        except OSError:
            if self._was_open:
                raise Silence from None
            raise
        self._was_open = True
        return self._streams

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="the server, HOST or HOST:PORT")
    parser.add_argument("--units", default="1", metavar="LIST", help="unit ids: 1, 1-8, 1,5,7 (1)")
    parser.add_argument("--registers", default="0-255", metavar="A-B", help="addresses from A to B, from 0 (0-255)")
    parser.add_argument(
        "--tables", default="holding,input", metavar="LIST", help="some of holding,input,coil,discrete (holding,input)"
    )
    parser.add_argument("--seconds", type=number_of_seconds, default=5.0, metavar="N", help="watch for so long (5)")
    parser.add_argument("--name", default="modbus", help="the source's name in the draft (modbus)")


async def discover(args: argparse.Namespace) -> Discovery:
    """Raises Refused where the server cannot be reached, or what is asked for cannot be read."""
    address = parse_address(args.host, PORT)
    if address is None:
        raise Refused(f"{args.host}: no address: HOST, HOST:PORT or [IPv6]:PORT")
    line = Line(*address)
    first, last = _range(args.registers, 65_535)
    tables = [name.strip() for name in args.tables.split(",")]
    if not set(tables) <= set(FUNCTIONS):
        raise Refused(f"--tables {args.tables}: of {', '.join(FUNCTIONS)}")
    units = []
    try:
        for number in _listed(args.units):
            units.append(Unit(number, [run for name in tables for run in await scan(line, number, name, first, last)]))
        rounds = await _watch(line, units, args.seconds)
    except OSError as error:
        raise Refused(f"{args.host}: {os.strerror(error.errno) if error.errno else 'no connection'}") from None
    finally:
        line.close()
    return Discovery(_report(args, units, rounds, line.not_believed), draft(args.name, *address, units))


async def scan(line: Line, unit: int, name: str, first: int, last: int) -> list[Run]:
    """What can be read of one table, in runs. A block that is refused is halved until the holes are found."""
    there: list[int] = []
    at_once = 1
    step = WORDS_PER_READ if FUNCTIONS[name] in (3, 4) else BITS_PER_READ
    blocks = [(at, min(step, last - at + 1)) for at in range(first, last + 1, step)]
    while blocks:
        at, count = blocks.pop(0)
        try:
            await line.read(unit, FUNCTIONS[name], at, count)
        except Refusal as refusal:
            if refusal.code == ILLEGAL_FUNCTION:
                return []
            if refusal.code in HALVED and count > 1:
                half = count // 2
                blocks[:0] = [(at, half), (at + half, count - half)]
        except Silence:
            if not there:
                return []  # nobody there, a gateway that knows no such unit, or a device that knows no such function
        else:
            there += range(at, at + count)
            at_once = max(at_once, count)
    return [Run(name, run[0], [Seen() for _ in run], at_once) for run in _runs(there)]


async def _watch(line: Line, units: list[Unit], seconds: float) -> int:
    """Reads everything again and again; how often each register changed stands in its `seen`."""
    loop = asyncio.get_running_loop()
    until, rounds = loop.time() + seconds, 0
    before: dict[tuple[int, str, int], int] = {}
    while any(unit.runs for unit in units) and (rounds == 0 or loop.time() < until):
        rounds += 1
        for unit in units:
            for run in unit.runs:
                await _look(line, unit, run, before)
        await asyncio.sleep(0.05)
    return rounds


async def _look(line: Line, unit: Unit, run: Run, before: dict[tuple[int, str, int], int]) -> None:
    for at in range(0, len(run.seen), run.at_once):
        count = min(run.at_once, len(run.seen) - at)
        try:
            values = await line.read(unit.number, FUNCTIONS[run.table], run.first + at, count)
        except (Refusal, Silence):
            continue
        for index, value in enumerate(values):
            place = (unit.number, run.table, run.first + at + index)
            seen = run.seen[at + index]
            if place not in before:
                seen.first = seen.last = value
            elif before[place] != value:
                seen.add(value)
            before[place] = value


def draft(name: str, host: str, port: int, units: list[Unit]) -> str:
    """A source's table with a group for each unit; its registers that changed, or else the first ones."""
    lines = [f"[sources.{key(name)}]", 'protocol = "modbus"', f"host = {toml(host)}", f"port = {port}"]
    for unit in units:
        chosen = _chosen(unit)
        if not chosen:
            continue
        table_name = f"sources.{key(name)}.units.U{unit.number}"
        lines += ["", f"[{table_name}]", f"unit = {unit.number}"]
        lines.append(f"src = {toml(f'site/area/U{unit.number}')} # its name in every record")
        for kind in FUNCTIONS:
            registers = {_named(kind, at): at for of, at, _ in chosen if of == kind}
            lines += [f"{kind} = {toml(registers)}"] if registers else []
        kind, at, _ = max(chosen, key=lambda one: (one[2].rising, one[2].count))
        lines += [
            f"[{table_name}.groups.all]",
            "poll_ms = 100",
            f"[[{table_name}.groups.all.triggers]]",
            'on = "change"',
            f"register = {toml(_named(kind, at))} # the one that says that something happened",
            'record.kind = { const = "telemetry" } # what happened: see the kinds in docs/records.md',
        ]
    if not any(unit.runs for unit in units):
        lines += ["", "# nothing answered: other units (--units), other registers (--registers)?"]
    return "\n".join(lines) + "\n"


def _chosen(unit: Unit) -> list[tuple[str, int, Seen]]:
    every = [(run.table, run.first + index, seen) for run in unit.runs for index, seen in enumerate(run.seen)]
    changed = [one for one in every if one[2].count]
    return (changed or every[:8])[:64]


def _report(args: argparse.Namespace, units: list[Unit], rounds: int, not_believed: Counter[str]) -> list[str]:
    lines = [f"{args.host}: {sum(bool(unit.runs) for unit in units)} of {len(units)} units answer, {rounds} rounds"]
    lines += [f"{number} x not believed: {why}" for why, number in not_believed.most_common()]
    rows = [("unit", "table", "registers", "that changed", "values")]
    for unit in units:
        for run in unit.runs[:RUNS_SHOWN_MAX]:
            last = run.first + len(run.seen) - 1
            changed = [run.first + index for index, seen in enumerate(run.seen) if seen.count]
            values = " ".join(str(seen.last) for seen in run.seen[:12]) + (" ..." if len(run.seen) > 12 else "")
            shown = " ".join(map(str, changed[:12])) or "-"
            rows.append((str(unit.number), run.table, f"{run.first}-{last}", shown, values))
    return [*lines, *table(rows)]


def _values(function: int, body: bytes, count: int) -> Iterator[int]:
    if function in (3, 4):
        yield from struct.unpack(f">{count}H", body)
        return
    for bit in range(count):
        yield body[bit // 8] >> bit % 8 & 1


def _runs(addresses: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for address in sorted(addresses):
        if runs and runs[-1][-1] == address - 1:
            runs[-1].append(address)
        else:
            runs.append([address])
    return runs


def _named(kind: str, address: int) -> str:
    return f"{kind[0]}{address}"


def _listed(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, last = _range(part, 255)
        found += range(first, last + 1)
    return found


def _range(text: str, most: int) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low, high = _number(first, text), _number(last if dash else first, text)
    if not low <= high <= most:
        raise Refused(f"{text}: not a range from 0 to {most}")
    return low, high


def _number(digits: str, text: str) -> int:
    if not digits.strip().isdigit():
        raise Refused(f"{text}: not a number where one is needed")
    return int(digits)
