"""Small pictures as SVG text: bars and lines. Colours are classes of the page's style sheet; sizes are in SVG units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 720
BAR, GAP = 22, 10
LABELS = 150  # room for the names of bars
VALUES = 150  # and for what stands behind them
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 14, 44
HEIGHT = 280
LABEL_APART = 15


class Bar(NamedTuple):
    """mine: drawn in the accent colour. note: stands behind the value."""

    name: str
    value: float
    note: str = ""
    mine: bool = False


class Line(NamedTuple):
    """style: a class of the style sheet, `s0` to `s3`."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str = "s0"


class Axis(NamedTuple):
    """tight: it ends where the values do, instead of at the next round number."""

    label: str
    log: bool = False
    least: float | None = None  # the axis reaches at least so far down
    most: float | None = None  # and so far up
    tight: bool = False


class Rule(NamedTuple):
    """A horizontal line that something is held against; `until`: a band from `y` to there."""

    y: float
    label: str
    until: float | None = None


def short(number: float) -> str:
    """1234567 -> 1.23 M, with three figures at most."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= size * 0.9995:
            return f"{_figures(number / size)}{unit}"
    return _figures(number)


def _figures(number: float) -> str:
    if number == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{number:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars from 0, in the order given."""
    most = max((row.value for row in rows), default=0) or 1
    height = len(rows) * (BAR + GAP) + GAP
    room = WIDTH - LABELS - VALUES
    drawn = []
    for number, row in enumerate(rows):
        y = GAP + number * (BAR + GAP)
        middle = y + BAR / 2 + 4.5
        length = max(2.0, room * row.value / most)
        look = "mine" if row.mine else "peer"
        note = f' <tspan class="note">{escape(row.note)}</tspan>' if row.note else ""
        drawn.append(
            f'<text class="name {look}" x="{LABELS - 10}" y="{middle}" text-anchor="end">{escape(row.name)}</text>'
            f'<rect class="bar {look}" x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"/>'
            f'<text class="value {look}" x="{LABELS + length + 8:.1f}" y="{middle}">{short(row.value)}{note}</text>'
        )
    return _svg(title, height, drawn)


def lines(title: str, series: Sequence[Line], x: Axis, y: Axis, rules: Sequence[Rule] = ()) -> str:
    """Lines with a point at each value, named at their right end."""
    across = _Scale(x, [at for line in series for at, _ in line.points], LEFT, WIDTH - RIGHT)
    values = [at for line in series for _, at in line.points]
    up = _Scale(y, values + [rule.y for rule in rules], HEIGHT - BOTTOM, TOP)
    drawn = list(_axes(across, up, x, y))
    drawn += [_rule(rule, up) for rule in rules]
    for line in series:
        path = " ".join(f"{across.at(a):.1f},{up.at(b):.1f}" for a, b in line.points)
        drawn.append(f'<polyline class="line {line.style}" points="{path}"/>')
        if len(line.points) <= 12:
            drawn += [
                f'<circle class="dot {line.style}" cx="{across.at(a):.1f}" cy="{up.at(b):.1f}" r="4">'
                f"<title>{escape(f'{line.name}: {short(a)} {x.label}, {short(b)} {y.label}')}</title></circle>"
                for a, b in line.points
            ]
    drawn += _names(series, up)
    drawn += [_rule_name(rule, up) for rule in rules]
    return _svg(title, HEIGHT, drawn)


def _names(series: Sequence[Line], up: _Scale) -> Iterator[str]:
    """At the ends of the lines, moved apart where they would cover each other."""
    taken = -math.inf
    for line in sorted(series, key=lambda each: up.at(each.points[-1][1])):
        taken = max(up.at(line.points[-1][1]) + 4.5, taken + LABEL_APART)
        value = short(line.points[-1][1])
        yield (
            f'<text class="end {line.style}" x="{WIDTH - RIGHT + 12}" y="{taken:.1f}">{escape(line.name)} '
            f'<tspan class="note">{escape(value)}</tspan></text>'
        )


def _axes(across: _Scale, up: _Scale, x: Axis, y: Axis) -> Iterator[str]:
    for tick in up.ticks():
        at = up.at(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{short(tick)}</text>'
    for tick in across.ticks():
        at = across.at(tick)
        yield f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(tick)}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>'
    height = (TOP + HEIGHT - BOTTOM) / 2
    turned = f'transform="rotate(-90 14 {height})"'
    yield f'<text class="axis" x="14" y="{height}" text-anchor="middle" {turned}>{escape(y.label)}</text>'


def _rule(rule: Rule, up: _Scale) -> str:
    y, right = up.at(rule.y), WIDTH - RIGHT
    if rule.until is None:
        return f'<line class="rule" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
    top = max(up.at(rule.until), TOP)
    return f'<rect class="band" x="{LEFT}" width="{right - LEFT}" y="{top:.1f}" height="{y - top:.1f}"/>'


def _rule_name(rule: Rule, up: _Scale) -> str:
    y = max(up.at(rule.y if rule.until is None else rule.until), TOP)
    return f'<text class="tick over" x="{LEFT + 10}" y="{y - 6:.1f}">{escape(rule.label)}</text>'


def _svg(title: str, height: float, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(drawn)}</svg>"
    )


class _Scale:
    """Values to places between two ends of an axis."""

    def __init__(self, axis: Axis, values: Sequence[float], first: float, last: float) -> None:
        self.log = axis.log
        self.low: float
        self.high: float
        found = [*values, *(end for end in (axis.least, axis.most) if end is not None)] or [1.0]
        low, high = min(found), max(found)
        if self.log:
            self.low, self.high = math.log10(max(low, 1e-9)), math.log10(max(high, 1e-9))
            if not axis.tight or self.low == self.high:
                self.low, self.high = math.floor(self.low), max(math.ceil(self.high), math.floor(self.low) + 1)
        else:
            self.step = _step(high - low or high or 1)
            self.low = math.floor(low / self.step) * self.step
            self.high = max(math.ceil(high / self.step - 1e-9) * self.step, self.low + self.step)
        self.first, self.last = first, last

    def at(self, value: float) -> float:
        place = math.log10(max(value, 1e-9)) if self.log else value
        return self.first + (self.last - self.first) * (place - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        if self.log:
            digits = (1, 2, 5) if self.high - self.low < 2 else (1,)
            powers = range(math.floor(self.low), math.ceil(self.high) + 1)
            ticks = [digit * 10.0**power for power in powers for digit in digits]
            return [tick for tick in ticks if self.low - 1e-9 <= math.log10(tick) <= self.high + 1e-9]
        return [self.low + self.step * number for number in range(round((self.high - self.low) / self.step) + 1)]


def _step(span: float) -> float:
    """A round number that divides the span into about five."""
    size: float = 10.0 ** math.floor(math.log10(span / 5))
    return next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 5.5)
