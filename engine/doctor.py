"""`sortline doctor SITE.toml`: what is wrong on this box, and what to do about it; exit code 1 if anything is an error.

It looks at the data folder and its disk, the clock, limits and rights, at what each source can lose, and asks the
sinks. It changes nothing, and may run beside the engine: what has room for one connection is not dialled then.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engine.box_checks import box_findings
from engine.clock import now_us
from engine.config.faults import count
from engine.config.load import load_site
from engine.config.relations import doubts
from engine.config.site import SinkTable, Site
from engine.crashes import LAST
from engine.dead_letters import DeadLetters
from engine.dlq import FILE
from engine.error_classes import Class, classify
from engine.errors import Newer, Refused
from engine.findings import Finding, Level, error, good, note, warning
from engine.logs import escaped
from engine.passed_over import NAME as PASSED_OVER
from engine.passed_over import PassedOver
from engine.source_checks import reach, reach_findings, secret_findings, source_findings
from engine.sqlite_file import open_to_read
from engine.taps import engine_runs_on

REFUSED = 1
EVENT_BYTES = 1_024  # a business event in the outbox, about
NEAR_FULL = 0.8
AGE_S_MAX = 300.0
ASK_S_MAX = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", metavar="SITE.toml", type=Path, help="the site file")
    parser.add_argument("--all", action="store_true", help="also what is as it should be")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0, or 1 if there is an error among the findings. Faults of the site file are raised as `SiteRefused`."""
    site = load_site(args.site)
    found = asyncio.run(_findings(site))
    order = list(Level)
    shown = [each for each in found if args.all or each.level is not Level.GOOD]
    for finding in sorted(shown, key=lambda each: order.index(each.level)):
        _show(finding, args.json)
    errors = sum(finding.level is Level.ERROR for finding in found)
    if not args.json:
        warnings = sum(finding.level is Level.WARNING for finding in found)
        print(f"{args.site}: {count(errors, 'error')}, {count(warnings, 'warning')}, {len(found)} things looked at")
    return REFUSED if errors else 0


def _show(finding: Finding, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({**finding._asdict(), "level": finding.level.value}).decode())
        return
    print(escaped(f"{finding.level.value:<8} {finding.where}: {finding.what}"))
    if finding.do:
        print(escaped(f"{'':<8} do: {finding.do}"))


async def _findings(site: Site) -> list[Finding]:
    settings, data_dir = site.engine, Path(site.engine.data_dir)
    needs = settings.journal_bytes_max + settings.outbox_rows_max * EVENT_BYTES + site.dead_letters.bytes_max
    found = list(box_findings(data_dir, needs))
    found += [warning(path, what, "make it longer, or the other one shorter") for path, what in doubts(site)]
    found += source_findings(site)
    found += secret_findings(site)
    found += await reach_findings(site, engine_runs=await engine_runs_on(data_dir))
    for sink in site.sinks:
        found += await _sink(site, sink)
    found += _outbox(data_dir / "outbox.sqlite", settings.outbox_rows_max)
    found += _letters(data_dir / FILE, site.dead_letters.bytes_max)
    found += _passed_over(data_dir)
    return found


async def _sink(site: Site, sink: SinkTable) -> list[Finding]:
    where = f"sinks.{sink.name}"
    try:
        async with asyncio.timeout(ASK_S_MAX):
            if sink.kind == "redis":
                from engine.sinks.redis_health import redis_findings  # only a site with Redis needs its library

                queues = sorted({to[sink.name] for to in site.routing().values() if sink.name in to})
                return await redis_findings(where, sink.settings, queues)
            if sink.kind == "http":
                return [*_http(where, sink.settings), await reach(where, _address(sink.settings.url))]
            return _queue(
                where, Path(site.engine.data_dir) / (sink.settings.path or f"{sink.name}.sqlite"), sink.settings
            )
    except Exception as failure:
        kind = classify(failure)
        if kind is Class.BUG:
            raise
        do = "start it, or put the address right" if not kind.holds else "put it right, as the text says"
        return [error(where, f"{kind.value}: {type(failure).__name__}: {failure}", do)]


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _http(where: str, settings: Any) -> list[Finding]:
    found = [
        note(
            where,
            "an answer that is lost sends an event twice, with the same Idempotency-Key",
            "let the receiver know the keys that it had",
        )
    ]
    if settings.plaintext:
        found.append(warning(where, "plaintext = true: whoever is on the network can read and forge", "use https"))
    return found


