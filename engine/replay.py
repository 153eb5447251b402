"""`sortline replay`: the records of a file through the same core, without any server.

    recordings.read ──lines──► decoder ──batch──► core ──events──► out

With `--speed max` nothing but the input decides: the same file gives the same bytes. An engine's journal is decided
on by the rules by which the engine did, so that it gives the events that the engine told.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from engine.config.load import load_rules
from engine.config.rules import Rules
from engine.errors import Refused
from engine.pauses import short_pauses
from engine.recordings import Chunk, Output, Writer, new_file, read, say
from engine.records import make_decoder
from engine.rule_book import RuleSet
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

FAULTS_SHOWN = 20
PACE_S = 0.005  # a paced run wakes up no oftener
DEFAULTS = Rules().given()
SPEEDS = {"max": 0.0, "1x": 1.0, "10x": 10.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input", metavar="IN", help="the recording: .ndjson, .zst, .parquet, a data folder, or - for stdin"
    )
    parser.add_argument("--out", required=True, help="where the business events go: .ndjson, .zst, or - for stdout")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="SITE.toml",
        help="site name and rules, instead of those that a data folder holds",
    )
    parser.add_argument(
        "--until", type=instant_us, default=-1, metavar="T", help="microseconds or RFC 3339; default: last event + 60 s"
    )
    parser.add_argument("--speed", choices=SPEEDS, default="max", help="as fast as it goes, or as the records came")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad line")


def run(args: argparse.Namespace) -> int:
    if args.out.endswith(".parquet"):
        raise Refused(f"{args.out}: business events are written as .ndjson or .zst")
    if args.out != "-" and args.input != "-" and Path(args.out).resolve() == Path(args.input).resolve():
        raise Refused(f"{args.out}: is the recording itself")
    replay = Replay(args.input, args.config, strict=args.strict)
    pace = Pace(SPEEDS[args.speed]) if SPEEDS[args.speed] else None
    chunks = read(args.input)
    chunk = next(chunks, None)  # what cannot be read is refused before anything is written
    # whoever follows a run that is paced, or a live feed, finds it under its name from the first line on
    followed = pace is not None or args.input == "-"
    place = contextlib.nullcontext(args.out) if followed else new_file(args.out, replaces=True)
    with short_pauses(), place as name, Writer(name) as out:
        while chunk is not None:
            replay.take(chunk, out, pace)
            chunk = next(chunks, None)
        replay.finish(args.until, out)
    replay.report()
    return 0


def instant_us(text: str) -> int:
    """Microseconds since 1970 UTC, written so or in RFC 3339 (section 5.6: always with an offset)."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither microseconds nor RFC 3339") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset; end it with Z for UTC")
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


class Replay:
    """One run: `take` every chunk, then `finish`, then `report`."""

    def __init__(self, name: str, config: Path | None, *, strict: bool) -> None:
        self.name = "stdin" if name == "-" else name
        self.config = config
        self.rules = _of_site(config) if config is not None else None
        self.strict = strict
        self.core: Core | None = None  # there as soon as the site's name is known
        self._begin_texts()
        self.refused = 0
        self.records = 0
        self.events = 0
        self.progress = Progress(sys.stderr)

    def take(self, chunk: Chunk, out: Output, pace: Pace | None) -> None:
        """Records in, events out. Raises Refused at a bad line if the run is strict."""
        if chunk.rules is not None and self.config is None:
            self._go_by(chunk.rules, chunk.first_line)
        elif chunk.rules is not None and self.rules is not None and self.core is None:
            changed = ", ".join(_whole(chunk.rules).changed(self.rules))
            if changed:
                say(f"{self.name}: by the rules of {self.config}; the engine began with others: {changed}")
        try:
            refused = self.decoder.decode(chunk.data, self.batch)
        except MemoryError as error:
            raise Refused(f"{self.name}: {error}") from None
        for index, reason in refused:
            self._name_fault(chunk.first_line + index, reason)
        core = self.core = self.core or self._start()
        if core is None:
            return  # no record has named its source yet: the batch grows on
        whole = [(0, len(self.batch))]
        for start, stop in pace.runs(self.batch.column("t_rx")) if pace else whole:
            core.feed(self.batch, start, stop)
            self._write_events(core, out)
            if pace or self.name == "stdin":
                out.flush()
            self.records += stop - start
            self.progress.show(self.records, self.events, chunk.done)
        self.batch.clear()

    def finish(self, until_us: int, out: Output) -> None:
        """R4a: time runs on to `until_us`; what is still open then stays open."""
        core = self.core = self.core or self._make("site")
        core.feed(self.batch)
        core.reject(self.refused)
        core.finish(until_us)
        self._write_events(core, out)

    def report(self) -> None:
        """The account, on stderr."""
        self.progress.clear()
        if self.refused > FAULTS_SHOWN:
            print(f"{self.name}: {self.refused - FAULTS_SHOWN} more bad lines", file=sys.stderr)
        if self.core is not None:
            print(account_line(self.core.account()), file=sys.stderr)

    def _start(self) -> Core | None:
        """The core, named by the site file or by the first record's source; None while no record has one."""
        if self.rules is not None:
            return self._make(self.rules.site)
        sources = self.batch.column("src")
        named = sources[sources != 0]
        return self._make(self.texts.text(int(named[0])).partition("/")[0]) if len(named) else None

    def _make(self, site: str) -> Core:
        rules = self.rules or RuleSet(site, {})
        return Core(rules.site, self.texts, rules.rules, rules.sources)

    def _begin_texts(self) -> None:
        self.texts = Texts()
        self.decoder = make_decoder(self.texts)
        self.batch = Batch(self.texts)

    def _go_by(self, rules: RuleSet, line: int) -> None:
        """These decided from here on: others take over with the windows as they stand, as in the engine."""
        before, self.rules = self.rules, rules
        if before is None:
            own = _whole(rules).changed(RuleSet("", DEFAULTS, rules.sources))
            told = ", ".join([*(f"{name} = {rules.rules[name]}" for name in own), *(src for src, _ in rules.sources)])
            say(f'{self.name}: by the rules of the engine, site "{rules.site}": {told or "the defaults"}')
        elif not before.same(rules):
            say(f"{self.name}: from record {line} on {', '.join(before.changed(rules))} changed")
            if self.core is not None:
                state = self.core.snapshot()
                self._begin_texts()
                self.core = self._make(rules.site)
                self.core.restore(state)

    def _name_fault(self, line: int, reason: str) -> None:
        fault = f"{self.name}:{line}: {reason}"
        if self.strict:
            raise Refused(fault)
        self.refused += 1
        if self.refused <= FAULTS_SHOWN:
            self.progress.clear()
            print(fault, file=sys.stderr)

    def _write_events(self, core: Core, out: Output) -> None:
        events = core.take()
        self.events += len(events)
        out.write(b"".join(body + b"\n" for _, _, _, _, body, _ in events))


