"""The live view shows what the metrics say, and no device can speak to the terminal through it."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from engine.live import View, show
from engine.metrics import CoreMetrics, Metrics, Recent

NOW = 1_795_420_800_000_000


def filled() -> Metrics:
    metrics = Metrics()
    metrics.turn("running")
    floor = metrics.source("floor")
    floor.state = "up"
    for second in range(1, 11):
        floor.accepted(30, NOW - second * 1_000_000)
    floor.lag_us = 12_340
    floor.fault("seq: not an integer", b"{}", NOW)
    sorter = metrics.source("sorter")
    sorter.state, sorter.detail = "down", "no answer"
    erp = metrics.sink("erp")
    erp.turn("retrying", "transient: ConnectionRefusedError", NOW)
    erp.depth, erp.oldest_us, erp.delivered = 7, NOW - 65_000_000, 1_234
    metrics.core = CoreMetrics(
        NOW,
        {"in": 300, "used": 290, "noise": 10},
        {"picks": 41, "cartons": 17},
        [
            {"src": "dc1/pick/PTL-01", "gaps": 2, "ahead_us": -3_210_000},
            {"src": "dc1/pick/PTL-02", "gaps": 0, "ahead_us": -15_000},
            {"src": "dc1/picker", "gaps": 100, "ahead_us": 9_000_000},
            {"src": "dc1/sorter", "gaps": 3, "ahead_us": None},
        ],
    )
    metrics.recent.append(Recent(NOW, 42, "pc1.mc6cfej273pfqdqk3ooddnndvv:r0", "pick.confirmed", "O-77"))
    metrics.loop.add(2_500, 0.0)
    return metrics


COVERS = {"floor": ["dc1/pick"], "sorter": ["dc1/sorter"]}


def screen(metrics: Metrics) -> str:
    console = Console(file=io.StringIO(), width=160, record=True)
    console.print(View("dc1", metrics, COVERS, lambda: NOW).screen())
    return console.export_text()


def test_the_screen_shows_sources_windows_events_and_sinks() -> None:
    text = screen(filled())
    row = next(line for line in text.splitlines() if line.startswith("floor"))
    assert row.split()[:10] == ["floor", "up", "30.0", "300", "12.3", "ms", "-3.21", "s", "2", "1"]
    assert "seq: not an integer" in row
    assert "no answer" in next(line for line in text.splitlines() if line.startswith("sorter"))
    assert "in 300 = used 290 + noise 10" in text
    assert "picks" in text and "41" in text
    assert "pc1.mc6cfej273pfqdqk3ooddnndvv:r0" in text
    sink = next(line for line in text.splitlines() if "retrying" in line)
    assert "1:05" in sink and "1234" in sink and "7" in sink.split()
    assert "max 2.5 ms" in text


def test_S10_how_many_devices_of_a_source_are_not_live_is_seen() -> None:
    metrics = filled()
    metrics.source("floor").faults.clear()
    states = {
        "dc1/pick/PTL-01": "STALE",
        "dc1/pick/PTL-02": "STALE",
        "dc1/pick/PTL-03": "SYNCING",
        "dc1/pick/PTL-04": "LIVE",
    }
    sources = [{"src": src, "state": state} for src, state in states.items()]
    metrics.core = CoreMetrics(NOW, {}, {}, sources)
    assert "2 STALE, 1 SYNCING" in next(line for line in screen(metrics).splitlines() if line.startswith("floor"))


def test_an_engine_that_has_just_started_can_be_shown() -> None:
    assert "starting" in screen(Metrics())


def test_a_device_cannot_speak_to_the_terminal() -> None:
    metrics = filled()
    metrics.source("floor").detail = "\x1b[2J[bold]owned[/bold]\n"
    metrics.recent.append(Recent(NOW, 43, "x", "pick.confirmed", "\x1b]0;owned\x07"))
    text = screen(metrics)
    assert "\x1b" not in text and "\x07" not in text
    assert r"\x1b[2J[bold]owned[/bold]\n" in text


def test_lines_name_what_is_not_as_it_should_be() -> None:
    view = View("dc1", filled(), COVERS, lambda: NOW)
    lines = list(view.lines())
    assert lines[0].startswith("running: 30 records/s, in 300 used 290 noise 10, open windows: picks 41 cartons 17")
    assert any("sorter: down no answer" in line for line in lines)
    assert any("sink erp: retrying" in line for line in lines)
    named = "event 42: pick.confirmed O-77 pc1.mc6cfej273pfqdqk3ooddnndvv:r0"
    assert named in lines
    assert named not in list(view.lines()), "an event is named once"


def test_without_a_terminal_there_are_log_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.live.LINE_S", 0.01)
    caplog.set_level("INFO", "sortline.live")
    output = io.StringIO()

    async def some_time() -> None:
        view = View("dc1", filled(), COVERS, lambda: NOW)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(show(view, Console(file=output)), 0.1)

    asyncio.run(some_time())
    assert "running: 30 records/s" in caplog.text
    assert output.getvalue() == ""
