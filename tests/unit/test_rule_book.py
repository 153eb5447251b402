"""Which rules held when is never forgotten while the journal has the records that they decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import Refused
from engine.journal import BEGINNING, Position
from engine.rule_book import RuleBook, RuleSet

OLD = RuleSet("dc1", {"disorder_ms": 2_000, "closing_points": ()}, [("dc1/scan", {"skew_max_ms": 1})])
NEW = RuleSet("dc1", {"disorder_ms": 9_000, "closing_points": ()})
NEWER = RuleSet("dc1", {"disorder_ms": 9_000, "closing_points": ("P1",)})


def book(folder: Path) -> RuleBook:
    return RuleBook(folder / "rules.json")


def test_a_list_is_the_same_in_the_file_as_in_the_site(tmp_path: Path) -> None:
    book(tmp_path).write(BEGINNING, NEWER)
    held = book(tmp_path).held_at(BEGINNING)
    assert held is not None
    assert held.same(NEWER)
    assert not held.same(NEW)


def test_what_changed_is_named() -> None:
    assert OLD.changed(NEWER) == ["closing_points", "disorder_ms", "dc1/scan"]
    assert NEW.changed(NEW) == []


def test_each_place_has_the_rules_that_held_there(tmp_path: Path) -> None:
    changed, again = Position(2, 500), Position(7, 90)
    for at, rules in ((BEGINNING, OLD), (changed, NEW), (again, NEWER)):
        book(tmp_path).write(at, rules)
    found = book(tmp_path)
    for at, rules in (
        (BEGINNING, OLD),
        (Position(2, 499), OLD),
        (changed, NEW),
        (Position(7, 89), NEW),
        (again, NEWER),
    ):
        held = found.held_at(at)
        assert held is not None
        assert held.same(rules)
    assert [change.position for change in found.changes_from(changed)] == [changed, again]
    assert book(tmp_path / "empty").held_at(again) is None


def test_a_change_at_the_same_place_takes_the_others_place(tmp_path: Path) -> None:
    at = Position(2, 500)
    written = book(tmp_path)
    for position, rules in ((BEGINNING, OLD), (at, NEW), (at, NEWER)):
        written.write(position, rules)
    assert [change.position for change in book(tmp_path).changes_from(BEGINNING)] == [BEGINNING, at]


def test_rules_of_records_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    written = book(tmp_path)
    for number, rules in ((1, OLD), (3, NEW), (5, OLD)):
        written.write(Position(number, 100), rules, Position(4, 0))
    assert [change.position.segment for change in book(tmp_path).changes_from(BEGINNING)] == [3, 5]


def test_a_flipped_bit_is_turned_back(tmp_path: Path) -> None:
    book(tmp_path).write(BEGINNING, OLD)
    path = tmp_path / "rules.json"
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        held = book(tmp_path).held_at(BEGINNING)
        assert held is not None
        assert held.same(OLD)
        assert path.read_bytes() == content or at < content.index(b" ")


def test_two_flipped_bits_put_the_file_aside(tmp_path: Path) -> None:
    book(tmp_path).write(BEGINNING, OLD)
    path = tmp_path / "rules.json"
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    content[-5] ^= 1
    path.write_bytes(content)
    found = book(tmp_path)
    assert found.held_at(BEGINNING) is None
    assert "rules.json.bad" in found.report


def test_evidence_that_was_put_aside_is_never_written_over(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        (tmp_path / "rules.json").write_text(f"{n}")
        assert "put aside as rules.json." in book(tmp_path).report
    aside = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert aside == {"rules.json.bad": "1", "rules.json.2.bad": "2", "rules.json.3.bad": "3"}


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    book(tmp_path).write(BEGINNING, OLD)
    path = tmp_path / "rules.json"
    _, digest, body = path.read_bytes().split(maxsplit=2)
    path.write_bytes(b"sortline-rules-2 %b\n%b" % (digest[::-1], body))
    with pytest.raises(Refused, match="is of version 2, this program reads 1: start the newer one"):
        book(tmp_path)


def test_a_version_that_only_a_flipped_bit_names_is_none(tmp_path: Path) -> None:
    book(tmp_path).write(BEGINNING, OLD)
    path = tmp_path / "rules.json"
    path.write_bytes(path.read_bytes().replace(b"rules-1", b"rules-3"))
    held = book(tmp_path).held_at(BEGINNING)
    assert held is not None
    assert held.same(OLD)
