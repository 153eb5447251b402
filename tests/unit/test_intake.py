"""A block of lines is a sequence of lines to everybody, and goes to the journal as it is."""

from __future__ import annotations

import asyncio

from engine.contracts import Block, Delivery
from engine.intake import IntakeQueue, Limits, source_of_line
from engine.metrics import IntakeMetrics

LINES = [b'{"a":1}', b'{"b":"\r"}', b'{"c":3}']


def block(lines: list[bytes]) -> Block:
    return Block(b"".join(line + b"\n" for line in lines), len(lines))


def test_a_block_is_a_sequence_of_its_lines() -> None:
    made = block(LINES)
    assert len(made) == 3
    assert list(made) == LINES
    assert made[1] == LINES[1]
    assert made[-1] == LINES[2]
    assert made[1:] == LINES[1:]
    assert LINES[0] in made
    assert list(block([])) == []
    assert not block([])


def test_a_block_and_a_list_of_its_lines_are_the_same_to_the_journal() -> None:
    async def story() -> None:
        taken = []
        for first in (block(LINES), LINES):
            metrics = IntakeMetrics()
            queue = IntakeQueue(Limits(100, 10_000), metrics)
            await queue.put(Delivery("mqtt", first), 1)
            await queue.put(Delivery("modbus", [b"{}"]), 2)
            assert (metrics.records, metrics.bytes) == (4, sum(map(len, LINES)) + 2)
            group = queue.take()
            assert group is not None
            assert [source_of_line(group, line) for line in range(4)] == [
                *(("mqtt", line) for line in LINES),
                ("modbus", b"{}"),
            ]
            taken.append(group.payload)
            queue.release(group)
            assert (metrics.records, metrics.bytes) == (0, 0)
        assert taken[0] == taken[1]

    asyncio.run(story())


def test_deliveries_without_lines_add_none_to_the_payload() -> None:
    """They carry acknowledgements alone."""

    async def story() -> None:
        queue = IntakeQueue(Limits(100, 10_000), IntakeMetrics())
        for lines in (block([]), LINES, [], block(LINES[:1]), block([])):
            await queue.put(Delivery("mqtt", lines), 1)
        group = queue.take()
        assert group is not None
        assert group.payload == b"".join(line + b"\n" for line in [*LINES, LINES[0]])
        await queue.put(Delivery("mqtt", block([])), 1)
        group = queue.take()
        assert group is not None
        assert group.payload == b""

    asyncio.run(story())


def test_a_queue_is_as_full_with_a_block_as_with_its_lines() -> None:
    async def story() -> None:
        queue = IntakeQueue(Limits(4, 10_000), IntakeMetrics())
        await queue.put(Delivery("mqtt", block(LINES)), 1)
        waiting = asyncio.ensure_future(queue.put(Delivery("mqtt", block(LINES)), 2))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        group = queue.take()
        assert group is not None
        queue.release(group)
        await asyncio.wait_for(waiting, 60)

    asyncio.run(story())
