"""Control packets as the specification writes them, and when to wait before the next read."""

from __future__ import annotations

import pytest

from ext.mqtt_wire import WireFault
from protocols.mqtt import codec
from protocols.mqtt.pacing import Pacing
from tests.packets import connack, suback


def test_a_connect_of_mqtt_5() -> None:
    written = codec.connect(
        "me",
        newest=True,
        keepalive_s=20,
        session_expiry_s=3600,
        receive_maximum=64,
        topic_aliases=256,
        user="u",
        password="p",
        will=codec.Will("w", b"off", 1, True),
    )
    assert written.hex(" ") == (
        "10 30 00 04 4d 51 54 54 05 ec 00 14 0b 11 00 00 0e 10 21 00 40 22 01 00 "
        "00 02 6d 65 00 00 01 77 00 03 6f 66 66 00 01 75 00 01 70"
    ).replace("10 30", f"10 {len(written) - 2:02x}")


def test_a_connect_of_mqtt_3_1_1() -> None:
    written = codec.connect("me", newest=False, keepalive_s=20, session_expiry_s=9)
    assert written.hex(" ") == "10 0e 00 04 4d 51 54 54 04 00 00 14 00 02 6d 65"
    clean = codec.connect("me", newest=False, keepalive_s=20)
    assert clean.hex(" ") == "10 0e 00 04 4d 51 54 54 04 02 00 14 00 02 6d 65"


def test_a_subscription() -> None:
    wanted = [codec.Subscription("a/+", 1, codec.RETAINED_NEVER), codec.Subscription("b", 0)]
    assert codec.subscribe(7, wanted, newest=True).hex(" ") == "82 0d 00 07 00 00 03 61 2f 2b 21 00 01 62 10"
    assert codec.subscribe(7, wanted, newest=False).hex(" ") == "82 0c 00 07 00 03 61 2f 2b 01 00 01 62 00"


def test_what_we_publish() -> None:
    assert (
        codec.publish("a", b"x", newest=True, qos=1, retained=True, number=2).hex(" ") == "33 07 00 01 61 00 02 00 78"
    )
    assert codec.publish("a", b"x" * 200, newest=False)[:6].hex(" ") == "30 cb 01 00 01 61"
    with pytest.raises(ValueError, match="65535"):
        codec.publish("a" * 65_536, b"", newest=True)


def test_a_goodbye() -> None:
    assert codec.disconnect(newest=True) == b"\xe0\0"
    assert codec.disconnect(codec.WITH_WILL, newest=True) == b"\xe0\1\4"
    assert codec.disconnect(codec.WITH_WILL, newest=False) == b"\xe0\0"


@pytest.mark.parametrize("newest", [True, False])
def test_the_answers_of_a_broker(newest: bool) -> None:
    assert codec.read_connack(connack(newest, True)[2:], newest=newest) == (True, 0, {})
    assert codec.read_suback(suback(newest, b"\1\2", [0, 1, 0x80])[2:], newest=newest) == (258, [0, 1, 0x80])
    assert codec.read_connack(b"\0\1", newest=newest) == (False, 1, {}), "as a broker refuses that knows only 3.1.1"
    for body in (b"", b"\0"):
        with pytest.raises(WireFault):
            codec.read_connack(body, newest=newest)
        with pytest.raises(WireFault):
            codec.read_suback(body, newest=newest)
        with pytest.raises(WireFault):
            codec.read_puback(body, newest=newest)
    assert codec.read_puback(b"\1\2", newest=newest) == (258, "")
    assert codec.read_puback(b"\1\2\x10", newest=newest) == (258, ""), "nobody listens, and it was taken"
    refused = codec.read_puback(b"\1\2\x87\x05\x1f\0\2no", newest=newest)
    assert refused == (258, "not authorized: no" if newest else "")


@pytest.mark.parametrize("body", [b"\0\0\x05", b"\0\0\xff\xff\xff\xff", b"\0\0\2\x1f\0"])
def test_broken_properties_of_an_answer(body: bytes) -> None:
    with pytest.raises(WireFault):
        codec.read_connack(body, newest=True)


def test_a_refusal_says_what_the_broker_says() -> None:
    answer = codec.read_connack(connack(True, code=0x87, properties=b"\x1f\0\x07no\nname")[2:], newest=True)
    assert codec.refusal(answer.code, answer.properties, newest=True) == "not authorized: no?name"
    assert codec.refusal(5, {}, newest=False) == "not authorized"
    assert codec.refusal(1, {}, newest=True) == 'the broker does not speak this version: version = "3.1.1" or "5"'
    assert codec.refusal(0x7F, {}, newest=True) == "code 127"
    assert codec.read_disconnect(b"\x8b\0") == "the broker is shutting down"
    assert codec.read_disconnect(b"") == "the broker has ended the connection"


def served(rate: float, seconds: float, pause_s: float = 0.002) -> tuple[int, float]:
    """(reads, longest time between two of them) where so many messages a second arrive evenly."""
    pacing = Pacing(pause_s)
    now, reads, longest, taken = 100.0, 0, 0.0, 100.0 * rate
    while now < 100 + seconds:
        arrived = int(now * rate) - int(taken)
        taken += arrived
        pause_s = pacing.pause(now, arrived, full=False)
        reads += 1
        step = max(pause_s, 1 / rate, 20e-6)
        longest = max(longest, pause_s)
        now += step
    return reads, longest


def test_reads_are_few_where_messages_are_many_and_at_once_where_they_are_few() -> None:
    reads, longest = served(20_000, 1.0)
    assert reads < 650
    assert longest == 0.002
    reads, longest = served(500, 1.0)
    assert reads >= 495
    assert longest == 0
    assert served(20_000, 0.1, pause_s=0)[1] == 0


def test_after_silence_a_message_does_not_wait() -> None:
    pacing = Pacing(0.002)
    for turn in range(100):
        pacing.pause(turn * 0.002, 40, full=False)
    assert pacing.pause(0.2, 40, full=False) == 0.002
    assert pacing.pause(0.2001, 40, full=True) == 0
    assert pacing.pause(5.0, 1, full=False) == 0
