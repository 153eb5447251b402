"""`sortline run` under load while what stands around it dies, or it does itself: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from engine.journal import Journal
from tests.commands import WAIT_S, Publisher, Running, account, bodies, queued, sortline
from tests.integration.test_system_foreign import PICKS, now_us, written
from tests.oracle.ids import base_id
from tests.peers import Peer
from tests.promises import Evidence, Promises, told

pytestmark = pytest.mark.peer("mosquitto")

STREAMS = ("erp.inventory", "erp.shipping", "ops.exceptions")
ORDERS = 20
TASKS = 25  # of each order
LIVES = 4
PAUSE_S = 0.003
SINKS = """
[sinks.queue]
[sinks.erp]
kind = "redis"
port = {redis}
"""


class Floor:
    """Two pick stations whose counters have 8 bits, and the order system, all of them foreign clients.

    told: partition key -> its tasks, in the order in which they were picked; each of them ends in one event.
    """

    def __init__(self, port: int) -> None:
        self.told: dict[str, list[str]] = defaultdict(list)
        self._port = port
        self._numbers = [0, 0]
        self._left = [(order, task) for task in range(TASKS) for order in range(ORDERS)]

    def release(self) -> None:
        lines = [{"line": line, "sku": f"SKU-{line}", "qty": 1} for line in range(TASKS)]
        with Publisher(self._port, "dc1/wms/main/ctx") as wms:
            for order in range(ORDERS):
                wms.say(kind="order.released", t=now_us(), order=f"O-{order}", rev=1, lines=lines)
                for line in lines:
                    task = {"task": f"T-{order}-{line['line']}", "order": f"O-{order}", "rev": 1}
                    wms.say(kind="pick.task", t=now_us(), **task, **line)

    def pick(self, count: int) -> None:
        """The next tasks, in a steady stream. An order is picked at one station: that keeps its order."""
        now, self._left = self._left[:count], self._left[count:]
        with (
            Publisher(self._port, "dc1/pick/PTL-01/evt") as one,
            Publisher(self._port, "dc1/pick/PTL-02/evt") as two,
        ):
            for order, task in now:
                station = order % 2
                number, name = self._numbers[station], f"T-{order}-{task}"
                self._numbers[station] = (number + 1) % 256
                at_ms = now_us() // 1_000
                (one, two)[station].say(ty="C", n=number, ts=at_ms, job=name, sku=f"SKU-{task}", q=1)
                self.told[f"O-{order}"].append(name)
                time.sleep(PAUSE_S)

    def pick_on(self, count: int, working: threading.Event) -> None:
        """`pick`, a fifth of it before the engine is seen `working`: most of the load is still to come then, however
        long that took."""
        self.pick(count // 5)
        working.wait(WAIT_S)
        self.pick(count - count // 5)

    @property
    def count(self) -> int:
        return sum(map(len, self.told.values()))


def stream(port: int) -> list[tuple[int, bytes]]:
    """(number of the entry, event) of all streams together, in the order of their numbers."""
    with redis.Redis(port=port) as client:
        found: list[Any] = [entry for name in STREAMS for entry in client.xrange(name)]
    return sorted((int(at.split(b"-")[0]), fields[b"event"]) for at, fields in found)


def replayed(folder: Path, site: Path) -> list[bytes]:
    """The events of the engine's own journal, by `sortline replay`: what it must have said, byte for byte."""
    journal = Journal(folder / "data" / "journal", bytes_max=2**40)
    lines = b"".join(journal.recover()).splitlines(keepends=True)
    journal.close()
    recording, out = folder / "journal.ndjson", folder / "replayed.ndjson"
    recording.write_bytes(b"".join(lines))
    last = str(json.loads(lines[-1])["t_rx"])
    done = sortline("replay", str(recording), "--out", str(out), "--config", str(site), "--until", last, "--strict")
    assert done.returncode == 0, done.stderr
    return out.read_bytes().splitlines()


def at_least(queue: Path, count: int) -> Callable[[], bool]:
    return lambda: len(queued(queue)) >= count


def check_promises(floor: Floor, counted: Mapping[str, int], **arrived: Sequence[bytes]) -> None:
    """At each sink every pick that the broker took is one event, and of each partition key the order is the floor's."""
    acknowledged = [f"{base_id('dc1', 'pick.confirmed', task)}:r0" for tasks in floor.told.values() for task in tasks]
    promises = Promises()
    promises.check(
        Evidence(
            acknowledged=acknowledged,
            arrived={sink: list(map(told, events)) for sink, events in arrived.items()},
            account=counted,
            told=len(acknowledged),
            starts=[None],
        )
    )
    promises.kept()
    for events in arrived.values():
        _as_picked(floor, list(map(json.loads, events)))


