"""The page of the benchmarks: well-formed, whole in itself, right numbers at the right places."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.drawing import WIDTH, Axis, Bar, Line, Rule, bars, lines, short
from bench.report import main, page

RAN_ON = {"scale": 1.0, "runs": 5, "versions": {"python": "3.11"}, "machine": {"cpu": "a <b>", "load_before": 0.0}}
SPEED = {
    "case": "core.ndjson",
    "events_per_s": 3_000_000,
    "peers": {"msgspec.loop": 750_000, "faster": 6_000_000},
    "ratio": {"msgspec.loop": 4.0, "faster": 0.5},
    "absent": {"bytewax": "not installed"},
    **RAN_ON,
}
RECOVERY = {
    "case": "recovery.of_somebody",
    "records_per_s": 500_000,
    "points": [{"tail_records": 1_000, "start_s": 0.1}, {"tail_records": 1_000_000, "start_s": 2.5}],
    **RAN_ON,
}
SKIPPED = {"case": "e2e.latency", "skipped": "mosquitto is not <installed>", **RAN_ON}

VOID = {"meta", "br"}


class Tags(HTMLParser):
    """Every tag closes, and nothing is fetched or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe")
        assert not {"src", "href", "onclick", "onload"} & {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(html: str) -> str:
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(picture)
    return html


def test_the_page_shows_each_case_and_what_did_not_run() -> None:
    html = checked(page([SPEED, RECOVERY, SKIPPED]))
    assert ">3 M<" in html
    assert "4× behind" in html
    assert "2× ahead" in html
    assert "bytewax: not installed" in html
    assert "mosquitto is not &lt;installed&gt;" in html
    assert "a &lt;b&gt;" in html
    assert "url(" not in html
    assert "@import" not in html


def test_a_case_that_the_page_does_not_know_is_shown_with_its_figures_and_points() -> None:
    html = checked(page([RECOVERY]))
    assert "<h2>recovery.of_somebody</h2>" in html
    assert "500,000" in html
    assert "tail_records" in html
    assert html.count("<circle") == 2


def test_a_case_with_a_figure_of_each_contestant_has_bars() -> None:
    of_all = {"case": "wire.somebodys", "us": {"sortline": 0.5, "peer": 10.0}, "ratio": {"peer": 20.0}, **RAN_ON}
    html = checked(page([of_all]))
    assert html.count("<rect") == 2
    assert "20× ours" in html


def test_the_last_figures_of_a_case_count_and_no_case_is_needed() -> None:
    assert ">9<" in checked(page([SPEED, {**SPEED, "events_per_s": 9, "peers": {}, "ratio": {}}]))
    checked(page([]))


def test_the_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "figures.ndjson", tmp_path / "report.html"
    source.write_text(json.dumps(SPEED) + "\n")
    assert main([str(source), str(out)]) == 0
    assert "<h2>Throughput</h2>" in out.read_text()
    assert main([str(source)]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.0005, "0.0005"),
        (0.1234, "0.123"),
        (9.996, "10"),
        (71.84, "71.8"),
        (999, "999"),
        (999.9, "1 k"),
        (100_000, "100 k"),
        (1_234_567, "1.23 M"),
        (2e9, "2 G"),
    ],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert short(number) == text


def drawn(svg: str, tag: str) -> list[dict[str, Any]]:
    return [element.attrib for element in ElementTree.fromstring(svg).iter(tag)]


def test_bars_are_as_long_as_their_values() -> None:
    rows = drawn(bars("three", [Bar("a", 10, mine=True), Bar("b", 5), Bar("c", 0)]), "rect")
    assert float(rows[0]["width"]) == pytest.approx(2 * float(rows[1]["width"]), abs=0.2)
    assert 0 < float(rows[2]["width"]) < 5
    assert bars("none", [])


def test_lines_go_through_their_points() -> None:
    series = [Line("up", [(1, 1), (10, 10), (100, 100)]), Line("flat", [(1, 50), (100, 50)], "s1")]
    svg = lines("two", series, Axis("x", log=True, tight=True), Axis("y", least=0), [Rule(20, "goal"), Rule(5, "b", 9)])
    dots = [(float(dot["cx"]), float(dot["cy"])) for dot in drawn(svg, "circle")]
    up, flat = dots[:3], dots[3:]
    assert up[1][0] - up[0][0] == pytest.approx(up[2][0] - up[1][0], abs=0.2)  # log: decades are equally wide
    assert up[0][1] > up[1][1] > up[2][1]
    assert up[2][1] < flat[0][1] == flat[1][1] < up[1][1]
    assert max(x for x, _ in dots) < WIDTH


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e-9, 1e9], [-3.0, 3.0]])
@pytest.mark.parametrize("log", [False, True])
def test_any_values_have_axes(values: list[float], log: bool) -> None:
    points = list(enumerate(values, 1))
    ElementTree.fromstring(lines("any", [Line("a", points)], Axis("x", log=log, tight=log), Axis("y", log=log)))