def _whole(rules: RuleSet) -> RuleSet:
    """With what it does not name."""
    return rules._replace(rules={**DEFAULTS, **rules.rules})


def _of_site(config: Path) -> RuleSet:
    site = load_rules(config)
    return RuleSet(site.site, site.rules.given(), site.source_rules)


def account_line(account: Mapping[str, int]) -> str:
    """R82 in one line: where every record went."""
    parts = " + ".join(f"{name} {account[name]}" for name in ("used", "duplicate", "late", "rejected", "noise", "open"))
    return f"in {account['in']} = {parts}"


class Pace:
    """Lets records through at the speed at which they came, times `factor`."""

    def __init__(
        self,
        factor: float,
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep_s: Callable[[float], None] = time.sleep,
    ) -> None:
        self.factor = factor
        self.monotonic_s = monotonic_s
        self.sleep_s = sleep_s
        self.begun_s = 0.0
        self.first_us = -1
        self.last_us = 0

    def runs(self, t_rx: np.ndarray[Any, Any]) -> Iterator[tuple[int, int]]:
        """Row ranges (start, stop), each when it is due by the greatest `t_rx` so far (R4)."""
        walls = np.maximum.accumulate(np.maximum(t_rx, self.last_us))
        if self.first_us < 0 and len(walls):
            self.first_us, self.begun_s = int(walls[0]), self.monotonic_s()
        at = 0
        while at < len(walls):
            now_us = self.first_us + round((self.monotonic_s() - self.begun_s) * self.factor * 1e6)
            due = int(np.searchsorted(walls, now_us, side="right"))
            if due > at:
                yield at, due
                at = due
            else:
                self.sleep_s(max(PACE_S, (int(walls[at]) - now_us) / 1e6 / self.factor))
        if len(walls):
            self.last_us = int(walls[-1])


class Progress:
    """How far the run is: one line that is drawn over in a terminal, a line every few seconds elsewhere."""

    def __init__(self, err: TextIO, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.err = err
        self.monotonic_s = monotonic_s
        self.drawn = err.isatty()
        self.every_s = 0.2 if self.drawn else 5.0
        self.begun_s = self.shown_s = monotonic_s()

    def show(self, records: int, events: int, done: float) -> None:
        """`done`: 0..1, negative where the recording's size is not known."""
        now_s = self.monotonic_s()
        if now_s - self.shown_s < self.every_s:
            return
        self.shown_s = now_s
        share = f"{done:4.0%}  " if done >= 0 else ""
        text = f"{share}{records:,} records  {records / (now_s - self.begun_s):,.0f}/s  {events:,} events"
        print(f"\r\x1b[K{text}" if self.drawn else text, end="" if self.drawn else "\n", file=self.err, flush=True)

    def clear(self) -> None:
        """Free the terminal's line for something that stays."""
        if self.drawn:
            print("\r\x1b[K", end="", file=self.err, flush=True)
