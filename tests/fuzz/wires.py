"""What is fuzzed of the wires: the bytes of a peer, whole and one at a time, through what splits and decodes them.

Each input begins with a few bytes that choose the settings, so that one corpus reaches all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from engine.errors import DecodeError
from engine.records import make_decoder
from ext.batch import Batch
from ext.modbus_frames import IN_FLIGHT_MAX, Frames
from ext.mqtt_lines import MessageLines
from ext.mqtt_wire import Splitter, WireFault
from ext.opcua_notifications import Malformed, read_publish, read_values
from ext.texts import Texts
from ext.websocket_frames import FrameFault, Unframer
from protocols.mapping.sequence import Sequences
from protocols.modbus.decode import words_of
from protocols.mqtt import codec
from protocols.mqtt.decode import Decoder
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug.host import Host
from protocols.opcua.structures import library_value
from protocols.telegram import decode as telegrams
from protocols.telegram.framing import make_framing
from protocols.telegram.numbers import Numbers
from protocols.telegram.settings import Length, StxEtx
from protocols.telegram.settings import Settings as Telegrams

T0 = 1_795_420_000_000_000
Found = TypeVar("Found")


class Broken(Exception):
    """An invariant does not hold."""


def _any_cut(feed: Callable[[Iterable[bytes]], Found], data: bytes) -> Found:
    """What the bytes are, which is the same however they are cut."""
    whole = feed([data])
    single = feed(data[at : at + 1] for at in range(len(data)))
    if whole != single:
        raise Broken(f"whole it is {whole}, in single bytes {single}")
    return whole


def _records(lines: Iterable[bytes]) -> None:
    """Whatever a decoder says is a canonical record, or is refused with a reason as one."""
    texts = Texts()
    lines = list(lines)
    for _, reason in make_decoder(texts).decode_lines(lines, Batch(texts)) if lines else ():
        if not reason.isprintable():
            raise Broken("a reason that cannot be printed")
    for line in lines:
        msgspec.json.decode(line)


# Modbus.

READS = {1: (1, 2_000), 2: (1, 2_000), 3: (1, 125), 4: (1, 125)}
MODBUS_FUNCTIONS = (1, 2, 3, 4, 6, 16)


def modbus(data: bytes) -> None:
    """Answers to up to fifteen requests, of which the first bytes tell what they ask: an answer that counts has the
    length that was asked for, or is an exception; a line that is in doubt says nothing any more."""
    if len(data) < 2:
        return
    is_rtu, count = bool(data[0] & 1), min(data[0] >> 4, IN_FLIGHT_MAX)
    count = min(count, 1) if is_rtu else count
    asked, wire = data[1 : 1 + 3 * count], data[1 + 3 * count :]
    if len(asked) < 3 * count:
        return

    def feed(pieces: Iterable[bytes]) -> tuple[list[tuple[object, object]], str | None, int]:
        frames = Frames(is_rtu)
        for token in range(count):
            function, size, unit = asked[3 * token : 3 * token + 3]
            function = MODBUS_FUNCTIONS[function % len(MODBUS_FUNCTIONS)]
            quantity = size % READS[function][1] + 1 if function in READS else size
            (frames.read if function in READS else frames.write)(token, unit, function, token, quantity)
            if size & 0x80 and frames.abandon(token) is is_rtu:
                raise Broken("what has no transaction cannot be told apart later")
        answers: list[tuple[object, object]] = []
        for piece in pieces:
            was = frames.fault
            found = frames.feed(piece)
            if was is not None and found:
                raise Broken("answers behind a fault")
            answers += found
        return answers, frames.fault, len(frames)

    for token, content in _any_cut(feed, wire)[0]:
        assert isinstance(token, int)
        function = MODBUS_FUNCTIONS[asked[3 * token] % len(MODBUS_FUNCTIONS)]
        quantity = asked[3 * token + 1] % READS[function][1] + 1 if function in READS else 0
        size = {1: (quantity + 7) // 8, 2: (quantity + 7) // 8, 3: 2 * quantity, 4: 2 * quantity}.get(function, 0)
        if isinstance(content, bytes):
            if len(content) != size:
                raise Broken(f"{len(content)} bytes for {size}")
            words_of(content[: len(content) & ~1])


# Telegrams.

TELEGRAM_BYTES_MAX = 96
FRAMINGS: list[StxEtx | Length] = [
    StxEtx(),
    StxEtx(start=0, end=10),
    Length(length_bytes=1),
    Length(length_bytes=2, counts_itself=True),
    Length(length_bytes=4, byte_order="little"),
    Length(length_bytes=8),
    Length(length_bytes=4, format="ascii", counts_itself=True),
]
DEVICE_TABLE: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 2000,
    "src": "dc1/asrs/CRN-01",
    "framing": {"kind": "length"},
    "header": {"type": {"at": 0, "length": 2}, "seq": {"at": 2, "length": 4, "type": "decimal"}},
    "number": {"field": "seq", "first": 1, "last": 9999},
    "acknowledge": "AK{seq}",
    "restart": {"type": "SY"},
    "life": {"when": {"type": "LI"}, "reply": "LA{seq}"},
    "encoding": "utf-8",
    "telegrams": [
        {
            "when": {"type": ["ST", "RT"]},
            "fields": {"lu": {"at": 6, "length": 4}, "n": {"at": 10, "length": 2, "type": "binary"}, "loc": {"at": 12}},
            "record": {"kind": {"const": "store.confirmed"}, "lu": "lu", "loc": "loc", "task": "n"},
        },
        {"when": {"type": "PO"}},
    ],
}
DEVICE = msgspec.convert(DEVICE_TABLE, Telegrams)


def telegram(data: bytes) -> None:
    """Telegrams however they are framed: those that were found are framed and found again, and each is a record, or
    does not fit and says so."""
    if not data:
        return
    settings = FRAMINGS[data[0] % len(FRAMINGS)]

    def feed(pieces: Iterable[bytes]) -> tuple[list[bytes], list[str], str | None]:
        framing = make_framing(settings, TELEGRAM_BYTES_MAX)
        found = [framing.feed(piece) for piece in pieces]
        return (
            [each for split in found for each in split.telegrams],
            [cause for split in found for cause, _ in split.causes],
            next((split.broken for split in found if split.broken is not None), None),
        )

    contents, _, _ = _any_cut(feed, data[1:])
    framing = make_framing(settings, TELEGRAM_BYTES_MAX)
    if feed([framing.frame(content) for content in contents]) != (contents, [], None):
        raise Broken(f"framed again it is something else: {contents}")
    _telegram_records(contents)


def _telegram_records(contents: Iterable[bytes]) -> None:
    assert DEVICE.number is not None and DEVICE.acknowledge is not None
    decoder = telegrams.Decoder(DEVICE, Numbers(DEVICE.number, None))
    lines = []
    for content in contents:
        try:
            reading = decoder.read(content)
            telegrams.fill(DEVICE.acknowledge, reading.raw)
            line = decoder.restart(reading, T0) if decoder.is_restart(reading) else decoder.line(reading, T0)
        except DecodeError:
            continue
        if line is not None:
            lines.append(line)
    _records(lines)


# MQTT and Sparkplug.

BROKER_TABLE: dict[str, Any] = {
    "host": "127.0.0.1",
    "topics": [
        {
            "filter": "a/+device",
            "properties": {"kind_of": "content_type", "number": "user:n"},
            "record": {"src": {"template": "dc1/a/{device}"}, "kind": {"const": "jam"}, "code": "kind_of"},
        },
        {
            "filter": "b/#rest",
            "qos": 1,
            "each": "e",
            "retained": "accept",
            "record": {
                "src": {"template": "dc1/b/{rest}"},
                "kind": {"path": "k", "table": {"C": "pick.confirm"}, "other": "pick.short"},
                "seq": {"path": "n", "wrap": 256},
                "t": {"path": "t", "time": "epoch_ms"},
                "task": "j",
                "qty": {"path": "q", "scale": 0.5},
            },
        },
        {"filter": "c/x", "format": "canonical"},
        {
            "filter": "d/+x",
            "format": "text",
            "constants": {"src": "dc1/d/1", "kind": "scan.read"},
            "record": {"lu": {"path": "$"}},
        },
    ],
    "sparkplug": {
        "groups": ["G"],
        "host_id": "H",
        "metrics_max": 64,
        "nodes_max": 4,
        "records": [
            {
                "filter": "G/+node/+device",
                "trigger": "C",
                "record": {
                    "src": {"template": "dc1/{node}/{device}"},
                    "kind": {"const": "pick.confirm"},
                    "seq": {"path": "C", "wrap": 256},
                    "task": "T",
                    "qty": "Q",
                },
            }
        ],
    },
}


BROKER = msgspec.convert(BROKER_TABLE, Settings)
BYTES_MAX_SMALL = 64
BROKER_SMALL = msgspec.convert({**BROKER_TABLE, "payload_bytes_max": BYTES_MAX_SMALL}, Settings)


def _decoder(settings: Settings) -> Decoder:
    sequences = Sequences(lambda src: None)
    host = Host(settings.sparkplug, sequences) if settings.sparkplug is not None else None
    return Decoder(settings, sequences, host)


def websocket(data: bytes) -> None:
    """Frames of a server; after a fault the connection is over, and more bytes change nothing."""

    def feed(pieces: Iterable[bytes]) -> tuple[bytes, bytes | None, bytes | None, str]:
        unframer, found = Unframer(), b""
        try:
            for piece in pieces:
                room = memoryview(bytearray(piece))
                found += room[: unframer.strip(room, len(piece))]
        except FrameFault as fault:
            with contextlib.suppress(FrameFault):
                unframer.strip(memoryview(bytearray(data)), len(data))
            return b"", None, None, str(fault)
        return found, unframer.ping, unframer.closed, ""

    carried = _any_cut(feed, data)[0]
    if len(carried) > max(0, len(data) - 2):
        raise Broken("more than came")


def mqtt_wire(data: bytes) -> None:
    """The splitter by itself, which is a hundred times as fast as what it feeds: packets, or a malformed one; and what
    is held of them is bounded."""
    if not data:
        return
    newest, bytes_max = bool(data[0] & 1), BYTES_MAX_SMALL if data[0] & 2 else BROKER.payload_bytes_max

    def feed(pieces: Iterable[bytes]) -> list[object] | None:
        splitter = Splitter(newest=newest, payload_bytes_max=bytes_max)
        found: list[object] = []
        for piece in pieces:
            splitter.room()[: len(piece)] = piece
            splitter.filled(len(piece))
            try:
                found += splitter.packets()
            except WireFault:
                return None  # what was read before it comes again over the next connection
        if splitter.capacity_bytes > 2 * bytes_max + 524_288:
            raise Broken(f"{splitter.capacity_bytes} bytes are held")
        return found

    _any_cut(feed, data[1:8_000])


def mqtt(data: bytes) -> None:
    """What a broker sends, in both versions and under two limits: packets, lines, acknowledgements and faults, or a
    malformed packet, which ends the connection."""
    if not data:
        return
    newest, settings = bool(data[0] & 1), BROKER_SMALL if data[0] & 2 else BROKER

    def feed(pieces: Iterable[bytes]) -> tuple[bytes, bytes, list[tuple[str, bytes, bytes]], list[object], bool]:
        decoder = _decoder(settings)
        splitter = Splitter(newest=newest, payload_bytes_max=settings.payload_bytes_max)
        lines = MessageLines(
            splitter, decoder.resolve, decoder.spell_out, decoder.owes, batch_messages=1_000, batch_bytes=1 << 20
        )
        control: list[object] = []
        malformed = False
        for piece in pieces:
            splitter.room()[: len(piece)] = piece
            splitter.filled(len(piece))
            try:
                control += [_control(*each, newest) for each in lines.drain(T0, 1 << 30)]
            except WireFault:
                malformed = True
                break
        batches = []
        while (batch := lines.take()) is not None:
            batches.append(batch)
        faults = lines.take_faults()
        if malformed:  # what was read of its last piece before is not told: it comes again
            return b"", b"", [], [], True
        return b"".join(each[0] for each in batches), b"".join(each[2] for each in batches), faults, control, False

    told = _any_cut(feed, data[1:8_000])
    _records(told[0].splitlines())


def _control(type_: int, flags: int, body: bytes, newest: bool) -> object:
    if type_ == codec.CONNACK:
        accepted = codec.read_connack(body, newest=newest)
        return codec.refusal(accepted.code, accepted.properties, newest=newest)
    if type_ == codec.SUBACK:
        return codec.read_suback(body, newest=newest)
    return codec.read_disconnect(body) if type_ == codec.DISCONNECT else (type_, flags, body)


SPARKPLUG_TYPES = ("NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH", "NCMD", "STATE")


def sparkplug(data: bytes) -> None:
    """Payloads of a node and its device, each behind its type and its length: births, values and deaths in any order.
    What waits is given up in the end, and a host has nothing left to say of it."""
    assert BROKER.sparkplug is not None
    host = Host(BROKER.sparkplug, Sequences(lambda src: None))
    lines: list[bytes] = []
    at, now_us = 0, T0
    while at + 2 < len(data):
        type_ = SPARKPLUG_TYPES[data[at] % len(SPARKPLUG_TYPES)]
        size = data[at + 1] | data[at + 2] << 8 & 0x0F00
        topic = f"spBv1.0/G/{type_}/N{data[at] >> 6}" + "/D" * type_.startswith("D")
        now_us += data[at + 2] >> 4 << 17
        found = host.message(topic, data[at + 3 : at + 3 + size], now_us, owed=True)
        lines += [*found.lines, *host.tick(now_us).lines]
        host.requests(now_us)
        at += 3 + size
    lines += host.cut_off(now_us).lines
    if host.owes():
        raise Broken("something waits for what does not come any more")
    _records(lines)


# OPC UA.


def opcua(data: bytes) -> None:
    """The body of a response: columns and values, or Malformed."""
    for read in (_publish, _publish_again, _values):
        try:
            read(data)
        except Malformed as error:
            if not str(error).isprintable():
                raise Broken("a reason that cannot be printed") from None


def _publish(data: bytes) -> None:
    found = read_publish(data, library_value)
    if len(found.columns()) != found.count or len(found.readings()) != found.count:
        raise Broken("columns and readings are not as many as there are")


def _publish_again(data: bytes) -> None:
    read_publish(data, library_value, again=True).readings()


def _values(data: bytes) -> None:
    read_values(data, library_value)


WIRES: dict[str, Callable[[bytes], None]] = {
    "modbus": modbus,
    "telegram": telegram,
    "mqtt_wire": mqtt_wire,
    "websocket": websocket,
    "mqtt": mqtt,
    "sparkplug": sparkplug,
    "opcua": opcua,
}
