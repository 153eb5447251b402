"""`sortline tap` beside a running engine: what the engine itself gets, over no second connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.contracts import Delivery
from engine.taps import SOCKET, UNREAD_BYTES_MAX, Taps, look_in
from protocols.tapping import Tap
from tests.commands import Running, account, sortline
from tests.integration.test_telegram_driver import Crane
from tests.ledger import Ledger
from tests.modbus import Plc, until

SITE = """
site = "dc1"
[engine]
data_dir = "{folder}"
[sources.plc]
protocol = "modbus"
host = "127.0.0.1"
port = {plc}
[sources.plc.units.p1]
unit = 1
src = "dc1/pack/PK-01"
[sources.plc.units.p1.mailboxes.cartons]
seq = 100
seq2 = 102
ack = 200
poll_ms = 20
registers = {{ lu = {{ address = 101, type = "uint16" }} }}
record = {{ kind = {{ const = "carton.open" }}, lu = {{ template = "C-{{.lu}}" }} }}
[sources.crane]
protocol = "telegram"
host = "127.0.0.1"
port = {crane}
src = "dc1/asrs/CRN-01"
framing = {{ kind = "stx_etx" }}
acknowledge = "AK{{seq}}"
[sources.crane.header]
type = {{ at = 0, length = 2 }}
seq = {{ at = 2, length = 4, type = "decimal" }}
[sources.crane.number]
field = "seq"
first = 1
last = 9999
[[sources.crane.telegrams]]
when = {{ type = "ST" }}
fields = {{ lu = {{ at = 6, length = 6 }}, loc = {{ at = 12 }} }}
record = {{ kind = {{ const = "store.confirmed" }}, lu = "lu", loc = "loc" }}
"""


class Watching(Running):
    """A `sortline tap` at work; what it says goes to a folder of its own."""

    def __init__(self, folder: Path, site: Path, source: str) -> None:
        (folder / source).mkdir()
        super().__init__(folder / source, "tap", str(site), source)

    async def shows(self, shown: Callable[[list[str]], object]) -> list[str]:
        """All lines, once there are those that are waited for."""
        await until(lambda: shown(self.said().splitlines()), self.path.parent.name)
        return self.said().splitlines()


@contextlib.asynccontextmanager
async def floor() -> AsyncIterator[tuple[Plc, Crane]]:
    crane = Crane()
    await crane.listen()
    try:
        async with Plc() as plc:
            yield plc, crane
    finally:
        crane.stop()


def put_in(plc: Plc, number: int) -> None:
    plc.set(101, 1000 + number)
    plc.set(100, number, 1000 + number, number)


def test_payloads_of_modbus_and_telegrams_are_shown_beside_their_records(tmp_path: Path) -> None:
    async def story() -> None:
        async with floor() as (plc, crane):
            file = tmp_path / "site.toml"
            file.write_text(SITE.format(folder=tmp_path / "data", plc=plc.port, crane=crane.port))
            with Running(tmp_path, "run", "--plain", str(file)) as engine:
                await until(lambda: crane.connections == 1 and plc.requests)
                with Watching(tmp_path, file, "plc") as first, Watching(tmp_path, file, "crane") as second:
                    for tap in (first, second):
                        await tap.shows(lambda lines: "= up" in lines)
                    put_in(plc, 1)
                    crane.send(b"ST0001T-1   L-1", b"nonsense")
                    lines = await first.shows(lambda lines: any("written 0001" in line for line in lines))
                    assert "< unit 1 holding 100+3 0001 03e9 0001" in lines
                    (record,) = (json.loads(line[2:]) for line in lines if line.startswith("> "))
                    assert (record["kind"], record["lu"], record["seq"]) == ("carton.open", "C-1001", 1)
                    # what did not change is not shown again
                    assert len([line for line in lines if line.startswith("< unit 1 holding 100+3 0001")]) == 1
                    lines = await second.shows(lambda lines: any("answered AK0001" in line for line in lines))
                    assert "< ST0001T-1   L-1" in lines
                    assert any(line.startswith('> {"') and '"lu":"T-1"' in line for line in lines)
                    assert any(line.startswith("! ") and "nonsense" in line for line in lines)
                put_in(plc, 2)
                await until(lambda: plc.get(200) == 2)
                assert (crane.connections, {request.connection for request in plc.requests}) == (1, {1})
                said = await asyncio.to_thread(engine.stop)
            assert account(said)["in"] >= 3
            assert not (tmp_path / "data" / SOCKET).exists()
            done = await asyncio.to_thread(sortline, "tap", str(file), "crane")
            assert (done.returncode, "start it" in done.stderr) == (1, True)
            alone = await asyncio.to_thread(sortline, "tap", "--seconds", "1", str(file), "plc")
            assert "< unit 1 holding 100+3 0002 03ea 0002" in alone.stdout.splitlines()
            assert [value for _, _, value in plc.writes] == [1, 2]

    asyncio.run(story())


class Idle:
    """A driver of which nothing is wanted but what it shows."""

    def __init__(self) -> None:
        self.tap = Tap()

    async def run(self) -> None:
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Taps, Idle, Ledger]]:
    folder.mkdir(parents=True, exist_ok=True)
    ledger, driver = Ledger(), Idle()
    taps = Taps(ledger, folder)
    taps.attach("plc", driver)
    task = asyncio.create_task(taps.serve())
    try:
        yield taps, driver, ledger
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def looking(folder: Path, source: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(60):
        while (found := await look_in(folder)) is None:
            await asyncio.sleep(0.01)
    found[1].write(source + b"\n")
    return found


def test_a_watcher_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path) as (taps, driver, ledger):
            reader, writer = await looking(tmp_path, b"plc")
            assert json.loads(await reader.readline()) == ["state", "", "starting"]
            line = b'{"kind":"telemetry","x":"' + b"y" * 5_000 + b'"}'
            for _ in range(3 * UNREAD_BYTES_MAX // len(line)):
                await taps.put(Delivery("plc", [line]))
            assert len(ledger.deliveries) == 3 * UNREAD_BYTES_MAX // len(line)
            got = 0
            while got < UNREAD_BYTES_MAX // 2:
                got += len(await reader.readline())
            assert driver.tap.tell is not None
            driver.tap.tell("here", b"\xffafter")
            told = [json.loads(line) async for line in _all(reader)]
            assert any("lines were not shown" in text for what, _, text in told if what == "state")
            assert told[-1] == ["payload", "here", "\\xffafter"]
            writer.close()
            await until(lambda: driver.tap.tell is None)

    asyncio.run(story())


def test_who_comes_later_sees_what_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(tmp_path) as (_, driver, _):
            watching = []
            for _ in range(2):
                reader, writer = await looking(tmp_path, b"plc")
                watching.append((reader, writer))
                assert json.loads(await reader.readline())[0] == "state"
                driver.tap.changed("holding 0+1", b"0001")  # as it is asked for again and again
                assert json.loads(await reader.readline()) == ["payload", "holding 0+1", "0001"]
            assert [line async for line in _all(watching[0][0])] == []  # to the first it is no news
            for _, writer in watching:
                writer.close()

    asyncio.run(story())


def test_when_everybody_has_gone_the_next_one_has_seen_nothing() -> None:
    tap, seen = Tap(), list[tuple[str, bytes]]()
    for _ in range(2):
        tap.tell = lambda place, content: seen.append((place, content))
        tap.changed("holding 0+1", b"0001")
        tap.changed("holding 0+1", b"0001")
        tap.close()
        assert tap.standing() == []
    assert seen == 2 * [("holding 0+1", b"0001")]


async def _all(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """What is there."""
    with contextlib.suppress(TimeoutError):
        while True:
            yield await asyncio.wait_for(reader.readline(), 0.3)


@pytest.mark.parametrize("asked", [b"nobody", b"", b"x" * 5_000, b"\xff\0"])
def test_who_asks_for_nonsense_is_sent_away(tmp_path: Path, asked: bytes) -> None:
    async def story() -> None:
        async with serving(tmp_path) as (_, driver, _):
            reader, _ = await looking(tmp_path, asked)
            answer = await reader.read()
            assert answer == b"" or b"does not show this source" in answer
            assert driver.tap.tell is None

    asyncio.run(story())


def test_a_socket_that_a_killed_engine_left_and_a_folder_with_a_long_name_are_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    left = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(folder)
    left.bind(SOCKET)
    monkeypatch.undo()
    left.close()

    async def story() -> None:
        assert await look_in(folder) is None
        async with serving(folder):
            reader, _ = await looking(folder, b"plc")
            assert json.loads(await reader.readline())[0] == "state"
            assert (folder / SOCKET).stat().st_mode & 0o777 == 0o600

    asyncio.run(story())
