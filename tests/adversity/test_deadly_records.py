"""Records on which the process dies by a signal: each start would read them, and die again. They are put aside."""

from __future__ import annotations

import ctypes
import json
import signal
from pathlib import Path

import pytest

from engine import recovery
from engine.clock import now_us
from engine.crashes import FATAL, LAST, NOTE, Crashes
from engine.dead_letters import DeadLetters
from engine.passed_over import NAME, PassedOver
from engine.recordings import read
from engine.records import make_decoder
from engine.rule_book import RuleSet
from engine.slices import Slicer
from ext.batch import Batch
from ext.texts import Texts
from tests.adversity.engine_process import Victim
from tests.adversity.test_killed_engine import arrived, assert_kept, last_life
from tests.counting_core import CountingCore
from tests.promises import Promises

DEADLY = "DEADLY"
STARTS_MAX = 4  # the life that met it, one start that died on the piece, two on the record


class DeadlyCore(CountingCore):
    def _apply(self, record: dict[str, object]) -> None:
        if DEADLY in str(record.get("lu")):
            ctypes.string_at(0)
        super()._apply(record)


def build(rules: RuleSet) -> Slicer:
    texts = Texts()
    return Slicer(DeadlyCore(), make_decoder(texts), Batch(texts))


class UnrestorableCore(CountingCore):
    def restore(self, data: bytes) -> None:
        ctypes.string_at(0)


def unrestorable(rules: RuleSet) -> Slicer:
    texts = Texts()
    return Slicer(UnrestorableCore(), make_decoder(texts), Batch(texts))


def lives_until_one_runs(folder: Path) -> tuple[int, list[str]]:
    """How many starts died, and what the one that did not has acknowledged."""
    for died in range(100):
        victim = Victim(folder, core=build)
        victim.until(lambda: victim.said)  # noqa: B023 - called before the next life
        if victim.said == ["!ready"]:
            victim.feed([f"after-{died}"])
            victim.no_more()
            return died, victim.end()
        victim.end()
        assert victim.returncode == -signal.SIGSEGV, victim.said
    raise AssertionError("no start gets past it")


def meet(folder: Path, names: list[str]) -> list[str]:
    """A life that ends by one of these names."""
    victim = Victim(folder, core=build)
    victim.feed(names)
    acknowledged = victim.end()
    assert victim.returncode == -signal.SIGSEGV, victim.said
    return acknowledged


def test_a_record_that_ends_the_process_is_put_aside_and_nothing_else(tmp_path: Path) -> None:
    ledger = meet(tmp_path, [f"before-{n}" for n in range(40)] + [DEADLY] + [f"behind-{n}" for n in range(40)])
    assert DEADLY in ledger, "it was accepted"
    died, more = lives_until_one_runs(tmp_path)
    assert died <= STARTS_MAX - 1
    assert len(PassedOver(tmp_path / NAME)) == 1
    letters = DeadLetters(tmp_path / "dead.sqlite", now_us, only_looks=True)
    (letter,) = letters.find(kind="line")
    letters.close()
    assert (json.loads(letter.raw)["lu"], letter.source) == (DEADLY, "dc1/scan/A")
    assert "Segmentation fault" in (tmp_path / LAST).read_text()
    others = [name for name in ledger + more if name != DEADLY]
    others += last_life(tmp_path, "last")
    assert_kept(tmp_path, others, Promises())


def test_whoever_reads_the_journal_again_passes_them_over_as_well(tmp_path: Path) -> None:
    meet(tmp_path, ["first", DEADLY, "second"])
    lives_until_one_runs(tmp_path)
    lines = b"".join(chunk.data for chunk in read(str(tmp_path)))
    assert b"first" in lines and b"second" in lines and DEADLY.encode() not in lines
    # with the same place for everybody behind it
    victim = Victim(tmp_path, core=build)
    victim.no_more()
    victim.end()
    assert (victim.returncode, victim.said) == (0, ["!ready"])
    assert [event.sequence for event in arrived(tmp_path)] == list(range(1, len(arrived(tmp_path)) + 1))


