"""The telegram driver over real sockets, in both roles, with a device that waits for its acknowledgements."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from protocols.telegram.driver import Driver
from protocols.telegram.settings import Settings
from tests.ledger import Ledger, running
from tests.modbus import RememberingIntake, no_tasks_left, until
from tests.peers import free_port
from tests.unit.test_telegram import TABLE

SRC = TABLE["src"]


class Crane:
    """A device: sends one telegram after the other, each again until it is acknowledged. As a server or a client."""

    def __init__(self) -> None:
        self.port = 0
        self.heard: list[bytes] = []
        self.connections = 0
        self.writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def call(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self._listening = asyncio.create_task(self._accept(reader, writer))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        try:
            while True:
                telegram = await reader.readuntil(b"\3")
                self.heard.append(telegram[1:-1])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def send(self, *contents: bytes) -> None:
        assert self.writer is not None
        self.writer.write(b"".join(b"\2" + content + b"\3" for content in contents))

    def raw(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)

    def cut(self) -> None:
        assert self.writer is not None
        self.writer.transport.abort()

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self.writer is not None:
            self.cut()


def conversing(intake: RememberingIntake, **options: Any) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    """The driver at work for the time of the `async with`."""
    short = {"reconnect_min_ms": 5, "reconnect_max_ms": 20}
    made = msgspec.convert(TABLE | short | options, Settings)
    assert list(made.faults()) == []
    ticks = itertools.count(1_700_000_000_000_000, 1_000)
    return running(Driver("crane", made, intake, lambda: next(ticks)))


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def seqs(intake: RememberingIntake) -> list[tuple[int, int]]:
    return [(record["epoch"], record["seq"]) for record in intake.facts]


def test_a_telegram_is_acknowledged_only_when_it_is_safe() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake(acks=False)
        await crane.listen()
        async with conversing(intake, port=crane.port):
            await until(lambda: (SRC, "link.up") in intake.links)
            crane.send(b"ST0001T-1   L-1", b"RT0002T-2   L-2")
            await until(lambda: len(intake.facts) == 2)
            await asyncio.sleep(0.02)
            assert crane.heard == []
            for ack in intake.owed:
                ack()
            await until(lambda: crane.heard == [b"AK0001", b"AK0002"])
        crane.stop()
        assert [(record["kind"], record["lu"]) for record in intake.facts] == [
            ("store.confirmed", "T-1"), ("retrieve.confirmed", "T-2"),
        ]  # fmt: skip
        assert intake.links == [(SRC, "link.down"), (SRC, "link.up")]

    run(story())


def test_what_was_not_acknowledged_is_sent_again_under_the_same_number() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake(acks=False)
        await crane.listen()
        async with conversing(intake, port=crane.port):
            await until(lambda: crane.connections == 1)
            crane.send(b"ST0001T-1   L-1")
            await until(lambda: intake.owed)
            crane.cut()
            intake.owed.pop()()  # to a connection that is gone: nothing happens
            intake.acks = True
            await until(lambda: crane.connections == 2)
            crane.send(b"ST0001T-1   L-1", b"ST0002T-2   L-2")
            await until(lambda: crane.heard == [b"AK0001", b"AK0002"])
        crane.stop()
        assert seqs(intake) == [(0, 1), (0, 1), (0, 2)]
        assert intake.facts[0] | {"t_rx": 0} == intake.facts[1] | {"t_rx": 0}
        assert [kind for _, kind in intake.links] == ["link.down", "link.up", "link.down", "link.up"]

    run(story())


def test_a_telegram_that_does_not_fit_is_counted_and_acknowledged() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake()
        await crane.listen()
        async with conversing(intake, port=crane.port):
            await until(lambda: crane.connections == 1)
            crane.raw(b"garbage")
            crane.send(b"??0001", b"ST0002", b"S", b"XX0003", b"ST0004T-4   L")
            await until(lambda: crane.heard == [b"AK0001", b"AK0002", b"AK0003", b"AK0004"])
        crane.stop()
        assert [(record["seq"], record["kind"]) for record in intake.facts] == [
            (3, "telemetry"),
            (4, "store.confirmed"),
        ]
        assert [cause.split(":")[0] for cause in intake.causes] == [
            "bytes outside of a telegram", "no description fits", "lu", "type",
        ]  # fmt: skip

    run(story())


def test_life_telegrams_are_answered_and_sent_and_make_no_record() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake()
        await crane.listen()
        life = {"when": {"type": "LI"}, "reply": "LA{seq}", "send": "LI0000", "every_ms": 10}
        async with conversing(intake, port=crane.port, life=life):
            await until(lambda: crane.connections == 1)
            crane.send(b"LI0777")
            await until(lambda: b"LA0777" in crane.heard and crane.heard.count(b"LI0000") > 3)
        crane.stop()
        assert intake.facts == []

    run(story())


def test_a_device_that_is_silent_for_too_long_is_called_again() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake()
        await crane.listen()
        async with conversing(intake, port=crane.port, silence_ms=30):
            await until(lambda: crane.connections == 3)
        crane.stop()
        assert ("down", "nothing was heard for 30 ms") in intake.states

    run(story())


def test_a_restart_of_the_device_begins_an_epoch_also_over_our_own_restart() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake()
        await crane.listen()
        async with conversing(intake, port=crane.port):
            await until(lambda: crane.connections == 1)
            crane.send(b"ST0001T-1   L", b"SY0000", b"ST0001T-1   L")
            await until(lambda: len(intake.facts) == 3)
        again = RememberingIntake(positions=intake.positions)
        async with conversing(again, port=crane.port):
            await until(lambda: crane.connections == 2)
            crane.send(b"ST0001T-1   L", b"ST0002T-1   L")
            await until(lambda: len(again.facts) == 2)
        crane.stop()
        assert seqs(intake) == [(0, 1), (1, 0), (1, 1)]
        assert seqs(again) == [(1, 1), (1, 2)]
        assert crane.heard == [b"AK0001", b"AK0000", b"AK0001", b"AK0001", b"AK0002"]

    run(story())


def test_a_restart_that_was_acknowledged_is_known_after_our_own() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake(acks=False)
        await crane.listen()
        async with conversing(intake, port=crane.port):
            await until(lambda: crane.connections == 1)
            crane.send(b"ST0001T-1   L", b"ST0002T-2   L", b"SY0000")
            await until(lambda: len(intake.facts) == 3)
            assert b"AK0000" not in crane.heard
            for ack in intake.owed:
                ack()
            await until(lambda: b"AK0000" in crane.heard)
        again = RememberingIntake(positions=intake.positions)
        async with conversing(again, port=crane.port):
            await until(lambda: crane.connections == 2)
            crane.send(b"ST0001T-3   L", b"ST0002T-4   L")
            await until(lambda: len(again.facts) == 2)
        crane.stop()
        assert seqs(again) == [(1, 1), (1, 2)]

    run(story())


def test_as_a_server_it_is_called_and_the_last_caller_counts() -> None:
    async def story() -> None:
        intake, port = RememberingIntake(), free_port()
        with no_tasks_left():
            async with conversing(intake, role="server", port=port):
                await until(lambda: ("connecting", f"listening at port {port}") in intake.states)
                first, second = Crane(), Crane()
                await first.call(port)
                await until(lambda: first.writer)
                first.send(b"ST0001T-1   L")
                await until(lambda: first.heard == [b"AK0001"])
                assert ("up", "called by 127.0.0.1") in intake.states
                # it lost its power, and never said good-bye
                await second.call(port)
                await until(lambda: first.writer is not None and first.writer.is_closing())
                second.send(b"ST0002T-2   L")
                await until(lambda: second.heard == [b"AK0002"])
                second.cut()
                await until(lambda: intake.links[-1] == (SRC, "link.down"))
                third = Crane()
                await third.call(port)
                await until(lambda: intake.links[-1] == (SRC, "link.up"))
            await asyncio.sleep(0.01)
        assert seqs(intake) == [(0, 1), (0, 2)]
        assert [kind for _, kind in intake.links] == ["link.down", "link.up", "link.down", "link.up"]

    run(story())


def test_a_link_is_told_to_be_up_though_who_connected_first_was_sent_away_meanwhile() -> None:
    async def story() -> None:
        port, ledger = free_port(), Ledger()
        made = msgspec.convert(TABLE | {"role": "server", "port": port}, Settings)
        async with running(Driver("crane", made, ledger, lambda: 1_700_000_000_000_000)):
            await ledger.until(lambda: ledger.times("connecting"))
            ledger.open.clear()
            first, second = Crane(), Crane()
            await first.call(port)
            await ledger.until(lambda: ledger.times("up") == 1)
            await second.call(port)
            await ledger.until(lambda: ledger.times("up") == 2)
            ledger.open.set()
            await ledger.until(lambda: [record["kind"] for record in ledger.records] == ["link.down", "link.up"])
            second.cut()

    run(story())


def test_who_has_gone_before_we_look_is_nobody() -> None:
    async def story() -> None:
        intake, port, unseen = RememberingIntake(), free_port(), list[Any]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        async with conversing(intake, role="server", port=port):
            await until(lambda: intake.states)
            with socket.create_connection(("127.0.0.1", port)) as caller:
                # closed with a reset
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await asyncio.sleep(0.05)
            assert unseen == []
            crane = Crane()
            await crane.call(port)
            await until(lambda: crane.writer and (SRC, "link.up") in intake.links)
            crane.cut()

    run(story())


def test_who_is_not_among_the_peers_is_sent_away() -> None:
    async def story() -> None:
        intake, port = RememberingIntake(), free_port()
        async with conversing(intake, role="server", port=port, peers=["127.0.0.9"]):
            await until(lambda: intake.states)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with pytest.raises(ConnectionError):
                if not await reader.read():
                    raise ConnectionResetError
            writer.close()
            await until(lambda: intake.faults)
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0))
            await until(lambda: (SRC, "link.up") in intake.links)
            writer.close()

    run(story())


def test_a_device_that_reads_nothing_is_given_up_and_nothing_piles_up() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake()
        connections = 0

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            try:
                while True:
                    writer.write(b"".join(b"\2LI%04d\3" % number for number in range(5_000)))
                    await writer.drain()
                    await asyncio.sleep(0)
            except ConnectionError:
                return

        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with conversing(intake, port=port, life={"when": {"type": "LI"}, "reply": "LA{seq}" + "." * 900}):
            await until(lambda: connections == 2)
        server.close()
        crane.stop()
        assert ("down", "the device does not read what it is answered") in intake.states

    run(story())


def test_a_wrong_length_opens_the_connection_anew() -> None:
    async def story() -> None:
        crane, intake = Crane(), RememberingIntake()
        await crane.listen()
        framing = {"kind": "length", "length_bytes": 4, "format": "ascii"}
        async with conversing(intake, port=crane.port, framing=framing):
            await until(lambda: crane.connections == 1)
            crane.raw(b"0013ST0001T-1   Loops")
            await until(lambda: crane.connections == 2)
        crane.stop()
        assert seqs(intake) == [(0, 1)]
        assert "no length of a telegram" in intake.causes[0]

    run(story())


@pytest.mark.parametrize("is_another", [False, True])
def test_many_telegrams_from_the_first_number_on_that_are_sent_again_after_our_own_restart(is_another: bool) -> None:
    """The engine was killed before it acknowledged any of them. What it has of them tells whether they are the same, or
    those of a device that has started again, too, and says nothing of it."""
    count = 60

    def telegrams(first: int) -> list[bytes]:
        return [b"ST%04d%-6dA-1" % (number, first + number) for number in range(1, count + 1)]

    async def story() -> None:
        crane, intake = Crane(), RememberingIntake(acks=False)
        await crane.listen()
        async with conversing(intake, port=crane.port, restart={}):
            await until(lambda: crane.connections == 1)
            crane.send(*telegrams(0))
            await until(lambda: len(intake.facts) == count)
        again = RememberingIntake(positions=intake.positions)
        again.before = [msgspec.json.encode(line) for line in intake.lines]
        async with conversing(again, port=crane.port, restart={}):
            await until(lambda: crane.connections == 2)
            crane.send(*telegrams(1_000 if is_another else 0), b"ST%04dNEXT  A-1" % (count + 1))
            await until(lambda: len(crane.heard) == count + 1)
        crane.stop()
        assert seqs(again) == [(int(is_another), number) for number in range(1, count + 2)]

    run(story())
