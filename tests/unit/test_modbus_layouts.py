"""Triggers, mailbox and ring, fed with registers by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocols.modbus.layouts import Mailbox, Ring, Trigger
from protocols.modbus.mailbox import Look, MailboxReader
from protocols.modbus.ring import Head, RingReader
from protocols.modbus.trigger import Watch
from protocols.numbering import Numbering

RECORD = {"kind": {"const": "telemetry"}}


def watch(on: str, register: str | None = "v") -> Watch:
    return Watch(msgspec.convert({"on": on, "register": register, "record": RECORD}, Trigger))


def fired(watching: Watch, values: list[Any]) -> list[bool]:
    return [watching.fires({"v": value}) for value in values]


def test_a_change_fires_and_the_first_value_is_only_the_state() -> None:
    assert fired(watch("change"), [5, 5, 6, 6, 5]) == [False, False, True, False, True]


def test_edges_fire_in_their_direction_only() -> None:
    signal = [True, False, True, True, False]
    assert fired(watch("rising"), signal) == [False, False, True, False, False]
    assert fired(watch("falling"), signal) == [False, True, False, False, True]


def test_a_change_to_no_value_is_silent_and_the_same_value_after_it_is_a_change() -> None:
    assert fired(watch("change"), ["A", None, "A"]) == [False, False, True]


def test_a_value_that_was_not_read_leaves_the_memory_as_it_was() -> None:
    watching = watch("change")
    watching.fires({"v": 1})
    assert not watching.fires({})
    assert not watching.fires({"v": 1})
    assert watching.fires({"v": 2})


def test_after_forgetting_the_next_value_is_the_state() -> None:
    watching = watch("rising")
    fired(watching, [False])
    watching.forget()
    assert fired(watching, [True, False, True]) == [False, False, True]


def test_every_poll_fires_unless_nothing_was_read() -> None:
    watching = watch("poll", None)
    assert watching.fires({"v": 1})
    assert watching.fires({"v": 1})
    assert not watching.fires({})


def mailbox(position: tuple[int, int] | None = None, **options: Any) -> MailboxReader:
    table = {"poll_ms": 1, "seq": 10, "seq2": 13, "ack": 20, "registers": {"a": 11, "b": 12}, "record": RECORD}
    return MailboxReader(msgspec.convert(table | options, Mailbox), position)


def block(seq: int, a: int = 0, b: int = 0, seq2: int | None = None) -> list[int]:
    return [seq, a, b, seq if seq2 is None else seq2]


def test_a_block_with_two_different_counters_is_torn() -> None:
    assert mailbox().look(block(5, seq2=4)) is Look.TORN


def test_a_new_number_is_a_letter_with_its_values() -> None:
    reader = mailbox()
    assert reader.look(block(1, 7, 8)) is Look.NEW
    letter = reader.take(block(1, 7, 8), acknowledged=0)
    assert letter is not None
    assert (letter.epoch, letter.seq, letter.shown, letter.lost, letter.values) == (0, 1, 1, 0, {"a": 7, "b": 8})


def test_a_letter_stays_new_until_it_is_accepted() -> None:
    reader = mailbox()
    letter = reader.take(block(1), acknowledged=0)
    assert letter is not None
    assert reader.look(block(1)) is Look.NEW
    reader.accept(letter)
    assert reader.look(block(1)) is Look.SAME


def test_a_number_that_is_acknowledged_is_nothing_new() -> None:
    reader = mailbox()
    assert reader.take(block(9), acknowledged=9) is None
    letter = reader.take(block(10), acknowledged=9)
    assert letter is not None
    assert letter.lost == 0


@pytest.mark.parametrize(("options", "shown_epoch"), [({}, None), ({"epoch": 30}, 4)])
def test_a_base_line_that_loses_its_acknowledgement_is_taken_for_we_do_not_have_it(
    options: dict[str, Any], shown_epoch: int | None
) -> None:
    reader = mailbox(**options)
    assert reader.take(block(9, 7), acknowledged=9, shown_epoch=shown_epoch) is None
    assert reader.look(block(9, 7), shown_epoch) is Look.SAME
    assert reader.is_another(block(9, 7))
    letter = reader.take(block(9, 7), acknowledged=0, shown_epoch=shown_epoch)
    assert letter is not None
    assert (letter.epoch, letter.seq, letter.lost, letter.values["a"]) == (shown_epoch or 0, 9, 0, 7)
    reader.accept(letter)
    assert not reader.is_another(block(9, 7))
    following = reader.take(block(10), acknowledged=9, shown_epoch=shown_epoch)
    assert following is not None
    assert (following.epoch, following.seq, following.lost) == (shown_epoch or 0, 10, 0)


def test_a_machine_that_never_sent_anything_shows_zero_everywhere() -> None:
    assert mailbox().take(block(0), acknowledged=0) is None


def test_the_16_bit_wrap_is_undone() -> None:
    reader = mailbox((0, 65_535))
    letter = reader.take(block(0), acknowledged=65_535)
    assert letter is not None
    assert (letter.seq, letter.shown, letter.lost) == (65_536, 0, 0)
    reader.accept(letter)
    assert reader.look(block(0)) is Look.SAME


def test_a_counter_that_keeps_zero_for_empty_wraps_to_one() -> None:
    reader = mailbox((0, 65_535), wrap=65_535, first=1)
    assert reader.look(block(0)) is Look.EMPTY
    letter = reader.take(block(1), acknowledged=65_535)
    assert letter is not None
    assert (letter.seq, letter.lost) == (65_536, 0)
    reader.accept(letter)
    following = reader.take(block(2), acknowledged=1)
    assert following is not None
    assert following.seq == 65_537


def test_a_jump_says_how_many_were_lost() -> None:
    reader = mailbox((0, 10))
    letter = reader.take(block(14), acknowledged=10)
    assert letter is not None
    assert (letter.seq, letter.lost) == (14, 3)


def test_a_jump_over_the_wrap_says_how_many_were_lost() -> None:
    letter = mailbox((2, 65_534)).take(block(2), acknowledged=65_534)
    assert letter is not None
    assert (letter.epoch, letter.seq, letter.lost) == (2, 65_538, 3)


def test_numbers_that_another_reader_acknowledged_are_missing() -> None:
    reader = mailbox((0, 10))
    assert reader.take(block(12), acknowledged=12) is None
    letter = reader.take(block(13), acknowledged=12)
    assert letter is not None
    assert letter.lost == 2


@pytest.mark.parametrize("last", [500, 40_000, 60_000])
def test_a_machine_that_starts_again_begins_an_epoch(last: int) -> None:
    reader = mailbox((3, last))
    letter = reader.take(block(1), acknowledged=0)
    assert letter is not None
    assert (letter.epoch, letter.seq, letter.lost) == (4, 1, 0)


def test_an_idle_machine_that_started_again_is_no_gap() -> None:
    reader = mailbox((0, 40_000))
    assert reader.take(block(0), acknowledged=0) is None
    letter = reader.take(block(1), acknowledged=0)
    assert letter is not None
    assert (letter.epoch, letter.seq, letter.lost) == (1, 1, 0)


def test_a_record_accepted_before_a_restart_of_ours_is_recognised() -> None:
    assert mailbox((0, 65_536 + 7)).look(block(7)) is Look.SAME


def test_another_record_with_the_number_of_the_last_one_is_a_new_start() -> None:
    reader = mailbox()
    letter = reader.take(block(1, 7), acknowledged=0)
    assert letter is not None
    reader.accept(letter)
    assert reader.look(block(1, 8)) is Look.SAME
    assert not reader.is_another(block(1, 7))
    assert reader.is_another(block(1, 8))
    other = reader.take(block(1, 8), acknowledged=0)
    assert other is not None
    assert (other.epoch, other.seq, other.lost) == (1, 1, 0)


def test_the_register_of_restarts_decides_where_there_is_one() -> None:
    reader = mailbox((4, 7), epoch=30)
    assert reader.look(block(7), shown_epoch=4) is Look.SAME
    assert reader.look(block(7), shown_epoch=5) is Look.NEW
    letter = reader.take(block(7), acknowledged=0, shown_epoch=5)
    assert letter is not None
    assert (letter.epoch, letter.seq, letter.lost) == (5, 7, 0)


def test_without_an_acknowledgement_the_first_number_ever_is_a_base_line() -> None:
    reader = mailbox(ack=None)
    assert reader.take(block(5), acknowledged=None) is None
    assert reader.look(block(5)) is Look.SAME
    letter = reader.take(block(7), acknowledged=None)
    assert letter is not None
    assert (letter.seq, letter.lost) == (7, 1)


def test_numbering_never_goes_back_inside_an_epoch() -> None:
    numbering = Numbering(256, small=1)
    numbering.advance(0, 250)
    assert numbering.place(3, None) == (0, 259)
    assert numbering.place(249, None) == (1, 249)


class Crane:
    """A machine with a ring: `size` slots of two registers, number and its double."""

    def __init__(self, size: int = 8, wrap: int = 65_536) -> None:
        self.size, self.wrap = size, wrap
        self.head = 0
        self.slots = [[0, 0] for _ in range(size)]

    def write(self, count: int) -> None:
        for _ in range(count):
            self.slots[self.head % self.size] = [self.head % 65_536, 2 * self.head % 65_536]
            self.head += 1

    def words(self, address: int, quantity: int) -> list[int]:
        flat = [word for slot in self.slots for word in slot]
        return flat[address - 100 : address - 100 + quantity]

    @property
    def shown(self) -> int:
        return self.head % self.wrap


def ring(crane: Crane, position: tuple[int, int] | None = None, **options: Any) -> RingReader:
    table = {
        "poll_ms": 1, "head": 0, "size": crane.size, "records": 100, "width": 2, "wrap": crane.wrap,
        "registers": {"n": 0, "twice": 1}, "record": RECORD,
    }  # fmt: skip
    return RingReader(msgspec.convert(table | options, Ring), position, registers_max=125)


def read_all(reader: RingReader, crane: Crane) -> tuple[list[int], list[tuple[int, int]]]:
    """The numbers that came, and (first, count) of those that were lost."""
    numbers, lost = [], []
    while (chunk := reader.chunk(reader.head(crane.shown))) is not None:
        haul = reader.take(chunk, crane.words(chunk.address, chunk.quantity), reader.head(crane.shown))
        reader.accept(haul)
        assert all(entry.values["n"] == entry.seq % 65_536 for entry in haul.entries)
        numbers += [entry.seq for entry in haul.entries]
        if haul.lost:
            lost.append((haul.lost_from, haul.lost))
    return numbers, lost


def test_a_ring_gives_what_is_new_in_order_over_the_end_of_its_slots() -> None:
    crane = Crane()
    reader = ring(crane)
    reader.start(crane.shown, None)
    seen = []
    for count in (3, 4, 0, 8, 5):
        crane.write(count)
        numbers, lost = read_all(reader, crane)
        assert len(numbers) == count
        assert lost == []
        seen += numbers
    assert seen == list(range(20))


def test_an_overrun_names_the_exact_numbers_that_were_lost() -> None:
    crane = Crane()
    reader = ring(crane)
    reader.start(crane.shown, None)
    crane.write(5)
    read_all(reader, crane)
    crane.write(11)
    assert read_all(reader, crane) == ([8, 9, 10, 11, 12, 13, 14, 15], [(5, 3)])


def test_the_wrap_of_the_head_is_undone() -> None:
    crane = Crane()
    crane.write(65_530)
    reader = ring(crane, (0, 65_529))
    crane.write(5)
    assert read_all(reader, crane) == ([65_530, 65_531, 65_532, 65_533, 65_534], [])
    crane.write(12)
    assert read_all(reader, crane) == (list(range(65_539, 65_547)), [(65_535, 4)])


def test_records_that_were_overwritten_while_they_were_read_are_dropped_and_counted() -> None:
    crane = Crane()
    reader = ring(crane)
    reader.start(0, None)
    crane.write(8)
    chunk = reader.chunk(reader.head(crane.shown))
    assert chunk is not None
    words = crane.words(chunk.address, chunk.quantity)
    crane.write(3)
    haul = reader.take(chunk, words, reader.head(crane.shown))
    assert (haul.lost_from, haul.lost) == (0, 3)
    assert [entry.seq for entry in haul.entries] == [3, 4, 5, 6, 7]


def test_a_chunk_that_was_overwritten_as_a_whole_is_all_lost() -> None:
    crane = Crane()
    reader = ring(crane)
    reader.start(0, None)
    crane.write(2)
    chunk = reader.chunk(reader.head(crane.shown))
    assert chunk is not None
    crane.write(20)
    haul = reader.take(chunk, crane.words(chunk.address, chunk.quantity), reader.head(crane.shown))
    assert (haul.lost_from, haul.lost, haul.entries) == (0, 14, ())
    reader.accept(haul)
    assert read_all(reader, crane) == (list(range(14, 22)), [])


def test_the_record_in_the_slot_that_is_written_next_is_doubtful() -> None:
    crane = Crane()
    reader = ring(crane)
    reader.start(0, None)
    crane.write(8)
    head = reader.head(crane.shown)
    chunk = reader.chunk(head)
    assert chunk is not None
    words = crane.words(chunk.address, chunk.quantity)
    assert list(reader.doubtful(chunk, words, head)) == list(words[:2])
    # records may have been overwritten before it
    assert list(reader.doubtful(chunk, words, Head(0, 11))) == list(words[6:8])
    assert not reader.doubtful(chunk, words, Head(0, 16))
    dropped = reader.take(chunk, words, head, overwritten=True)
    assert (dropped.lost_from, dropped.lost, len(dropped.entries)) == (0, 1, 7)


def test_a_machine_that_waits_for_its_reader_overwrites_nothing() -> None:
    crane = Crane()
    reader = ring(crane, ack=50)
    crane.write(70_000)
    reader.start(crane.shown, acknowledged=(70_000 - 8) % 65_536)
    head = reader.head(crane.shown)
    chunk = reader.chunk(head)
    assert chunk is not None
    assert not reader.doubtful(chunk, crane.words(chunk.address, chunk.quantity), head)
    haul = reader.take(chunk, crane.words(chunk.address, chunk.quantity), head)
    assert len(haul.entries) == 8
    assert reader.shown(haul) == 70_000 % 65_536


@pytest.mark.parametrize(("backlog", "expected"), [(True, 8), (False, 0)])
def test_at_the_first_contact_the_site_says_whether_the_backlog_is_read(backlog: bool, expected: int) -> None:
    crane = Crane()
    crane.write(50)
    reader = ring(crane, backlog=backlog)
    reader.start(crane.shown, None)
    numbers, lost = read_all(reader, crane)
    assert (len(numbers), lost) == (expected, [])


def test_at_the_first_contact_slots_that_were_never_written_are_not_read() -> None:
    crane = Crane()
    crane.write(3)
    reader = ring(crane)
    reader.start(crane.shown, None)
    assert read_all(reader, crane) == ([0, 1, 2], [])


@pytest.mark.parametrize("last", [20, 40_000, 60_000])
def test_a_ring_that_starts_again_begins_an_epoch_without_a_gap(last: int) -> None:
    crane = Crane()
    crane.write(3)
    reader = ring(crane, (1, last))
    head = reader.head(crane.shown)
    assert head == Head(2, 3)
    chunk = reader.chunk(head)
    assert chunk is not None
    haul = reader.take(chunk, crane.words(chunk.address, chunk.quantity), head)
    assert (haul.epoch, haul.lost, [entry.seq for entry in haul.entries]) == (2, 0, [0, 1, 2])


def test_no_request_of_a_ring_is_longer_than_the_device_takes() -> None:
    crane = Crane(size=128)
    reader = RingReader(
        msgspec.convert(
            {"poll_ms": 1, "head": 0, "size": 128, "records": 100, "width": 2, "registers": {"n": 0}, "record": RECORD},
            Ring,
        ),
        None,
        registers_max=21,
    )
    reader.start(0, None)
    crane.write(100)
    chunk = reader.chunk(reader.head(crane.shown))
    assert chunk is not None
    assert (chunk.records, chunk.quantity) == (10, 20)


def debounced(on: str, samples: list[tuple[float, Any]]) -> list[float]:
    """When it fires, of samples (time, value)."""
    settings = {"on": on, "register": "v", "debounce_ms": 50, "record": RECORD}
    watching = Watch(msgspec.convert(settings, Trigger))
    return [now for now, value in samples if watching.fires({"v": value}, now)]


def test_a_debounced_value_counts_when_it_has_held() -> None:
    samples = [(0.0, False), (0.1, True), (0.12, True), (0.14, True), (0.16, True), (0.2, True)]
    assert debounced("rising", samples) == [0.16]


def test_a_flicker_is_no_event_in_either_direction() -> None:
    samples = [(0.0, False), (0.1, True), (0.12, False), (0.14, True), (0.16, False), (0.3, False)]
    assert debounced("rising", samples) == []
    assert debounced("falling", samples) == []


def test_a_value_that_goes_on_changing_counts_from_its_last_change() -> None:
    assert debounced("change", [(0.0, 1), (0.1, 2), (0.14, 3), (0.16, 3), (0.2, 3)]) == [0.2]


def test_a_debounced_value_waits_and_is_forgotten_with_the_device() -> None:
    settings = {"on": "change", "register": "v", "debounce_ms": 50, "record": RECORD}
    watching = Watch(msgspec.convert(settings, Trigger))
    assert not watching.fires({"v": 1}, 0.0)
    assert not watching.is_waiting
    assert not watching.fires({"v": 2}, 0.1)
    assert watching.is_waiting
    watching.forget()
    assert not watching.is_waiting
    assert not watching.fires({"v": 2}, 0.2)
    assert not watching.fires({"v": 2}, 0.3)
