"""Starts and stops on the compiled core: what comes out is what would have come out without them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import recovery
from engine.cli import main
from engine.contracts import Delivery
from engine.errors import Refused
from engine.records import make_decoder
from engine.rule_book import RuleSet
from engine.sinks.queue import Queue
from engine.slices import Slicer
from ext.batch import Batch
from ext.core import Core
from ext.snapshot import SnapshotError
from ext.texts import Texts
from tests import stories
from tests.integration.test_pipeline import RULES, Rig, run, until

SMALL = {"every_bytes": 2_000, "segment_bytes": 3_000}
KIB = 1024


def compiled(rules: RuleSet, texts_bytes_max: int = 1 << 24) -> Slicer:
    texts = Texts(texts_bytes_max)
    return Slicer(Core(rules.site, texts, rules.rules, rules.sources), make_decoder(texts), Batch(texts))


def rig(folder: Path, rules: RuleSet = RULES, **settings: int) -> Rig:
    folder.mkdir(exist_ok=True)
    rig = Rig(folder, None, rules, compiled, **{**SMALL, **settings})
    rig.now_us = stories.T0 - 1  # no tick: the records alone decide
    return rig


def lines_of(*seeds: int) -> list[bytes]:
    """Records of several stories, ten minutes one after the other."""
    told = []
    for number, seed in enumerate(seeds):
        for record in stories.seeded(seed).records:
            if "seq" in record:
                record["epoch"] = number
            told.append(_moved(record, number))
    return [json.dumps(record).encode() for record in told]


def _moved(value: Any, number: int) -> Any:
    """Later, and about other things."""
    match value:
        case dict():
            return {key: _moved(each, number) if key not in ("src", "kind") else each for key, each in value.items()}
        case list():
            return [_moved(each, number) for each in value]
        case str() if value.partition("-")[0] in ("T", "O", "C", "S"):
            return f"{value}-{number}"
        case int() if value >= stories.T0:
            return value + number * 600 * stories.S
    return value


async def accept(rig: Rig, lines: list[bytes]) -> None:
    done = asyncio.Event()
    await rig.pipeline.put(Delivery("floor", lines, done.set))
    await done.wait()


def bodies(folder: Path) -> list[bytes]:
    queue = Queue(folder / "queue.sqlite")
    found = [bytes(entry.body) for entry in queue.read("erp", 0, 100_000)]
    queue.close()
    return found


def told(folder: Path, lines: list[bytes], *lives: tuple[int, bool, RuleSet], **settings: int) -> list[bytes]:
    """lives: up to which line, whether it is killed then, and its rules. Returns every event's body."""

    async def story() -> None:
        at = 0
        for end, killed, rules in lives:
            engine = rig(folder, rules, **settings)
            try:
                await engine.pipeline.start()
                while at < end:
                    await accept(engine, lines[at : min(at + 7, end)])
                    at = min(at + 7, end)
            finally:
                await (engine.abandon() if killed else engine.pipeline.stop())

    run(story)
    return bodies(folder)


LINES = lines_of(*range(1, 7))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    found = told(tmp_path_factory.mktemp("undisturbed"), LINES, (len(LINES), False, RULES))
    assert len(found) > 50
    return found


@pytest.mark.parametrize("seed", range(4))
def test_stops_and_kills_anywhere_change_no_byte(tmp_path: Path, undisturbed: list[bytes], seed: int) -> None:
    draw = random.Random(seed)
    ends = sorted(draw.randrange(len(LINES)) for _ in range(8))
    lives = [(end, draw.random() < 0.5, RULES) for end in ends]
    assert told(tmp_path, LINES, *lives, (len(LINES), False, RULES)) == undisturbed
    assert not list((tmp_path / "journal").glob("00000001.journal*"))


