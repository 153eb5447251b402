"""`python -m bench.report FIGURES.ndjson REPORT.html`: the figures of `sortline bench --json` as a page for a person.

One file, nothing fetched, no script. A case that it does not know is shown with its figures, and with a line if it has
`points` (a list of objects whose first two numbers are x and y).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from bench.drawing import Axis, Bar, Line, bars, lines, short
from bench.sections import PICTURED, SECTIONS, Section
from bench.settings import OURS, Figures

STYLE = (Path(__file__).parent / "report.css").read_text()
RUN_FIELDS = ("case", "scale", "runs", "versions", "machine")


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
    sections += [_unknown(case) for name, case in ran.items() if name not in PICTURED]
    body = "".join(
        f"<section><h2>{escape(section.title)}</h2>"
        f"{f'<p>{escape(section.text)}</p>' if section.text else ''}{''.join(section.pictures)}</section>"
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


# Cases that have no pictures of their own


WORDS = {"us": "Microseconds", "seconds": "Seconds"}


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
        pictures.append(f"<h3>{escape(WORDS.get(name, name))}</h3>{bars(case['case'], drawn)}")
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
