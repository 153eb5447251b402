"""kill -9 of the whole engine while machines hand records over to it, and wait for each: none is lost, none is twice.

One machine has a mailbox (Modbus), the other sends telegrams; neither goes on before it has its acknowledgement, and a
telegram without one is sent again. Each record is a jam of its own, so each becomes one business event.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from engine.sinks.queue import Queue
from tests.modbus import Plc, until
from tests.peers import free_port

ROOT = Path(__file__).parents[2]
LIVES = 3
EACH_LIFE = 12
SITE = """
site = "dc1"

[engine]
data_dir = "{data}"

[rules]
disorder_ms = 200

[sources.plc]
protocol = "modbus"
host = "127.0.0.1"
port = {plc}
recovery_ms = 50

[sources.plc.units.SRT]
unit = 1
src = "dc1/sorter/SRT-01"

[sources.plc.units.SRT.mailboxes.jams]
poll_ms = 2
seq = 0
seq2 = 2
ack = 9
wrap = 16
registers = {{ place = 1 }}
record = {{ kind = {{ const = "jam" }}, state = {{ const = "set" }}, dest = {{ template = "M{{.place}}" }} }}

[sources.crane]
protocol = "telegram"
role = "server"
host = "127.0.0.1"
port = {telegram}
src = "dc1/asrs/CRN-01"
framing = {{ kind = "length", length_bytes = 1 }}
header = {{ seq = {{ at = 0, length = 2, type = "decimal" }}, place = {{ at = 2 }} }}
number = {{ field = "seq", first = 1, last = 99 }}
acknowledge = "{{seq}}"

[[sources.crane.telegrams]]
record = {{ kind = {{ const = "jam" }}, state = {{ const = "set" }}, dest = {{ template = "T{{.place}}" }} }}
"""


class Machines:
    """Both of them, and how many records each has got rid of."""

    def __init__(self, plc: Plc, telegram_port: int) -> None:
        self.plc = plc
        self.telegram_port = telegram_port
        self.letters = 0
        self.telegrams = 0

    def got_rid_of(self, letters: int, telegrams: int) -> bool:
        return self.letters >= letters and self.telegrams >= telegrams

    async def fill_mailbox(self) -> None:
        while True:
            number = self.letters + 1
            shown = number % 16
            self.plc.set(1, number)
            self.plc.set(2, shown)
            self.plc.set(0, shown)
            while self.plc.get(9) != shown:
                await asyncio.sleep(0.001)
            self.letters = number

    async def send_telegrams(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.telegram_port)
                try:
                    while True:
                        await self._send_one(reader, writer)
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.02)

    async def _send_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.telegrams + 1
        shown = b"%02d" % ((number - 1) % 99 + 1)
        content = shown + b"%d" % number
        writer.write(bytes([len(content)]) + content)
        # an answer to the one before, which was sent twice, may come first
        while (await reader.readexactly(3))[1:] != shown:
            pass
        self.telegrams = number


def start(site: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "engine.cli", "run", str(site)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def jams(data: Path) -> Counter[str]:
    """Place -> how many business events tell of a jam there."""
    queue = Queue(data / "queue.sqlite")
    try:
        told: list[dict[str, Any]] = [
            msgspec.json.decode(entry.body) for entry in queue.read("ops.exceptions", 0, 100_000)
        ]
    finally:
        queue.close()
    raised = [event for event in told if event["type"] == "io.sortline.exception.raised.v1"]
    return Counter(event["subject"] for event in raised if event["subject"].startswith("device/"))


def are_told(data: Path, letters: int, telegrams: int) -> bool:
    told = jams(data)
    return places(told, "M")[letters - 1 : letters] == [letters] and places(told, "T")[telegrams - 1 :][:1] == [
        telegrams
    ]


def places(told: Counter[str], machine: str) -> list[int]:
    """The numbers of the records that were told of, in order."""
    return sorted(int(subject.rpartition(f"/{machine}")[2]) for subject in told if f"/{machine}" in subject)


def test_what_machines_hand_over_is_told_once_however_often_the_engine_is_killed(tmp_path: Path) -> None:
    async def story() -> None:
        chance = random.Random(9)
        async with Plc() as plc:
            machines = Machines(plc, free_port())
            site = tmp_path / "site.toml"
            data = tmp_path / "data"
            site.write_text(SITE.format(data=data, plc=plc.port, telegram=machines.telegram_port))
            work = [asyncio.create_task(machines.fill_mailbox()), asyncio.create_task(machines.send_telegrams())]
            engine = start(site)
            try:
                for life in range(1, LIVES + 1):
                    least = life * EACH_LIFE
                    await until(partial(machines.got_rid_of, least, least))
                    await asyncio.sleep(chance.uniform(0.0, 0.05))
                    engine.kill()
                    engine.wait(60)
                    engine = start(site)
                more = machines.letters + EACH_LIFE, machines.telegrams + EACH_LIFE
                await until(partial(machines.got_rid_of, *more))
                # the machines go on meanwhile, and with them the time by which is decided
                await until(partial(are_told, data, *more), "an event for each record")
            finally:
                for task in work:
                    task.cancel()
                engine.terminate()
                engine.wait(60)
        told = jams(data)
        assert set(told.values()) == {1}, told
        for machine, sent, least in (("M", machines.letters, more[0]), ("T", machines.telegrams, more[1])):
            numbers = places(told, machine)
            assert numbers == list(range(1, len(numbers) + 1))
            # the last ones are not decided yet, and the one that was on its way may be
            assert least <= len(numbers) <= sent + 1

    asyncio.run(story())