def test_a_start_reads_only_what_came_after_the_snapshot(tmp_path: Path) -> None:
    async def story() -> None:
        first = rig(tmp_path, every_bytes=1 << 20)
        await first.pipeline.start()
        await accept(first, LINES[:200])
        await first.pipeline.stop()
        second = rig(tmp_path, every_bytes=1 << 20)
        await second.pipeline.start()
        assert second.metrics.replayed == 0
        await accept(second, LINES[200:230])
        await second.abandon()
        third = rig(tmp_path, every_bytes=1 << 20)
        await third.pipeline.start()
        assert third.metrics.replayed == 30
        assert third.pipeline.account()["in"] == 230
        await third.pipeline.stop()

    run(story)


def newest(folder: Path) -> Path:
    return max((folder / "snapshots").glob("*.snapshot"))


@pytest.mark.parametrize("spoil", ["flipped", "cut", "empty", "gone"])
def test_without_the_newest_snapshot_the_older_one_does(
    tmp_path: Path, undisturbed: list[bytes], spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    told(tmp_path, LINES, (250, True, RULES))
    path = newest(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    match spoil:
        case "flipped":
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:-9])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
    assert told(tmp_path, LINES[250:], (len(LINES) - 250, False, RULES)) == undisturbed
    if spoil != "gone":
        assert path.with_name(path.name + ".bad").exists()
        assert f"{path} cannot be used" in caplog.text


def test_without_any_snapshot_the_whole_journal_does(tmp_path: Path, undisturbed: list[bytes]) -> None:
    told(tmp_path, LINES, (250, True, RULES), keep_bytes=1 << 24)
    for path in (tmp_path / "snapshots").iterdir():
        path.unlink()
    assert told(tmp_path, LINES[250:], (len(LINES) - 250, False, RULES)) == undisturbed


def test_without_any_snapshot_and_without_its_beginning_it_is_refused(tmp_path: Path) -> None:
    told(tmp_path, LINES, (250, False, RULES))
    for path in (tmp_path / "snapshots").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Refused) as refused:
        told(tmp_path, LINES, (0, False, RULES))
    assert "00000001.journal is missing; put it back from a copy" in str(refused.value)
    assert str(refused.value).count("its digest does not fit") == 2


def test_an_outbox_that_is_gone_is_built_again_while_the_journal_is_whole(
    tmp_path: Path, undisturbed: list[bytes]
) -> None:
    told(tmp_path, LINES, (250, False, RULES), keep_bytes=1 << 24)
    for path in tmp_path.glob("outbox.sqlite*"):
        path.unlink()
    assert told(tmp_path, LINES[250:], (len(LINES) - 250, False, RULES), keep_bytes=1 << 24) == undisturbed


def test_an_outbox_that_is_gone_with_the_journal_it_came_from_is_refused_with_a_way_on(
    tmp_path: Path, undisturbed: list[bytes]
) -> None:
    before = told(tmp_path, LINES, (250, False, RULES))
    for path in tmp_path.glob("outbox.sqlite*"):
        path.unlink()
    with pytest.raises(Refused, match="the outbox has 0") as refused:
        told(tmp_path, LINES, (0, False, RULES))
    assert main(str(refused.value).split("sortline ")[-1].split()) == 0
    after = told(tmp_path, LINES[250:], (len(LINES) - 250, False, RULES))
    assert after == undisturbed
    assert after[: len(before)] == before


