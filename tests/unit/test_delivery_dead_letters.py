"""What a sink will never take: it becomes a dead letter, the rest goes past it, and it can be sent again."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.contracts import Account, Emitted, OutRow
from engine.dead_letters import DeadLetters
from engine.delivery import PROBE_S
from engine.errors import Undeliverable
from engine.letter import Cause
from tests.counting_core import event
from tests.unit.test_delivery import INVENTORY, QUEUES, SHIPPING, Delivery, ScriptedSink, names, refuses


def test_an_event_that_is_never_taken_becomes_a_dead_letter_and_the_next_goes_on(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e5", "e18")))
    delivery.tell(1, 30)
    delivery.until_empty()
    assert delivery.ids == [name for name in names(1, 30) if name not in ("e5", "e18")]
    assert delivery.account == Account(events=30, delivered=28, pending=0, dead=2)
    assert delivery.metrics.dead == 2
    letter, other = delivery.letters.find()
    body = Emitted(*event(5, "e5", INVENTORY)).body
    assert (letter.id, letter.sequence, letter.queue, letter.raw) == ("e5", 5, "q", body)
    assert (letter.class_, letter.code, letter.reason, letter.attempts) == (
        "permanent",
        "Undeliverable",
        "no such order",
        1,
    )
    assert (letter.first_us, letter.last_us, letter.decoder, letter.config) == (7, 7, "1.2.3", "abc")
    assert other.id == "e18"
    assert delivery.waits == []
    delivery.close()


def test_a_sink_that_names_the_event_is_asked_once_more_for_the_others(tmp_path: Path) -> None:
    def third(rows: Sequence[OutRow]) -> Exception | None:
        return Undeliverable("422", position=3, code=422) if 3 in {row.position for row in rows} else None

    delivery = Delivery(tmp_path, ScriptedSink(third))
    delivery.tell(1, 10)
    delivery.until_empty()
    assert delivery.sink.sizes == [10, 9]
    assert [letter.code for letter in delivery.letters.find()] == ["Undeliverable 422"]
    delivery.close()


def test_poison_has_three_attempts_alone(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2", error=UnicodeError)))
    delivery.tell(1, 4)
    delivery.until_empty()
    assert delivery.ids == ["e1", "e3", "e4"]
    assert [(letter.class_, letter.attempts) for letter in delivery.letters.find()] == [("poison", 3)]
    delivery.close()


def test_attempts_are_of_one_event(tmp_path: Path) -> None:
    """Each is taken at the third: what failed before is forgotten with the success."""
    asked: Counter[str] = Counter()

    def refuses_twice(rows: Sequence[OutRow]) -> Exception | None:
        asked[rows[0].id] += 1
        return UnicodeError() if asked[rows[0].id] <= 2 else None

    delivery = Delivery(tmp_path, ScriptedSink(refuses_twice), batch_events=1)
    delivery.tell(1, 3)
    delivery.until_empty()
    assert delivery.ids == names(1, 3)
    assert list(delivery.letters.find()) == []
    delivery.close()


def test_a_key_may_be_held_behind_its_dead_letter(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 3, key="O-1")
    delivery.tell(4, 4, key="O-2")
    delivery.tell(5, 5, key="O-1")
    delivery.until_empty()
    assert delivery.ids == ["e1", "e4"]
    assert [(letter.id, letter.class_) for letter in delivery.letters.find()] == [
        ("e2", "permanent"),
        ("e3", "held"),
        ("e5", "held"),
    ]
    assert delivery.account == Account(5, 2, 0, 3)
    delivery.close()


def test_a_held_key_goes_on_in_order_once_its_letters_are_sent_again(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 4, key="O-1")
    delivery.until_empty()
    delivery.close()
    delivery = Delivery(tmp_path, ScriptedSink(), on_dead_letter="hold_key")
    letters = delivery.letters.find()
    assert delivery.letters.want([letter.number for letter in letters[1:]], 100, "me") == 2
    delivery.tell(5, 5, key="O-1")
    delivery.until_empty()
    delivery.until(lambda: delivery.now_s > 3)
    assert delivery.ids == []  # not before the first of the key
    delivery.letters.want([letters[0].number], 100, "me")
    delivery.wanted_again([letter for letter in delivery.letters.find() if letter.id == "e5"], 100)
    delivery.until(lambda: len(delivery.ids) == 4)
    assert delivery.ids == ["e2", "e3", "e4", "e5"]
    delivery.tell(6, 6, key="O-1")
    delivery.until_empty()
    assert delivery.ids[-1] == "e6"
    assert delivery.account == Account(6, 6, 0, 0)
    delivery.close()


def test_a_key_that_goes_on_while_its_letters_are_sent_again_is_free_in_the_end(tmp_path: Path) -> None:
    """Each event that came meanwhile was one more letter that nobody had asked for, so the key was never free."""
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 4, key="O-1")
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    delivery.wanted_again(delivery.letters.find(), 1.0)
    delivery.until(lambda: "e2" in delivery.ids)
    delivery.tell(5, 6, key="O-1")
    delivery.until(lambda: not delivery.letters.find())
    delivery.tell(7, 7, key="O-1")
    delivery.until_empty()
    assert delivery.ids == names(1, 7)
    assert delivery.account == Account(7, 7, 0, 0)
    assert ("engine", "replay") in [step[1:3] for step in delivery.letters.audit(20)]
    delivery.close()


def test_a_key_whose_letters_were_just_discarded_gets_no_new_one(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 3, key="O-1")
    delivery.until_empty()
    command = DeadLetters(delivery.letters.path, lambda: 8)
    command.discard([letter.number for letter in command.find()], "me")
    command.close()
    delivery.forwarder._look_s = 1e9  # nobody has looked since
    delivery.tell(4, 4, key="O-1")
    delivery.until_empty()
    assert delivery.ids == ["e1", "e4"]
    assert delivery.letters.find() == []
    delivery.close()


@pytest.mark.parametrize("step", ["whole", "begin"])
def test_a_letter_that_is_discarded_while_its_turn_comes_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between the moment when it was found and the one when its place was written down: a person was told that it is
    gone, and the sink got it all the same; or it was dead once more, without its bytes."""
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1")), on_dead_letter="hold_key")
    delivery.tell(1, 2, key="O-1")
    delivery.until_empty()
    letters, delivery.sink.refuses = delivery.letters.find(), lambda rows: None
    does = getattr(delivery.letters, step)

    def just_before(*args: object) -> object:
        command = DeadLetters(delivery.letters.path, lambda: 8)
        command.discard([letter.number for letter in letters], "me")
        command.close()
        return does(*args)

    monkeypatch.setattr(delivery.letters, step, just_before)
    delivery.wanted_again(letters[:1])
    delivery.tell(3, 3, key="O-2")
    delivery.until(lambda: delivery.ids[-1:] == ["e3"] and not delivery.letters.find())
    delivery.tell(4, 4, key="O-1")
    delivery.until_empty()
    assert delivery.ids == ["e3", "e4"]
    assert delivery.account == Account(events=4, delivered=2, pending=0, dead=2)
    assert not [step for step in delivery.letters.audit(10) if step[1] == "engine"]
    delivery.close()


