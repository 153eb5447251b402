"""The recorder: what it acknowledged is in the file, whatever comes afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from engine.cli import main
from engine.config.load import load_site
from engine.config.site import Site
from engine.contracts import Delivery
from engine.record import Recorder
from engine.recordings import Plain, Writer, read

T0 = 1795420800000000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    path = tmp_path / "site.toml"
    path.write_text('site = "dc1"\n[engine]\nintake_records_max = 4\n')
    return load_site(path)


def scan(seq: int) -> bytes:
    return b'{"kind":"scan.read","lu":"L","seq":%d,"src":"dc1/conveyor/SCN-01","t":%d,"t_rx":%d}' % (seq, T0, T0 + seq)


async def recorded(
    site: Site, path: Path, story: Callable[[Recorder], Awaitable[None]], clock_us: int = T0
) -> Recorder:
    """Runs a recorder until `story` (a coroutine function) is over; the file is closed then."""
    with Writer(str(path)) as out:
        recorder = Recorder(site, out, lambda: clock_us)
        writing = asyncio.create_task(recorder.run())
        await story(recorder)
        recorder.stop()
        await writing
    return recorder


def test_an_acknowledged_line_is_in_the_file(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    seen: list[bytes] = []

    async def story(recorder: Recorder) -> None:
        done = asyncio.Event()

        def ack() -> None:
            seen.append(path.read_bytes())
            done.set()

        await recorder.put(Delivery("floor", [scan(1), scan(2)], ack))
        await done.wait()

    recorder = asyncio.run(recorded(site, path, story))
    assert seen == [scan(1) + b"\n" + scan(2) + b"\n"]
    assert path.read_bytes() == seen[0]
    assert recorder.core.account()["in"] == 2


def test_what_was_handed_over_before_the_stop_is_written(site: Site, tmp_path: Path) -> None:
    acks: list[int] = []

    async def story(recorder: Recorder) -> None:
        for seq in range(1, 30):  # more than the intake holds: `put` waits for the file
            await recorder.put(Delivery("floor", [scan(seq)], partial(acks.append, seq)))

    asyncio.run(recorded(site, tmp_path / "out.zst", story))
    lines = b"".join(chunk.data for chunk in read(str(tmp_path / "out.zst"))).splitlines()
    assert lines == [scan(seq) for seq in range(1, 30)]
    assert acks == list(range(1, 30))


def test_a_driver_learns_how_far_its_source_has_counted(site: Site, tmp_path: Path) -> None:
    found: list[tuple[int, int] | None] = []

    async def story(recorder: Recorder) -> None:
        found.append(recorder.position("dc1/conveyor/SCN-01"))
        await recorder.put(Delivery("floor", [scan(300)]))
        while recorder.position("dc1/conveyor/SCN-01") is None:
            await asyncio.sleep(0.001)
        found.append(recorder.position("dc1/conveyor/SCN-01"))

    asyncio.run(recorded(site, tmp_path / "out.ndjson", story))
    assert found == [None, (0, 300)]


def test_time_alone_is_recorded_as_a_clock_tick(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    pick = b'{"kind":"pick.confirm","qty":1,"seq":1,"sku":"S","src":"dc1/pick/P","t":%d,"t_rx":%d,"task":"T"}' % (
        T0,
        T0,
    )
    now = T0 + 700_000_000  # by then the missing task has been waited for

    async def story(recorder: Recorder) -> None:
        await recorder.put(Delivery("floor", [pick]))
        while path.read_bytes().count(b"\n") < 2:
            await asyncio.sleep(0.01)

    asyncio.run(recorded(site, path, story, now))
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [record["kind"] for record in records][:2] == ["pick.confirm", "clock.tick"]
    assert records[1]["t_rx"] == now


def test_a_disk_that_fails_ends_the_recording_without_an_acknowledgement(site: Site, tmp_path: Path) -> None:
    acks: list[int] = []

    class Full(Plain):
        def sync(self) -> None:
            raise OSError(28, "No space left on device")

    async def story() -> None:
        recorder = Recorder(site, Full(str(tmp_path / "out.ndjson")), lambda: T0)
        await recorder.put(Delivery("floor", [scan(1)], lambda: acks.append(1)))
        await recorder.run()

    with pytest.raises(OSError, match="No space left"):
        asyncio.run(story())
    assert acks == []


def test_a_site_without_connections_has_nothing_to_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.toml").write_text('site = "dc1"\n')
    assert main(["record", str(tmp_path / "site.toml"), "--out", str(tmp_path / "out.ndjson")]) == 1
    assert "nothing to record" in capsys.readouterr().err
    assert not (tmp_path / "out.ndjson").exists()
