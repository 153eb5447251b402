"""Many files are looked at in one round."""

from __future__ import annotations

import asyncio

import pytest

from protocols.file_lines.rounds import round_of


def test_all_who_look_as_often_wait_for_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        timers = 0
        call_later = loop.call_later

        def counted(delay: float, *rest: object) -> asyncio.TimerHandle:
            nonlocal timers
            timers += delay == 0.01
            return call_later(delay, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "call_later", counted)
        looks = [0] * 100

        def look(number: int) -> bool:
            looks[number] += 1
            return looks[number] > 3

        await asyncio.gather(*(round_of(0.01).until(lambda n=number: look(n)) for number in range(100)))  # type: ignore[misc]
        assert looks == [4] * 100
        await asyncio.sleep(0.03)
        assert timers == 5  # the last one found nobody

    asyncio.run(story())


def test_who_cannot_look_and_who_has_gone_are_no_trouble_to_the_others() -> None:
    async def story() -> None:
        def broken() -> bool:
            raise OSError("gone")

        seen = asyncio.Event()
        waiting = [asyncio.ensure_future(round_of(0.01).until(look)) for look in (broken, seen.is_set, seen.is_set)]
        await asyncio.sleep(0.005)
        waiting[1].cancel()
        await asyncio.sleep(0.03)
        assert isinstance(waiting[0].exception(), OSError)
        assert waiting[1].cancelled()
        assert not waiting[2].done()
        seen.set()
        await asyncio.wait_for(waiting[2], 60)

    asyncio.run(story())