def test_events_have_their_turn_between_letters(tmp_path: Path) -> None:
    """However many letters are due: those that came faster than the sink took them kept all that was new away."""
    delivery = Delivery(tmp_path, ScriptedSink(refuses(*names(1, 9))), batch_events=2)
    delivery.tell(1, 9)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    delivery.wanted_again(delivery.letters.find())
    delivery.tell(10, 19)
    delivery.until(lambda: len(delivery.ids) == 19)
    assert delivery.ids.index("e19") < delivery.ids.index("e8")
    delivery.close()


def test_a_letter_is_sent_again_with_its_id_behind_what_went_before(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2", "e3")))
    delivery.tell(1, 5)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    delivery.wanted_again(delivery.letters.find(), 2.0)
    delivery.until(lambda: not delivery.letters.find())
    delivery.tell(6, 6)
    delivery.until_empty()
    places = [(row.id, row.position, row.again) for row in delivery.sink.rows[3:]]
    assert places == [("e2", 5, 1), ("e3", 5, 2), ("e6", 6, 0)]
    assert delivery.sink.at_s[4] - delivery.sink.at_s[3] >= 0.5
    assert delivery.account == Account(6, 6, 0, 0)
    assert [step[1:3] for step in delivery.letters.audit(10)] == [("engine", "delivered")] * 2 + [("me", "replay")] * 2
    delivery.close()


def test_a_letter_whose_answer_is_lost_keeps_its_place_over_a_restart(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1")))
    delivery.tell(1, 2)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: TimeoutError()
    delivery.wanted_again(delivery.letters.find())
    delivery.until(lambda: delivery.metrics.failures >= 3)
    delivery.close()
    delivery = Delivery(tmp_path, ScriptedSink())
    delivery.tell(3, 3)
    delivery.until_empty()
    assert [(row.id, row.position, row.again) for row in delivery.sink.rows] == [("e1", 2, 1), ("e3", 3, 0)]
    delivery.close()


def test_a_letter_that_is_refused_again_stays_dead(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1")))
    delivery.tell(1, 1)
    delivery.until_empty()
    delivery.wanted_again(delivery.letters.find())
    delivery.until(lambda: delivery.letters.find()[0].attempts == 2)
    assert delivery.letters.find()[0].state == "dead"
    assert delivery.account == Account(1, 0, 0, 1)
    delivery.close()


def test_an_engine_that_dies_between_burying_and_going_on_counts_nothing_twice(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")))
    delivery.tell(1, 3)
    rows = delivery.outbox.read(delivery.outbox.lanes("erp")[0].number, 10)
    delivery.letters.bury("erp", rows[1:2], Cause("permanent", "x", "x"))
    delivery.close()
    delivery = Delivery(tmp_path, ScriptedSink())  # this time it would be taken
    delivery.until_empty()
    assert delivery.ids == ["e1", "e2", "e3"]
    assert delivery.letters.find() == []
    assert delivery.account == Account(3, 3, 0, 0)
    delivery.close()


def test_without_room_for_dead_letters_the_queue_is_held_and_nothing_is_lost(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")))
    delivery.letters._bytes_max = 100
    delivery.tell(1, 4)
    delivery.until(lambda: delivery.metrics.state == "held")
    assert "sortline dlq" in delivery.metrics.detail
    assert delivery.account == Account(4, 1, 3, 0)
    delivery.letters._bytes_max = 10_000
    delivery.until_empty()
    assert delivery.ids == ["e1", "e3", "e4"]
    delivery.close()


def names_the_first_of(*bad: str) -> Callable[[Sequence[OutRow]], Exception | None]:
    def refuses(rows: Sequence[OutRow]) -> Exception | None:
        found = next((row for row in rows if row.id in bad), None)
        return Undeliverable("no", position=found.position, again=found.again) if found else None

    return refuses


def test_what_stands_before_a_dead_letter_of_its_key_is_not_behind_it(tmp_path: Path) -> None:
    """A sink that posts has taken it by then: it was buried, counted as dead, and sent once more with the letter."""
    delivery = Delivery(tmp_path, ScriptedSink(names_the_first_of("e3")), on_dead_letter="hold_key")
    delivery.tell(1, 5, key="O-1")
    delivery.until_empty()
    assert delivery.ids == ["e1", "e2"]
    assert [letter.id for letter in delivery.letters.find()] == ["e3", "e4", "e5"]
    delivery.tell(6, 6, key="O-1")
    delivery.until_empty()
    assert delivery.account == Account(6, 2, 0, 4)
    delivery.close()


def test_letters_that_are_full_can_be_sent_again_whatever_lies_beyond_the_cursor(tmp_path: Path) -> None:
    """A key was held, its next events found no room, and its letter was not sent, as the cursor had not passed it."""
    delivery = Delivery(tmp_path, ScriptedSink(names_the_first_of("e2")), on_dead_letter="hold_key")
    delivery.letters._bytes_max = 1_500  # of two
    delivery.tell(1, 1, key="O-2")
    delivery.tell(2, 6, key="O-1")
    delivery.tell(7, 7, key="O-2")
    delivery.until(lambda: delivery.metrics.state == "held")
    delivery.until(lambda: delivery.now_s > 3 * PROBE_S)
    assert delivery.ids == ["e1"]
    assert [letter.id for letter in delivery.letters.find()] == ["e2", "e3"]
    delivery.sink.refuses = lambda rows: None
    began_s = delivery.now_s
    delivery.wanted_again(delivery.letters.find(), 10.0)
    delivery.until_empty()
    delivery.until(lambda: not delivery.letters.find())
    assert delivery.now_s - began_s < 5
    assert [id_ for id_ in delivery.ids if id_ not in ("e1", "e7")] == names(2, 6)
    assert delivery.account == Account(7, 7, 0, 0)
    delivery.close()


def test_one_that_is_sent_again_makes_room_for_the_next(tmp_path: Path) -> None:
    """At the pace that was asked for, and not one in each look at a held queue; and what still finds no room waits."""
    bad = names(1, 12)
    delivery = Delivery(tmp_path, ScriptedSink(names_the_first_of(*bad)), batch_events=16)
    delivery.letters._bytes_max = 6_500  # of ten
    delivery.tell(1, 20)
    delivery.until(lambda: delivery.metrics.state == "held")
    letters = delivery.letters.find()
    assert [letter.id for letter in letters] == names(1, 10)
    delivery.until(lambda: delivery.now_s > 2 * PROBE_S)
    delivery.sink.refuses = names_the_first_of("e11", "e12")
    began_s = delivery.now_s
    delivery.wanted_again(letters[:8], 10.0)
    delivery.until_empty()
    assert delivery.now_s - began_s < 5
    delivery.until(lambda: len(delivery.letters.find()) == 4)
    assert sorted(delivery.ids, key=lambda id_: int(id_[1:])) == [*names(1, 8), *names(13, 20)]
    assert delivery.account == Account(20, 16, 0, 4)
    delivery.close()


def test_room_that_a_person_makes_is_used_at_once(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(names_the_first_of("e1", "e2")))
    delivery.letters._bytes_max = 1_000
    delivery.tell(1, 4)
    delivery.until(lambda: delivery.metrics.state == "held")
    began_s = delivery.now_s
    command = DeadLetters(delivery.letters.path, lambda: 8)
    command.discard([letter.number for letter in command.find()], "me")
    command.close()
    delivery.until_empty()
    assert delivery.now_s - began_s < 3
    assert delivery.ids == ["e3", "e4"]
    assert delivery.account == Account(4, 2, 0, 2)
    delivery.close()


def test_a_sink_that_takes_nothing_at_all_is_held_instead_of_burying_everything(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(lambda rows: Undeliverable("no")), dead_in_a_row_max=5)
    delivery.tell(1, 30)
    delivery.until(lambda: delivery.metrics.state == "held")
    assert "5 events in a row" in delivery.metrics.detail
    delivery.until(lambda: delivery.now_s > 3 * PROBE_S)
    assert delivery.account == Account(30, 0, 25, 5)
    delivery.sink.refuses = lambda rows: None
    delivery.until_empty()
    assert delivery.ids == names(6, 30)
    assert delivery.metrics.state == "up"
    delivery.close()


def test_what_it_takes_between_shows_that_it_is_the_events_that_are_bad(tmp_path: Path) -> None:
    bad = names(1, 30)[::2]
    delivery = Delivery(tmp_path, ScriptedSink(refuses(*bad)), dead_in_a_row_max=5, batch_events=1)
    delivery.tell(1, 30)
    delivery.until_empty()
    assert delivery.metrics.state == "up"
    assert [letter.id for letter in delivery.letters.find()] == bad
    assert delivery.account == Account(30, 15, 0, 15)
    delivery.close()


def test_dead_letters_that_another_process_holds_only_hold_the_queue(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), QUEUES)
    delivery.letters._file.execute("PRAGMA busy_timeout = 1")
    with sqlite3.connect(tmp_path / "dead.sqlite", isolation_level=None) as other:
        delivery.forwarder._settle()  # as at its start, before somebody else has the file
        other.execute("BEGIN IMMEDIATE")
        delivery.forwarder._settle = lambda: None  # type: ignore[method-assign]
        delivery.tell(1, 3)
        delivery.tell(4, 6, SHIPPING)
        delivery.until(lambda: delivery.metrics.state == "held" and delivery.metrics.delivered == 4)
        assert "database is locked" in delivery.metrics.detail
        other.execute("ROLLBACK")
    delivery.until_empty()
    assert sorted(delivery.ids) == ["e1", "e3", "e4", "e5", "e6"]
    assert delivery.account == Account(6, 5, 0, 1)
    delivery.close()