def _as_picked(floor: Floor, events: Sequence[dict[str, Any]]) -> None:
    picked = defaultdict(list)
    for event in events:
        assert event["type"] == "io.sortline.pick.confirmed.v1", event
        picked[event["partitionkey"]].append(event["data"]["task"])
    assert picked == floor.told


@pytest.mark.peer("redis-server")
def test_redis_killed_under_load_loses_nothing_doubles_nothing_and_delays_nobody_else(
    tmp_path: Path, mosquitto: Peer, redis_server: Peer
) -> None:
    site = written(tmp_path, PICKS + SINKS, port=mosquitto.port, redis=redis_server.port, name="engine")
    queue, floor = tmp_path / "data" / "queue.sqlite", Floor(mosquitto.port)
    with Running(tmp_path, "run", str(site)) as engine:
        engine.until_said("source floor: up")
        engine.until_said("sink erp: up")
        floor.release()
        load = threading.Thread(target=floor.pick, args=(200,))
        load.start()
        engine.until(lambda: len(stream(redis_server.port)) > 50, "to fill the stream")
        redis_server.kill()
        load.join()
        engine.until_said("sink erp: retrying")
        floor.pick(150)
        # while Redis is dead: the floor goes on, and the other sink has it all
        engine.until(lambda: len(queued(queue)) == floor.count, "to fill the queue without Redis")
        time.sleep(1.0)
        load = threading.Thread(target=floor.pick, args=(150,))
        load.start()
        redis_server.start()
        load.join()
        engine.until(lambda: len(stream(redis_server.port)) == floor.count, "to bring everything to Redis")
        counted = account(engine.stop())
    assert floor.count == ORDERS * TASKS
    assert (counted["late"], counted["rejected"]) == (0, 0)
    found = stream(redis_server.port)
    assert [number for number, _ in found] == [told(event).sequence for _, event in found]
    check_promises(floor, counted, queue=bodies(queue), redis=[event for _, event in found])
    # what the outbox brought out is what the journal says, byte for byte
    assert [event for _, event in found] == replayed(tmp_path, site)


def test_an_engine_killed_again_and_again_brings_out_once_what_the_broker_had_for_it(
    tmp_path: Path, mosquitto: Peer
) -> None:
    site = written(tmp_path, PICKS, port=mosquitto.port, name="engine")
    queue, floor = tmp_path / "data" / "queue.sqlite", Floor(mosquitto.port)
    under_load = 0
    for life in range(LIVES):
        with Running(tmp_path, "run", str(site)) as engine:
            engine.until_said("source floor: up")
            if life == 0:
                floor.release()
            more, working = at_least(queue, len(queued(queue)) + 20), threading.Event()
            load = threading.Thread(target=floor.pick_on, args=(ORDERS * TASKS // LIVES, working))
            load.start()
            engine.until(more, "to go on")
            working.set()
            under_load += load.is_alive()
            engine.kill()
        load.join()
    assert under_load
    with Running(tmp_path, "run", str(site)) as engine:
        engine.until(lambda: len(queued(queue)) == floor.count, "to bring out everything")
        counted = account(engine.stop())
    assert floor.count == ORDERS * TASKS
    assert counted["rejected"] == 0
    check_promises(floor, counted, queue=bodies(queue))
    again = [json.loads(event) for event in replayed(tmp_path, site)]
    assert queued(queue) == [event for event in again if event["type"].startswith("io.sortline.pick.")]


def test_sigterm_under_load_ends_in_time_and_the_next_run_goes_on(tmp_path: Path, mosquitto: Peer) -> None:
    site = written(tmp_path, PICKS, port=mosquitto.port, name="engine")
    queue, floor = tmp_path / "data" / "queue.sqlite", Floor(mosquitto.port)
    working = threading.Event()
    load = threading.Thread(target=floor.pick_on, args=(ORDERS * TASKS, working))
    with Running(tmp_path, "run", str(site)) as first:
        first.until_said("source floor: up")
        floor.release()
        load.start()
        first.until(lambda: len(queued(queue)) > 20, "to work")
        working.set()
        assert load.is_alive(), "it was to be stopped under load"
        said = first.stop()  # exit 0 within 10 s
    assert "SIGTERM: stopping" in said
    account(said)
    between = queued(queue)
    with Running(tmp_path, "run", str(site)) as second:
        load.join()
        second.until(lambda: len(queued(queue)) == floor.count, "to go on")
        counted = account(second.stop())
    assert queued(queue)[: len(between)] == between
    assert counted["rejected"] == 0
    check_promises(floor, counted, queue=bodies(queue))
