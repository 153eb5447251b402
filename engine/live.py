"""What a running engine shows: a view that renews itself in a terminal, log lines otherwise. It only reads metrics."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.clock import Clock
from engine.logs import escaped
from engine.metrics import Metrics, SinkMetrics, SourceMetrics

RENEW_S = 0.5
LINE_S = 5.0
EVENTS_SHOWN = 10
DETAIL_CHARACTERS = 60
NUMERIC = frozenset({"records/s", "records", "lag", "clock", "gaps", "faults", "windows", "not delivered", "oldest"})
STYLES = {"up": "green", "running": "green", "connecting": "yellow", "retrying": "yellow", "starting": "yellow"}

log = logging.getLogger("sortline.live")


class View:
    """What is to be seen of `metrics`. `covers`: source of the site file -> the `src` values that stand behind it."""

    def __init__(self, site: str, metrics: Metrics, covers: Mapping[str, Sequence[str]], clock: Clock) -> None:
        self._site = site
        self._metrics = metrics
        self._covers = covers
        self._clock = clock
        self._started_us = clock()
        self._named = 0  # sequence of the last event that stood in a log line

    def screen(self) -> RenderableType:
        """All of it, for a terminal."""
        now = self._clock()
        return Group(
            self._header(now),
            self._sources(now),
            Columns([self._windows(), self._sinks(now)], padding=(0, 2)),
            self._events(),
        )

    def lines(self) -> Iterator[str]:
        """The same as log lines: the engine, each source and sink that is not as it should be, the newest events."""
        now = self._clock()
        metrics = self._metrics
        rate = sum(source.rate.per_second(now) for source in metrics.sources.values())
        depth = sum(sink.depth for sink in metrics.sinks.values())
        yield (
            f"{metrics.state}: {rate:.0f} records/s, {_pairs(metrics.core.account)}, "
            f"open windows: {_pairs(metrics.core.windows)}, events {metrics.emitted}, not delivered {depth}, "
            f"loop p99 {_ms(metrics.loop.p99_us())} max {_ms(metrics.loop.max_us)}"
        )
        if metrics.overload != "run":
            yield f"disk: {metrics.overload}"
        for source in metrics.sources.values():
            if source.state != "up" or source.faulty or source.shed:
                shed = f" not taken {source.shed}" if source.shed else ""
                yield f"source {source.name}: {source.state or 'starting'} {source.detail} faults {source.faulty}{shed}"
        for sink in metrics.sinks.values():
            if sink.state != "up" or sink.dead:
                dead = f" dead letters {sink.dead}" if sink.dead else ""
                yield f"sink {sink.name}: {sink.state} {sink.detail} not delivered {sink.depth}{dead}"
        for event in list(metrics.recent)[-EVENTS_SHOWN:]:
            if event.sequence > self._named:
                yield f"event {event.sequence}: {event.type} {event.partitionkey} {event.id}"
                self._named = event.sequence

    def _header(self, now: int) -> RenderableType:
        metrics = self._metrics
        title = Text.assemble(
            ("sortline ", "bold"),
            (self._site, "bold cyan"),
            "  ",
            _state(metrics.state),
            f"  {_age(now - self._started_us)}  {escaped(metrics.detail)}",
        )
        account = metrics.core.account
        parts = [f"{name} {number}" for name, number in account.items() if name != "in"]
        total = f"in {account.get('in', 0)} = {' + '.join(parts)}"
        machine = (
            f"waiting in memory {metrics.intake.records}   journal {metrics.journal.bytes / 1e6:.1f} MB, last append "
            f"{_ms(metrics.journal.append_us)}   snapshot {metrics.snapshot.state_bytes / 1e6:.1f} MB in "
            f"{_ms(metrics.snapshot.took_us)}   event loop held p99 {_ms(metrics.loop.p99_us())}, "
            f"max {_ms(metrics.loop.max_us)}"
        )
        return Panel(Group(Text(total), Text(machine, style="dim")), title=title, title_align="left")

    def _sources(self, now: int) -> RenderableType:
        table = _table("source", "state", "records/s", "records", "lag", "clock", "gaps", "faults", "")
        for source in self._metrics.sources.values():
            table.add_row(*self._source(source, now))
        return table

    def _source(self, source: SourceMetrics, now: int) -> list[Text]:
        lag = _ms(source.lag_us) if source.records else "-"
        rate, clock, gaps = f"{source.rate.per_second(now):.1f}", self._clock_of(source.name), self._gaps(source.name)
        figures = [rate, str(source.records), lag, clock, str(gaps)]
        faulty = Text(str(source.faulty), style="red" if source.faulty else "")
        worst = max(source.faults, key=lambda cause: source.faults[cause].last_us, default="")
        detail = source.detail or worst or self._not_live(source.name)
        return [_name(source.name), _state(source.state or "starting"), *map(Text, figures), faulty, _detail(detail)]

    def _gaps(self, source: str) -> int:
        return sum(int(str(one.get("gaps", 0))) for one in self._devices(source))

    def _not_live(self, source: str) -> str:
        """How many of its devices are in another state than that."""
        states = Counter(str(one.get("state", "LIVE")) for one in self._devices(source))
        return ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state != "LIVE")

    def _clock_of(self, source: str) -> str:
        """How far the worst of its devices' clocks is ahead of ours, or behind."""
        ahead = [int(str(one["ahead_us"])) for one in self._devices(source) if one.get("ahead_us") is not None]
        return f"{max(ahead, key=abs) / 1e6:+.2f} s" if ahead else "-"

    def _devices(self, source: str) -> Iterator[Mapping[str, object]]:
        """What the core knows of those that a source of the site file stands for."""
        covers = tuple(self._covers.get(source, (source,)))
        below = tuple(f"{src}/" for src in covers)
        for one in self._metrics.core.sources:
            if str(one.get("src")) in covers or str(one.get("src")).startswith(below):
                yield one

    def _windows(self) -> RenderableType:
        table = _table("open", "windows")
        for name, number in self._metrics.core.windows.items():
            table.add_row(Text(name), Text(str(number)))
        return table

    def _sinks(self, now: int) -> RenderableType:
        table = _table("sink", "state", "not delivered", "oldest", "delivered", "events/s", "dead", "")
        for sink in self._metrics.sinks.values():
            table.add_row(*_sink(sink, now))
        return table

    def _events(self) -> RenderableType:
        table = _table("last business events", "sequence", "partition", "id")
        for event in list(self._metrics.recent)[-EVENTS_SHOWN:]:
            table.add_row(
                Text(event.type, "cyan"), Text(str(event.sequence)), _name(event.partitionkey), Text(event.id)
            )
        return table


