"""A sink that the site file does not name any more: what it never got was promised, and is not thrown away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine import dead_letters, gone_sinks
from engine.accounts import account
from engine.dead_letters import DeadLetters
from tests.integration.test_dead_letters import DONE, dlq
from tests.integration.test_pipeline import ListSink, Rig, names, run, until


def letters_of(rig: Rig, sink: str) -> list[str]:
    return [letter.id for letter in rig.letters.find(source=sink)]


def told(sink: ListSink) -> list[str]:
    return [row.id for row in sink.rows]


async def left_behind(folder: Path, count: int) -> None:
    """So many events that the sink `old` does not have when the engine stops."""
    first = Rig(folder, {"old": ListSink(broken=ConnectionError("away"))})
    await first.pipeline.start()
    await first.put(*names(1, count))
    await first.pipeline.stop(0.5)


def test_a_renamed_sink_leaves_letters_that_can_be_sent_once_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        await left_behind(tmp_path, 5)
        new, old = ListSink(), ListSink()
        second = Rig(tmp_path, {"new": new})
        await second.pipeline.start()
        await second.put("LU-6")
        await until(lambda: told(new) == ["LU-6"] and len(letters_of(second, "old")) == 5)
        await second.pipeline.stop()
        third = Rig(tmp_path, {"new": new, "old": old})
        await third.pipeline.start()
        await third.put("LU-7")
        await until(lambda: told(old) == ["LU-7"])
        assert await dlq(tmp_path, "replay", "--source", "old", "--rate", "1000", "--yes") == DONE
        await until(lambda: len(told(old)) == 6)
        await third.pipeline.stop()
        assert told(old) == ["LU-7", *names(1, 5)]
        assert told(new) == ["LU-6", "LU-7"]

    run(story)
    assert "old: the site file does not name it any more, erp: 5 events that it did not have are dead letters" in (
        caplog.text
    )


def test_letters_that_are_wanted_at_a_start_get_places_behind_what_went_before(tmp_path: Path) -> None:
    """Not of the lane that ended when the sink was taken out: a Redis stream is far beyond, and would refuse them for
    ever."""

    async def story() -> None:
        await left_behind(tmp_path, 5)
        second = Rig(tmp_path, {"new": ListSink()})
        await second.pipeline.start()
        await until(lambda: len(letters_of(second, "old")) == 5)
        await second.pipeline.stop()
        old = ListSink()
        third = Rig(tmp_path, {"new": ListSink(), "old": old})
        await third.pipeline.start()
        await third.put("LU-6", "LU-7")
        await until(lambda: told(old) == ["LU-6", "LU-7"])
        await third.pipeline.stop()
        assert await dlq(tmp_path, "replay", "--source", "old", "--rate", "1000", "--yes") == DONE
        fourth = Rig(tmp_path, {"new": ListSink(), "old": old})
        await fourth.pipeline.start()
        await until(lambda: len(old.rows) == 7)
        await fourth.pipeline.stop()
        places = [(row.position, row.again) for row in old.rows]
        assert places == [(6, 0), (7, 0), *((7, again) for again in range(1, 6))]
        assert told(old)[2:] == names(1, 5)

    run(story)


def test_where_the_letters_have_no_room_the_events_wait_in_the_outbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gone_sinks, "AGAIN_S", 0.05)

    async def story() -> None:
        await left_behind(tmp_path, 3)
        second = Rig(tmp_path, {"new": ListSink()})
        monkeypatch.setattr(second.letters, "_bytes_max", dead_letters.LETTER_BYTES)
        await second.pipeline.start()
        await second.put("LU-4")
        assert letters_of(second, "old") == []
        monkeypatch.setattr(second.letters, "_bytes_max", dead_letters.MIB)
        await until(lambda: len(letters_of(second, "old")) == 3)
        await second.pipeline.stop()

    run(story)


@pytest.mark.parametrize("step", ["bury", "advance"])
def test_a_kill_between_letters_and_outbox_neither_loses_nor_doubles(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def dies(*_: object, **__: object) -> None:
        raise Killed

    async def story() -> None:
        await left_behind(tmp_path, 4)
        second = Rig(tmp_path, {"new": ListSink()})
        patched: dict[str, Callable[[], object]] = {
            "bury": lambda: monkeypatch.setattr(second.letters, "bury", dies),
            "advance": lambda: monkeypatch.setattr(second.pipeline._outbox, "advance", dies),
        }
        patched[step]()
        await second.pipeline.start()
        with pytest.raises(Killed):
            await second.pipeline.wait()
        await second.abandon()
        third = Rig(tmp_path, {"new": ListSink(), "old": ListSink()})
        total = account(third.pipeline._outbox, third.letters, "old")
        assert (total.events, total.pending) == (4, 4)
        await third.abandon()
        fourth = Rig(tmp_path, {"new": ListSink()})
        await fourth.pipeline.start()
        await until(lambda: not fourth.pipeline._outbox.gone())
        await fourth.pipeline.stop()
        with closing(DeadLetters(tmp_path / "dead.sqlite", lambda: 0)) as letters:
            assert [letter.id for letter in letters.find(source="old")] == names(1, 4)

    run(story)
