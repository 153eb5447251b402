"""The example of an ERP's consumer keeps its promises: nothing lost, nothing booked twice, the newest revision wins."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import redis

from engine.contracts import OutRow
from engine.sinks.queue import Queue
from engine.sinks.redis_stream import RedisSink, Settings
from tests.peers import Peer

CONSUMER = Path(__file__).parents[2] / "examples" / "consumer.py"


def event(key: str, revision: int, qty: int) -> OutRow:
    fields: dict[str, object] = {
        "id": f"{key}:r{revision}",
        "type": "io.sortline.pick.confirmed.v1",
        "subject": f"task/{key}",
        "data": {"qty": qty},
    }
    if revision:
        fields["supersedes"] = f"{key}:r{revision - 1}"
    return OutRow(0, f"{key}:r{revision}", "pick.confirmed", "erp", key, msgspec.json.encode(fields))


POISON = OutRow(0, "pc1.poison:r0", "pick.confirmed", "erp", "P", b'{"id":"pc1.poison:r0"}')
STORY = [event("pc1.a", 0, 1), event("pc1.b", 0, 2), POISON, event("pc1.a", 1, 5), event("pc1.c", 0, 3)]
BOOKED = [("pc1.a", 1, 5), ("pc1.b", 0, 2), ("pc1.c", 0, 3)]


def numbered(rows: list[OutRow], first: int = 1) -> list[OutRow]:
    return [row._replace(position=position) for position, row in enumerate(rows, first)]


async def add(port: int, rows: list[OutRow]) -> None:
    sink = RedisSink("redis", Settings(port=port), Path(), lambda: 0)
    await sink.open()
    await sink.send(rows)
    await sink.close()


def consume(folder: Path, *arguments: str) -> str:
    """Run it until nothing is left; returns what it printed."""
    command = [sys.executable, str(CONSUMER), *arguments, "--once", "--erp", str(folder / "erp.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def booked(folder: Path) -> list[tuple[str, int, int]]:
    with sqlite3.connect(folder / "erp.sqlite") as file:
        rows = file.execute("SELECT key, revision, data FROM facts ORDER BY key").fetchall()
    return [(key, revision, json.loads(data)["qty"]) for key, revision, data in rows]


def test_a_stream_is_booked_once_and_its_poison_is_buried(redis_server: Peer, tmp_path: Path) -> None:
    asyncio.run(add(redis_server.port, numbered(STORY)))
    arguments = (f"redis://127.0.0.1:{redis_server.port}/0", "erp", "--stale-ms", "0")
    printed = consume(tmp_path, *arguments)
    assert booked(tmp_path) == BOOKED
    assert printed.count("booked") == 4
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        assert client.xpending("erp", "erp")["pending"] == 0
        letters = client.xrange("erp.dead")
        assert [(letter["entry"], letter["reason"]) for _, letter in letters] == [("3-0", "KeyError: 'type'")]
    assert consume(tmp_path, *arguments) == ""


def test_what_a_dead_consumer_left_is_claimed_and_not_booked_twice(redis_server: Peer, tmp_path: Path) -> None:
    asyncio.run(add(redis_server.port, numbered([event("pc1.a", 0, 1), event("pc1.a", 1, 2), event("pc1.b", 0, 3)])))
    arguments = (f"redis://127.0.0.1:{redis_server.port}/0", "erp", "--stale-ms", "0")
    with redis.Redis(port=redis_server.port) as client:
        client.xgroup_create("erp", "erp", "0")
        # one that took the first two, booked the second, and died before it could acknowledge
        client.xreadgroup("erp", "dead", {"erp": ">"}, count=2)
        consume_one = ("--queue", str(tmp_path / "second.sqlite"), "erp")
        queue = Queue(tmp_path / "second.sqlite")
        queue.put(numbered([event("pc1.a", 1, 2)]))
        queue.close()
        consume(tmp_path, *consume_one)
        printed = consume(tmp_path, *arguments)
        assert client.xpending("erp", "erp")["pending"] == 0
    assert sorted(line.split()[1] for line in printed.splitlines()) == ["booked", "known", "outdated"]
    assert booked(tmp_path) == [("pc1.a", 1, 2), ("pc1.b", 0, 3)]


def test_an_embedded_queue_is_booked_once_and_its_poison_is_buried(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    queue = Queue(path)
    queue.put(numbered(STORY))
    printed = consume(tmp_path, "--queue", str(path), "erp")
    assert booked(tmp_path) == BOOKED
    assert printed.splitlines()[2].startswith("3 dead: ")
    assert queue.position("erp", "erp") == 5
    queue.put(numbered([event("pc1.b", 1, 9)], 6))
    assert consume(tmp_path, "--queue", str(path), "erp") == "6 booked\n"
    queue.close()
    with sqlite3.connect(tmp_path / "erp.sqlite") as file:
        assert file.execute("SELECT id, body FROM dead").fetchall() == [("erp/3", POISON.body)]
