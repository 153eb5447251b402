"""The cases from end to end: a floor on MQTT QoS 1, mosquitto, `sortline run`, Redis; each a process of its own.

`e2e.mqtt_redis`  as fast as it goes: records a second until the last result stands in Redis
`e2e.latency`     at fixed rates: from the write of the record that decided to the moment a consumer has the event

Both with a healthy sink alone, and with a dead one beside it (a frozen Redis: connections stay, nobody answers). When
all is over the dead one comes back: how fast it gets its backlog, in the terms of how fast the events came.
Every run ends with a count of what is missing, doubled or wrong among the results; anything but 0 fails the case.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from bench import packets, servers
from bench.floor import Floor, cartons_for
from bench.measure import Failed, in_turns, percentile, spread
from bench.publisher import Published, publish
from bench.settings import OURS, Figures, Settings
from bench.workload import floor_story

ROOT = Path(__file__).parents[1]
PEER, DEAD = "aiomqtt.loop", "dead sink"
PEER_SHARE = 5
"""The peer's floor tells a fifth of the records: it takes several times as long, and its tables only grow."""
RECORDS = 300_000
RATES = (1_000, 5_000, 20_000)
RATE_S = 5
CARTONS_AN_ORDER = 8  # of 40 records one ends in a pick.confirmed at once, one in a carton.closed after its hold
QUIET_S_MAX = 40.0  # no new result for so long: it never comes
STREAMS = ("erp.inventory", "erp.shipping")
ACCOUNT = re.compile(r"^(in (\d+) = .*)$", re.MULTILINE)
SITE = """
site = "dc1"
[engine]
data_dir = "{folder}/data"
[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {mqtt}
scope = ["dc1/"]
covers = ["dc1"]
inflight_max = 1000
[[sources.floor.topics]]
filter = "dc1/#rest"
format = "canonical"
[sinks.erp]
kind = "redis"
port = {erp}
"""
DEAD_SINK = """
[sinks.dead]
kind = "redis"
port = {dead}
"""


class Traffic(NamedTuple):
    """packets: PUBLISH packets in order; place: dev_id of a record -> where it is first among them; lines: (order,
    line) -> pieces; contents: load unit -> (order, line) -> pieces."""

    packets: list[bytes]
    place: dict[str, int]
    lines: dict[tuple[str, int], int]
    contents: dict[str, dict[tuple[str, int], int]]


class Seen(NamedTuple):
    """An event as a consumer of Redis has it, `at_ns` of the monotonic clock."""

    at_ns: int
    event: dict[str, Any]


class Ran(NamedTuple):
    """latency_ms: of the events that are decided on arrival; rate: records a second until the last of them was seen.
    told_per_s: events a second of that time, also those that have to wait for it to pass; drained_per_s: of the backlog
    of a sink that was dead; 0: none was."""

    rate: float
    broker_rate: float
    latency_ms: list[float]
    engine_cpu_us: float
    rss_mb: float
    results: int
    account: str
    told_per_s: float
    drained_per_s: float


