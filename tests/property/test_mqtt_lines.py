"""From bytes to batches: wherever the bytes are cut, the same lines, acknowledgements and faults; and nothing grows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.mqtt_lines import MessageLines
from ext.mqtt_wire import Splitter
from protocols.mapping.sequence import Sequences
from protocols.mqtt.decode import Decoder
from protocols.mqtt.settings import Settings
from tests.packets import Publish, packet

T_RX = 1_795_420_812_400_000
JAMS: dict[str, Any] = {
    "filter": "dc1/+device/jam",
    "record": {
        "src": {"template": "dc1/cv/{device}"},
        "kind": {"const": "jam"},
        "state": {"path": "on", "table": {"true": "set", "false": "clear"}},
        "seq": {"path": "n", "wrap": 16},
    },
}
TOPICS = [
    JAMS,
    {**JAMS, "when": {"double": True}},
    {"filter": "dc1/wms", "format": "canonical", "constants": {"src": "dc1/wms/main"}, "retained": "accept"},
    {
        "filter": "dc1/lamp/+lamp",
        "format": "text",
        "record": {"src": {"capture": "lamp"}, "kind": {"const": "jam"}, "state": "."},
    },
]
SETTINGS = msgspec.convert({"host": "localhost", "topics": TOPICS, "payload_bytes_max": 300}, Settings)


class Reader:
    """A connection's reading side, fed by hand."""

    def __init__(self, batch_messages: int = 10, budget: int = 1_000_000) -> None:
        decoder = Decoder(SETTINGS, Sequences(lambda src: None))
        self.splitter = Splitter(newest=False, payload_bytes_max=SETTINGS.payload_bytes_max)
        self.lines = MessageLines(
            self.splitter,
            decoder.resolve,
            decoder.spell_out,
            decoder.owes,
            batch_messages=batch_messages,
            batch_bytes=100_000,
        )
        self.budget = budget
        self.data, self.acks = b"", b""
        self.faults: list[tuple[str, bytes, bytes]] = []
        self.control: list[tuple[int, int, bytes]] = []
        self.batches: list[int] = []

    def feed(self, pieces: Iterable[bytes]) -> Reader:
        for piece in pieces:
            while piece:
                room = self.splitter.room()
                count = min(len(room), len(piece))
                room[:count] = piece[:count]
                self.splitter.filled(count)
                piece = piece[count:]
                self.drain()
        while (batch := self.lines.take()) is not None:
            data, count, acks = batch
            assert data.count(b"\n") == count
            self.batches.append(count)
            self.data += data
            self.acks += acks
        assert (self.lines.pending_messages, self.lines.pending_bytes) == (0, 0)
        return self

    def drain(self) -> None:
        self.control += self.lines.drain(T_RX, self.budget)
        while self.lines.more:
            self.control += self.lines.drain(T_RX, self.budget)
        self.faults += self.lines.take_faults()

    @property
    def result(self) -> tuple[object, ...]:
        return self.data, self.acks, self.faults, self.control


PAYLOADS = st.one_of(
    st.builds(b'{"on":%s,"n":%d}'.__mod__, st.tuples(st.sampled_from([b"true", b"false", b"1"]), st.integers(0, 17))),
    st.sampled_from([b'{"double":true,"on":true,"n":3}', b'{"on":true,"n":1e0}', b"{", b"", b"x" * 301, b'"\xff"']),
    st.sampled_from(
        [b'{"kind":"jam","state":"set"}', b'{"kind":"jam"}', b' {"kind":"jam",\n"state":"set"} ', b" ON\r\n"]
    ),
)
NAMES = st.sampled_from(
    [b"dc1/A/jam", b"dc1/B/jam", b"dc1/wms", b"dc1/lamp/1", b'dc1/"/jam', b"dc1/\xff/jam", b"x", b"t" * 1_025]
)
MESSAGES = st.builds(
    lambda topic, payload, qos, number, retained: Publish(topic, payload, qos, number if qos else 0, retained),
    *(NAMES, PAYLOADS, st.sampled_from([0, 1]), st.integers(1, 65_535), st.booleans()),
)


@settings(deadline=None)
@given(
    st.lists(MESSAGES | st.just(None), max_size=25), st.lists(st.integers(0, 10**6), max_size=10), st.integers(1, 40)
)
def test_any_cut_and_any_budget_give_the_same(messages: list[Publish | None], places: list[int], budget: int) -> None:
    data = b"".join(packet(0xD0, b"") if each is None else each.wire(False) for each in messages)
    whole = Reader().feed([data])
    assert len(whole.control) == messages.count(None)
    owed = [each.number for each in messages if each is not None and each.qos]
    assert whole.acks == b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in owed)
    assert max(whole.batches, default=0) <= 40
    cuts = sorted({place % (len(data) + 1) for place in places})
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    for other in (
        Reader().feed(pieces),
        Reader(budget=budget).feed([data]),
        Reader(batch_messages=1).feed(data[at : at + 1] for at in range(len(data))),
    ):
        assert other.result == whole.result


def test_batches_end_where_they_are_full() -> None:
    message = Publish(b"dc1/wms", b'{"kind":"jam","state":"set"}').wire(False)
    assert Reader(batch_messages=10).feed([message * 35]).batches == [10, 10, 10, 5]


def test_ordinary_messages_are_never_spelled_out() -> None:
    reader = Reader()
    reader.feed([Publish(b"dc1/A/jam", b'{"on":true,"n":%d}' % (number % 16)).wire(False) for number in range(500)])
    assert reader.lines.seen == 500
    assert reader.lines.spelled_out == 0
    assert reader.lines.topics == 1
    assert reader.faults == []


def test_what_is_remembered_of_topics_is_bounded() -> None:
    reader, most = Reader(), 0
    for number in range(9_000):
        topic = b"dc1/%d%s/jam" % (number, b"x" * 900)
        reader.feed([Publish(topic, b'{"on":true}').wire(False)])
        most = max(most, reader.lines.topics)
    assert 5_000 < most < 8_500
    assert [cause for cause, _, _ in reader.faults] == ["dc1/+/jam: src: longer than 128 bytes"] * 9_000


def test_lines_of_our_own_are_cut_into_batches_like_those_of_messages() -> None:
    reader = Reader(batch_messages=10)
    for number in range(25):
        reader.lines.add(b"%d" % number)
    assert reader.feed([]).batches == [10, 10, 5]