def test_the_journal_stays_below_its_cap_for_ever(tmp_path: Path) -> None:
    cap = 300 * KIB

    async def story() -> None:
        engine = rig(tmp_path, journal_bytes_max=cap, segment_bytes=16 * KIB, every_bytes=1 << 20, keep_bytes=1 << 20)
        await engine.pipeline.start()
        accepted = largest = 0
        draw = random.Random(3)
        while accepted < 6 * cap:
            lines = [
                {"src": "dc1/scan/A", "kind": "scan.read", "seq": accepted + n, "lu": f"LU-{n}", "t_rx": 1}
                | {"note": draw.randbytes(100).hex()}  # packing does not make much less of it
                for n in range(100)
            ]
            payload = [json.dumps(line).encode() for line in lines]
            await accept(engine, payload)
            accepted += sum(map(len, payload))
            largest = max(largest, engine.metrics.journal.bytes)
        assert engine.metrics.state == "running"
        await engine.pipeline.stop()
        assert cap // 2 <= largest <= cap
        assert size_of(tmp_path / "journal") <= cap
        again = rig(tmp_path, journal_bytes_max=cap)
        await again.pipeline.start()
        assert again.pipeline.position("dc1/scan/A") is not None
        await again.pipeline.stop()

    run(story)


def size_of(journal: Path) -> int:
    return sum(path.stat().st_size for path in journal.glob("*.journal*"))


def test_what_is_kept_of_the_journal_is_what_was_asked_for(tmp_path: Path) -> None:
    told(tmp_path, LINES, (len(LINES), False, RULES), keep_bytes=20_000)
    assert size_of(tmp_path / "journal") <= 20_000
    told(tmp_path / "all", LINES, (len(LINES), False, RULES), keep_bytes=1 << 24)
    assert list((tmp_path / "all" / "journal").glob("00000001.journal*"))


