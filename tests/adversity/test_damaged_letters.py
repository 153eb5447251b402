"""A dead letter that the disk has changed is not sent to a sink as if it were the event."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.cli import main
from tests.unit.test_delivery import Delivery, ScriptedSink, refuses


@pytest.mark.parametrize("type_", ["BLOB", "TEXT"])
def test_a_letter_that_the_disk_has_changed_is_not_sent(tmp_path: Path, type_: str) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1", "e2")))
    delivery.tell(1, 2)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    with sqlite3.connect(delivery.letters.path) as file:
        file.execute(f"UPDATE letters SET raw = CAST(replace(raw, 'e1', 'e6') AS {type_}) WHERE id = 'e1'")
    file.close()
    delivery.wanted_again(delivery.letters.find())
    delivery.until(lambda: len(delivery.letters.find()) == 1)
    assert delivery.ids == ["e2"]
    (letter,) = delivery.letters.find()
    assert (letter.id, letter.state, letter.class_, letter.code) == ("e1", "dead", "corruption", "damaged")
    delivery.close()


@pytest.mark.parametrize("column", ["raw", "partitionkey"])
def test_a_flipped_bit_of_a_letter_is_turned_back_as_it_is_sent(tmp_path: Path, column: str) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1")))
    delivery.tell(1, 1)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    (told,) = delivery.letters.find()
    with sqlite3.connect(delivery.letters.path) as file:
        ((value, kind),) = file.execute(f"SELECT CAST({column} AS BLOB), typeof({column}) FROM letters").fetchall()
        flipped = bytes([value[0] ^ 1]) + value[1:]
        file.execute(f"UPDATE letters SET {column} = CAST(? AS {kind})", (flipped,))
    file.close()
    delivery.wanted_again(delivery.letters.find())
    delivery.until(lambda: not delivery.letters.find())
    (row,) = delivery.sink.rows
    assert (row.id, row.partitionkey, row.body) == (told.id, told.partitionkey, told.raw)
    delivery.close()


CHANGES = {
    "a text that is none": "source = CAST(x'ff' || source AS TEXT)",
    "another type": "last_us = 'x', attempts = 'many', reason = x'07', raw = 'text'",
    "a time of the far future": "last_us = 1 << 62",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("action", [["ls"], ["show", "1"], ["export", "--all"], ["discard", "1", "2", "--yes"]])
def test_a_letter_that_the_disk_has_changed_hides_no_other(
    tmp_path: Path, change: str, action: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """One flipped bit of its source's name, and no command said anything any more but a traceback."""
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1", "e2")))
    delivery.tell(1, 2)
    delivery.until_empty()
    path = delivery.letters.path
    delivery.close()
    with sqlite3.connect(path) as file:
        file.execute(f"UPDATE letters SET {CHANGES[change]} WHERE id = 'e1'")
    file.close()
    assert main(["dlq", action[0], str(path), *action[1:]]) == 0
    said = capfdbinary.readouterr().out
    assert b"e1" in said
    assert b"e2" in said or action[0] == "show"
