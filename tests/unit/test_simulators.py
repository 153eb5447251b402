"""The simulated warehouse told to a file: one seed, one story; its truth adds up, its records are canonical."""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from engine.model import ENVELOPE, KINDS, Group, Type, field_type
from simulators import cli
from simulators import floor as f
from simulators.canonical import Telling, dev_id, tell, write
from simulators.ledger import Ledger
from simulators.live import as_far_as
from simulators.orders import sscc18
from simulators.settings import Habits, Troubles
from simulators.statements import Record
from simulators.truth import expected_events
from simulators.warehouse import tell_story

TROUBLED = Troubles(noise=0.8, duplicates=0.02, disorder_ms=1_500, late_picks=0.02)
BUSY = Habits(
    shorts=0.2,
    over_picks=0.1,
    reversals=0.15,
    reopened=0.15,
    loops=0.3,
    noread=0.2,
    wrong_lane=0.1,
    taskless=0.2,
    unplanned=0.2,
    label_noread=0.1,
)
"""A floor on which everything goes wrong often."""


def troubled(seed: int = 7, orders: int = 120, habits: Habits | None = None) -> tuple[f.Story, Telling]:
    story = tell_story(orders, seed, habits=habits)
    return story, tell(story, seed, TROUBLED)


def records(telling: Telling) -> list[Record]:
    return [one.arrived() for one in telling.said]


