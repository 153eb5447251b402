"""The benchmarks run and say what they ran; their peers do the job that they claim to do."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from bench import collisions, e2e, idle, servers
from bench.cli import add_arguments, run
from bench.crowds import Cohorts, idle_windows, unknown_keys
from bench.floor import DISORDER_US, Floor, cartons_for, lines_of
from bench.measure import Absent, Entry, Failed, Step, Turn, costs, durations, in_turns, percentile, race
from bench.packets import publish
from bench.peers import bytewax_flow, polars_batch
from bench.peers.loop import Windows, decode_lines
from bench.profiling import readable
from bench.registry import CASES, case_of
from bench.report import page
from bench.settings import Settings
from bench.workload import story
from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from protocols.registry import PROTOCOLS

SMALL = 0.001


def bench(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(argv))


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# The command


def test_every_case_that_is_listed_can_be_loaded() -> None:
    assert all(callable(case_of(name)) for name in CASES)


def test_every_case_stands_in_the_page_that_tells_of_them() -> None:
    table = (e2e.ROOT / "bench" / "README.md").read_text()
    assert [name for name in CASES if f"`{name}`" not in table.partition("**The traffic.**")[0]] == []


def test_cases_give_one_line_of_json_each_and_the_report_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["core.ndjson", "core.event", "core.open_windows", "core.flood", "snapshot", "core.collisions"]
    asked += ["core.growth", "core.sources", "journal.append", "recovery.tail"]
    assert bench(*asked, "--json", "--scale", str(SMALL), "--runs", "1") == 0
    lines = printed(capsys)
    assert [line["case"] for line in lines] == asked
    for line in lines:
        assert {"p50_ms", "p99_ms", "rss_mb"} <= line.keys()
        assert line["rss_mb"] >= 0
        assert line["scale"] == SMALL
        assert {"sortline", "python", "polars", "bytewax"} <= line["versions"].keys()
    speed, event, windows, flood, snapshot, collided, growth, crowd, journal, recovery = lines
    assert speed["events_per_s"] > 0
    assert speed["ratio"].keys() == speed["peers"].keys() >= {"msgspec.loop", "polars"}
    assert set(speed["absent"]) | set(speed["peers"]) == {"msgspec.loop", "polars", "bytewax"}
    assert len(set(speed["events"].values())) == 1
    assert event["us_an_event"] > 0
    assert [point["windows"] for point in windows["points"]] == [10, 100, 1_000]
    assert flood["real_keys"] > 0
    assert flood["real_keys_wrong"] == 0
    assert snapshot["bytes"] > 0
    assert collided["ratio_to_random"] > 0
    assert growth["growth"] == max(growth["growth_of"].values()) > 0
    assert growth["uses"] == 100
    assert [point["sources"] for point in crowd["points"]] == [2, 10]
    assert all(point["ns_a_record"] > 0 for point in crowd["points"])
    assert journal["us"].keys() == {"sortline", "sortline.lines", "file.lines", "sqlite.wal"}
    assert journal["records"] == 2 * 4_096
    assert [point["records"] > 400 for point in recovery["points"]] == [True, True]
    assert all(0 < point["reading_s"] < point["start_s"] for point in recovery["points"])
    assert recovery["points"][-1]["events"] > 0
    shown = page(lines)
    titles = ("Throughput", "Open windows", "Flood", "Collisions", "Snapshot", "One event", "Journal", "Start")
    assert all(f"<h2>{title}" in shown for title in titles)


def test_an_unknown_case_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("core.ndjson", "warp") == 2
    assert "there is no case warp" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--scale", "x"], ["--scale", "0"], ["--runs", "many"]])
def test_a_number_that_is_none_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(arguments)
    assert f"{arguments[1]} is not a positive" in capsys.readouterr().err


def test_a_case_that_cannot_run_here_says_why_and_one_that_breaks_ends_the_command_with_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CASES, "e2e.latency", "tests.unit.test_bench:skips")
    monkeypatch.setitem(CASES, "snapshot", "tests.unit.test_bench:breaks")
    monkeypatch.setitem(CASES, "core.event", "tests.unit.test_bench:has_a_bug")
    assert bench("snapshot", "core.event", "e2e.latency", "--json") == 3
    failed, broken, skipped = printed(capsys)
    assert failed["failed"] == "2 results missing"
    assert broken["failed"].startswith("ZeroDivisionError: division by zero\nTraceback")
    assert skipped["skipped"] == "no such server"
    assert "core.event: ZeroDivisionError" in page([broken]).replace("</b> ", ": ")


def skips(settings: object) -> dict[str, Any]:
    raise Absent("no such server")


def breaks(settings: object) -> dict[str, Any]:
    raise Failed("2 results missing")


def has_a_bug(settings: object) -> dict[str, Any]:
    return {"p50_ms": 1 / 0}


# Measuring


def counting(steps: int) -> Turn:
    def turn(number: int) -> Generator[Step, None, dict[str, Any]]:
        for _ in range(steps):
            yield lambda: sum(range(1_000))
        return {"turn": number}

    return turn


def missing() -> Turn:
    raise Absent("not on this computer")


def breaking() -> Turn:
    raise ValueError("a bug of ours")


def test_a_race_times_each_step_of_each_turn_but_not_the_warm_up() -> None:
    timings, absent = race({"one": Entry(counting, (3,)), "other": Entry(missing)}, runs=2)
    assert absent == {"other": "not on this computer"}
    assert len(timings["one"].turns) == 2
    assert len(timings["one"].steps) == 6
    assert timings["one"].facts == {"turn": 2}
    assert timings["one"].rss_mb >= timings["one"].input_mb > 1
    assert sum(timings["one"].steps) == pytest.approx(sum(timings["one"].turns))


def test_a_contestant_that_breaks_is_named_with_its_traceback() -> None:
    with pytest.raises(Failed, match=r"(?s)one: .*ValueError: a bug of ours"):
        race({"one": Entry(breaking)}, runs=1)


def test_rounds_go_round_and_the_warm_up_does_not_count() -> None:
    heard: list[str] = []

    def speaks(name: str) -> Callable[[], int]:
        def turn() -> int:
            heard.append(name)
            return len(heard)

        return turn

    assert in_turns({"one": speaks("one"), "other": speaks("other")}, runs=2) == {"one": [3, 5], "other": [4, 6]}
    assert heard == ["one", "other"] * 3
    assert in_turns({"cold": speaks("cold")}, runs=1, warm_ups=0) == {"cold": [7]}


def test_costs_are_those_of_the_median_turn() -> None:
    assert costs({"peer": [5.0, 4.0, 90.0], "sortline": [2.0, 1.0, 3.0]}) == {
        "us": {"peer": 5.0, "sortline": 2.0},
        "ratio": {"peer": 2.5},
        "spread": {"peer": 22.5, "sortline": 3.0},
    }


def test_durations_are_of_runs_and_of_steps() -> None:
    figures = durations({"peer": [[2.0, 4.0]], "sortline": [[0.5, 1.5], [1.0, 3.0], [1.0, 2.0]]})
    assert (figures["run_s"], figures["seconds"]) == (3.0, {"peer": 6.0, "sortline": 3.0})
    assert (figures["p50_ms"], figures["p99_ms"]) == (1_500, 3_000)
    assert figures["peers_ms"] == {"peer": {"p50_ms": 4_000, "p99_ms": 4_000}}
    assert (figures["ratio"], figures["spread"]) == ({"peer": 2.0}, {"peer": 1.0, "sortline": 2.0})


def test_percentiles() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert percentile([7.0], 0.99) == 7


# The workload


def test_the_floor_story_is_what_it_says() -> None:
    lines = list(lines_of(Floor(400)))
    assert lines == list(lines_of(Floor(400)))
    records = [json.loads(line) for line in lines]
    noise = [
        r for r in records if r["kind"] in ("photo_eye", "motor.state", "zone.state", "machine.state", "telemetry")
    ]
    assert 0.58 < len(noise) / len(records) < 0.61
    names = Counter((r["src"], r["seq"]) for r in records if "seq" in r)
    assert 0.003 < sum(count > 1 for count in names.values()) / len(records) < 0.006
    assert [r["t_rx"] for r in records] == sorted(r["t_rx"] for r in records)
    assert all(0 < r["t_rx"] - r["t"] < DISORDER_US + 30_000 for r in records)
    assert cartons_for(len(records)) == pytest.approx(400, rel=0.02)


def events_of(lines: bytes) -> tuple[Core, list[dict[str, Any]]]:
    texts = Texts()
    batch, core = Batch(texts), Core("dc1", texts)
    assert make_decoder(texts).decode(lines, batch) == []
    core.feed(batch)
    core.finish()
    return core, [json.loads(body) for *_, body, _ in core.take()]


def test_everybody_tells_the_same_of_the_floor_story() -> None:
    told = story("floor", SMALL)
    core, ours = events_of(b"".join(told.chunks()))
    loop = Windows()
    for chunk in told.chunks():
        loop.take(decode_lines(chunk))
    loop.finish()
    assert facts(ours) == facts([json.loads(event) for event in loop.events])
    assert loop.duplicates == core.account()["duplicate"] > 0
    assert loop.noise == core.account()["noise"] > 0
    pl = polars_batch.load()
    assert polars_batch.events(pl, polars_batch.read(pl, told.path))[0] == len(ours)


def facts(events: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """What both say of cartons and lines: contents, pieces, weight, times."""
    found: list[tuple[object, ...]] = []
    for event in events:
        data = event["data"]
        if event["type"] == "io.sortline.carton.closed.v1":
            contents = [(each["order"], each["line"], each["sku"], each["qty"]) for each in data["contents"]]
            found.append((data["lu"], tuple(contents), data.get("weight_g"), data["t_close"], data["t_open"]))
        else:
            found.append((data["order"], data["line"], data["qty"], data["t_close"]))
    return sorted(found, key=repr)


def test_bytewax_tells_as_much_as_the_loop() -> None:
    try:
        modules = bytewax_flow.load()
    except Absent as reason:
        pytest.skip(str(reason))
    told = story("floor", SMALL)
    loop = Windows()
    for chunk in told.chunks():
        loop.take(decode_lines(chunk))
    loop.finish()
    assert bytewax_flow.run(modules, told.chunks(), decoded=False) == len(loop.events) > 0
    decoded = [decode_lines(chunk) for chunk in told.chunks()]
    assert bytewax_flow.run(modules, decoded, decoded=True) == len(loop.events)


def test_the_simulators_story_decodes_and_a_part_of_it_is_loops_work() -> None:
    told = story("orders", 0.005)
    core, events = events_of(b"".join(told.chunks()))
    assert core.account()["rejected"] == 0
    loop = Windows()
    for chunk in told.chunks():
        loop.take(decode_lines(chunk))
    loop.finish()
    assert len(events) >= len(loop.events) > 0


def test_crowds_are_what_they_say() -> None:
    core, events = events_of(b"".join(idle_windows(1_000)))
    assert events == []
    assert (core.windows()["picks"], core.windows()["cartons"]) == (500, 500)
    flood = [json.loads(line) for line in unknown_keys(100, 8, 10**15).splitlines()]
    assert len({(r.get("lu"), r.get("task"), r.get("track")) for r in flood}) == 8
    cohorts = Cohorts(20)
    _, events = events_of(cohorts.closes(0) + cohorts.moment(0))
    assert [event["type"] for event in events] == ["io.sortline.carton.closed.v1"] * 20


def test_collisions_are_such() -> None:
    numbers = collisions.order_numbers(20)
    assert len(set(numbers)) == 20
    for number in numbers:
        key = number << 32 | collisions.colliding(number, 10)
        for factor in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93):
            product = key * factor
            key = (product ^ product >> 64) & (2**64 - 1)
        assert key >> 54 == 0  # `home` of ext/store.pxd where the secret is 0
    home = "share_of(stirred(fold(key ^ table.secret, table.secret ^ 0x9E3779B97F4A7C15u)), table.capacity)"
    assert home in (e2e.ROOT / "ext" / "store.pxd").read_text()
    assert "fold(folded, 0xD6E8FEB86659FD93u)" in (e2e.ROOT / "ext" / "texts.pxd").read_text()


# End to end


def test_a_publish_packet_is_one() -> None:
    # MQTT 3.1.1 figures 3.10 and 2.1: type 3 with QoS 1, remaining length, topic, packet identifier, payload
    assert publish(0, "a/b", b"xyz", 1) == b"\x32\x0a\x00\x03a/b\x00\x01xyz"
    assert publish(65_534, "a/b", b"", 1)[-2:] == b"\xff\xff"
    assert publish(65_535, "a/b", b"", 1)[-2:] == b"\x00\x01"
    assert publish(0, "t", b"." * 200, 1)[:3] == b"\x32\xcd\x01"
    assert publish(7, "a/b", b"xyz", 0) == b"\x30\x08\x00\x03a/bxyz"
    assert publish(0, "a", b"xyz", 1, newest=True) == b"\x32\x09\x00\x01a\x00\x01\x00xyz"


def test_a_result_that_is_missing_doubled_or_wrong_is_found() -> None:
    told = e2e.Traffic([], {}, {("O-1", 1): 2}, {"C-1": {("O-1", 1): 2}})
    pick = {"id": "p:r0", "type": "io.sortline.pick.confirmed.v1", "data": {"order": "O-1", "line": 1, "qty": 2}}
    contents = [{"order": "O-1", "line": 1, "qty": 2}]
    closed = {"id": "c:r0", "type": "io.sortline.carton.closed.v1", "data": {"lu": "C-1", "contents": contents}}
    good = [e2e.Seen(0, pick), e2e.Seen(1, closed)]
    assert list(e2e.wrong(told, good)) == []
    assert len(list(e2e.wrong(told, good[:1]))) == 1
    assert len(list(e2e.wrong(told, [*good, good[0]]))) == 1
    less = {**closed, "data": {"lu": "C-1", "contents": [{**contents[0], "qty": 1}]}}
    assert len(list(e2e.wrong(told, [good[0], e2e.Seen(1, less)]))) == 1


@pytest.mark.peer("mosquitto")
@pytest.mark.peer("redis")
def test_from_end_to_end_nothing_is_lost_beside_a_dead_sink() -> None:
    try:
        servers.program("mosquitto"), servers.program("redis-server")
    except Absent as reason:
        pytest.skip(str(reason))
    ran = e2e.run(e2e.traffic(2_000), 0, dead=True)
    assert ran.results > 50
    assert min(ran.latency_ms) > 0
    assert ran.drained_per_s > 0, "and what the dead one lacks it gets, once it is not"


def test_the_way_from_end_to_end_is_gone_as_often_as_asked_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ran(told: e2e.Traffic, per_second: float, *, dead: bool = False, peer: bool = False) -> e2e.Ran:
        asked.append("dead" if dead else "peer" if peer else "alone")
        return e2e.Ran(10.0 * len(asked), 1.0, [1.0, 2.0], 1.0, 50.0, 3, "in 0", 2.0, 5.0)

    monkeypatch.setattr(e2e, "run", ran)
    figures = case_of("e2e.mqtt_redis")(Settings(scale=SMALL, runs=3))
    assert asked == ["alone", "dead", "peer"] * 3
    assert (figures["events_per_s"], figures["dead_sink"]["events_per_s"], figures["peers"]) == (
        40,
        50,
        {"aiomqtt.loop": 60},
    )
    assert figures["spread"]["sortline"] == 7.0
    assert figures["drain"] == {"events_per_s": 5, "ratio": 2.5}


@pytest.mark.peer("mosquitto")
@pytest.mark.peer("redis")
def test_idle_sources_of_every_protocol_come_up_and_are_watched(tmp_path: Path) -> None:
    try:
        servers.program("mosquitto"), servers.program("redis-server")
    except Absent as reason:
        pytest.skip(str(reason))
    with idle.served(tmp_path, 2) as tables:
        figures = idle.watched(tmp_path / "all", "".join(tables.values()), 1, 0.5)
    assert tables.keys() == PROTOCOLS.keys()
    assert figures["sources"] == 2 * len(PROTOCOLS)
    assert figures["cpu_percent"] > 0
    assert figures["rss_mb"] > 30
    assert "<h2>Idle sources" in page([{"case": "sources.idle", **figures, "protocols": {"mqtt": figures}}])


def test_a_program_that_is_not_there_skips_a_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Absent, match="no-such-server is not installed"):
        servers.program("no-such-server")


def test_a_server_that_does_not_become_ready_is_not_left_behind(tmp_path: Path) -> None:
    server = servers.Server(["sleep", "60"], tmp_path, "sleeper")
    with pytest.raises(Failed, match=r"sleeper: not ready within 0\.05 s"):
        server.until(lambda: False, "ready", 0.05)
    assert server.process.returncode is not None


def test_symbols_are_read_as_their_authors_wrote_them() -> None:
    assert readable("__pyx_f_3ext_6timers_6Timers_pop") == "timers.Timers.pop"
    assert readable("__pyx_f_3ext_6ndjson_read_object") == "ndjson.read_object"
    assert readable("_PyObject_Malloc") == "_PyObject_Malloc"
