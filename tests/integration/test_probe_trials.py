"""`sortline check --probe` at sources that no second reader may listen to: only what is there is said to be."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from engine.cli import main
from tests.peers import Peer, free_port, start_redis

TELEGRAMS = """
[sources.crane]
protocol = "telegram"
role = "{role}"
host = "127.0.0.1"
port = {port}
src = "dc1/crane/C1"
framing = {{ kind = "stx_etx" }}
header = {{ type = {{ at = 0, length = 2 }}, seq = {{ at = 2, length = 4, type = "decimal" }} }}
number = {{ field = "seq", first = 1, last = 9999 }}
acknowledge = "AK{{seq}}"
silence_ms = 30000
[[sources.crane.telegrams]]
when = {{ type = "ST" }}
fields = {{ lu = {{ at = 6, length = 4 }}, loc = {{ at = 10, length = 4 }} }}
record = {{ kind = {{ const = "store.confirmed" }}, lu = "lu", loc = "loc" }}
"""
STREAM = '[sources.orders]\nprotocol = "redis_stream"\nport = {port}\nstream = "wms.context"\n'
LINES = '[sources.lines]\nprotocol = "file_lines"\npath = "{path}"\n'


def probed(folder: Path, capsys: pytest.CaptureFixture[str], *tables: str) -> tuple[int, str]:
    site = folder / "site.toml"
    site.write_text('site = "dc1"\n' + "\n".join(tables))
    capsys.readouterr()
    code = main(["check", "--probe", "--seconds", "30", str(site)])
    return code, " ".join(capsys.readouterr().out.split())


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Peer]:
    """One whose users a test may change."""
    server = start_redis(tmp_path)
    try:
        yield server
    finally:
        server.kill()


def test_a_stream_is_asked_for_and_nothing_of_it_is_taken(
    own_redis: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = redis.Redis(port=own_redis.port)
    table = STREAM.format(port=own_redis.port)
    code, said = probed(tmp_path, capsys, table)
    assert (code, "orders reached - - there is no stream wms.context yet" in said) == (0, True), said
    assert client.keys() == []
    client.xadd("wms.context", {"record": "{}"})
    assert "there is no group sortline yet" in probed(tmp_path, capsys, table)[1]
    client.xgroup_create("wms.context", "sortline", "0")
    code, said = probed(tmp_path, capsys, table)
    assert (code, "orders reached - - 0 entries read" in said) == (0, True), said
    assert client.xinfo_consumers("wms.context", "sortline") == []
    client.delete("wms.context")
    client.set("wms.context", "no stream")
    code, said = probed(tmp_path, capsys, table)
    assert (code, "orders down - - WRONGTYPE" in said) == (1, True), said
    # as the shipped user of the source: it may read the stream, and ask for nothing
    client.acl_setuser(
        "default",
        enabled=True,
        nopass=True,
        categories=["-@all"],
        commands=["+xreadgroup", "+auth"],
        keys=["wms.context"],
        reset_keys=True,
    )
    code, said = probed(tmp_path, capsys, table)
    assert (code, "this user may not ask" in said) == (0, True), said


def test_a_stream_of_a_server_that_is_not_there_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = probed(tmp_path, capsys, STREAM.format(port=free_port()))
    assert (code, "orders down" in said) == (1, True), said


def test_a_file_is_looked_at_and_a_pipe_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lines.ndjson"
    table = LINES.format(path=path)
    code, said = probed(tmp_path, capsys, table)
    assert (code, f"lines down - - there is no file {path} yet" in said) == (1, True), said
    path.write_text("{}\n")
    code, said = probed(tmp_path, capsys, table)
    assert (code, f"lines reached - - {path}: 3 bytes" in said) == (0, True), said
    path.unlink()
    os.mkfifo(path)
    code, said = probed(tmp_path, capsys, table)
    assert (code, "a pipe, which was not opened" in said) == (0, True), said


@pytest.mark.parametrize("role", ["client", "server"])
def test_telegrams_are_not_tried_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], role: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as device:
        device.setblocking(False)
        code, said = probed(tmp_path, capsys, TELEGRAMS.format(role=role, port=device.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            device.accept()
    assert code == 0
    assert "crane not tried" in said
    assert said.endswith("1 source not tried: nothing is known of whether they work")
