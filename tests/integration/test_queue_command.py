"""`sortline queue` over the embedded queue and over Redis: the same words, the same meaning."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import redis

from engine.cli import main
from engine.contracts import OutRow
from engine.sinks.queue import Queue
from engine.sinks.redis_stream import RedisSink, Settings
from tests.counting_core import event
from tests.peers import Peer

DONE, REFUSED = 0, 1


def rows(first: int, last: int) -> list[OutRow]:
    events = [event(n, f"e{n}") for n in range(first, last + 1)]
    return [OutRow(sequence, id_, type_, "erp", key, body) for sequence, id_, type_, key, body, _ in events]


def fill_file(path: Path, last: int) -> None:
    queue = Queue(path)
    queue.put(rows(1, last))
    queue.close()


async def fill_redis(port: int, last: int) -> None:
    sink = RedisSink("redis", Settings(port=port), Path(), lambda: 0)
    await sink.open()
    await sink.send(rows(1, last))
    await sink.close()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def positions(capsys: pytest.CaptureFixture[str]) -> list[object]:
    return [line["position"] for line in lines(capsys)]


def test_an_embedded_queue_is_listed_read_and_acknowledged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(tmp_path / "queue.sqlite")
    fill_file(Path(where), 5)
    assert main(["queue", "list", where, "--json"]) == DONE
    assert lines(capsys) == [{"queue": "erp", "entries": 5, "last": "5", "consumers": []}]
    assert main(["queue", "peek", where, "erp", "--limit", "2", "--json"]) == DONE
    peeked = lines(capsys)
    assert [(line["position"], line["event"]) for line in peeked] == [
        (str(row.position), json.loads(row.body)) for row in rows(1, 2)
    ]
    assert main(["queue", "ack", where, "erp", "--consumer", "sap", "--upto", "3"]) == DONE
    assert capsys.readouterr().out == "erp: sap has everything up to 3\n"
    assert main(["queue", "peek", where, "erp", "--consumer", "sap", "--json"]) == DONE
    assert positions(capsys) == ["4", "5"]
    assert main(["queue", "tail", where, "erp", "--limit", "3", "--once", "--json"]) == DONE
    assert positions(capsys) == ["3", "4", "5"]
    assert main(["queue", "list", where]) == DONE
    assert "sap at 3, 2 open" in capsys.readouterr().out


def test_redis_is_listed_read_and_acknowledged(redis_server: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    where = f"redis://127.0.0.1:{redis_server.port}/0"
    asyncio.run(fill_redis(redis_server.port, 5))
    assert main(["queue", "list", where, "--json"]) == DONE
    assert lines(capsys) == [{"queue": "erp", "entries": 5, "last": "5-0", "consumers": []}]
    assert main(["queue", "ack", where, "erp", "--consumer", "sap", "--upto", "0-0"]) == DONE
    with redis.Redis(port=redis_server.port) as client:
        client.xreadgroup("sap", "reader", {"erp": ">"}, count=2)  # not acknowledged yet
    capsys.readouterr()
    assert main(["queue", "list", where]) == DONE
    assert "sap at 2-0, 5 open" in capsys.readouterr().out
    assert main(["queue", "ack", where, "erp", "--consumer", "sap", "--upto", "4-0"]) == DONE
    capsys.readouterr()
    assert main(["queue", "peek", where, "erp", "--consumer", "sap", "--json"]) == DONE
    assert positions(capsys) == ["5-0"]
    assert main(["queue", "tail", where, "erp", "--limit", "2", "--once", "--json"]) == DONE
    assert positions(capsys) == ["4-0", "5-0"]
    assert main(["queue", "tail", where, "erp", "--limit", "20", "--once", "--json"]) == DONE
    assert len(positions(capsys)) == 5
    with redis.Redis(port=redis_server.port) as client:
        assert client.xpending("erp", "sap")["pending"] == 0


def test_a_site_file_says_where_its_queue_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.toml"
    site.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{tmp_path}/data"\n')
    fill_file(tmp_path / "data" / "queue.sqlite", 3)
    assert main(["queue", "peek", str(site), "erp", "--json"]) == DONE
    assert positions(capsys) == ["1", "2", "3"]


def test_a_site_with_several_sinks_asks_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.toml"
    sinks = '[sinks.near]\nkind = "queue"\n[sinks.far]\nkind = "queue"\n'
    site.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{tmp_path}/data"\n{sinks}')
    fill_file(tmp_path / "data" / "far.sqlite", 1)
    assert main(["queue", "list", str(site)]) == REFUSED
    assert "--sink near or far" in capsys.readouterr().err
    assert main(["queue", "list", str(site), "--sink", "far"]) == DONE


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["list", "{folder}/nowhere.sqlite"], "there is no queue"),
        (["peek", "{folder}/queue.sqlite", "epr"], 'there is no queue epr yet: did you mean "erp"?'),
        (["ack", "{folder}/queue.sqlite", "erp", "--consumer", "sap", "--upto", "9"], "position 9"),
        (["ack", "{folder}/queue.sqlite", "erp", "--consumer", "sap", "--upto", "x"], "x: a position"),
        (["list", "redis://127.0.0.1:1/0"], "127.0.0.1:1"),
        (["list", "redis://user:secret@127.0.0.1:1/0"], "SORTLINE_REDIS_PASSWORD"),
        (["list", "redis://127.0.0.1/zero"], "is not redis://"),
        (["list", "redis://192.0.2.1/0"], "another computer"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    fill_file(tmp_path / "queue.sqlite", 3)
    assert main(["queue", *(argument.format(folder=tmp_path) for argument in arguments)]) == REFUSED
    error = capsys.readouterr().err
    assert reason in error
    assert "secret" not in error


def test_what_a_device_said_cannot_speak_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queue = Queue(tmp_path / "queue.sqlite")
    sequence, id_, type_, key, body, _ = event(1, "e\x1b[31m\u009b1m")
    queue.put([OutRow(sequence, id_, type_, "erp", key, body)])
    queue.close()
    assert main(["queue", "peek", str(tmp_path / "queue.sqlite"), "erp"]) == DONE
    assert capsys.readouterr().out.removesuffix("\n").isprintable()
