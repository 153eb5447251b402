"""`python -m bench.report FIGURES.ndjson REPORT.html`: the figures of `sortline bench --json` as a page for a person.

One file, nothing fetched, no script. A case that it does not know is shown with its figures, and with a line if it has
`points` (a list of objects whose first two numbers are x and y).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from bench.drawing import Axis, Bar, Line, Rule, bars, lines, short
from bench.settings import OURS, Figures

STYLE = (Path(__file__).parent / "report.css").read_text()
RUN_FIELDS = ("case", "scale", "runs", "versions", "machine")


class Section(NamedTuple):
    title: str
    text: str
    pictures: Sequence[str]


class Tile(NamedTuple):
    """One figure at the top of the page."""

    figure: str
    unit: str
    what: str


def page(figures: Iterable[Figures]) -> str:
    """The last figures of each case, as HTML."""
    cases = {each["case"]: each for each in figures}
    ran = {name: each for name, each in cases.items() if not {"skipped", "failed"} & each.keys()}
    sections = [section for draw in SECTIONS for section in draw(ran)]
    known = set(PICTURED)
    sections += [_unknown(case) for name, case in ran.items() if name not in known]
    body = "".join(
        f"<section><h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>{''.join(section.pictures)}</section>"
        for section in sections
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sortline: benchmarks</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{_head(cases)}{_tiles(ran)}{body}"
        f"{_not_run(cases)}{_all(cases)}</main></body></html>\n"
    )


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m bench.report FIGURES.ndjson REPORT.html", file=sys.stderr)
        return 2
    source, out = map(Path, arguments)
    out.write_text(page(json.loads(line) for line in source.read_text().splitlines() if line.strip()))
    print(f"{out}: {out.stat().st_size:,} bytes")
    return 0


# The top


def _head(cases: dict[str, Figures]) -> str:
    ran_on = next(iter(cases.values()), {})
    machine, versions = ran_on.get("machine", {}), ran_on.get("versions", {})
    scales = sorted({each.get("scale", 1) for each in cases.values()})
    loads = [each["machine"]["load_before"] for each in cases.values() if "machine" in each]
    facts = [
        f"{machine.get('cpu', 'unknown processor')}, {machine.get('cores', '?')} cores",
        ", ".join(f"{name} {number}" for name, number in versions.items() if number != "not installed"),
        f"scale {', '.join(f'{scale:g}' for scale in scales)}",
        f"load before the first case {loads[0]:g}" if loads else "",
    ]
    warning = ""
    if scales != [1]:
        warning = "A look, not a measurement: the sizes were not the full ones."
    elif loads and loads[0] > 0.5:
        warning = "The machine was busy: compare nothing but ratios within one case."
    return (
        f"<header><h1>sortline <span>benchmarks</span></h1>"
        f"<p>{'<br>'.join(escape(fact) for fact in facts if fact)}</p>"
        f"{f'<p class=warning>{escape(warning)}</p>' if warning else ''}</header>"
    )


def _tiles(ran: dict[str, Figures]) -> str:
    tiles: list[Tile] = []
    if case := ran.get("core.columns"):
        tiles.append(Tile(short(case["events_per_s"]), "records/s", "columns to events, one core"))
    if case := ran.get("core.ndjson"):
        tiles.append(Tile(short(case["events_per_s"]), "records/s", "NDJSON to events, one core"))
        tiles += [
            Tile(f"{ratio:g}×", "", f"the {peer.replace('.', ' ')}, NDJSON to events")
            for peer, ratio in case["ratio"].items()
            if peer == "msgspec.loop"
        ]
    if case := ran.get("core.open_windows"):
        tiles.append(Tile(short(case["rss_mb"]), "MB", f"{short(case['windows'])} open windows"))
    if case := ran.get("core.event"):
        tiles.append(Tile(short(case["us_an_event"]), "µs", "decision to CloudEvent"))
    if case := ran.get("e2e.mqtt_redis"):
        tiles.append(Tile(short(case["events_per_s"]), "records/s", "MQTT to Redis, nothing lost"))
    return (
        "<div class=tiles>"
        + "".join(
            f"<div><b>{tile.figure}<small> {escape(tile.unit)}</small></b><span>{escape(tile.what)}</span></div>"
            for tile in tiles
        )
        + "</div>"
    )


# The pictures


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
    ]
    text = (
        f"Story traffic beside windows that wait. {short(case['windows'])} of them take {short(case['rss_mb'])} MB, "
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
            f"µs, p99 {short(each['p99_us'])}",
            mine=True,
        )
        for name, each in case["types"].items()
    ]
    rows += [Bar(name, each["p50_us"], f"µs, p99 {short(each['p99_us'])}") for name, each in case["peers"].items()]
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


def _unknown(case: Figures) -> Section:
    shown = {
        name: value for name, value in case.items() if name not in RUN_FIELDS and isinstance(value, int | float | str)
    }
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(_text(value))}</td></tr>" for name, value in shown.items())
    pictures = [f"<table>{rows}</table>"] if shown else []
    of_all = [name for name, value in case.items() if _is_of_all(value) and name not in ("spread", "lost")]
    for name in of_all[:1]:
        ratio = case.get("ratio", {})
        notes = {peer: f"· {short(ratio[peer])}× ours" for peer in ratio}
        drawn = [Bar(who, value, notes.get(who, ""), mine=who.startswith(OURS)) for who, value in case[name].items()]
        pictures.append(f"<h3>{escape(name)}</h3>{bars(case['case'], drawn)}")
    if points := [_first_two(each) for each in case.get("points", ())]:
        (x, y), places = points[0][0], [point for _, point in points]
        log = min(at for at, _ in places) > 0 and max(at for at, _ in places) > 20 * min(at for at, _ in places)
        pictures.append(lines(case["case"], [Line(y, places)], Axis(x, log=log), Axis(y, least=0)))
    return Section(case["case"], "", pictures)


def _is_of_all(value: object) -> bool:
    """contestant -> number, ours among them."""
    return isinstance(value, dict) and OURS in value and all(isinstance(each, int | float) for each in value.values())


def _first_two(point: dict[str, Any]) -> tuple[tuple[str, str], tuple[float, float]]:
    (x, at), (y, value) = [item for item in point.items() if isinstance(item[1], int | float)][:2]
    return (x, y), (float(at), float(value))


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


# The end


def _not_run(cases: dict[str, Figures]) -> str:
    said = [(name, each.get("skipped", each.get("failed"))) for name, each in cases.items()]
    rows = "".join(f"<li><b>{escape(name)}</b> {escape(str(why))}</li>" for name, why in said if why is not None)
    return f"<section><h2>Not run</h2><ul>{rows}</ul></section>" if rows else ""


def _all(cases: dict[str, Figures]) -> str:
    text = "\n\n".join(json.dumps(each, indent=1) for each in cases.values())
    return f"<details><summary>All figures</summary><pre>{escape(text)}</pre></details>"


SECTIONS: tuple[Callable[[dict[str, Figures]], list[Section]], ...] = (
    _throughput,
    _e2e,
    _open_windows,
    _flood,
    _snapshot,
    _event,
)
PICTURED = (
    "decode.ndjson",
    "core.ndjson",
    "core.columns",
    "core.event",
    "core.open_windows",
    "core.flood",
    "snapshot",
    "e2e.mqtt_redis",
    "e2e.latency",
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
