"""The engine as it is built out of a site file: records in, events in the queue, stop, and on from there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import app
from engine.app import Engine
from engine.clock import now_us
from engine.config.load import load_site
from engine.config.site import Site
from engine.errors import Refused
from engine.sinks.queue import Queue
from protocols.registry import PROTOCOLS
from tests.peers import free_port

NOW = int(time.time() * 1_000_000)


@pytest.fixture(autouse=True)
def lines_protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = "tests.integration.lines_protocol"
    monkeypatch.setitem(PROTOCOLS, "lines", (f"{module}:Settings", f"{module}:Driver"))
    yield


def picks(folder: Path, name: str, *tasks: str) -> Path:
    """A file of context and one pick a task, none of them waiting for anything."""
    records: list[dict[str, Any]] = []
    for number, task in enumerate(tasks):
        order = {"order": f"O-{task}", "rev": 1}
        lines = [{"line": 1, "sku": "SKU-1", "qty": 1}]
        what = {"order": f"O-{task}", "line": 1, "sku": "SKU-1", "qty": 1}
        at = NOW + number * 1_000
        records += [
            {"src": "dc1/wms/main", "kind": "order.released", "t": at, "t_rx": at, "lines": lines, **order},
            {"src": "dc1/wms/main", "kind": "pick.task", "t": at, "t_rx": at, "task": task, "rev": 1, **what},
            {
                "src": f"dc1/pick/{name}",
                "kind": "pick.confirm",
                "seq": number,
                "t": at,
                "t_rx": at,
                "task": task,
                "sku": "SKU-1",
                "qty": 1,
            },
        ]
    path = folder / f"{name}.ndjson"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def site(folder: Path, **sources: str) -> Path:
    path = folder / "site.toml"
    tables = "".join(f'[sources.{name}]\nprotocol = "lines"\n{table}\n' for name, table in sources.items())
    path.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{folder / "data"}"\n{tables}')
    return path


def queued(folder: Path) -> list[dict[str, Any]]:
    """What stands in the embedded queue for stock movements."""
    queue = Queue(folder / "data" / "queue.sqlite")
    try:
        return [json.loads(entry.body) for entry in queue.read("erp.inventory", 0, 1_000)]
    finally:
        queue.close()


def run(path: Path | Site, until: Callable[[Engine], bool]) -> tuple[Engine, Mapping[str, int]]:
    """Runs the engine until the condition holds, then stops it as a signal would. Returns it, and its account."""
    return asyncio.run(running(path, until))


async def running(path: Path | Site, until: Callable[[Engine], bool]) -> tuple[Engine, Mapping[str, int]]:
    engine = Engine(load_site(path) if isinstance(path, Path) else path)
    stop = asyncio.Event()
    task = asyncio.create_task(engine.run(stop))
    deadline = time.monotonic() + 60
    while not until(engine) and not task.done():
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.01)
    stop.set()
    return engine, await task


def delivered(count: int) -> Callable[[Engine], bool]:
    return lambda engine: engine.metrics.sink("queue").delivered >= count


def test_records_of_a_source_become_events_in_the_queue(tmp_path: Path) -> None:
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"')
    _, account = run(path, delivered(2))
    events = queued(tmp_path)
    assert [event["type"] for event in events] == ["io.sortline.pick.confirmed.v1"] * 2
    assert [event["subject"] for event in events] == ["task/T-1", "task/T-2"]
    assert account["in"] >= 6
    assert account["in"] == sum(number for name, number in account.items() if name != "in")


def test_a_second_run_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    run(site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"'), delivered(2))
    first = queued(tmp_path)
    both = {
        name: f'file = "{picks(tmp_path, name, *tasks)}"'
        for name, tasks in {"one": ["T-1", "T-2"], "two": ["T-3"]}.items()
    }
    run(site(tmp_path, **both), delivered(1))
    events = queued(tmp_path)
    assert events[:2] == first
    assert [event["subject"] for event in events] == ["task/T-1", "task/T-2", "task/T-3"]
    assert [int(event["sequence"]) for event in events] == [1, 2, 3]


def test_a_start_goes_on_with_the_outbox_that_a_repair_has_salvaged(tmp_path: Path) -> None:
    """`fsck --repair` was killed between putting the damaged one aside and putting the new one in its place."""
    run(site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1", "T-2")}"'), delivered(2))
    outbox = tmp_path / "data" / "outbox.sqlite"
    outbox.rename(outbox.with_name("outbox.sqlite.new"))
    run(site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-3")}"'), delivered(1))
    assert not outbox.with_name("outbox.sqlite.new").exists()
    assert [int(event["sequence"]) for event in queued(tmp_path)] == [1, 2, 3]


def test_i6_time_goes_on_in_a_folder_of_a_box_whose_clock_was_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time decided nothing until the right clock had caught up: for ten years."""
    years = 10 * 365 * 24 * 3_600 * 1_000_000
    with monkeypatch.context() as ahead:
        ahead.setattr("tests.integration.test_app.NOW", now_us() + years)
        path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1")}"')
    run(path, delivered(1))
    seen: list[int] = []

    def goes_on(engine: Engine) -> bool:
        seen.append(engine.clock())
        return delivered(1)(engine) and seen[-1] > now_us() + years // 2

    run(site(tmp_path, two=f'file = "{picks(tmp_path, "two", "T-2")}"'), goes_on)
    assert seen == sorted(seen)


