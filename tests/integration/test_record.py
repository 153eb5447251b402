"""`sortline record` with a real broker: the stream in a file, and a replay of that file."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiomqtt
import pytest

from engine.cli import main
from engine.recordings import read
from tests.peers import Peer

SITE = """
site = "dc1"

[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
scope = ["dc1/"]
topics = [{{ filter = "dc1/canonical", format = "canonical" }}]
"""


def lines_of(path: Path) -> list[bytes]:
    return b"".join(chunk.data for chunk in read(str(path))).splitlines()


async def publish(port: int, payloads: list[bytes]) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        for payload in payloads:
            await client.publish("dc1/canonical", payload, qos=1)


@pytest.mark.parametrize("name", ["out.ndjson", "out.parquet"])
def test_a_recording_of_a_broker_replays(
    mosquitto: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "site.toml").write_text(SITE.format(port=mosquitto.port))
    path = tmp_path / name
    runner = "import sys; from engine.cli import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", runner, "record", str(tmp_path / "site.toml"), "--out", str(path)]
    scans = [b'{"src":"dc1/conveyor/SCN-01","seq":%d,"kind":"scan.read","lu":"L-%d"}' % (i, i) for i in range(50)]
    written = tmp_path / ("out.parquet.part" if name.endswith("parquet") else name)
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as recorder:
        assert recorder.stderr is not None
        assert any("source floor: up" in line for line in recorder.stderr)
        asyncio.run(publish(mosquitto.port, [*scans, b"not a record"]))
        until = time.monotonic() + 60
        while sum(b"scan.read" in line for line in lines_of(written)) < len(scans) and time.monotonic() < until:
            time.sleep(0.02)
        recorder.send_signal(signal.SIGTERM)
        said = recorder.stderr.read()
        assert recorder.wait() == 0, said
    records = [json.loads(line) for line in lines_of(path)]
    assert [record["lu"] for record in records if record["kind"] == "scan.read"] == [f"L-{i}" for i in range(50)]
    assert all("t_rx" in record for record in records)
    assert main(["replay", str(path), "--out", str(tmp_path / "events.ndjson"), "--strict"]) == 0
    assert f"in {len(records)} = " in capsys.readouterr().err
