"""The cases of speed: one job over one story, ours and the peers' ways to do it.

`decode.ndjson`  NDJSON -> checked columns
`core.ndjson`    NDJSON -> business events
`core.columns`   decoded records -> business events
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sized
from functools import partial
from typing import Any

from bench.measure import Entry, Failed, Measured, Steps, Turn, race, spread
from bench.ours import Engine
from bench.peers import bytewax_flow, polars_batch
from bench.peers.loop import Windows, decode_lines
from bench.settings import OURS, Figures, Settings
from bench.workload import Story, story
from ext.batch import Batch


def decode_ndjson(settings: Settings) -> Figures:
    """The peers: msgspec into structs of the fields that the loop needs, the standard library, polars."""
    return compare(
        settings,
        {OURS: decode_ours, "msgspec.struct": _decode_msgspec, "json.loads": _decode_json, "polars": _decode_polars},
    )


def core_ndjson(settings: Settings) -> Figures:
    """The peers: a plain loop over msgspec structs, the same loop inside bytewax, polars over the whole file."""
    return compare(
        settings,
        {OURS: core_ndjson_ours, "msgspec.loop": _loop_ndjson, "bytewax": _bytewax_ndjson, "polars": _polars_ndjson},
    )


def core_columns(settings: Settings) -> Figures:
    """The same, over what was decoded before: columns for us and polars, structs for the loops."""
    return compare(
        settings,
        {OURS: core_columns_ours, "python.loop": _loop_decoded, "bytewax": _bytewax_decoded, "polars": _polars_decoded},
    )


def compare(settings: Settings, contestants: dict[str, Any]) -> Figures:
    """Everybody over the story. Raises Failed if they do not tell the same number of events of the floor."""
    told = story(settings.story, settings.scale)
    timings, absent = race({name: Entry(one, (told,)) for name, one in contestants.items()}, settings.runs)
    events = {name: timing.facts["events"] for name, timing in timings.items() if "events" in timing.facts}
    if settings.story == "floor" and len(set(events.values())) > 1:
        raise Failed(f"they did not tell the same number of events: {events}")
    return figures(timings, absent, told.records) | {"story": settings.story, "events": events}


def figures(timings: dict[str, Measured], absent: dict[str, str], records: int) -> Figures:
    """`ratio`: our rate by each peer's, the only figures that other machines can be held to; `ratio_cpu`: the same by
    processor time. `spread`: the slowest turn by the fastest, a measure of how quiet the machine was."""
    ours = timings[OURS]
    rates = {name: round(records / timing.run_s) for name, timing in timings.items()}
    peers = {name: rate for name, rate in rates.items() if name != OURS}
    return {
        "events_per_s": rates[OURS],
        "p50_ms": round(ours.p50_ms, 3),
        "p99_ms": round(ours.p99_ms, 3),
        "rss_mb": round(ours.rss_mb, 1),
        "input_mb": round(ours.input_mb, 1),
        "records": records,
        "peers": peers,
        "ratio": {name: round(rates[OURS] / rate, 2) for name, rate in peers.items()},
        "ratio_cpu": {
            name: round(statistics.median(timing.cpu) / statistics.median(ours.cpu), 2)
            for name, timing in timings.items()
            if name != OURS
        },
        "peers_rss_mb": {name: round(timing.rss_mb, 1) for name, timing in timings.items() if name != OURS},
        "spread": {name: spread(timing.turns) for name, timing in timings.items()},
        "absent": absent,
    }


# Ours


def decode_ours(told: Story) -> Turn:
    def turn(number: int) -> Steps:
        engine = Engine()

        def step(chunk: bytes) -> None:
            engine.batch.clear()
            engine.decoder.decode(chunk, engine.batch)

        for chunk in told.chunks():
            yield partial(step, chunk)
        return None

    return turn


def core_ndjson_ours(told: Story) -> Turn:
    def turn(number: int) -> Steps:
        engine, events = Engine(), Count()

        def step(chunk: bytes) -> None:
            events.add(engine.take(chunk))

        for chunk in told.chunks():
            yield partial(step, chunk)
        yield lambda: events.add(engine.finished())
        return {"events": events.count}

    return turn


def core_columns_ours(told: Story) -> Turn:
    def turn(number: int) -> Steps:
        # decoded anew for every turn: a core may forget texts that no window needs any more
        engine, events = Engine(), Count()

        def step(batch: Batch) -> None:
            events.add(engine.decided(batch))

        for batch in [engine.decoded(chunk) for chunk in told.chunks()]:
            yield partial(step, batch)
        yield lambda: events.add(engine.finished())
        return {"events": events.count}

    return turn


class Count:
    """Of the events that steps told."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, events: Sized) -> None:
        self.count += len(events)


# The standard library and msgspec


def _decode_msgspec(told: Story) -> Turn:
    def turn(number: int) -> Steps:
        for chunk in told.chunks():
            yield partial(decode_lines, chunk)
        return None

    return turn


def _decode_json(told: Story) -> Turn:
    def step(chunk: bytes) -> None:
        for line in chunk.splitlines():
            json.loads(line)

    def turn(number: int) -> Steps:
        for chunk in told.chunks():
            yield partial(step, chunk)
        return None

    return turn


def _loop_ndjson(told: Story) -> Turn:
    def turn(number: int) -> Steps:
        windows = Windows()

        def step(chunk: bytes) -> None:
            windows.take(decode_lines(chunk))

        for chunk in told.chunks():
            yield partial(step, chunk)
        yield windows.finish
        return {"events": len(windows.events)}

    return turn


def _loop_decoded(told: Story) -> Turn:
    decoded = [decode_lines(chunk) for chunk in told.chunks()]

    def turn(number: int) -> Steps:
        windows = Windows()
        for records in decoded:
            yield partial(windows.take, records)
        yield windows.finish
        return {"events": len(windows.events)}

    return turn


# bytewax


def _bytewax_ndjson(told: Story) -> Turn:
    modules = bytewax_flow.load()

    def turn(number: int) -> Steps:
        events = 0

        def step() -> None:
            nonlocal events
            events = bytewax_flow.run(modules, told.chunks(), decoded=False)

        yield step
        return {"events": events}

    return turn


def _bytewax_decoded(told: Story) -> Turn:
    modules = bytewax_flow.load()
    decoded = [decode_lines(chunk) for chunk in told.chunks()]

    def turn(number: int) -> Steps:
        events = 0

        def step() -> None:
            nonlocal events
            events = bytewax_flow.run(modules, decoded, decoded=True)

        yield step
        return {"events": events}

    return turn


# polars


def _decode_polars(told: Story) -> Turn:
    pl = polars_batch.load()

    def turn(number: int) -> Steps:
        yield lambda: polars_batch.read(pl, told.path)
        return None

    return turn


def _polars_ndjson(told: Story) -> Turn:
    pl = polars_batch.load()

    def turn(number: int) -> Steps:
        events = 0

        def step() -> None:
            nonlocal events
            events, _ = polars_batch.events(pl, polars_batch.read(pl, told.path))

        yield step
        return {"events": events}

    return turn


def _polars_decoded(told: Story) -> Turn:
    pl = polars_batch.load()
    records = polars_batch.read(pl, told.path)

    def turn(number: int) -> Steps:
        events = 0

        def step() -> None:
            nonlocal events
            events, _ = polars_batch.events(pl, records)

        yield step
        return {"events": events}

    return turn
