"""The pictures of the page: a section for each subject, out of the cases that speak of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from bench.drawing import Axis, Bar, Line, Rule, bars, lines, short
from bench.settings import OURS, Figures


class Section(NamedTuple):
    title: str
    text: str
    pictures: Sequence[str]


def _throughput(ran: dict[str, Figures]) -> list[Section]:
    shown = {
        "decode.ndjson": "NDJSON to checked columns, records/s",
        "core.ndjson": "NDJSON to business events, records/s",
        "core.columns": "Decoded records to business events, records/s",
    }
    pictures = [_rates(ran[name], what) for name, what in shown.items() if name in ran]
    text = (
        "The same story for everybody, in turns, one core, the median turn. What the peers leave out is in "
        "bench/README.md."
    )
    return [Section("Throughput", text, pictures)] if pictures else []


def _rates(case: Figures, what: str) -> str:
    rows = [Bar(OURS, case["events_per_s"], mine=True)]
    rows += [
        Bar(peer, rate, _behind(case["ratio"][peer]))
        for peer, rate in sorted(case["peers"].items(), key=lambda each: -each[1])
    ]
    left_out = "".join(f"<p class=note>{escape(f'{peer}: {why}')}</p>" for peer, why in case.get("absent", {}).items())
    return f"<h3>{escape(what)}</h3>{bars(what, rows)}{left_out}"


def _behind(ratio: float) -> str:
    """ratio: ours by theirs."""
    return f"· {short(ratio)}× behind" if ratio >= 1 else f"· {short(1 / ratio)}× ahead"


def _open_windows(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("core.open_windows")):
        return []
    points = case["points"]
    cost = [(each["windows"], each["ns_a_record"]) for each in points]
    memory = [(each["windows"], max(each["rss_mb"], 0.01)) for each in points]
    across = Axis("idle open windows", log=True, tight=True)
    first = cost[0][1]
    each_bytes = [(each["windows"], max(each["bytes_a_window"], 1)) for each in points]
    pictures = [
        "<h3>Cost of a record beside them, ns</h3>",
        lines(
            "cost of a record against open windows",
            [Line("ns a record", cost)],
            across,
            Axis("ns a record", least=0, most=1.3 * first),
            [Rule(0.8 * first, "within 20 % of the first", 1.2 * first)],
        ),
        "<h3>Memory that they take, MB</h3>",
        lines("memory against open windows", [Line("MB", memory, "s1")], across, Axis("MB", log=True)),
        "<h3>Bytes of a window</h3>",
        lines("bytes of a window", [Line("bytes a window", each_bytes, "s1")], across, Axis("bytes", least=0)),
    ]
    text = (
        f"Story traffic beside windows that wait: the dearest record costs {case['flatness']:g} times one beside the "
        f"fewest. {short(case['windows'])} of them take {short(case['rss_mb'])} MB, "
        f"{case['bytes_a_window']:,} bytes each, texts included."
    )
    return [Section("Open windows", text, pictures)]


def _flood(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("core.flood")):
        return []
    memory = [(keys, mb) for keys, mb in case["memory"]]
    picture = lines(
        "memory against unknown keys",
        [Line("process, MB", memory, "s1")],
        Axis("unknown keys so far"),
        Axis("MB", least=0, most=1.1 * case["cap_mb"]),
        [Rule(case["cap_mb"], f"state_bytes_max, {case['cap_mb']} MB")],
    )
    text = (
        f"{short(case['keys'])} keys that nobody announced between the records of a story. Of its "
        f"{short(case['real_keys'])} own picks and cartons {case['real_keys_wrong']} ended otherwise than without it."
    )
    if case["stopped"]:
        text += f" Stopped: {case['stopped']}."
    return [Section("Flood", text, ["<h3>Memory over the flood, MB</h3>", picture])]


def _snapshot(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("snapshot")):
        return []
    rows = [Bar("take", case["take_ms"], "ms", mine=True), Bar("restore", case["restore_ms"], "ms", mine=True)]
    for name, each in case["peers"].items():
        rows += [Bar(f"{name}"[:18], each["take_ms"], "ms dumps"), Bar("", each["restore_ms"], "ms loads")]
    text = (
        f"{short(case['windows'])} open windows into {short(case['bytes'] / 1e6)} MB and back. Beside it, pickle of "
        "what a plain Python loop keeps of the same things, which is less."
    )
    return [Section("Snapshot", text, ["<h3>Milliseconds</h3>", bars("snapshot, milliseconds", rows)])]


def _event(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("core.event")):
        return []
    rows = [
        Bar(
            name if len(name) < 18 else "confirmed + short",
            each["p50_us"],
            f"µs, p99 {short(each['p99_us'])} µs",
            mine=True,
        )
        for name, each in case["types"].items()
    ]
    rows += [Bar(name, each["p50_us"], f"µs, p99 {short(each['p99_us'])} µs") for name, each in case["peers"].items()]
    text = (
        "A thousand things that one record decides at once, by a thousand: timer, decision, id, canonical JSON. "
        "The plain loop's figure is of carton.closed."
    )
    return [Section("One event", text, ["<h3>Microseconds</h3>", bars("microseconds an event", rows)])]


def _e2e(ran: dict[str, Figures]) -> list[Section]:
    pictures = []
    if case := ran.get("e2e.mqtt_redis"):
        dead = case["dead_sink"]
        rows = [
            Bar("one healthy sink", case["events_per_s"], "records/s", mine=True),
            Bar("and a dead one", dead["events_per_s"], "records/s", mine=True),
            *(Bar(peer, rate, "records/s, not durable") for peer, rate in case["peers"].items()),
        ]
        pictures += ["<h3>As fast as it goes, records/s</h3>", bars("end to end rate", rows)]
    if case := ran.get("e2e.latency"):
        rates = Axis("records/s offered", log=True, tight=True)
        points = case["points"]
        series = [
            Line("p99, dead sink", [(each["offered_per_s"], each["dead_sink"]["p99_ms"]) for each in points], "s2"),
            Line("p99", [(each["offered_per_s"], each["p99_ms"]) for each in points], "s0"),
            Line("p50", [(each["offered_per_s"], each["p50_ms"]) for each in points], "s1"),
        ]
        pictures += [
            "<h3>Device to queue, ms</h3>",
            lines("latency against rate", series, rates, Axis("ms", log=True), [Rule(50, "50 ms")]),
        ]
        behind = [str(each["offered_per_s"]) for each in points if not each["kept_up"]]
        if behind:
            pictures.append(f"<p class=note>It did not keep up with {', '.join(behind)} records/s.</p>")
    text = (
        "A floor on MQTT QoS 1, mosquitto, sortline, Redis with every write on disk, all on this machine. Every run "
        "counts what is missing, doubled or wrong among its results, and shows figures only if that is nothing."
    )
    return [Section("End to end", text, pictures)] if pictures else []


def _collisions(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("core.collisions")):
        return []
    rows = [
        Bar("crafted numbers", case["ns_a_record"], "ns a record", mine=True),
        Bar("random numbers", case["random_ns"], "ns a record"),
    ]
    text = (
        f"{short(case['orders'])} orders whose lines were picked to belong into one slot of the core's table, beside "
        f"the same orders with random lines: {case['ratio_to_random']:g} times the cost."
    )
    return [Section("Collisions", text, ["<h3>Nanoseconds</h3>", bars("crafted and random numbers", rows)])]


def _journal(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("journal.append")):
        return []
    rows = [Bar(name, us, "µs", mine=name == OURS) for name, us in case["us"].items()]
    text = (
        "Groups of 4 096 records onto the disk, each synced: processor time of a record, the kernel's share of it "
        f"included. Half of our groups took {short(case['p50_ms'])} ms or less, most of it the disk's."
    )
    return [Section("Journal", text, ["<h3>Microseconds of a record</h3>", bars("journal, microseconds", rows)])]


def _recovery(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("recovery.tail")):
        return []
    points = case["points"]
    series = [
        Line("start", [(each["records"], each["start_s"]) for each in points]),
        Line("reading alone", [(each["records"], each["reading_s"]) for each in points], "s1"),
    ]
    across, up = Axis("records behind the last snapshot", log=True, tight=True), Axis("seconds", log=True)
    text = (
        f"From an engine's start until drivers may connect, with {short(case['records'])} records to decide anew: "
        f"{short(case['start_s'])} s, {short(case['records_per_s'])} records/s."
    )
    return [Section("Start", text, ["<h3>Seconds</h3>", lines("start against the tail", series, across, up)])]


def _idle(ran: dict[str, Figures]) -> list[Section]:
    if not (case := ran.get("sources.idle")):
        return []
    each = case["protocols"]
    cpu = [Bar("all together", case["cpu_percent"], "% of a core", mine=True)]
    cpu += [Bar(name, figures["cpu_percent"], "%") for name, figures in each.items()]
    memory = [Bar("all together", case["rss_mb"], "MB", mine=True)]
    memory += [Bar(name, figures["rss_mb"], "MB") for name, figures in each.items()]
    text = (
        f"{short(case['sources'])} sources with nothing to say, an equal share of each protocol; below, engines that "
        "have one protocol's share alone. An engine without sources has its share of each bar, too."
    )
    pictures = ["<h3>Processor, % of a core</h3>", bars("processor, percent", cpu)]
    return [Section("Idle sources", text, [*pictures, "<h3>Memory, MB</h3>", bars("memory, MB", memory)])]


SECTIONS: tuple[Callable[[dict[str, Figures]], list[Section]], ...] = (
    _throughput,
    _e2e,
    _open_windows,
    _flood,
    _collisions,
    _snapshot,
    _event,
    _journal,
    _recovery,
    _idle,
)
PICTURED = frozenset(
    (
        *("decode.ndjson", "core.ndjson", "core.columns", "core.event", "core.open_windows", "core.flood"),
        *("core.collisions", "snapshot", "e2e.mqtt_redis", "e2e.latency"),
        *("journal.append", "recovery.tail", "sources.idle"),
    )
)
"""Cases that stand in a section."""
