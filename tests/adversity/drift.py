"""`make drift MINUTES=30`: does an engine's memory stay where it is, on a fast floor on which nothing goes well?

A simulated warehouse tells of its work several times as fast as anybody works, over MQTT, Modbus and OPC UA, in stories
of a few minutes, each by a new process; what is not done then is taken back. Of all that goes over the broker 3 % is
told once more as something that cannot be read. Every few seconds a connection is reset, every minute a peer is stopped
and started: the broker, Redis, or the machines. What is over is forgotten after a minute, so that after some minutes
the state is as large as it will ever be.

build/drift/samples.ndjson has a line every five seconds, build/drift/report.html the picture. Ends with 1 where the
second half of the run grew faster than `GROWTH_MB_AN_HOUR_MAX` beside the state, by the line through its samples; a run
of less than `JUDGED_MINUTES_MIN` shows the start, in which an engine still grows, and is not judged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import aiomqtt

from bench import servers
from bench.drawing import Axis, Line, lines
from bench.report import STYLE
from engine.sinks.queue import Queue
from tests.fault_proxy import FaultProxy

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build" / "drift"
EXAMPLE = ROOT / "examples" / "warehouse.toml"
GROWTH_MB_AN_HOUR_MAX = 8.0  # within a quarter of an hour the collector's turns alone are 2 MB
JUDGED_MINUTES_MIN = 20.0
EVERY_S = 5.0
SPEED = 6.0
STORY_S = 180.0
CUT_S = (3.0, 12.0)
RESTART_S = 60.0
MALFORMED = 0.03
LIMITS = """
journal_bytes_max = 67108864
snapshot_every_bytes = 2097152

[rules]
lateness_ms = 60000
retention_ms = 65000
ctx_wait_ms = 30000
expectation_ttl_ms = 60000
pick_stall_ms = 60000
dedupe_noseq_ms = 60000
ident_wait_ms = 60000
"""
SINKS = """
[sinks.queue]
kind = "queue"
keep = 10000

[sinks.redis]
kind = "redis"
port = {redis}

