"""`sortline discover modbus HOST`: asks units for registers, watches those that are there, drafts a source's table.

Read function codes only (1 to 4), one request at a time, over a connection as the driver has it.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from engine.arguments import number_of_seconds
from engine.errors import Refused
from protocols.discovery import Discovery, Seen, add_place, head, how_to_connect, key, numbering, table, toml
from protocols.modbus.connection import FUNCTIONS, Connection
from protocols.modbus.endpoint import PORT, Endpoint, parse_address
from protocols.modbus.registers import Table
from protocols.modbus.settings import Settings
from protocols.modbus.wire import NoAnswer, Refusal

PURPOSE = "read a server's registers, watch those that are there, draft the source's table; writes nothing"
CONNECTION = ("host", "port", "backups", "transport", "serial", "tls", "timeout_ms")
REGISTERS = ("holding", "input")
WORDS_PER_READ = 64
BITS_PER_READ = 256
TIMEOUT_S = 1.0
ILLEGAL_FUNCTION = 1
HALVED = (2, 3, 4)
"""Exceptions by which devices say that they do not have all that was asked for, or not so much of it at once."""
BUSY_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Before a device that says that it has no time is asked again."""
RUNS_SHOWN_MAX = 64


class Silence(Exception):
    """No answer, or the connection was closed instead of one."""


class Run(NamedTuple):
    """Registers that follow one another and can be read, `at_once` in one request. `seen`: of each. `is_limited`: more
    at once were refused."""

    table: Table
    first: int
    seen: list[Seen]
    at_once: int
    is_limited: bool


class Unit(NamedTuple):
    number: int
    runs: list[Run]


class Line:
    """The driver's own connection; each `read` is one request and its answer. Opens anew after a silence.

    not_believed: why answers were none to what was asked, and how often; each ends the connection.
    in_vain: of each unit what came of requests that brought no values, and how often.
    answering: units that have said anything at all, if only no."""

    def __init__(self, endpoint: Endpoint, timeout_s: float = TIMEOUT_S) -> None:
        self.not_believed: Counter[str] = Counter()
        self.in_vain: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self.answering: set[int] = set()
        self._timeout_s = timeout_s
        self._connection = Connection(endpoint, timeout_s, frozenset())
        self._was_open = False

    @property
    def place(self) -> str:
        return str(self._connection.endpoint)

    async def read(self, unit: int, table: Table, address: int, count: int) -> list[int]:
        """Raises Refusal, Silence; Refused where nobody was there from the beginning."""
        for pause_s in BUSY_PAUSES_S:
            try:
                return await self._ask(unit, table, address, count)
            except Refusal as refusal:
                if not refusal.is_busy:
                    raise
            await asyncio.sleep(pause_s)
        return await self._ask(unit, table, address, count)

    async def _ask(self, unit: int, table: Table, address: int, count: int) -> list[int]:
        if not self._connection.is_open:
            await self._open(unit)
        try:
            answer = await self._connection.read(unit, self._timeout_s, table, address, count)
        except Refusal as refusal:
            if not refusal.is_unreachable:
                self.answering.add(unit)
            self.in_vain[unit][str(refusal)] += 1
            raise
        except NoAnswer as failure:
            self.in_vain[unit][failure.reason] += 1
            if failure.wrong:
                self.not_believed[failure.reason] += 1
            if self._connection.endpoint.is_rtu:
                # what still came would be taken for the answer to the next request
                await asyncio.sleep(self._timeout_s)
            raise Silence from None
        self.answering.add(unit)
        return list(_values(table, answer, count))

    async def _open(self, unit: int) -> None:
        try:
            await self._connection.open()
        except NoAnswer as failure:
            if self._was_open:
                self.in_vain[unit][failure.reason] += 1
                raise Silence from None
            raise Refused(f"{self._connection.endpoint}: {failure.reason}") from None
        self._was_open = True

    def is_silent(self, unit: int) -> bool:
        """It was asked more than once, and has never said anything."""
        return unit not in self.answering and self.in_vain[unit].total() > 1

    def close(self) -> None:
        self._connection.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "HOST", "the server, HOST or HOST:PORT")
    parser.add_argument("--units", default="1", metavar="LIST", help="unit ids: 1, 1-8, 1,5,7 (1)")
    parser.add_argument("--registers", default="0-255", metavar="A-B", help="addresses from A to B, from 0 (0-255)")
    parser.add_argument(
        "--tables", default="holding,input", metavar="LIST", help="some of holding,input,coil,discrete (holding,input)"
    )
    parser.add_argument("--seconds", type=number_of_seconds, default=5.0, metavar="N", help="watch for so long (5)")
    parser.add_argument("--name", default="modbus", help="the source's name in the draft (modbus)")