CHANGED = RuleSet("dc1", {"short_on_close": True, "disorder_ms": 500}, [("dc1/sorter", {"skew_max_ms": 60_000})])


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("keep_bytes", [0, 1 << 24])
def test_changed_rules_hold_from_the_change_on(
    tmp_path: Path, killed: bool, keep_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ends = [(150, RULES), (230, CHANGED), (300, RULES), (len(LINES), CHANGED)]
    expected = told(tmp_path / "a", LINES, *((end, False, rules) for end, rules in ends), keep_bytes=1 << 24)
    assert "rules: disorder_ms, short_on_close, dc1/sorter changed" in caplog.text
    again = [life for end, rules in ends for life in ((end - 20, killed, rules), (end, killed, rules))]
    found = told(tmp_path / "b", LINES, *again, (len(LINES), False, CHANGED), keep_bytes=keep_bytes)
    assert found == expected
    assert found != told(tmp_path / "c", LINES, (len(LINES), False, RULES))


def test_a_journal_that_is_read_again_is_read_by_the_rules_of_its_time(tmp_path: Path) -> None:
    """Neither snapshots nor an outbox are left: the queue passes over what it has, whose bytes have to be the same."""
    lives = [(150, True, RULES), (230, False, CHANGED), (300, True, RULES)]
    before = told(tmp_path, LINES, *lives, keep_bytes=1 << 24)
    for path in (*(tmp_path / "snapshots").iterdir(), *tmp_path.glob("outbox.sqlite*")):
        path.unlink()
    after = told(tmp_path, LINES, (0, False, RULES), keep_bytes=1 << 24)
    assert after[: len(before)] == before
    (tmp_path / "queue.sqlite").unlink()
    for path in (*(tmp_path / "snapshots").iterdir(), *tmp_path.glob("outbox.sqlite*")):
        path.unlink()
    assert told(tmp_path, LINES, (0, False, RULES), keep_bytes=1 << 24) == after


def test_a_program_that_judges_otherwise_tells_behind_what_was_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rules of which nothing is known any more stand for another version of the program: other events are made.
    What had left stays; what comes is what the other rules would have said all along; no id leaves twice."""
    before = told(tmp_path / "a", LINES, (150, True, RULES), keep_bytes=1 << 24)
    for path in ((tmp_path / "a" / "rules.json"), *(tmp_path / "a" / "snapshots").iterdir()):
        path.unlink()
    found = told(
        tmp_path / "a", LINES[150:], (40, True, CHANGED), (len(LINES) - 150, False, CHANGED), keep_bytes=1 << 24
    )
    assert "another version of the program told of these records otherwise" in caplog.text
    assert found[: len(before)] == before
    ids = [json.loads(body)["id"] for body in found]
    assert len(set(ids)) == len(ids)
    assert ids != [json.loads(body)["id"] for body in told(tmp_path / "b", LINES, (len(LINES), False, RULES))]
    last, wanted = last_said(found), last_said(told(tmp_path / "c", LINES, (len(LINES), False, CHANGED)))
    assert last.keys() >= wanted.keys()
    assert [key for key in wanted if last[key][0] < wanted[key][0]] == []  # no revision is missing


def last_said(events: list[bytes]) -> dict[str, tuple[int, object]]:
    """By id without its revision: the last revision, and what it says."""
    found = {}
    for event in map(json.loads, events):
        key, _, revision = event["id"].rpartition(":r")
        found[key] = int(revision), event["data"]
    return found


def test_lost_rules_are_known_from_the_snapshot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lives = [(150, False, RULES), (230, True, CHANGED)]
    expected = told(tmp_path / "a", LINES, *lives, (len(LINES), False, CHANGED))
    told(tmp_path / "b", LINES, *lives)
    book = tmp_path / "b" / "rules.json"
    book.write_bytes(book.read_bytes()[:-3])
    assert told(tmp_path / "b", LINES[230:], (len(LINES) - 230, False, CHANGED)) == expected
    assert "rules.json is damaged" in caplog.text


def test_another_site_is_refused(tmp_path: Path) -> None:
    told(tmp_path, LINES, (100, False, RULES), keep_bytes=1 << 24)
    for _ in ("with snapshots", "without"):
        with pytest.raises(Refused, match='records of site "dc1", and the site file says "dc2"'):
            told(tmp_path, LINES, (0, False, RuleSet("dc2", {})), keep_bytes=1 << 24)
        for path in (tmp_path / "snapshots").iterdir():
            path.unlink()


def test_a_full_table_of_names_stops_the_intake_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def names(first: int) -> list[bytes]:
        fields: dict[str, Any] = {"src": "dc1/scan/A", "kind": "scan.read", "t_rx": stories.T0}
        return [json.dumps({**fields, "seq": n, "lu": f"LU-{n:060d}"}).encode() for n in range(first, first + 50)]

    def small(rules: RuleSet) -> Slicer:
        return compiled(rules, 10_000)

    async def halted(engine: Rig) -> None:
        await until(lambda: engine.metrics.state == "full")
        assert "raise engine.texts_bytes_max" in engine.metrics.detail
        waiting = asyncio.create_task(accept(engine, names(9_000)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert engine.pipeline.position("never/seen") is None
        waiting.cancel()

    async def story() -> None:
        for life in range(3):
            engine = Rig(tmp_path, None, RULES, small, **SMALL)
            engine.now_us = stories.T0
            await engine.pipeline.start()
            for first in range(0, 1_000 if life == 0 else 0, 50):
                if engine.metrics.state == "running":
                    await accept(engine, names(first))
                    await asyncio.sleep(0.02)
            await halted(engine)
            await engine.pipeline.stop(1.0)
        larger = rig(tmp_path)
        await larger.pipeline.start()
        assert larger.metrics.state == "running"
        account = larger.pipeline.account()
        assert account["in"] > 100
        assert account["in"] % 50 == 0, "the group that found no room was accepted: it counts now"
        await larger.pipeline.stop()

    run(story)
    assert caplog.text.count("nothing more is accepted: more than 10000 bytes of distinct names") == 3


def test_a_stop_while_the_journal_is_read_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(tmp_path, LINES, (len(LINES), True, RULES), every_bytes=1 << 24, keep_bytes=1 << 24)
    monkeypatch.setattr(recovery, "REPLAY_BYTES", 1)
    build: Callable[[RuleSet], Slicer] = compiled

    def slow(rules: RuleSet) -> Slicer:
        slicer = build(rules)
        feed = slicer.core.feed

        def slowly(batch: Batch, start: int = 0, stop: int = -1) -> None:
            time.sleep(0.2)
            feed(batch, start, stop)

        slicer.core = Slowed(slicer.core, slowly)
        return slicer

    async def story() -> None:
        engine = Rig(tmp_path, None, RULES, slow, every_bytes=1 << 24)
        starting = asyncio.create_task(engine.pipeline.start())
        await until(lambda: engine.metrics.replayed > 0)
        starting.cancel()
        before = engine.metrics.replayed
        await engine.pipeline.stop()
        assert engine.metrics.replayed < before + len(LINES) / 2
        assert not starting.done() or starting.cancelled()

    run(story)


class Slowed:
    def __init__(self, core: object, feed: Callable[..., None]) -> None:
        self._core = core
        self.feed = feed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


class Forgetful:
    """A core whose snapshots nobody can go on from."""

    def __init__(self, core: object) -> None:
        self._core = core

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def restore(self, data: bytes) -> None:
        raise SnapshotError("it cannot be read")


def test_nothing_is_dropped_for_snapshots_that_cannot_be_gone_on_from(
    tmp_path: Path, undisturbed: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    def forgetful(rules: RuleSet) -> Slicer:
        slicer = compiled(rules)
        slicer.core = Forgetful(slicer.core)
        return slicer

    async def story() -> None:
        for first, last in ((0, 250), (250, len(LINES))):
            engine = Rig(tmp_path, None, RULES, forgetful, **SMALL)
            engine.now_us = stories.T0 - 1
            await engine.pipeline.start()
            for at in range(first, last, 7):
                await accept(engine, LINES[at : min(at + 7, last)])
            await engine.pipeline.stop()

    run(story)
    assert bodies(tmp_path) == undisturbed
    assert list((tmp_path / "journal").glob("00000001.journal*"))
    assert caplog.text.count("the journal stays whole: it cannot be read") == 2


def test_a_snapshot_that_fails_stops_nothing(
    tmp_path: Path, undisturbed: list[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(self: object, snapshot: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("engine.snapshots.Snapshots.write", fails)
        told(tmp_path, LINES, (250, True, RULES))
    assert "snapshot: cannot be written: [Errno 28] No space left on device" in caplog.text
    assert told(tmp_path, LINES[250:], (len(LINES) - 250, False, RULES)) == undisturbed


def test_records_that_the_rules_fail_on_are_refused_by_their_place(tmp_path: Path) -> None:
    """A fault of the program: the first time it stops the engine, then a start says where, and does not loop."""
    marked = LINES[100].replace(b'"t_rx"', b'"operator":"fatal","t_rx"', 1)

    def fragile(rules: RuleSet) -> Slicer:
        slicer = compiled(rules)
        feed = slicer.core.feed

        def failing(batch: Batch, start: int = 0, stop: int = -1) -> None:
            if any(batch.record(row).get("operator") == "fatal" for row in range(len(batch))):
                raise ZeroDivisionError("a bug")
            feed(batch, start, stop)

        slicer.core = Slowed(slicer.core, failing)
        return slicer

    async def story() -> None:
        first = Rig(tmp_path, None, RULES, fragile, every_bytes=1 << 24)
        await first.pipeline.start()
        for line in [*LINES[:100], marked]:
            await accept(first, [line])
        with pytest.raises(ZeroDivisionError):
            await first.pipeline.wait()
        await first.pipeline.stop()
        for _ in range(2):
            again = Rig(tmp_path, None, RULES, fragile, every_bytes=1 << 24)
            with pytest.raises(
                Refused, match=r"the rules fail on records from 00000001.journal offset \d+ on, .* a bug"
            ):
                await again.pipeline.start()
            await again.pipeline.stop()
        mended = rig(tmp_path)
        await mended.pipeline.start()
        assert mended.pipeline.account()["in"] == 101
        await mended.pipeline.stop()

    run(story)
