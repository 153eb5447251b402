"""The score: ids made from site, type and key alone, last revisions compared, whatever differs named."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from simulators import score as scoring
from simulators.canonical import tell
from simulators.score import event_id, report, score
from simulators.settings import Troubles
from simulators.truth import expected_events
from simulators.warehouse import tell_story

Line = dict[str, Any]


def write(path: Path, lines: list[Line]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def event(type_: str, key: str, data: Line, revision: int = 0, sequence: int = 1) -> Line:
    base = event_id("dc1", type_, key)
    return {
        "id": f"{base}:r{revision}",
        "type": f"io.sortline.{type_}.v1",
        "subject": f"{type_.split('.')[0]}/{key}",
        "sequence": f"{sequence:020}",
        "data": data,
    } | ({"supersedes": f"{base}:r{revision - 1}"} if revision else {})


def expected(type_: str, key: str, data: Line, **more: Any) -> Line:
    return {"type": type_, "site": "dc1", "key": key, "data": data} | more


@pytest.fixture
def judged(tmp_path: Path) -> Any:
    def judge(out: list[Line], truth: list[Line]) -> scoring.Score:
        return score(write(tmp_path / "out", out), write(tmp_path / "truth", truth))

    return judge


@pytest.mark.parametrize(
    ("type_", "key", "id_"),
    [
        ("pick.confirmed", "T-1001", "pc1.mc6cfej273pfqdqk3ooddnndvv"),
        ("pick.short", "O-77/2", "ps1.ycco5blgphsqskxp6o3qfjdfkx"),
        ("carton.closed", "T-9#3", "cc1.oz2ykcwuzwba4tfl3ljvxjqc3a"),
    ],
)
def test_ids_are_those_of_the_contract(type_: str, key: str, id_: str) -> None:
    assert event_id("dc1", type_, key) == id_


def test_an_engine_that_says_the_truth_is_perfect(judged: Any) -> None:
    story = tell_story(80, 11)
    truth = list(expected_events(story, tell(story, 11, Troubles(disorder_ms=1_000)).dev_ids))
    out = [event(e["type"], e["key"], e["data"], sequence=n) for n, e in enumerate(truth) if e.get("stands", True)]
    found = judged(out, truth)
    assert found.perfect, report(found)
    assert found.right == len(truth)


def test_the_last_revision_counts(judged: Any) -> None:
    truth = [expected("pick.confirmed", "T-1", {"qty": 4})]
    first, second = event("pick.confirmed", "T-1", {"qty": 3}), event("pick.confirmed", "T-1", {"qty": 4}, 1, 2)
    assert judged([first, second], truth).perfect
    assert [w.field for w in judged([first], truth).wrong] == ["qty"]


def test_a_revision_that_does_not_follow_on_is_wrong(judged: Any) -> None:
    truth = [expected("pick.confirmed", "T-1", {"qty": 4})]
    fields = [w.field for w in judged([event("pick.confirmed", "T-1", {"qty": 4}, 1)], truth).wrong]
    assert fields == ["revision"]
    lonely = event("pick.confirmed", "T-1", {"qty": 4}) | {"supersedes": "x"}
    assert [w.field for w in judged([lonely], truth).wrong] == ["supersedes"]


def test_missing_and_extra_events_are_named(judged: Any) -> None:
    found = judged([event("pick.short", "T-2", {})], [expected("pick.confirmed", "T-1", {"qty": 4})])
    assert found.missing == ["pick.confirmed T-1"]
    assert len(found.extra) == 1 and "pick/T-2" in found.extra[0]
    assert "1 missing, 1 extra" in report(found)


def test_events_that_the_floor_does_not_determine_are_passed_over(judged: Any) -> None:
    out = [event("shipment.unready", "S-1", {}), event("shipment.ready", "S-1", {}) | {"type": "io.sortline.other.v1"}]
    out[1]["id"] = "xr1.aaaaaaaaaaaaaaaaaaaaaaaaaa:r0"
    assert judged(out, []).perfect


def test_a_shipment_that_turned_unready_does_not_stand(judged: Any) -> None:
    ready = event("shipment.ready", "S-1", {"partial": False}, sequence=1)
    unready = event("shipment.unready", "S-1", {}, sequence=2)
    again = event("shipment.ready", "S-1", {"partial": False}, 1, sequence=3)
    stands = [expected("shipment.ready", "S-1", {"partial": False}, stands=True)]
    fallen = [expected("shipment.ready", "S-1", {}, stands=False)]
    assert judged([ready], stands).perfect
    assert judged([ready, unready, again], stands).perfect
    assert not judged([ready, unready], stands).perfect
    assert judged([ready, unready], fallen).perfect
    assert judged([], fallen).perfect
    assert judged([ready], fallen).extra == ["shipment.ready S-1 (it was not ready)"]


def test_lists_compare_by_what_is_in_them(judged: Any) -> None:
    one, two = {"order": "O-1", "line": 1, "qty": 2}, {"order": "O-1", "line": 2, "qty": 1}
    truth = [expected("carton.closed", "C-1", {"contents": [one, two]})]
    assert judged([event("carton.closed", "C-1", {"contents": [two, one]})], truth).perfect
    assert not judged([event("carton.closed", "C-1", {"contents": [one, two | {"lot": "L1"}]})], truth).perfect


def test_a_manifest_is_judged_by_cartons_and_tracking_numbers(judged: Any) -> None:
    truth = [expected("shipment.manifested", "S-1", {"cartons": [{"carton": "C-1", "tracking_no": "X"}]})]
    weighed = [{"carton": "C-1", "tracking_no": "X", "weight_g": 900}]
    assert judged([event("shipment.manifested", "S-1", {"cartons": weighed})], truth).perfect


def test_the_command_says_what_is_wrong_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = write(tmp_path / "out", [event("pick.confirmed", "T-1", {"qty": 3})])
    truth = write(tmp_path / "truth", [expected("pick.confirmed", "T-1", {"qty": 4})])
    parser = argparse.ArgumentParser()
    scoring.add_arguments(parser)
    assert scoring.run(parser.parse_args([str(out), str(truth)])) == 1
    assert "pick.confirmed T-1: qty is 3, not 4" in capsys.readouterr().out
    assert scoring.run(parser.parse_args([str(tmp_path / "none"), str(truth)])) == 1
    assert "none: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "truth", "said"),
    [
        ("gone", "", "gone: cannot be read: No such file or directory"),
        ("not json", "", "out:1: not JSON; is it a file of business events?"),
        ('\n{"id": "x:r0"}', "", "out:2: no business event"),
        ("", "[1]", "truth:1: no row of a ground truth"),
    ],
)
def test_a_file_that_cannot_be_judged_is_named_with_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str, truth: str, said: str
) -> None:
    (tmp_path / "out").write_text(out)
    (tmp_path / "truth").write_text(truth)
    name = tmp_path / ("gone" if out == "gone" else "out")
    parser = argparse.ArgumentParser()
    scoring.add_arguments(parser)
    assert scoring.run(parser.parse_args([str(name), str(tmp_path / "truth")])) == 1
    assert f"sortline: {tmp_path}/{said}\n" == capsys.readouterr().err


def test_a_long_list_of_differences_is_cut(judged: Any) -> None:
    truth = [expected("pick.confirmed", f"T-{n}", {"qty": 1}) for n in range(50)]
    assert "and 30 more" in report(judged([], truth))
