"""Telegrams: where they begin and end in any cut of the stream, what their fields say, and how they are numbered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DecodeError
from protocols.telegram.decode import Decoder, fill
from protocols.telegram.framing import Framing, make_framing
from protocols.telegram.numbers import AGAIN_MAX, UNSEEN_MAX, Numbers
from protocols.telegram.settings import Length, Number, Settings, StxEtx
from tests.through_core import feed

MAX = 12
FRAMINGS: dict[str, StxEtx | Length] = {
    "stx_etx": StxEtx(),
    "binary": Length(length_bytes=2),
    "little": Length(length_bytes=2, byte_order="little"),
    "ascii": Length(length_bytes=4, format="ascii", counts_itself=True),
}


def fed(framing: Framing, parts: list[bytes]) -> tuple[list[bytes], list[str], str | None]:
    telegrams: list[bytes] = []
    causes: list[str] = []
    broken = None
    for part in parts:
        found = framing.feed(part)
        telegrams += found.telegrams
        causes += [cause for cause, _ in found.causes]
        broken = found.broken
    return telegrams, causes, broken


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


@pytest.mark.parametrize("kind", FRAMINGS)
@given(contents=st.lists(st.binary(min_size=1, max_size=MAX).filter(lambda c: not {2, 3} & set(c)), max_size=6))
def test_what_is_framed_is_found_again_however_it_is_cut(kind: str, contents: list[bytes]) -> None:
    make = FRAMINGS[kind]
    stream = b"".join(make_framing(make, MAX).frame(content) for content in contents)
    assert fed(make_framing(make, MAX), [stream]) == (contents, [], None)
    assert fed(make_framing(make, MAX), bytewise(stream)) == (contents, [], None)


@pytest.mark.parametrize("kind", FRAMINGS)
@given(
    stream=st.lists(st.sampled_from([b"\2", b"\3", b"ab", b"\0\4", b"0008", b"\n", b"x" * 9]), max_size=20),
    data=st.data(),
)
def test_any_bytes_give_the_same_however_they_are_cut(kind: str, stream: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    parts = [whole[one:other] for one, other in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    once = fed(make_framing(FRAMINGS[kind], MAX), [whole])
    assert fed(make_framing(FRAMINGS[kind], MAX), [part for part in parts if part])[:2] == once[:2]
    assert fed(make_framing(FRAMINGS[kind], MAX), bytewise(whole))[:2] == once[:2]
    assert all(0 < len(telegram) <= MAX or kind == "stx_etx" for telegram in once[0])


@pytest.mark.parametrize(
    ("stream", "telegrams", "causes"),
    [
        (b"\2A\3\r\n\2B\3", [b"A", b"B"], []),
        (b"noise\2A\3more\2B\3", [b"A", b"B"], ["bytes outside of a telegram"] * 2),
        (b"\2half\2A\3", [b"A"], ["a telegram that begins inside of another"]),
        (b"\2" + b"x" * 13 + b"\3\2A\3", [b"A"], ["a telegram longer than telegram_bytes_max"]),
        (b"\2" + b"x" * 12 + b"\3", [b"x" * 12], []),
        (b"\2" + b"x" * 40 + b"\2A\3", [b"A"], ["a telegram longer than telegram_bytes_max"]),
    ],
)
def test_after_anything_else_it_goes_on_with_the_next_start(
    stream: bytes, telegrams: list[bytes], causes: list[str]
) -> None:
    assert fed(make_framing(StxEtx(), MAX), [stream]) == (telegrams, causes, None)
    assert fed(make_framing(StxEtx(), MAX), bytewise(stream)) == (telegrams, causes, None)


@pytest.mark.parametrize("prefix", [b"\0\0", b"\xff\xff", b"\0\x0d"])
def test_a_length_that_is_none_ends_the_connection(prefix: bytes) -> None:
    framing = make_framing(Length(length_bytes=2), MAX)
    telegrams, _, broken = fed(framing, [b"\0\1A" + prefix + b"BBBB"])
    assert telegrams == [b"A"]
    assert broken is not None
    assert fed(framing, [b"\0\1A"])[0] == []


TABLE: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 2000,
    "src": "dc1/asrs/CRN-01",
    "framing": {"kind": "stx_etx"},
    "header": {"type": {"at": 0, "length": 2}, "seq": {"at": 2, "length": 4, "type": "decimal"}},
    "number": {"field": "seq", "first": 1, "last": 9999},
    "acknowledge": "AK{seq}",
    "restart": {"type": "SY"},
    "life": {"when": {"type": "LI"}, "reply": "LA{seq}"},
    "telegrams": [
        {
            "when": {"type": ["ST", "RT"]},
            "fields": {"lu": {"at": 6, "length": 6}, "loc": {"at": 12}},
            "record": {
                "kind": {"path": "type", "table": {"ST": "store.confirmed", "RT": "retrieve.confirmed"}},
                "lu": "lu",
                "loc": "loc",
            },
        },
        {"when": {"type": "XX"}},
    ],
}


def settings(**options: Any) -> Settings:
    return msgspec.convert(TABLE | options, Settings)


def decoder(**options: Any) -> Decoder:
    made = settings(**options)
    assert list(made.faults()) == []
    return Decoder(made, Numbers(made.number, None) if made.number is not None else None)


def test_fields_at_their_places_become_a_record() -> None:
    made = decoder()
    line = made.line(made.read(b"ST0007T-77  AI-01-02"), 5)
    assert line is not None
    assert msgspec.json.decode(line) == {
        "src": "dc1/asrs/CRN-01", "kind": "store.confirmed", "epoch": 0, "seq": 7, "t_rx": 5, "lu": "T-77",
        "loc": "AI-01-02",
    }  # fmt: skip


def test_R6_a_telegram_without_a_record_is_noise_under_its_number() -> None:
    """Else its number would be missing among the others, for ever."""
    made = decoder()
    lines = [made.line(made.read(telegram), 5) for telegram in (b"ST0001T-1   L", b"XX0002", b"ST0003T-1   L")]
    records = [msgspec.json.decode(line) for line in lines if line is not None]
    assert [(record["seq"], record["kind"]) for record in records] == [
        (1, "store.confirmed"), (2, "telemetry"), (3, "store.confirmed"),
    ]  # fmt: skip
    codes = [event["data"].get("code") for event in feed([*records, {**records[1], "seq": 4, "t_rx": 10**9}]).events]
    assert "SEQ_GAP" not in codes


def test_without_numbers_a_telegram_without_a_record_means_nothing() -> None:
    made = decoder(number=None)
    assert made.line(made.read(b"XX0001"), 5) is None


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"S", "type: the telegram ends before it"),
        (b"STabcdT-77  L", "seq: not decimal"),
        (b"ST0000T-77  L", "seq: no number between number.first and number.last"),
        (b"ST0001T-7", "lu: the telegram ends before it"),
        (b"??0001", "no description fits"),
        (b"ST0001      L", "lu: missing"),
    ],
)
def test_what_does_not_fit_says_why(content: bytes, cause: str) -> None:
    made = decoder()
    with pytest.raises(DecodeError) as raised:
        made.line(made.read(content), 5)
    assert cause in raised.value.cause


def test_an_answer_holds_the_fields_as_they_were_sent() -> None:
    made = decoder()
    assert fill("AK{seq};{type}", made.read(b"ST0007T-77  L").raw) == b"AK0007;ST"


def test_binary_fields_are_numbers() -> None:
    made = decoder(
        framing={"kind": "length", "length_bytes": 2},
        header={
            "type": {"at": 0, "length": 1, "type": "binary"},
            "seq": {"at": 1, "length": 2, "type": "binary_little"},
        },
        number={"field": "seq", "last": 65_535},
        restart={},
        life={"when": {"type": 9}},
        telegrams=[{"when": {"type": 1}, "record": {"kind": {"const": "telemetry"}, "code": "type"}}],
    )
    line = made.line(made.read(b"\x01\x02\x01"), 5)
    assert line is not None
    assert msgspec.json.decode(line)["seq"] == 258
    assert made.is_life(made.read(b"\x09\0\0"))


def numbered(
    position: tuple[int, int] | None, *telegrams: tuple[int, bytes], **device: Any
) -> list[tuple[int, int] | None]:
    numbers = Numbers(Number(field="seq", first=1, last=9999), position, **device)
    return [numbers.place(raw, content) for raw, content in telegrams]


def test_numbers_go_on_over_their_wrap() -> None:
    assert numbered((0, 9998), (9999, b"a"), (1, b"b"), (2, b"c")) == [(0, 9999), (0, 10_000), (0, 10_001)]


def test_a_telegram_that_is_sent_again_keeps_its_number() -> None:
    assert numbered(None, (5, b"a"), (6, b"b"), (5, b"a"), (6, b"b"), (7, b"c")) == [
        (0, 5), (0, 6), (0, 5), (0, 6), (0, 7),
    ]  # fmt: skip


def test_an_old_number_with_another_content_is_a_new_start() -> None:
    assert numbered(None, (1, b"a"), (2, b"b"), (1, b"c"), (2, b"d")) == [(0, 1), (0, 2), (1, 1), (1, 2)]


def test_a_device_that_starts_again_with_the_same_telegrams_has_started_again_if_it_waits_for_each() -> None:
    day = [(number, b"%d" % number) for number in range(1, 21)]
    twice = [*day, (20, b"20"), *day, *day[:3]]
    numbers = Numbers(Number(field="seq", first=1, last=9999, ahead_max=1), None, waits=True)
    told = [numbers.place(*each) for each in twice]
    assert told == [(0, n) for n, _ in day] + [(0, 20)] + [(1, n) for n, _ in day] + [(2, n) for n in (1, 2, 3)]
    after_ours = Numbers(Number(field="seq", first=1, last=9999, ahead_max=1), (0, 20), waits=True)
    assert [after_ours.place(*each) for each in ((20, b"20"), (1, b"1"))] == [(0, 20), (1, 1)]


def test_after_our_own_restart_the_last_numbers_are_repetitions() -> None:
    assert numbered((3, 50), (50, b"a"), (51, b"b")) == [(3, 50), (3, 51)]
    assert numbered((3, 50), (50 - AGAIN_MAX, b"a")) == [(4, 50 - AGAIN_MAX)]


@pytest.mark.parametrize("first", [1, 500, 9_950])
def test_a_device_may_send_many_telegrams_before_the_first_is_acknowledged(first: int) -> None:
    sent = [((number - 1) % 9_999 + 1, b"%d" % number) for number in range(first, first + 100)]
    assert numbered(None, *sent, *sent) == 2 * [(0, number) for number in range(first, first + 100)]


def test_what_a_device_that_waits_sends_again_after_our_own_restart_is_a_repetition() -> None:
    sent = [(number, b"a") for number in range(451, 502)]
    assert numbered((3, 500), *sent, waits=True) == [(3, number) for number in range(451, 502)]
    assert numbered((3, 500), (500 - UNSEEN_MAX, b"a"), waits=True) == [(4, 500 - UNSEEN_MAX)]
    assert numbered((3, 40), (1, b"a"), (2, b"b"), waits=True) == [(4, 1), (4, 2)], "it has started anew"
    assert numbered((3, 40), (1, b"a"), (2, b"b"), tells=True) == [(3, 1), (3, 2)], "it would have said so"


def test_a_number_that_goes_ahead_is_no_repetition_however_few_numbers_there_are() -> None:
    numbers = Numbers(Number(field="seq", last=99), None, waits=True, tells=True)
    for number in (*range(150), *range(163, 400, 20)):
        assert numbers.place(number % 100, b"%d" % (number % 100)) == (0, number)


def test_a_device_that_says_that_it_starts_anew_does() -> None:
    numbers = Numbers(Number(field="seq", first=1, last=9999), None)
    assert numbers.place(1, b"a") == (0, 1)
    assert numbers.restart(0) == (1, 0)
    assert numbers.restart(2) == (1, 2)
    assert numbers.place(1, b"a") == (1, 1)
    assert numbers.restart(None) == (2, 0)


def test_that_it_starts_anew_is_a_record_of_its_own_beside_the_telegrams() -> None:
    made = decoder()
    line = made.restart(made.read(b"SY0001"), 9)
    assert line is not None
    assert msgspec.json.decode(line) == {
        "src": "dc1/asrs/CRN-01", "kind": "machine.state", "epoch": 0, "seq": 1, "sub": 1, "t_rx": 9,
    }  # fmt: skip
    uncounted = decoder(number=None)
    assert uncounted.restart(uncounted.read(b"SY0001"), 9) is None


def test_numbers_outside_of_their_range_are_none() -> None:
    assert numbered(None, (0, b"a"), (10_000, b"a")) == [None, None]


@pytest.mark.parametrize(
    ("options", "path", "says"),
    [
        ({"role": "server", "host": "0.0.0.0"}, "peers", "which of them"),
        ({"peers": ["10.0.0.1"]}, "peers", "only with"),
        ({"role": "server", "peers": ["crane.plant"]}, "peers[0]", "no IP address"),
        ({"role": "server", "peers": ["::1", "0:0::1"]}, "peers[1]", "writes it as ::1"),
        ({"number": {"field": "type", "last": 99}}, "number.field", "no number"),
        ({"number": {"field": "seq", "last": 10_000}}, "number.last", "shows 9999 at most"),
        ({"acknowledge": "AK{nr}"}, "acknowledge", "no field of the header"),
        ({"acknowledge": "\u0002AK{seq}\u0003"}, "acknowledge", "added by the framing"),
        ({"acknowledge": "AK€"}, "acknowledge", "one byte"),
        ({"restart": {"typ": "SY"}}, "restart.typ", "no field"),
        ({"life": {"reply": "LA"}}, "life.when", "to which"),
        ({"life": {}}, "life", "neither"),
        ({"life": {"send": "LI{seq}"}}, "life.send", "nothing is answered"),
        (
            {"telegrams": [{"record": {"kind": {"const": "telemetry"}, "seq": "seq"}}]},
            "telegrams[0].record.seq",
            "leave",
        ),
        ({"telegrams": [{"fields": {"seq": {"at": 9}}}]}, "telegrams[0].fields.seq", "rename"),
        (
            {"telegrams": [{"fields": {"x": {"at": 9, "length": 2, "type": "binary"}}}]},
            "telegrams[0].fields.x.type",
            "binary fields need",
        ),
    ],
)
def test_what_check_refuses(options: dict[str, Any], path: str, says: str) -> None:
    found = dict(settings(**options).faults())
    assert says in found.get(path, ""), found
