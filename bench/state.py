"""The cases of state: what windows cost while they wait, and how they get through a restart.

`core.open_windows`  story traffic beside 1 000 to 1 000 000 idle windows: nanoseconds a record, bytes a window
`core.flood`         millions of unknown keys between the records of a story: memory, and whether the story stays exact
`snapshot`           100 000 open windows into bytes and back
"""

from __future__ import annotations

import gc
import json
import pickle
import statistics
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from bench.crowds import idle_windows, unknown_keys
from bench.floor import Floor, cartons_for
from bench.measure import Absent, Entry, Failed, Measured, Steps, Turn, alone, percentile, race, rss_mb
from bench.ours import SITE, Engine, Event
from bench.peers.loop import Windows, decode_lines
from bench.settings import OURS, Figures, Settings
from bench.workload import Story, floor_story
from ext.core import Core
from ext.texts import Texts

WINDOWS = (1_000, 10_000, 100_000, 1_000_000)
ROOM_BYTES = 1 << 31  # of state; the case is to show what a million windows take, not what happens at the cap
SEGMENT_RECORDS = 200_000
RUNS_MAX = 6
SNAPSHOT_WINDOWS = 100_000
FLOOD_KEYS = 10_000_000
FLOOD_STORY_RECORDS = 200_000
CAP_MB = 512  # `state_bytes_max` by default
GIVE_UP_MB = 6 * 1_024  # a machine that others use, too
SAMPLES = 100
CHUNK_LINES = 2_000
RECORD_MB = 1_024 * 1_024


def open_idle(engine: Engine, count: int) -> int:
    """Open so many idle windows; returns how many there are. Raises Absent rather than to take a whole machine."""
    for lines in chunked(idle_windows(count)):
        engine.take(lines)
        if rss_mb() > GIVE_UP_MB:
            raise Absent(f"{count} windows: more than {GIVE_UP_MB} MB, given up")
    found = engine.core.windows()
    if found["picks"] + found["cartons"] < count // 2 * 2:
        raise Failed(f"{count} windows were to be open, and there are {found}")
    return found["picks"] + found["cartons"]


def chunked(lines: Iterable[bytes]) -> Iterator[bytes]:
    each = iter(lines)
    while piece := b"".join(islice(each, CHUNK_LINES)):
        yield piece


# Idle windows


def open_windows(settings: Settings) -> Figures:
    """Every size in a process of its own, in turns over the same segments of a story."""
    # together shorter than 900 s of the story, where half of the windows would raise PCK_STALLED
    runs, records = min(settings.runs, RUNS_MAX), min(settings.size(SEGMENT_RECORDS), SEGMENT_RECORDS)
    told = floor_story(Floor(cartons_for(records * (runs + 1))))
    sizes = sorted({settings.size(size, 10) for size in WINDOWS})
    entries = {str(size): Entry(beside_idle, (size, told, runs + 1)) for size in sizes}
    timings, absent = race(entries, runs)
    if not timings:
        raise Absent("; ".join(absent.values()))
    points = [_point(timing) for timing in timings.values()]
    costs = [point["ns_a_record"] for point in points]
    return {
        "ns_a_record": costs[-1],
        **{name: points[-1][name] for name in ("p50_ms", "p99_ms", "rss_mb")},
        "windows": points[-1]["windows"],
        "bytes_a_window": points[-1]["bytes_a_window"],
        "flatness": round(max(costs) / costs[0], 2),
        "points": points,
        "absent": absent,
    }


def _point(timing: Measured) -> Figures:
    facts = timing.facts
    return {
        "windows": facts["windows"],
        "ns_a_record": round(statistics.median(timing.cpu) / facts["records"] * 1e9, 1),
        "p50_ms": round(timing.p50_ms, 3),
        "p99_ms": round(timing.p99_ms, 3),
        "bytes_a_window": round(facts["idle_mb"] * RECORD_MB / facts["windows"]),
        "rss_mb": round(facts["rss_mb"], 1),
    }