def arguments(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(argv)


def test_the_same_seed_writes_the_same_bytes_and_the_same_truth(tmp_path: Path) -> None:
    written = []
    for run in ("a", "b"):
        out, truth = tmp_path / f"{run}.ndjson", tmp_path / f"{run}.truth"
        story = ("--orders", "60", "--seed", "3", "--out", str(out), "--truth", str(truth))
        troubles = ("--noise", ".8", "--duplicates", ".02", "--disorder-ms", "1500", "--late-picks", ".05")
        assert cli.run(arguments(*story, *troubles)) == 0
        written.append((out.read_bytes(), truth.read_bytes()))
    assert written[0] == written[1]
    assert b"".join(write(troubled(3)[1].said)) != b"".join(write(troubled(4)[1].said))


def test_troubles_change_the_telling_and_never_the_truth() -> None:
    story = tell_story(100, 5)
    quiet, loud = tell(story, 5), tell(story, 5, TROUBLED)
    without_names = [
        [event for event in expected_events(story, telling.dev_ids) if event["type"] != "pick.reversed"]
        for telling in (quiet, loud)
    ]
    assert without_names[0] == without_names[1]
    assert len(quiet.said) < len(loud.said)


def test_the_story_begins_at_its_fixed_epoch_and_arrives_in_order() -> None:
    story, telling = troubled()
    arrivals = [one.t_rx for one in telling.said]
    assert arrivals == sorted(arrivals)
    assert 0 < story.happenings[0].t - f.STORY_EPOCH < 10 * f.SECOND


def test_every_record_is_canonical() -> None:
    _, telling = troubled(habits=BUSY)
    for record in records(telling):
        kind = KINDS[record["kind"]]
        assert any(needed <= record.keys() for needed in kind.required), record
        assert isinstance(record["t_rx"], int) and isinstance(record["t"], int)
        assert record["src"].count("/") == 2
        for name, value in record.items():
            if name in ENVELOPE or kind.group is Group.NOISE:
                continue
            wanted = field_type(record["kind"], name)
            fits = {Type.TEXT: str, Type.INT: int, Type.BOOL: bool, Type.TEXTS: list, Type.NESTED: list}
            assert wanted is not None and isinstance(value, fits[wanted]), (record["kind"], name, value)
            assert value != "" and not isinstance(value, float)


def test_numbers_of_a_source_follow_its_clock_and_start_anew_with_an_epoch() -> None:
    _, telling = troubled(orders=200)
    by_source: defaultdict[tuple[str, int], dict[int, int]] = defaultdict(dict)
    for record in records(telling):
        if "seq" in record:
            by_source[record["src"], record["epoch"]][record["seq"]] = record["t"]
    assert {epoch for _, epoch in by_source} == {0, 1}
    for numbers in by_source.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        assert [t for _, t in sorted(numbers.items())] == sorted(numbers.values())


def test_disorder_stays_within_its_bound_and_late_is_flagged_or_still_believable() -> None:
    _, telling = troubled(orders=300)
    delays = Counter[str]()
    seen: set[int] = set()
    for one in telling.said:
        delay_ms = (one.t_rx - one.record["t"]) / 1_000
        first = id(one.record) not in seen
        seen.add(id(one.record))
        if one.hist:
            assert one.record["kind"] == "pick.confirm" and delay_ms > 5_000
            delays["hist"] += 1
        elif first and delay_ms > 1_520:
            assert one.record["kind"] == "pick.confirm" and delay_ms < 5_000
            delays["slow"] += 1
        else:
            assert delay_ms >= 20
            delays["usual" if first else "again"] += 1
    assert all(delays[sort] > 0 for sort in ("hist", "slow", "usual", "again")), delays


def test_a_late_pick_comes_when_its_carton_is_long_closed_and_before_the_truck() -> None:
    story, telling = troubled(orders=300)
    ledger = Ledger(story.happenings)
    for one in telling.said:
        if one.hist and isinstance(one.about, f.Picked):
            carton = one.about.task.carton
            assert one.t_rx > min(close.t for close in ledger.closes(carton) if close.t > one.about.t) + 15 * f.SECOND
            for manifest in ledger.manifests(carton.shipment):
                assert one.t_rx < manifest.t - 60 * f.SECOND


def test_noise_is_the_share_that_was_asked_for_and_duplicates_repeat_a_name() -> None:
    _, telling = troubled(orders=300)
    noise = sum(one.about is None for one in telling.said)
    assert noise / len(telling.said) == pytest.approx(0.8, abs=0.01)
    names = Counter(dev_id(one.record) for one in telling.said if "seq" in one.record and one.about)
    twice = sum(count == 2 for count in names.values())
    assert twice / len(names) == pytest.approx(0.02, abs=0.01)
    assert max(names.values()) == 2


def test_pieces_are_conserved() -> None:
    """What was picked less what was put back lies in cartons, line by line; ready shipments account for every piece."""
    story, telling = troubled(habits=BUSY, orders=300)
    moved = Counter[tuple[str, int]]()
    for happening in story.happenings:
        if isinstance(happening, f.Picked | f.PutBack):
            line = happening.task.line
            moved[line.order, line.number] += happening.qty if isinstance(happening, f.Picked) else -happening.qty
    confirmed, packed = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for event in expected_events(story, telling.dev_ids):
        data = event["data"]
        if event["type"] == "pick.confirmed":
            confirmed[data["order"], data["line"]] += data["qty"]
            assert data["over_qty"] == max(0, data["qty"] - data["qty_task"])
            assert data["t_first"] <= data["t_close"]
        elif event["type"] == "carton.closed":
            for content in data["contents"]:
                assert content["qty"] > 0
                packed[content["order"], content["line"]] += content["qty"]
        elif event["type"] == "pick.short":
            assert data["qty_short"] == max(0, data["qty_task"] - data["qty_picked"])
        elif event["type"] == "shipment.ready" and event["stands"]:
            for line in data["lines"]:
                assert line["packed"] + line["short"] >= line["ordered"]
                assert line["packed"] == packed[line["order"], line["line"]]
            assert data["partial"] == any(line["short"] for line in data["lines"])
    assert +moved == +confirmed == +packed


def test_what_is_told_matches_what_happened() -> None:
    """The records, read without any duplicate, move exactly the pieces that moved."""
    story, telling = troubled(habits=BUSY)
    told = Counter[str]()
    for record in {dev_id(one.record): one.record for one in telling.said if "seq" in one.record}.values():
        if record["kind"] in ("pick.confirm", "pick.reverse"):
            key = record.get("task") or f"{record['order']}/{record['line']}"
            told[key] += record["qty"] * (1 if record["kind"] == "pick.confirm" else -1)
    ledger = Ledger(story.happenings)
    tasks = [task for shipment in story.shipments for line in shipment.lines for task in line.tasks]
    assert +told == +Counter({task.key: ledger.quantity(task) for task in tasks})


def test_every_sort_of_event_and_trap_occurs() -> None:
    story, telling = troubled(habits=BUSY, orders=300)
    expected = list(expected_events(story, telling.dev_ids))
    types = Counter(event["type"] for event in expected)
    assert set(types) == {
        "pick.confirmed",
        "pick.short",
        "pick.reversed",
        "carton.closed",
        "carton.reopened",
        "shipment.ready",
        "shipment.manifested",
    }
    kinds = {one.record["kind"] for one in telling.said}
    assert {"carton.reopen", "ident.assigned", "item.recirculated", "scan.noread", "lu.release"} <= kinds
    assert any("#" in event["key"] for event in expected if event["type"] == "carton.closed")
    assert any(event["data"].get("qty_short") == 0 for event in expected if event["type"] == "pick.short")
    assert {event["stands"] for event in expected if event["type"] == "shipment.ready"} == {True, False}
    assert any(carton.cycle > 1 for shipment in story.shipments for carton in shipment.cartons)
    assert any(event["data"]["over_qty"] for event in expected if event["type"] == "pick.confirmed")


@pytest.mark.parametrize("seed", range(6))
def test_a_load_unit_is_in_one_use_at_a_time(seed: int) -> None:
    story = tell_story(300, seed, habits=Habits(shorts=0.3, totes=0.8))
    uses: defaultdict[str, list[f.Carton]] = defaultdict(list)
    ledger = Ledger(story.happenings)
    for shipment in story.shipments:
        for carton in shipment.cartons:
            uses[carton.lu].append(carton)
    for cartons in uses.values():
        for before, after in pairwise(cartons):
            ended = [one.t for one in ledger.released(before) or ledger.manifests(before.shipment)]
            assert after.cycle == before.cycle + 1
            assert ended and ended[0] < ledger.bound(after)[0].t


def test_a_track_number_is_on_one_item_at_a_time() -> None:
    story, _ = troubled(orders=400)
    rides: dict[f.Ride, list[int]] = {}
    for happening in story.happenings:
        ride = getattr(happening, "ride", None)
        if ride is not None:
            rides.setdefault(ride, []).append(happening.t)
    last: dict[int, int] = {}
    for ride, times in sorted(rides.items(), key=lambda item: item[1][0]):
        assert times[0] > last.get(ride.track, 0)
        last[ride.track] = times[-1]
    assert len(last) < len(rides), "numbers must come again"


def test_a_story_broken_off_expects_only_what_had_happened() -> None:
    story, telling = troubled()
    broken_off = as_far_as(story.happenings[len(story.happenings) // 2].t, story, telling)
    whole = {(e["type"], e["key"]) for e in expected_events(story, telling.dev_ids)}
    half = {(e["type"], e["key"]) for e in expected_events(broken_off, telling.dev_ids)}
    assert half < whole
    assert not any(
        name.startswith("t_")
        for event in expected_events(story, telling.dev_ids, times=False)
        for name in event["data"]
    )


def test_where_an_item_went_is_not_told_before_somebody_says_what_it_is() -> None:
    story = tell_story(200, seed=1)
    telling = tell(story, 1, Troubles())
    told = {id(one.about): one.t_rx for one in telling.said}
    went = {each.ride: each for each in story.happenings if isinstance(each, f.Diverted)}
    names = [each for each in story.happenings if isinstance(each, f.Identified)]
    late = [name for name in names if told[id(went[name.ride])] < told[id(name)]]
    assert late
    for name in late:
        cut = told[id(name)]
        assert went[name.ride] not in as_far_as(cut, story, telling).happenings
        assert went[name.ride] in as_far_as(cut + 1, story, telling).happenings


@pytest.mark.parametrize("serial", [0, 1, 123_456_789])
def test_an_sscc_has_eighteen_digits_and_a_right_check_digit(serial: int) -> None:
    code = sscc18(serial)
    assert len(code) == 18
    weights = [3, 1] * 9
    assert sum(int(digit) * weight for digit, weight in zip(code, weights, strict=True)) % 10 == 0


@pytest.mark.parametrize(
    "argv",
    [["--noise", "1"], ["--duplicates", "-0.1"], ["--disorder-ms", "6000"], ["--orders", "0"], ["--speed", "0"]],
)
def test_options_out_of_range_are_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        arguments(*argv)
    assert stopped.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_a_file_or_live_but_not_both_or_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments()) == 2
    assert cli.run(arguments("--live", "--out", str(tmp_path / "f"))) == 2
    assert cli.run(arguments("--live")) == 2
    assert "--servers" in capsys.readouterr().err
    assert cli.run(arguments("--out", str(tmp_path / "no" / "such" / "folder"), "--orders", "1")) == 1


def test_the_story_can_go_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.run(arguments("--out", "-", "--orders", "2")) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert json.loads(lines[0])["src"] == "dc1/wms/main"
