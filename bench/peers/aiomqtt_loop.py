"""`python -m bench.peers.aiomqtt_loop MQTT_PORT REDIS_PORT`: the plain loop between aiomqtt and redis-py.

What stands in for an engine where nobody asks what happens at a power cut: the library acknowledges a message as soon
as it has it, nothing is written down on the way, an event whose XADD fails is gone. Events go to Redis in pipelines, so
that it is not slow for no reason. It writes "up" when it listens, and its account when it is told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time

import aiomqtt
import msgspec
import redis.asyncio
import uvloop

from bench.peers.loop import Windows, decode_record

QUIET_S = 1.0  # nothing came for so long: what waits for its hold is told
STREAMS = {"io.sortline.pick.confirmed.v1": "erp.inventory", "io.sortline.carton.closed.v1": "erp.shipping"}


class Type(msgspec.Struct):
    type: str


type_of = msgspec.json.Decoder(Type).decode


async def main(mqtt: int, erp: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    windows = Windows()
    heard = 0
    async with (
        redis.asyncio.Redis(port=erp) as sink,
        aiomqtt.Client("127.0.0.1", mqtt, max_inflight_messages=1_000) as client,
    ):
        await client.subscribe("dc1/#", qos=1)
        print("source floor: up", flush=True)
        messages = client.messages
        while not stop.is_set():
            got = []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    got.append(await anext(messages))
            while len(messages) and len(got) < 1_000:
                got.append(await anext(messages))
            records = [decode_record(message.payload) for message in got]
            now = time.time_ns() // 1_000
            for record in records:
                record.t_rx = now
            heard += len(records)
            windows.take(records)
            if not got:
                windows.finish()
            await _send(sink, windows)
    print(
        f"in {heard} = used {heard - windows.duplicates - windows.noise} + duplicate {windows.duplicates} + late 0 "
        f"+ rejected 0 + noise {windows.noise} + open 0",
        flush=True,
    )


async def _send(sink: redis.asyncio.Redis, windows: Windows) -> None:
    if not windows.events:
        return
    pipeline = sink.pipeline(transaction=False)
    for event in windows.events:
        pipeline.xadd(STREAMS[type_of(event).type], {"event": event})
    windows.events.clear()
    await pipeline.execute()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2])))