def beside_idle(count: int, told: Story, segments: int) -> Turn:
    engine = Engine(state_bytes_max=ROOM_BYTES)
    chunks = list(told.chunks())
    engine.take(b"")
    gc.collect()
    before = rss_mb()
    windows = open_idle(engine, count)
    gc.collect()
    rss = rss_mb()

    def turn(number: int) -> Steps:
        mine = chunks[number * len(chunks) // segments : (number + 1) * len(chunks) // segments]
        batches = [engine.decoded(chunk) for chunk in mine]
        for batch in batches:
            yield partial(engine.decided, batch)
        if engine.core.account()["rejected"]:
            raise Failed(f"{windows} windows: the state is full, and records are refused")
        records = sum(map(len, batches))
        return {"windows": windows, "records": records, "idle_mb": rss - before, "rss_mb": rss - before}

    return turn


# The flood


def flood(settings: Settings) -> Figures:
    """The first turn hears the story alone, the second one with the flood between its chunks."""
    told = floor_story(Floor(cartons_for(settings.size(FLOOD_STORY_RECORDS))))
    keys = settings.size(FLOOD_KEYS, 1_000)
    timing = alone(_flooded, told, keys, runs=1)
    facts = timing.facts
    return {
        "events_per_s": round(facts["records"] / timing.run_s),
        "p50_ms": round(timing.p50_ms, 3),
        "p99_ms": round(timing.p99_ms, 3),
        "rss_mb": round(timing.rss_mb, 1),
        "keys": facts["keys"],
        "cap_mb": CAP_MB,
        "real_keys": facts["real"],
        "real_keys_wrong": facts["wrong"],
        "stopped": facts["stopped"],
        "account": facts["account"],
        "memory": facts["memory"],
    }


def _flooded(told: Story, keys: int) -> Turn:
    alone_: dict[str, Any] = {}

    def turn(number: int) -> Steps:
        engine = Engine()
        finals: dict[str, Any] = {}
        memory: list[tuple[int, float]] = []
        chunks = list(told.chunks())
        share = keys // len(chunks) + 1
        told_keys, stopped = 0, ""
        base = rss_mb()
        memory.append((0, round(base, 1)))

        def step(lines: bytes) -> None:
            nonlocal stopped
            try:
                for event in engine.take(lines):
                    keep_final(finals, event)
            except MemoryError as error:  # the texts' cap: the flood is over, the story goes on as it can
                stopped = stopped or f"MemoryError after {told_keys} keys: {error}"

        for chunk in chunks:
            yield partial(step, chunk)
            until = min(told_keys + share, keys) if number and not stopped else told_keys
            while told_keys < until and not stopped:
                count = min(CHUNK_LINES, until - told_keys)
                yield partial(step, unknown_keys(told_keys, count, last_t_rx(chunk)))
                told_keys += count
                if told_keys - memory[-1][0] >= keys // SAMPLES or told_keys == keys:
                    memory.append((told_keys, round(rss_mb(), 1)))
                if memory[-1][1] - base > 4 * CAP_MB:
                    stopped = f"more than {4 * CAP_MB} MB after {told_keys} keys, given up"
        for event in engine.finished():
            keep_final(finals, event)
        if not number:
            alone_.update(finals)
        return {
            "records": told.records + told_keys,
            "keys": told_keys,
            "real": len(alone_),
            "wrong": sum(finals.get(key) != data for key, data in alone_.items()),
            "stopped": stopped,
            "account": engine.core.account(),
            "memory": memory,
        }

    return turn


def keep_final(finals: dict[str, Any], event: Event) -> None:
    """The last revision of every pick and carton: what a consumer knows in the end."""
    _, id_, type_, _, body, _ = event
    if type_ in ("pick.confirmed", "carton.closed"):
        finals[id_.partition(":")[0]] = json.loads(body)["data"]


def last_t_rx(chunk: bytes) -> int:
    return int(chunk[chunk.rindex(b'"t_rx":') + 7 :].split(b"}")[0])


# Snapshot


def snapshot(settings: Settings) -> Figures:
    """The peer: pickle of what the plain loop keeps of the same windows."""
    count = settings.size(SNAPSHOT_WINDOWS, 10)
    timings, absent = race(
        {OURS: Entry(_snapshot_ours, (count,)), "pickle of the loop": Entry(_snapshot_loop, (count,))}, settings.runs
    )
    if OURS not in timings:
        raise Absent(absent[OURS])
    ours = timings[OURS]
    shown = {name: _taken_restored(timing) for name, timing in timings.items()}
    return {
        "take_ms": shown[OURS]["take_ms"],
        "restore_ms": shown[OURS]["restore_ms"],
        "p50_ms": shown[OURS]["take_ms"],
        "p99_ms": round(1_000 * percentile(ours.steps[0::2], 0.99), 2),
        "bytes": ours.facts["bytes"],
        "windows": ours.facts["windows"],
        "bytes_a_window": round(ours.facts["bytes"] / ours.facts["windows"], 1),
        "rss_mb": round(ours.rss_mb, 1),
        "peers": {name: each for name, each in shown.items() if name != OURS},
    }


def _taken_restored(timing: Measured) -> Figures:
    return {
        "take_ms": round(1_000 * statistics.median(timing.steps[0::2]), 2),
        "restore_ms": round(1_000 * statistics.median(timing.steps[1::2]), 2),
        "bytes": timing.facts["bytes"],
    }


def _snapshot_ours(count: int) -> Turn:
    engine = Engine()
    windows = open_idle(engine, count)

    def turn(number: int) -> Steps:
        taken = b""
        again = Core(SITE, Texts())

        def take() -> None:
            nonlocal taken
            taken = engine.core.snapshot()

        yield take
        yield lambda: again.restore(taken)
        if (again.account(), again.windows()) != (engine.core.account(), engine.core.windows()):
            raise Failed("what was restored is not what was taken")
        return {"bytes": len(taken), "windows": windows}

    return turn


def _snapshot_loop(count: int) -> Turn:
    windows = Windows()
    for lines in chunked(idle_windows(count)):
        windows.take(decode_lines(lines))

    def turn(number: int) -> Steps:
        taken = b""

        def take() -> None:
            nonlocal taken
            taken = pickle.dumps(windows, pickle.HIGHEST_PROTOCOL)

        yield take
        yield lambda: pickle.loads(taken)  # noqa: S301 - our own, a moment ago
        return {"bytes": len(taken)}

    return turn