def mqtt_redis(settings: Settings) -> Figures:
    """As fast as the broker takes it. Every run begins with new processes, so none is a warm-up."""
    records = settings.size(RECORDS, 2_000)
    told = traffic(records)
    contestants = {OURS: lambda: run(told, 0), DEAD: lambda: run(told, 0, dead=True)}
    has_peer = find_spec("aiomqtt") is not None
    if has_peer:
        fewer = traffic(max(2_000, records // PEER_SHARE))
        contestants[PEER] = lambda: run(fewer, 0, peer=True)
    turns = in_turns(contestants, settings.runs, warm_ups=0)
    rates = {name: statistics.median(each.rate for each in runs) for name, runs in turns.items()}
    cpu_us = {name: statistics.median(each.engine_cpu_us for each in runs) for name, runs in turns.items()}
    alone = turns[OURS]
    return {
        "events_per_s": round(rates[OURS]),
        **_percentiles(alone),
        "records": len(told.packets),
        "lost": 0,
        "doubled": 0,
        "results": alone[-1].results,
        "engine_cpu_us_a_record": round(cpu_us[OURS], 2),
        "publisher_per_s": round(statistics.median(each.broker_rate for each in alone)),
        "account": alone[-1].account,
        "dead_sink": {
            "events_per_s": round(rates[DEAD]),
            **_percentiles(turns[DEAD]),
            "ratio": round(rates[OURS] / rates[DEAD], 2),
        },
        "drain": {
            "events_per_s": round(statistics.median(each.drained_per_s for each in turns[DEAD])),
            "ratio": round(statistics.median(each.drained_per_s / each.told_per_s for each in turns[DEAD]), 2),
        },
        "spread": {name: spread([each.rate for each in runs]) for name, runs in turns.items()},
        "peers": {PEER: round(rates[PEER])} if has_peer else {},
        "ratio": {PEER: round(rates[OURS] / rates[PEER], 2)} if has_peer else {},
        "peers_cpu_us_a_record": {PEER: round(cpu_us[PEER], 2)} if has_peer else {},
        "absent": {} if has_peer else {PEER: "aiomqtt is not installed"},
        "redis": "appendfsync always",
    }


def latency(settings: Settings) -> Figures:
    """Device to queue at each rate. The headline is the highest rate's."""
    points = [_point(per_second, settings) for per_second in RATES]
    last = points[-1]
    return {
        "p99_ms": last["p99_ms"],
        "p50_ms": last["p50_ms"],
        "events_per_s": last["events_per_s"],
        "rss_mb": last["rss_mb"],
        "lost": 0,
        "doubled": 0,
        "dead_sink_ratio": max((each["dead_sink"]["ratio"] for each in points if each["kept_up"]), default=None),
        "points": points,
        "redis": "appendfsync always",
    }


def _point(per_second: int, settings: Settings) -> Figures:
    told = traffic(settings.size(per_second * RATE_S, 1_000))
    order = (False, True, True, False)[: 2 * min(settings.runs, 2)]  # a slow minute is both's
    runs = [(is_dead, run(told, per_second, dead=is_dead)) for is_dead in order]
    alone, dead = ([each for is_dead, each in runs if is_dead is which] for which in (False, True))
    rate = statistics.median(each.rate for each in alone)
    figures, beside = _percentiles(alone), _percentiles(dead)
    return {
        "offered_per_s": per_second,
        "events_per_s": round(rate),
        # what falls behind has no latency: it grows for as long as it lasts
        "kept_up": rate > 0.9 * per_second,
        **figures,
        "dead_sink": {**beside, "ratio": round(beside["p99_ms"] / figures["p99_ms"], 2)},
    }


def _percentiles(runs: Sequence[Ran]) -> Figures:
    """Over all events of all runs; the most memory of any."""
    ms = [each for ran in runs for each in ran.latency_ms]
    return {
        "p50_ms": round(percentile(ms, 0.5), 1),
        "p99_ms": round(percentile(ms, 0.99), 1),
        "rss_mb": round(max(each.rss_mb for each in runs), 1),
    }


def traffic(records: int) -> Traffic:
    """So many records in the order in which they happened, without times: the engine's clock is theirs."""
    story = floor_story(Floor(cartons_for(records), CARTONS_AN_ORDER, disorder_us=0))
    told = Traffic([], {}, defaultdict(int), defaultdict(lambda: defaultdict(int)))
    for number, line in enumerate(line for chunk in story.chunks() for line in chunk.splitlines()):
        record = json.loads(line)
        del record["t"], record["t_rx"]
        payload = json.dumps(record, separators=(",", ":")).encode()
        told.packets.append(packets.publish(number, record["src"], payload, 1))
        name = f"{record['src']}/0/{record.get('seq')}/0"
        if record["kind"] == "pick.confirm" and name not in told.place:
            told.lines[record["order"], record["line"]] += record["qty"]
            told.contents[record["lu"]][record["order"], record["line"]] += record["qty"]
        told.place.setdefault(name, number)
    return told


def run(told: Traffic, per_second: float, *, dead: bool = False, peer: bool = False) -> Ran:
    """One floor, from its first message to the end of the engine. Raises Failed if a result is missing or wrong.

    dead: a dead sink beside the healthy one. peer: `peers.aiomqtt_loop` instead of the engine.
    """
    with tempfile.TemporaryDirectory(prefix="sortline-e2e-") as name, ExitStack() as running:
        folder = Path(name)
        mqtt, erp = servers.free_port(), servers.free_port()
        running.enter_context(servers.mosquitto(folder, mqtt))
        running.enter_context(servers.redis(folder, erp, "erp"))
        site = SITE.format(folder=folder, mqtt=mqtt, erp=erp)
        port = servers.free_port()
        if dead:
            frozen = running.enter_context(servers.redis(folder, port, "dead"))
            frozen.freeze()
            site += DEAD_SINK.format(dead=port)
        module = ["bench.peers.aiomqtt_loop", str(mqtt), str(erp)] if peer else _engine(folder, site)
        engine = running.enter_context(_started(folder, module))
        consumer = running.enter_context(Consumer(erp))
        publisher = running.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        begun = engine.cpu_s()
        sent = publisher.submit(publish, mqtt, told.packets, per_second).result()
        consumer.wait(len(told.lines), len(told.contents), engine)
        cpu_s, rss_mb = engine.cpu_s() - begun, engine.peak_mb()
        drained_per_s = _drained(told, frozen, port, engine) if dead else 0.0
        account = _account(engine, len(told.packets))
        if faults := list(wrong(told, consumer.seen)):
            raise Failed(f"{len(faults)} results missing, doubled or wrong: {'; '.join(faults[:3])}; {account}")
        return _ran(told, sent, consumer.seen, cpu_s, rss_mb, account)._replace(drained_per_s=drained_per_s)


def _drained(told: Traffic, frozen: servers.Server, port: int, engine: servers.Server) -> float:
    """Events a second, from the first one that it has: when the engine tries it again is no matter of its speed."""
    frozen.thaw()
    with Consumer(port) as consumer:
        consumer.wait(len(told.lines), len(told.contents), engine)
    if faults := list(wrong(told, consumer.seen)):
        raise Failed(f"{len(faults)} results of a backlog missing, doubled or wrong: {'; '.join(faults[:3])}")
    return len(consumer.seen) / max(1e-9, (consumer.seen[-1].at_ns - consumer.seen[0].at_ns) / 1e9)


def _engine(folder: Path, site: str) -> list[str]:
    path = folder / "site.toml"
    path.write_text(site)
    return ["engine.cli", "run", str(path), "--plain"]


def _started(folder: Path, module: list[str]) -> servers.Server:
    engine = servers.Server([sys.executable, "-m", *module], folder, "engine", cwd=ROOT)
    return engine.until(lambda: "source floor: up" in engine.said(), "connected", 30.0)


def _account(engine: servers.Server, records: int) -> str:
    """End it; its last line. Raises Failed if it did not end well or did not hear everything."""
    code = engine.stop()
    found = ACCOUNT.findall(engine.said())
    if code or not found or int(found[-1][1]) < records:
        raise Failed(f"the engine ended with {code} after {records} records:\n{engine.said()[-2_000:]}")
    account: str = found[-1][0]
    return account


def _ran(told: Traffic, sent: Published, seen: Sequence[Seen], cpu_s: float, rss_mb: float, account: str) -> Ran:
    at_once = [(one.at_ns, told.place[one.event["causationid"]]) for one in seen if _is_pick(one.event)]
    last_ns = max(at_ns for at_ns, _ in at_once)
    return Ran(
        rate=(max(index for _, index in at_once) + 1) / ((last_ns - sent.sent_ns[0]) / 1e9),
        broker_rate=len(told.packets) / sent.acknowledged_s,
        latency_ms=[(at_ns - sent.sent_ns[index]) / 1e6 for at_ns, index in at_once],
        engine_cpu_us=1e6 * cpu_s / len(told.packets),
        rss_mb=rss_mb,
        results=len(seen),
        account=account,
        told_per_s=len(seen) / ((last_ns - sent.sent_ns[0]) / 1e9),
        drained_per_s=0.0,
    )


def wrong(told: Traffic, seen: Sequence[Seen]) -> Iterator[str]:
    """What is not as the floor had it: every line confirmed, every carton closed with its contents, no id twice."""
    times = Counter(one.event["id"] for one in seen)
    yield from (f"{id_} came {count} times" for id_, count in times.items() if count > 1)
    picked: dict[tuple[str, int], int] = {}
    closed: dict[str, dict[tuple[str, int], int]] = {}
    for one in seen:
        data = one.event["data"]
        if _is_pick(one.event):
            picked[data["order"], data["line"]] = data["qty"]
        elif one.event["type"] == "io.sortline.carton.closed.v1":
            closed[data["lu"]] = {(each["order"], each["line"]): each["qty"] for each in data["contents"]}
    for line, qty in told.lines.items():
        if picked.get(line) != qty:
            yield f"line {line}: {picked.get(line)} of {qty}"
    for lu, contents in told.contents.items():
        if closed.get(lu) != contents:
            yield f"carton {lu}: {closed.get(lu)} instead of {dict(contents)}"


def _is_pick(event: dict[str, Any]) -> bool:
    is_pick: bool = event["type"] == "io.sortline.pick.confirmed.v1"
    return is_pick


class Consumer:
    """An ERP that reads its two streams, in a thread, as a context."""

    def __init__(self, port: int) -> None:
        import redis

        self.seen: list[Seen] = []
        self._redis = redis.Redis(port=port)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="consumer")

    def __enter__(self) -> Consumer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._redis.close()

    def wait(self, picks: int, cartons: int, engine: servers.Server) -> None:
        """Until so many events are there, or no new one for QUIET_S_MAX."""
        last, since = -1, time.monotonic()
        while len(self.seen) < picks + cartons and time.monotonic() - since < QUIET_S_MAX:
            if engine.process.poll() is not None:
                raise Failed(f"the engine ended by itself:\n{engine.said()[-2_000:]}")
            if len(self.seen) != last:
                last, since = len(self.seen), time.monotonic()
            time.sleep(0.05)

    def _read(self) -> None:
        after: dict[Any, Any] = dict.fromkeys(STREAMS, "0")
        while not self._over.is_set():
            found: Any = self._redis.xread(after, count=5_000, block=100)
            now = time.monotonic_ns()
            for stream, entries in found:
                after[stream.decode()] = entries[-1][0]
                self.seen += [Seen(now, json.loads(fields[b"event"])) for _, fields in entries]