def _queue(where: str, path: Path, settings: Any) -> list[Finding]:
    from engine.sinks.queue import Queue

    if not path.is_file():
        return [note(where, f"{path} is not there yet: the first start makes it")]
    queue = Queue(path, settings, only_looks=True)
    try:
        return [finding for state in queue.states() for finding in _queue_state(where, state, settings.entries_max)]
    finally:
        queue.close()


def _queue_state(where: str, state: Any, entries_max: int) -> Iterator[Finding]:
    held = state.last - state.first + 1
    at = f"{where} {state.queue}"
    if held >= entries_max * NEAR_FULL:
        yield error(
            at, f"{held} entries of at most {entries_max}: soon nothing more is taken", "let consumers acknowledge"
        )
    elif held and not state.consumers:
        yield warning(
            at,
            f"{held} entries, and no consumer has ever acknowledged: nothing is trimmed",
            "let the consumer acknowledge",
        )
    else:
        yield good(at, f"{held} entries, {count(len(state.consumers), 'consumer')}")


def _outbox(path: Path, rows_max: int) -> Iterator[Finding]:
    """How far the sinks are behind; only looks, also while the engine writes."""
    if not path.is_file():
        return
    try:
        with open_to_read(path) as file:
            rows, oldest_us = file.execute("SELECT count(*), min(since_us) FROM events").fetchone()
    except sqlite3.Error as failure:
        yield warning("outbox", f"{path} cannot be read: {failure}", "look at it: docs/operations.md")
        return
    age_s = (now_us() - oldest_us) / 1e6 if oldest_us else 0.0
    text = f"{count(rows, 'event')} that some sink does not have, the oldest for {age_s:.0f} s"
    if rows >= rows_max * NEAR_FULL:
        yield error(
            "outbox", f"{text}; at {rows_max} sources are held back", "bring the sinks back, or raise outbox_rows_max"
        )
    elif age_s > AGE_S_MAX:
        yield warning("outbox", text, "look at the sinks")
    else:
        yield good("outbox", text)


def _letters(path: Path, bytes_max: int) -> Iterator[Finding]:
    if not path.is_file():
        return
    try:
        letters = DeadLetters(path, now_us, only_looks=True)
    except (Refused, sqlite3.Error) as failure:
        yield error(
            "dead letters", str(failure), f"sortline fsck {path.parent}; a start makes a new one of what can be read"
        )
        return
    try:
        counts, size = letters.counts(), letters.size()
    finally:
        letters.close()
    events = sum(number for name, number in counts.items() if name.startswith("dead/"))
    text = f"{count(events, 'event')} and {count(counts.get('payloads', 0), 'refused payload')}, {size} bytes"
    if size >= bytes_max * NEAR_FULL:
        yield error("dead letters", f"{text} of {bytes_max}: soon a sink is held for each more", "sortline dlq list")
    elif events or counts.get("payloads"):
        yield warning("dead letters", text, "sortline dlq list, then replay or discard")
    else:
        yield good("dead letters", "none")


def _passed_over(data_dir: Path) -> Iterator[Finding]:
    try:
        number = len(PassedOver(data_dir / PASSED_OVER, put_damaged_aside=False)) if data_dir.is_dir() else 0
    except Newer as failure:
        yield error("journal", str(failure), "a start is refused by this program, and changes nothing")
        return
    if number:
        yield error(
            "journal",
            f"{count(number, 'record')} passed over: the process died each time that the rules read them; where is "
            f"said in {data_dir / LAST}",
            "sortline dlq list --kind line; report it, and send them again (dlq replay) with a program that is mended",
        )