async def discover(args: argparse.Namespace) -> Discovery:
    """Raises Refused where the server cannot be reached, or nothing of what is asked for can be read."""
    connect = how_to_connect(args, CONNECTION, _connect)
    line = _line(connect)
    first, last = _range(args.registers, 65_535)
    tables: list[Table] = [name for name in FUNCTIONS if name in map(str.strip, args.tables.split(","))]
    if len(tables) != len(args.tables.split(",")):
        raise Refused(f"--tables {args.tables}: of {', '.join(FUNCTIONS)}")
    units = []
    try:
        for number in _listed(args.units):
            units.append(Unit(number, [run for name in tables for run in await scan(line, number, name, first, last)]))
        if not any(unit.runs for unit in units):
            raise Refused(_nothing(line, args))
        rounds = await _watch(line, units, args.seconds)
    finally:
        line.close()
    return Discovery(_report(line, units, rounds), draft(args.name, connect, units))


def _connect(where: str) -> dict[str, Any]:
    address = parse_address(where, PORT)
    if address is None:
        raise Refused(f"{where}: no address: HOST, HOST:PORT or [IPv6]:PORT")
    return {"host": address[0], "port": address[1]}


def _line(connect: Mapping[str, Any]) -> Line:
    try:
        # which registers there are is what we are about to find out
        settings = msgspec.convert({**connect, "units": {"any": {"unit": 1, "src": "any"}}}, Settings)
    except msgspec.ValidationError as error:
        raise Refused(str(error)) from None
    for path, fault in settings.connection_faults():
        raise Refused(f"{path}: {fault}")
    if settings.transport != "rtu" and settings.host is None:
        raise Refused("host: where is it? The source has none of its own: say the unit's instead of --from")
    return Line(settings.endpoint_of(settings.units["any"]), settings.timeout_ms / 1000)


async def scan(line: Line, unit: int, name: Table, first: int, last: int) -> list[Run]:
    """What can be read of one table, in runs. A block that is refused is halved until the holes are found.

    Many devices say nothing where they should refuse. Where one register of a block is answered for, the block is asked
    for once more, as an answer may be lost, and a silence then is a refusal."""
    there: dict[int, int] = {}
    at_once = 1
    step = WORDS_PER_READ if name in REGISTERS else BITS_PER_READ
    blocks = [(at, min(step, last - at + 1)) for at in range(first, last + 1, step)]
    refused: list[range] = []
    asked_again: tuple[int, int] | None = None
    refuses_silently = False
    while blocks:
        at, count = block = blocks.pop(0)
        try:
            found = await line.read(unit, name, at, count)
        except Refusal as refusal:
            if refusal.code == ILLEGAL_FUNCTION or (refusal.is_unreachable and unit not in line.answering):
                return []
            is_too_much = refusal.code in HALVED and count > 1
        except Silence:
            if not there and line.is_silent(unit):
                return []  # nobody there, or a gateway that knows no such unit
            if count == 1 or not await _is_there(line, unit, name, at):
                if not there:
                    return []  # the same, or a device that knows no such function
                continue
            is_too_much = refuses_silently = refuses_silently or block == asked_again
            if not is_too_much:
                asked_again = block
                blocks.insert(0, block)
        else:
            there |= zip(range(at, at + count), found, strict=True)
            at_once = max(at_once, count)
            continue
        if is_too_much:
            refused.append(range(at, at + count))
            half = count // 2
            blocks[:0] = [(at, half), (at + half, count - half)]
    is_limited = any(len(block) > at_once and there.keys() >= set(block) for block in refused)
    return [
        Run(name, run[0], [Seen(there[address]) for address in run], at_once, is_limited) for run in _runs(list(there))
    ]


async def _is_there(line: Line, unit: int, name: Table, address: int) -> bool:
    """Whether a single register is answered for, if only by no."""
    try:
        await line.read(unit, name, address, 1)
    except Refusal as refusal:
        return not refusal.is_unreachable
    except Silence:
        return False
    return True


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
            values = await line.read(unit.number, run.table, run.first + at, count)
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