@pytest.mark.parametrize("breaks", ["bug", "refused", "returns"])
def test_a_driver_that_breaks_stops_nobody_and_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, breaks: str
) -> None:
    monkeypatch.setattr(app, "DRIVER_AGAIN_S", 0.05)
    broken = f'file = "{picks(tmp_path, "broken", "T-8")}"\nbreaks = "{breaks}"'
    good = f'file = "{picks(tmp_path, "good", "T-9")}"'
    engine, _ = run(
        site(tmp_path, broken=broken, good=good),
        lambda engine: delivered(2)(engine) and engine.metrics.source("broken").deliveries >= 3,
    )
    assert {event["subject"] for event in queued(tmp_path)} == {"task/T-8", "task/T-9"}
    assert engine.metrics.source("good").state == "up"
    expected = {"bug": "ZeroDivisionError", "refused": "the certificate has expired", "returns": ""}[breaks]
    assert expected in caplog.text
    assert ("Traceback" in caplog.text) is (breaks == "bug")


def test_a_driver_that_does_not_let_go_cannot_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "DRIVERS_STOP_S", 0.2)
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1")}"\nbreaks = "hangs"')

    async def running() -> float:
        engine = Engine(load_site(path) if isinstance(path, Path) else path)
        stop = asyncio.Event()
        task = asyncio.create_task(engine.run(stop))
        while not delivered(1)(engine):
            await asyncio.sleep(0.01)
        stop.set()
        began = time.monotonic()
        await task
        return time.monotonic() - began

    with contextlib.closing(asyncio.new_event_loop()) as loop:  # asyncio.run would wait for the driver for ever
        took = loop.run_until_complete(running())
    assert took < 60
    assert "driver one did not stop" in caplog.text
    assert len(queued(tmp_path)) == 1


def test_two_engines_never_share_a_data_folder(tmp_path: Path) -> None:
    path = site(tmp_path)

    async def both() -> None:
        first = Engine(load_site(path))
        stop = asyncio.Event()
        stop.set()
        with pytest.raises(Refused, match="in use by process"):
            Engine(load_site(path))
        await first.run(stop)

    asyncio.run(both())


def test_a_stop_while_it_starts_is_a_stop(tmp_path: Path) -> None:
    _, account = run(site(tmp_path), lambda _: True)
    assert account["in"] == 0


ORDERS = 100


def test_told_to_stop_while_it_was_built_it_waits_for_no_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 5 s are over by then: with 5 more for what a sink did not have yet it was ended by force, with code 3."""
    path = site(tmp_path, one=f'file = "{picks(tmp_path, "one", "T-1")}"')
    path.write_text(f'{path.read_text()}\n[sinks.erp]\nkind = "redis"\nport = {free_port()}\n')
    monkeypatch.setattr(app, "PIPELINE_STOP_S", 0.1)
    run(path, lambda engine: engine.metrics.emitted > 0)
    monkeypatch.setattr(app, "PIPELINE_STOP_S", 1e6)

    async def story() -> None:
        engine, stop = Engine(load_site(path)), asyncio.Event()
        stop.set()
        async with asyncio.timeout(60):
            await engine.run(stop)

    asyncio.run(story())


def planned(folder: Path) -> Path:
    """Orders that a state of a MiB has no room for, none of which may be forgotten."""
    path = folder / "planned.ndjson"
    with path.open("w") as file:
        for number in range(ORDERS):
            at = NOW + number
            lines = [{"line": line, "sku": f"SKU-{line}", "qty": 1} for line in range(200)]
            record = {"src": "dc1/wms/main", "kind": "order.released", "t": at, "t_rx": at, "order": f"O-{number}"}
            file.write(json.dumps({**record, "rev": 1, "lines": lines}) + "\n")
    return path


def test_a_cap_of_the_state_that_planned_work_has_reached_can_be_raised(tmp_path: Path) -> None:
    path = site(tmp_path, wms=f'file = "{planned(tmp_path)}"')

    def run_with(bytes_max: int, until: Callable[[Engine], bool]) -> Mapping[str, int]:
        # a site file may not say less than 16 MiB, which take long to fill
        found = load_site(path)
        rules = msgspec.structs.replace(found.rules, state_bytes_max=bytes_max)
        return run(found._replace(rules=rules), until)[1]

    def full(engine: Engine) -> bool:
        return engine.metrics.state == "full"

    def all_in(engine: Engine) -> bool:
        return engine.metrics.journal.appends > 0 and engine.metrics.intake.records == 0

    assert run_with(1 << 20, full)["in"] < ORDERS
    assert run_with(1 << 20, full)["in"] < ORDERS
    account = run_with(1 << 26, all_in)
    assert account["in"] - account["duplicate"] == ORDERS
    # one that is too small changes nothing for the next start
    run_with(1 << 20, full)
    account = run_with(1 << 26, all_in)
    assert account["in"] - account["duplicate"] == ORDERS