def test_there_may_be_several(tmp_path: Path) -> None:
    ledger = meet(tmp_path, [f"one-{n}" for n in range(5)] + [DEADLY, f"{DEADLY}-2"])
    _, more = lives_until_one_runs(tmp_path)
    ledger += more + meet(tmp_path, [f"two-{n}" for n in range(5)] + [f"{DEADLY}-3", "two-5"])
    _, more = lives_until_one_runs(tmp_path)
    others = [name for name in ledger + more if DEADLY not in name]
    assert_kept(tmp_path, others + last_life(tmp_path, "last"), Promises())


def test_a_snapshot_that_ends_the_process_is_put_aside(tmp_path: Path) -> None:
    ledger = last_life(tmp_path, "one") + last_life(tmp_path, "two")
    assert len(list((tmp_path / "snapshots").glob("*.snapshot"))) == 2
    died = 0
    while True:
        victim = Victim(tmp_path, core=unrestorable)
        victim.no_more()
        victim.end()
        if victim.returncode != -signal.SIGSEGV:
            break
        died += 1
    assert (victim.returncode, victim.said) == (0, ["!ready"])
    assert died == 4, "two of them, each twice"
    assert len(list((tmp_path / "snapshots").glob("*.snapshot.bad"))) == 2
    assert_kept(tmp_path, ledger, Promises())


def test_more_than_a_few_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PASSED_OVER_MAX", 1)
    meet(tmp_path, ["first", DEADLY, f"{DEADLY}-2"])
    for _ in range(3 * STARTS_MAX):
        victim = Victim(tmp_path, core=build)
        victim.no_more()
        victim.end()
        if victim.returncode != -signal.SIGSEGV:
            break
    (said,) = victim.said
    assert said.startswith("!Refused") and "sortline fsck" in said and str(tmp_path) in said
    assert len(PassedOver(tmp_path / NAME)) == 1


def test_a_kill_is_nobodys_fault(tmp_path: Path) -> None:
    """However often, and wherever it is: only the process itself leaves a trace."""
    for _ in range(6):
        crashes = Crashes(tmp_path)
        assert not crashes.suspects((1, 12)) and not crashes.condemns((1, 12), 0)
        crashes.reading((1, 12), 0)
        crashes.close()  # as the kernel does; what was written stays
    assert not (tmp_path / LAST).exists()


def test_a_note_that_the_disk_has_changed_is_none(tmp_path: Path) -> None:
    for noise in (b"\xff" * 4096, b"{}" + bytes(600) + b"\x08", b"[]" * 400, b""):
        (tmp_path / NOTE).write_bytes(noise)
        crashes = Crashes(tmp_path)
        assert not crashes.condemns((1, 12), 0)
        crashes.close()
        assert not (tmp_path / LAST).exists()
    for what, suspected in ((b"Segmentation fault", True), (b"Bus error", False)):
        crashes = Crashes(tmp_path)
        crashes.reading((1, 12), through=(1, 99))
        crashes.close()
        with (tmp_path / NOTE).open("r+b") as note:
            note.seek(512)
            note.write(FATAL + what)
        crashes = Crashes(tmp_path)
        assert crashes.suspects((1, 12)) == suspected, "a page that the disk does not give is no record's doing"
        crashes.close()
    (tmp_path / NOTE).write_bytes(b"?".ljust(512) + FATAL + b"Segmentation fault")
    crashes = Crashes(tmp_path)
    assert not crashes.condemns((1, 12), 0)
    crashes.close()
    assert (tmp_path / LAST).exists()


def test_places_that_the_disk_has_changed_are_put_aside(tmp_path: Path) -> None:
    path = tmp_path / NAME
    PassedOver(path).add((1, 12), 3)
    assert PassedOver(path).lines == {(1, 12): {3}}
    content = bytearray(path.read_bytes())
    content[-4] ^= 1
    content[20] ^= 1
    path.write_bytes(content)
    found = PassedOver(path)
    assert (len(found), found.report != "", path.exists()) == (0, True, False)
    assert path.with_name(f"{NAME}.bad").exists()


def test_a_flipped_bit_of_these_places_is_turned_back_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / NAME
    PassedOver(path).add((1, 12), 3)
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert PassedOver(path).lines == {(1, 12): {3}}
        assert path.read_bytes() == content
    path.write_bytes(flipped)
    Crashes(tmp_path).close()
    assert f"{path}: a flipped bit, turned back" in caplog.text