def draft(name: str, connect: Mapping[str, Any], units: list[Unit]) -> str:
    """A source's table with a group for each unit; its registers that changed, or else the first ones."""
    lines = head(name, "modbus", connect)
    for unit in units:
        chosen = _chosen(unit)
        if not chosen:
            continue
        table_name = f"sources.{key(name)}.units.U{unit.number}"
        lines += ["", f"[{table_name}]", f"unit = {unit.number}"]
        lines.append(f"src = {toml(f'site/area/U{unit.number}')} # its name in every record")
        lines += [f"{limit} = {most} # it refuses more at once" for limit, most in _limits(unit)]
        for kind in FUNCTIONS:
            registers = {_named(kind, at): at for of, at, _ in chosen if of == kind}
            lines += [f"{kind} = {toml(registers)}"] if registers else []
        trigger, at, seen = max(chosen, key=lambda one: (one[2].rising, one[2].count))
        lines += [
            f"[{table_name}.groups.all]",
            "poll_ms = 100",
            f"[[{table_name}.groups.all.triggers]]",
            'on = "change"',
            f"register = {toml(_named(trigger, at))} # the one that says that something happened",
            'record.kind = { const = "telemetry" } # what happened: see the kinds in docs/records.md',
            *numbering(_named(trigger, at), trigger in REGISTERS and seen.rising and seen.count > 0),
        ]
    return "\n".join(lines) + "\n"


def _limits(unit: Unit) -> Iterator[tuple[str, int]]:
    """What the unit takes at once, where that is less than the standard has it."""
    for setting, are_words in (("read_registers_max", True), ("read_bits_max", False)):
        limits = [run.at_once for run in unit.runs if run.is_limited and (run.table in REGISTERS) == are_words]
        if limits:
            yield setting, min(limits)


def _chosen(unit: Unit) -> list[tuple[Table, int, Seen]]:
    every = [(run.table, run.first + index, seen) for run in unit.runs for index, seen in enumerate(run.seen)]
    changed = [one for one in every if one[2].count]
    return (changed or every[:8])[:64]


def _nothing(line: Line, args: argparse.Namespace) -> str:
    """Nothing could be read: what was tried, what came of it, and what else there is to try."""
    tried = f"units {args.units}, {args.tables} {args.registers}"
    came = _in_vain(sum(line.in_vain.values(), Counter()))
    other = "other units (--units), registers (--registers), tables (--tables)?"
    if not line.answering:
        other += " Or another transport (--from, transport), or no Modbus?"
    return f"{line.place}: nothing can be read of {tried}: {came}; {other}"


def _report(line: Line, units: list[Unit], rounds: int) -> list[str]:
    lines = [f"{line.place}: {sum(bool(unit.runs) for unit in units)} of {len(units)} units answer, {rounds} rounds"]
    lines += [f"{number} x not believed: {why}" for why, number in line.not_believed.most_common()]
    lines += _without_values(line, units)
    lines += _alike(units)
    rows = [("unit", "table", "registers", "that changed", "values")]
    for unit in units:
        for run in unit.runs[:RUNS_SHOWN_MAX]:
            last = run.first + len(run.seen) - 1
            changed = [run.first + index for index, seen in enumerate(run.seen) if seen.count]
            values = " ".join(str(seen.last) for seen in run.seen[:12]) + (" ..." if len(run.seen) > 12 else "")
            shown = " ".join(map(str, changed[:12])) or "-"
            rows.append((str(unit.number), run.table, f"{run.first}-{last}", shown, values))
    return [*lines, *table(rows)]


def _without_values(line: Line, units: list[Unit]) -> list[str]:
    """Why nothing can be read of units, those together of which the same is to be said."""
    why: dict[str, list[int]] = {}
    for unit in units:
        if not unit.runs:
            why.setdefault(_in_vain(line.in_vain[unit.number]), []).append(unit.number)
    return [f"unit{'s'[: len(of) > 1]} {_shortly(of)}: nothing can be read: {came}" for came, of in why.items()]


def _alike(units: list[Unit]) -> list[str]:
    """Units of which the same registers have changed alike: many servers do not look at the unit id."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for unit in units:
        changes = tuple((table, at, seen.last) for table, at, seen in _chosen(unit) if seen.count)
        if changes:
            alike.setdefault((*((run.table, run.first, len(run.seen)) for run in unit.runs), *changes), []).append(
                unit.number
            )
    return [
        f"units {_shortly(numbers)} show the same: if one device answers to every id, keep one of them"
        for numbers in alike.values()
        if len(numbers) > 1
    ]


def _in_vain(came: Counter[str]) -> str:
    return ", ".join(f"{number} x {why}" for why, number in came.most_common())


def _shortly(numbers: list[int]) -> str:
    """1-3, 7"""
    runs = _runs(numbers)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _values(table: Table, body: bytes, count: int) -> Iterator[int]:
    if table in REGISTERS:
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