async def show(view: View, console: Console) -> None:
    """Until cancelled. Metrics are read here, on the event loop; a thread draws and writes, for a terminal may stand
    still (Ctrl-S) and the engine must not."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_S)
            for line in view.lines():
                log.info("%s", line)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            await asyncio.to_thread(live.update, view.screen(), refresh=True)
            await asyncio.sleep(RENEW_S)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold dim")
    for column in columns:
        table.add_column(column, justify="right" if column in NUMERIC else "left", no_wrap=True)
    return table


def _sink(sink: SinkMetrics, now: int) -> list[Text]:
    oldest = _age(now - sink.oldest_us) if sink.oldest_us else "-"
    figures = [str(sink.depth), oldest, str(sink.delivered), f"{sink.rate.per_second(now):.1f}", str(sink.dead)]
    return [_name(sink.name), _state(sink.state), *map(Text, figures), _detail(sink.detail)]


def _state(state: str) -> Text:
    return Text(state, STYLES.get(state, "red"))


def _name(text: str) -> Text:
    return Text(escaped(text))


def _detail(text: str) -> Text:
    shown = escaped(text)
    return Text(shown if len(shown) <= DETAIL_CHARACTERS else shown[: DETAIL_CHARACTERS - 1] + "…", "dim")


def _pairs(numbers: Mapping[str, int]) -> str:
    return " ".join(f"{name} {number}" for name, number in numbers.items()) or "-"


def _ms(us: int) -> str:
    return f"{us / 1000:.1f} ms"


def _age(us: int) -> str:
    seconds = max(us, 0) // 1_000_000
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
