"""The story as it happens: everything is said when its time has come, by the machine that saw it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from simulators import floor as f
from simulators.canonical import Said, Telling, tell
from simulators.floor import SECOND, STORY_EPOCH, Story
from simulators.servers import Servers
from simulators.settings import LIVE_PACE, Troubles
from simulators.telling.mqtt import MqttVoice
from simulators.telling.voice import Voice
from simulators.telling.wms import RedisVoice
from simulators.warehouse import tell_story

_UNORDERED_AREAS = ("pick", "conveyor", "wms")
"""What a message can do on its way (come twice, come late) happens between publishers and broker. A register or a node
is read where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What is told, and to whom. Without `mqtt` the stations, the conveyor and (without `redis_url`) the order system
    are silent, without `modbus_port` the sorter, the crane and the scale, without `opcua_port` the packing line."""

    orders: int = 500
    seed: int = 1
    site: str = "dc1"
    troubles: Troubles = field(default_factory=Troubles)
    speed: float = 1.0
    seconds: float | None = None  # break the story off then; None: when it is told
    mqtt: tuple[str, int] | None = None
    own_broker: bool = False  # start one at `mqtt`
    modbus_port: int | None = None
    opcua_port: int | None = None
    redis_url: str | None = None
    listener_wait_s: float = 60.0  # how long the story waits for somebody to listen to the servers started here
    stay: bool = False  # the machines stand still when all is told, but stay connected, until cancelled
    drain_s: float = 5.0  # how long slow machines get in the end: a mailbox waits for its reader


def live_story(live: Live, restarts: int) -> tuple[Story, Telling]:
    """The story, `speed` times as fast, beginning at `STORY_EPOCH`, and what is said of it.

    `restarts` numbers the incarnation of all devices; names count from it, too, so that two runs never share one.
    """
    pace = replace(
        LIVE_PACE,
        # The engine's holds do not get shorter because the floor is faster: the truck still comes after them.
        manifest_after_s=(LIVE_PACE.manifest_after_s[0] * live.speed, LIVE_PACE.manifest_after_s[1] * live.speed),
    )
    story = tell_story(live.orders, live.seed, site=live.site, first=restarts * 10 % 10**9, pace=pace)
    hastened = [one._replace(t=STORY_EPOCH + int((one.t - STORY_EPOCH) / live.speed)) for one in story.happenings]
    story = replace(story, happenings=hastened)
    telling = tell(story, live.seed, live.troubles, noise_areas=("conveyor/",), restarts=False, epoch=restarts)
    telling.said = _as_told(telling.said)
    return story, telling


def as_far_as(until: int, story: Story, telling: Telling) -> Story:
    """The story as far as anybody was told of it before `until`: what comes later was never said. Where an item went of
    which nobody had said yet what it is, nobody was told either."""
    known = {id(one.about) for one in telling.said if one.t_rx < until}
    told = [happening for happening in story.happenings if id(happening) in known]
    named = {id(each.ride) for each in told if isinstance(each, f.Read | f.ReadSeveral | f.Identified)}
    named |= {id(each.ride) for each in told if isinstance(each, f.Inducted) and each.says_lu}
    of_nobody = {id(each) for each in told if isinstance(each, f.Looped | f.Diverted) and id(each.ride) not in named}
    return replace(story, happenings=[each for each in told if id(each) not in of_nobody])


def _as_told(said: Iterable[Said]) -> list[Said]:
    """Registers and nodes are told once and at once."""
    told: set[int] = set()
    kept: list[Said] = []
    for one in said:
        if one.record["src"].split("/")[1] not in _UNORDERED_AREAS:
            if id(one.record) in told:
                continue
            told.add(id(one.record))
            one.t_rx = one.record["t"]
        kept.append(one)
    return sorted(kept, key=lambda one: one.t_rx)


async def tell_live(
    live: Live, report: Callable[[str], None], story_told: Callable[[Story, Telling], None] | None = None
) -> int:
    """Start the servers, wait until somebody listens, tell. Returns how many records were said.

    `report`: takes a line of progress for people. `story_told`: called at the end with what was told of the story, and
    the telling.
    """
    restarts = int(time.time())
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(
            Servers(
                mqtt_port=live.mqtt[1] if live.mqtt and live.own_broker else None,
                modbus_port=live.modbus_port,
                opcua_port=live.opcua_port,
                restarts=restarts,
            )
        )
        voices = _voices(live, servers)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        speaking = [group.create_task(voice.run()) for voice in set(voices.values())]
        story, telling = live_story(live, restarts)
        last = telling.said[-1].t_rx + 1
        until = last if live.seconds is None else min(last, STORY_EPOCH + int(live.seconds * SECOND))
        await _until_heard(live, servers, report)
        report(f"telling {live.orders} orders from seed {live.seed}, speed {live.speed:g}")
        told = await _tell(telling.said, voices, until)
        await _drain(voices, live.drain_s, report)
        report(f"{told} records told")
        if story_told is not None:
            story_told(as_far_as(until, story, telling), telling)
        if live.stay:
            await asyncio.Event().wait()
        for task in speaking:
            task.cancel()
    return told


def _voices(live: Live, servers: Servers) -> dict[str, Voice]:
    """Beginning of a source, after the site -> who speaks for it."""
    voices: dict[str, Voice] = {}
    if live.mqtt is not None:
        mqtt = MqttVoice(*live.mqtt)
        voices |= {"pick/": mqtt, "conveyor/": mqtt, "wms/": mqtt}
    if live.redis_url is not None:
        voices["wms/"] = RedisVoice(live.redis_url)
    if servers.modbus is not None:
        modbus = servers.modbus
        voices |= {"sorter/": modbus.sorter, "asrs/": modbus.crane, "pack/SCL": modbus.scale}
    if servers.opcua is not None:
        voices["pack/PK"] = servers.opcua
    return voices


async def _until_heard(live: Live, servers: Servers, report: Callable[[str], None]) -> None:
    """Events that nobody could have seen are no test of anybody; the wait is bounded, for a floor does not wait."""
    deadline = time.monotonic() + live.listener_wait_s
    if not servers.heard():
        report("waiting for somebody to listen")
    while not servers.heard() and time.monotonic() < deadline:  # noqa: ASYNC110 - what others do has no event
        await asyncio.sleep(0.1)
    # Whoever was first may still be connecting elsewhere.
    await asyncio.sleep(0.5)


async def _tell(said: Iterable[Said], voices: Mapping[str, Voice], until: int) -> int:
    """Says everything before `until` (time of the story), each when its time has come from now on."""
    shift = time.time_ns() // 1_000 - STORY_EPOCH
    told = 0
    for one in said:
        if one.t_rx >= until:
            break
        await _sleep_until(one.t_rx + shift)
        device = one.record["src"].split("/", 1)[1]
        for prefix, voice in voices.items():
            if device.startswith(prefix):
                voice.say(one.arrived() | {"t": one.record["t"] + shift})
                told += 1
                break
    await _sleep_until(until + shift)
    return told


async def _sleep_until(t: int) -> None:
    wait_s = t / SECOND - time.time()
    if wait_s > 0:
        await asyncio.sleep(wait_s)


async def _drain(voices: Mapping[str, Voice], drain_s: float, report: Callable[[str], None]) -> None:
    deadline = time.monotonic() + drain_s
    while any(voice.waiting() for voice in voices.values()) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    for prefix, voice in voices.items():
        if voice.waiting():
            report(f"{prefix}: {voice.waiting()} records were never taken")
