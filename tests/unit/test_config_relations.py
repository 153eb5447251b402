"""Parameters that break a rule together: what is said of them, and what the core would make of them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.config.load import load_site
from engine.config.relations import RELATIONS, doubts
from engine.config.rules import Rules
from tests.cases.writing import PACK, Case, at
from tests.through_core import feed

TOGETHER = {
    # name: (the site file, the path of its fault, what it says)
    "forgotten before it is late": (
        "[rules]\nlateness_ms = 60_000\nctx_wait_ms = 0\nretention_ms = 64_999\ngap_hold_ms = 0",
        "rules.retention_ms",
        "should be at least lateness_ms + skew_max_ms (65000), is 64999: a late fact could name what is forgotten",
    ),
    "against a default": ("[rules]\nlateness_ms = 604_800_000", "rules.retention_ms", "lateness_ms + skew_max_ms"),
    "a gap that is forgotten": ("[rules]\ngap_hold_ms = 604_800_001", "rules.retention_ms", "gap_hold_ms"),
    "forgotten before its hold is over": (
        "[rules]\nlateness_ms = 20_000\nctx_wait_ms = 0\ngap_hold_ms = 0\nretention_ms = 29_999",
        "rules.retention_ms",
        "should be at least hold_wall_max_ms (30000), is 29999: what a hold waits for would be forgotten",
    ),
    "stuck for longer than anything": ("[rules]\nstuck_ms = 700_000_000", "rules.retention_ms", "stuck_ms"),
    "out of order is not believed": (
        "[rules]\ndisorder_ms = 5_001\nidle_source_ms = 6_000",
        "rules.skew_max_ms",
        "should be at least disorder_ms (5001), is 5000",
    ),
    "gone before all is here": (
        "[rules]\nidle_source_ms = 1_999",
        "rules.idle_source_ms",
        "disorder_ms (2000), is 1999",
    ),
    "a source that is gone too soon": (
        '[sources."dc1/slow"]\nidle_source_ms = 1_000',
        'sources."dc1/slow".idle_source_ms',
        "should be at least disorder_ms (2000), is 1000",
    ),
    "believed is late": (
        "[rules]\nlateness_ms = 4_000\nctx_wait_ms = 0",
        "rules.lateness_ms",
        "should be at least skew_max_ms (5000), is 4000",
    ),
    "given up before it is missed": ("[rules]\nlateness_ms = 60_000", "rules.lateness_ms", "ctx_wait_ms (600000)"),
    "every close is forced": ("[rules]\nclose_hold_ms = 29_000", "rules.hold_wall_max_ms", "close_hold_ms + "),
    "every readiness is forced": (
        "[rules]\nhold_wall_max_ms = 6_999\nclose_hold_ms = 0",
        "rules.hold_wall_max_ms",
        "ready_hold_ms + disorder_ms (7000), is 6999",
    ),
    "by a source alone": (
        '[sources."dc1/slow"]\ndisorder_ms = 25_001\nidle_source_ms = 30_000\nskew_max_ms = 30_000',
        'sources."dc1/slow".disorder_ms',
        "wants a rules.hold_wall_max_ms of at least 30001, is 30000: every readiness",
    ),
    "by a source's clock": (
        '[rules]\nretention_ms = 86_405_000\n[sources."dc1/slow"]\nskew_max_ms = 6_000',
        'sources."dc1/slow".skew_max_ms',
        "wants a rules.retention_ms of at least 86406000",
    ),
}


def said_of(tmp_path: Path, text: str) -> dict[str, str]:
    file = tmp_path / "site.toml"
    file.write_text(f'site = "dc1"\n{text}')
    return dict(doubts(load_site(file)))


@pytest.mark.parametrize("case", TOGETHER)
def test_what_breaks_a_rule_together_is_said(case: str, tmp_path: Path) -> None:
    text, path, message = TOGETHER[case]
    said = said_of(tmp_path, text)
    assert list(said) == [path]
    assert message in said[path]


def test_the_defaults_get_on_with_each_other(tmp_path: Path) -> None:
    assert said_of(tmp_path, "") == {}
    assert {relation.name for relation in RELATIONS} <= set(Rules.__struct_fields__)


def test_the_bounds_are_inside(tmp_path: Path) -> None:
    text = "[rules]\nlateness_ms = 5_000\nctx_wait_ms = 5_000\nretention_ms = 10_000\ngap_hold_ms = 10_000\n"
    text += "disorder_ms = 5_000\nhold_wall_max_ms = 10_000\n"
    assert said_of(tmp_path, text) == {}


def test_check_says_it_and_finds_the_file_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "site.toml"
    file.write_text('site = "dc1"\n[rules]\nlateness_ms = 60_000\n')
    assert main(["check", str(file)]) == 0
    good, warning = capsys.readouterr().out.splitlines()
    assert ": good: " in good
    assert warning.startswith("  warning: rules.lateness_ms: should be at least ctx_wait_ms (600000), is 60000: ")


# ---------------------------------------------------------------------------------------------- what they would break


def ticking(case: Case, times: Iterable[int]) -> Case:
    for t in times:
        case.device("carton.reopen", t, src="dc1/pack/PK-99", lu="Z-1")
    return case


def told(case: Case, **rules: int) -> dict[str, dict[str, Any]]:
    """The last event of each type, and of each code of exceptions."""
    records = sorted(case.records, key=lambda record: record["t_rx"])
    events = feed(records, rules=rules, until_us=at(400)).events
    return {event["data"].get("code") or event["type"].removeprefix("io.sortline."): event for event in events}


def test_R07_a_gap_that_is_forgotten_holds_nothing() -> None:
    case = Case().order(2).task(2, deadline=at(20)).pick(1)
    case.device("source.gap", 15, src="dc1/pick/PTL-01", t_from=at(5), t_to=at(14))
    ticking(case, range(16, 300, 5))
    remembered, forgotten = (
        told(case, lateness_ms=50_000, gap_hold_ms=200_000, retention_ms=keep) for keep in (200_000, 60_000)
    )
    assert remembered["pick.short.v1"]["evidence"] == "incomplete"
    assert forgotten["pick.short.v1"]["evidence"] == "exact"  # nobody knows what was missed


def test_R11_a_record_waits_longer_than_it_may_where_it_is_missed_later() -> None:
    case = ticking(Case().pick(0), range(1, 150, 5)).order(1, t=110).task(1, t=110)
    kept, given_up = (told(case, lateness_ms=60_000, ctx_wait_ms=wait) for wait in (120_000, 60_000))
    assert "pick.confirmed.v1" in kept
    assert "pick.confirmed.v1" not in given_up


def test_a_carton_that_is_forgotten_is_never_stuck() -> None:
    case = Case().order(2).shipment().pick(1, line=1, order="O-1", lu="L-1").close(2)
    ticking(case, range(5, 400, 5))
    assert "PKG_STUCK" in told(case, lateness_ms=50_000, stuck_ms=200_000, retention_ms=200_000)
    assert "PKG_STUCK" not in told(case, lateness_ms=50_000, stuck_ms=200_000, retention_ms=100_000)


def test_R04_a_hold_beyond_the_bound_makes_every_close_incomplete() -> None:
    case = Case().order(1).task(1).pick(1, lu="L-1").close(2)
    for t in range(3, 60):
        case.device("scan.read", t, src=PACK, lu="Z-1")
    assert told(case, close_hold_ms=26_000)["carton.closed.v1"]["evidence"] == "exact"
    assert told(case, close_hold_ms=29_000)["carton.closed.v1"]["evidence"] == "incomplete"


def test_a_core_without_a_site_file_has_the_same_defaults() -> None:
    own = import_module("ext.floor").DEFAULTS
    assert {**own, "closing_points": ()} == Rules().given()