[dead_letters]
bytes_max = 4194304
"""


class Floor:
    """Everything around the engine. `ports`: where the peers are; the engine sees the proxies in front of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.draw = random.Random(seed)
        self.ports = {name: servers.free_port() for name in ("mqtt", "modbus", "opcua", "redis")}
        self.proxies = {name: FaultProxy(port) for name, port in self.ports.items()}
        self.broker = servers.mosquitto(folder, self.ports["mqtt"])
        self.redis = servers.redis(folder, self.ports["redis"], "redis")
        self.stories = itertools.count(1)
        self.machines = self._machines()
        self.cuts = self.restarts = self.malformed = 0
        self.undone: dict[tuple[str, str], None] = {}  # orders, shipments and load units of this story

    def site(self) -> Path:
        """The example's site, with these peers, and a short memory."""
        text = EXAMPLE.read_text()
        text = re.sub(r'data_dir = ".*"', f'data_dir = "{self.folder / "data"}"', text)
        for name, usual in {"mqtt": 11883, "modbus": 15020, "opcua": 14840}.items():
            text = text.replace(str(usual), str(self.proxies[name].port))
        text = text.replace("\n[rules]\n", LIMITS) + SINKS.format(redis=self.proxies["redis"].port)
        path = self.folder / "site.toml"
        path.write_text(text)
        return path

    def _machines(self) -> servers.Server:
        story = ["--orders", str(round(STORY_S * SPEED / 4)), "--seed", str(next(self.stories)), "--speed", str(SPEED)]
        noise = ["--noise", ".9", "--duplicates", ".02", "--disorder-ms", "1500"]
        troubles = [*noise, "--late-picks", ".02", "--late-context", ".05", "--stay"]
        where = [f"--{name}={self.ports[name]}" for name in ("mqtt", "modbus", "opcua")]
        command = [sys.executable, "-m", "engine.cli", "simulate", "--live", *story, *troubles, *where]
        return servers.Server(command, self.folder, "machines", ROOT)

    # What goes wrong.

    async def cut(self) -> None:
        while True:
            await asyncio.sleep(self.draw.uniform(*CUT_S))
            self.draw.choice(list(self.proxies.values())).cut()
            self.cuts += 1

    async def restart(self) -> None:
        """One after the other; the machines with a new story, when the last one is told."""
        for peer in itertools.cycle((self._restart_broker, self._restart_redis, self._restart_machines)):
            await asyncio.sleep(RESTART_S)
            await peer()
            self.restarts += 1

    async def _restart_broker(self) -> None:
        await asyncio.to_thread(self.broker.stop)
        await asyncio.sleep(self.draw.uniform(0, 4))
        self.broker = await asyncio.to_thread(servers.mosquitto, self.folder, self.ports["mqtt"])

    async def _restart_redis(self) -> None:
        await asyncio.to_thread(self.redis.stop)
        await asyncio.sleep(self.draw.uniform(0, 4))
        self.redis = await asyncio.to_thread(servers.redis, self.folder, self.ports["redis"], "redis")

    async def _restart_machines(self) -> None:
        """The order system takes back what of the story is not done: planned work is never forgotten."""
        await asyncio.to_thread(self.machines.stop)
        undone, self.undone = self.undone, {}
        async with aiomqtt.Client("127.0.0.1", self.ports["mqtt"]) as client:
            for thing, name in undone:
                kind = "lu.release" if thing == "lu" else f"{thing}.cancelled"
                record = {"src": "dc1/wms/main", "kind": kind, "t": time.time_ns() // 1000, "rev": 1000, thing: name}
                await client.publish("dc1/wms/main/ctx", json.dumps(record), 1)
        self.machines = self._machines()

    async def listen(self) -> None:
        """To everything that is said over the broker, and say some of it again."""
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", self.ports["mqtt"]) as client:
                    await client.subscribe("dc1/#")
                    async for message in client.messages:
                        payload = bytes(message.payload)
                        self._note(payload)
                        if self.draw.random() < MALFORMED:
                            await client.publish(str(message.topic), broken(payload, self.draw), 1)
                            self.malformed += 1
            await asyncio.sleep(0.5)

    def _note(self, payload: bytes) -> None:
        with contextlib.suppress(ValueError, TypeError):
            record = json.loads(payload)
            if isinstance(record, dict) and str(record.get("kind")).endswith((".released", ".plan")):
                self.undone |= {
                    (thing, record[thing]): None for thing in ("order", "shipment", "lu") if thing in record
                }
            elif isinstance(record, dict) and isinstance(lu := record.get("tote") or record.get("bc"), str):
                self.undone["lu", lu] = None

    async def read_queue(self) -> None:
        """As an ERP does: so the queue has an end."""
        path = self.folder / "data" / "queue.sqlite"
        while True:
            await asyncio.sleep(EVERY_S)
            if path.exists():
                await asyncio.to_thread(acknowledge_all, path)

    def stop(self) -> None:
        for peer in (self.machines, self.broker, self.redis):
            peer.stop()


def acknowledge_all(path: Path) -> None:
    queue = Queue(path)
    try:
        for state in queue.states():
            queue.ack(state.queue, "erp", state.last)
    finally:
        queue.close()


def broken(payload: bytes, draw: random.Random) -> bytes:
    """The payload as nobody can use it, in one of the ways in which that happens."""
    ways: list[Callable[[], bytes]] = [
        lambda: payload[: draw.randrange(len(payload) or 1)],
        lambda: draw.randbytes(draw.randint(1, 400)),
        lambda: b"",
        lambda: payload * 2,
        lambda: re.sub(rb'":"', rb'":[1],"x":"', payload),
        lambda: re.sub(rb'("(?:ty|e|d|kind)":)"\w+"', rb'\1"%08x"' % draw.getrandbits(32), payload),
        lambda: re.sub(rb"\d{6,}", b"9" * draw.randint(20, 60), payload),
        lambda: b"[" * draw.randint(33, 200),
        lambda: b'{"a%d":%s' % (draw.getrandbits(20), b'"' + b"x" * draw.randint(0, 9_000)),
    ]
    return draw.choice(ways)()


async def drift(minutes: float, seed: int) -> list[dict[str, Any]]:
    """What was sampled."""
    folder = OUT / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    out = OUT / "samples.ndjson"
    floor = Floor(folder, seed)
    try:
        async with contextlib.AsyncExitStack() as stack:
            for proxy in floor.proxies.values():
                await stack.enter_async_context(proxy)
            watched = [sys.executable, "-m", "tests.adversity.watched_engine"]
            command = [*watched, str(floor.site()), str(out), str(EVERY_S)]
            engine = stack.enter_context(servers.Server(command, folder, "engine", ROOT))
            work = [floor.cut(), floor.restart(), floor.listen(), floor.read_queue()]
            tasks = [asyncio.create_task(each) for each in work]
            try:
                await until(minutes * 60, engine, floor, out, tasks)
            finally:
                for task in tasks:
                    task.cancel()
            engine.process.send_signal(signal.SIGUSR1)
            await asyncio.sleep(1)
            code = await asyncio.to_thread(engine.stop)
            print(*re.findall("^collected: .*", engine.said(), re.MULTILINE))
            if code:
                raise SystemExit(f"the engine ended with {code}: {engine.said()[-3_000:]}")
    finally:
        floor.stop()
    return read(out)


async def until(
    seconds: float, engine: servers.Server, floor: Floor, out: Path, tasks: Sequence[asyncio.Task[None]]
) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        await asyncio.wait(tasks, timeout=min(60.0, end_s - time.monotonic()), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        if engine.process.poll() is not None:
            raise SystemExit(f"the engine ended: {engine.said()[-3_000:]}")
        if found := read(out):
            last = found[-1]
            print(
                f"{last['t_s'] / 60:5.1f} min  RSS {last['rss_mb']:6.1f} MB, malloc {last['used_mb']:.1f} MB, state "
                f"{last['state_mb']:.2f} MB, {last['blocks']} objects, {last['windows']} windows   "
                f"{last['records']} records, {last['refused']} refused, {last['events']} events, {floor.cuts} cuts, "
                f"{floor.restarts} restarts",
                flush=True,
            )


def read(out: Path) -> list[dict[str, Any]]:
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]


def slope(points: Iterable[tuple[float, float]]) -> float:
    """Of the line through them, by least squares."""
    points = list(points)
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    width = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / width if width else 0.0


def growth_mb_an_hour(samples: Sequence[dict[str, Any]]) -> float:
    """Of the second half, the rules' state aside: it follows the floor, and its names are looked through by the MB."""
    half = samples[len(samples) // 2 :]
    return slope((sample["t_s"] / 3_600, sample["rss_mb"] - sample["state_mb"]) for sample in half)


def too_much(grew_mb_an_hour: float, minutes: float) -> bool:
    """Whether a run of so many minutes has failed."""
    return minutes >= JUDGED_MINUTES_MIN and grew_mb_an_hour > GROWTH_MB_AN_HOUR_MAX


def page(samples: Sequence[dict[str, Any]]) -> str:
    def drawn(title: str, unit: str, **names: str) -> str:
        found = [
            Line(label, [(each["t_s"] / 60, each[name]) for each in samples], f"s{number}")
            for number, (name, label) in enumerate(names.items())
        ]
        return f"<section><h2>{title}</h2>{lines(title, found, Axis('minutes', tight=True), Axis(unit))}</section>"

    last = samples[-1]
    said = f"{last['records']} records, {last['refused']} payloads refused, {last['events']} events. "
    said += f"Beside the state the second half grew by {growth_mb_an_hour(samples):+.2f} MB an hour."
    pictures = [
        drawn("Resident memory", "MB", rss_mb="RSS", anonymous_mb="anonymous"),
        drawn("What malloc has", "MB", used_mb="used", free_mb="free", mapped_mb="mapped"),
        drawn("The rules' state", "MB", state_mb="state"),
        drawn("Objects of Python", "blocks", blocks="blocks"),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>sortline: drift</title>'
        f"<style>{STYLE}</style></head><body><main><header><h1>sortline <span>drift</span></h1><p>{said}</p></header>"
        f"{''.join(pictures)}</main></body></html>\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    samples = asyncio.run(drift(args.minutes, args.seed))
    (OUT / "report.html").write_text(page(samples))
    grew = growth_mb_an_hour(samples)
    print(f"beside the state the second half grew by {grew:+.2f} MB an hour; {OUT / 'report.html'}")
    if args.minutes < JUDGED_MINUTES_MIN:
        print(f"not judged: within {JUDGED_MINUTES_MIN:.0f} minutes an engine still grows into what it needs")
    return int(too_much(grew, args.minutes))


if __name__ == "__main__":
    sys.exit(main())
