"""What is known of one edge node: its birth, its devices, its aliases, and how far its messages are counted.

Pure: time is an argument, in microseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from ext.sparkplug import Metric, Report, SparkplugFault, Unborn, reports_of, value_of

SEQUENCE = 256
LATE_SHARE = 128
"""A number so far ahead lies rather behind, a message that was waited for in vain; unless its time says that so many
are missing."""

APART_MIN = 3
"""So often more has a number to follow the last one of its device, though others were heard in between, than that of
its node."""
APART_MAX = 6
"""Of these signs as many are remembered."""

INTEGER_FIELDS = (10, 11)
"""int_value and long_value of a metric."""

BIRTH_PREFIX = "DATA/"
"""mqtt-spb-wrapper: a birth calls DATA/x what is x in data."""

WAITING_MAX = 64
"""Messages that wait for a missing one; with more, it is not waited for any longer."""


class Message(NamedTuple):
    """A message of a node in its turn. `device`: empty for the node itself. `size`: of its payload. `owed`: the broker
    waits for our acknowledgement. `before_gap`: some are missing between it and the birth that it waits for."""

    type: str
    device: str
    seq: int | None
    timestamp: int | None
    metrics: list[Metric]
    t_rx: int
    size: int = 0
    owed: bool = False
    before_gap: bool = False

    def is_before(self, other: Message) -> bool:
        """By number, unless the times say otherwise."""
        if self.seq is None or other.seq is None:
            return False
        return (self.seq - other.seq) % SEQUENCE >= LATE_SHARE and not is_later(self, other)


def is_later(message: Message, other: Message) -> bool:
    """What overtakes another has a later number and an earlier time. False: one of them does not say when."""
    return message.timestamp is not None and other.timestamp is not None and message.timestamp > other.timestamp


class Device:
    """`values`: metric -> its last value; `types`: metric -> its datatype; `aliases`: number -> metric. `alive`: since
    its birth. `was_away`: its next birth may be that of another life, and not only told once more. `tells_more`: than
    its births do. `counted`: so many of its metrics count in the host's. `twins`: the other name of a metric.
    `next_seq`: if it counts its messages for itself. `heard_us`: its last one. `in_vain`: its birth was waited for, and
    is no more."""

    def __init__(self) -> None:
        self.alive = False
        self.was_away = True
        self.tells_more = False
        self.in_vain = False
        self.counted = 0
        self.values: dict[str, object] = {}
        self.types: dict[str, int] = {}
        self.aliases: dict[int, str] = {}
        self.twins: dict[str, str] = {}
        self.next_seq: int | None = None
        self.heard_us = 0

    def born(self, metrics: list[Metric]) -> dict[str, object]:
        """Take a birth; the values that were known before."""
        values = {metric[0]: value_of(metric, metric[3]) for metric in metrics if metric[0] is not None}
        before, self.values = self.values, values
        self.alive = True
        self.was_away = self.in_vain = False
        self.types = {name: datatype for name, _, _, datatype, *_ in metrics if name is not None}
        # one of a metric: they are counted by their names
        last = {name: alias for name, alias, *_ in metrics if name is not None and alias is not None}
        self.aliases = {alias: name for name, alias in last.items()}
        self._find_twins()
        return before

    def died(self) -> None:
        self.alive = self.in_vain = False
        self.was_away = True

    def _find_twins(self) -> None:
        """Both names are good, and mean the same value."""
        long = [name for name in self.types if name.startswith(BIRTH_PREFIX)]
        self.twins = {}
        for name in long:
            short = name.removeprefix(BIRTH_PREFIX)
            if short and short not in self.types:
                self.types[short], self.values[short] = self.types[name], self.values[name]
                self.twins |= {short: name, name: short}


class Node:
    """One edge node. The device with the empty name is the node itself. `met`: alive without a birth. `is_silent`: the
    site file names it, and nothing was heard of it over this connection."""

    def __init__(self) -> None:
        self.alive = False
        self.met = False
        self.bd_seq: object = None
        self.devices: dict[str, Device] = {"": Device()}
        self.next_seq: int | None = None
        self.waiting: dict[int, Message] = {}
        self.last: Message | None = None  # that was taken
        self.heard: Message | None = None  # whether taken or not
        self.apart = 0  # signs that each device counts for itself
        self.held: list[Message] = []  # data that waits for births
        self.doubted = False
        self.missing_since_us = 0
        self.heard_us = 0
        self.is_silent = False
        self.rebirth_wanted = False
        self.rebirth_asked_us: int | None = None
        self.asked_since_us: int | None = None  # in vain

    def born(self, metrics: list[Metric]) -> list[str]:
        """Forget what the node's last life said. The devices that this life's end has cut off, if nobody told of it."""
        self.alive = True
        self.met = False
        self.rebirth_wanted = False
        self.asked_since_us = None
        self.last = None
        bd_seq = bd_seq_of(metrics)
        is_another = bd_seq != self.bd_seq
        cut_off = [name for name, device in self.devices.items() if device.alive and is_another]
        for device in self.devices.values():
            device.alive = False
            device.next_seq = None
            device.was_away |= is_another or bd_seq is None
        self.bd_seq = bd_seq
        return cut_off

    def is_told_again(self, metrics: list[Metric]) -> bool:
        """Whether a birth is one more of the same life: what came before it can be read by it."""
        return self.alive and self.bd_seq is not None and self.bd_seq == bd_seq_of(metrics)

    def is_of_this_life(self, bd_seq: object) -> bool:
        """Whether a death is. An earlier life's may come late: the broker tells it (6.4.19)."""
        return not self.alive or self.bd_seq is None or bd_seq is None or bd_seq == self.bd_seq

    def is_of_the_next_life(self, bd_seq: object) -> bool:
        """Whether a death is, of which no birth came yet: pysparkplug says goodbye with that number."""
        now = self.bd_seq
        return isinstance(bd_seq, int) and isinstance(now, int) and (bd_seq - now) % SEQUENCE == 1

    def died(self) -> None:
        self.alive = self.met = False
        self.rebirth_wanted = False
        self.asked_since_us = None
        self.next_seq = None
        for device in self.devices.values():
            device.died()

    def unheard(self) -> None:
        """The broker was gone: whatever happened meanwhile, it was not told."""
        self.next_seq = None
        self.heard = None
        self.rebirth_wanted = self.alive
        self.asked_since_us = None
        for device in self.devices.values():
            device.in_vain = False
            device.was_away = True

    def reports(self, message: Message) -> list[Report]:
        """The values of a message by the names and datatypes of its births. Raises Unborn, SparkplugFault."""
        device = self.devices.get(message.device)
        if not self.alive or device is None or not device.alive:
            raise Unborn("a device without a birth" if self.alive else "a node without a birth")
        reports = reports_of(message.metrics, device.aliases, device.types, message.timestamp)
        if not device.twins:
            return reports
        both = [(report, device.twins.get(report[0])) for report in reports]
        return [each for report, twin in both for each in (report, *([(twin, *report[1:])] if twin else ()))]

    def is_deaf(self, message: Message, now_us: int, within_us: int) -> bool:
        """Whether it does not introduce itself, however long ago it was asked to, and says in this message itself what
        it is: as it does not listen to commands, that is all that it will ever say."""
        is_plain = message.type.endswith("BIRTH") or all(map(is_named_and_typed, message.metrics))
        return self.was_asked_in_vain(now_us, within_us) and is_plain

    def was_asked_in_vain(self, now_us: int, within_us: int) -> bool:
        """Whether it was asked so long ago to introduce itself, and has not."""
        return self.asked_since_us is not None and now_us - self.asked_since_us >= within_us

    def waits_for_birth(self, message: Message) -> bool:
        """Whether it is data of what has no birth yet."""
        device = self.devices.get(message.device)
        is_born = self.alive and device is not None and device.alive
        return not is_born and message.type.endswith("DATA") and not (device is not None and device.in_vain)

    def meet(self) -> None:
        """It is there, without a birth."""
        self.alive = self.met = True
        self.next_seq = None
        self.last = None
        self.bd_seq = None

    def is_repeated(self, message: Message) -> bool:
        """Whether it is the last one once more, as a broker may send under QoS 1."""
        last = self.last
        return last is not None and message.seq is not None and last[:5] == message[:5]

    @property
    def counts_apart(self) -> bool:
        """Whether its devices count their messages each for itself, as they do where they are processes of their own
        (mqtt-spb-wrapper), and not together, as the specification has it."""
        return self.apart >= APART_MIN

    def count_alone(self, message: Message) -> int | None:
        """Count a message as one of its device alone. The number that it would have to have then; None: nobody knows.

        Where another device was heard in between, its number shows which of both it follows: the device's own last one,
        or the node's. By chance it may follow its own (after 256 messages), and the next ones say so."""
        device, before = self.devices.get(message.device), self.heard
        if device is None or message.seq is None:
            return None
        expected, device.next_seq = device.next_seq, (message.seq + 1) % SEQUENCE
        self.heard = message
        if before is None or before.seq is None or before.device == message.device:
            return expected
        alone, together = message.seq == expected, message.seq == (before.seq + 1) % SEQUENCE
        if together and not alone:
            self.apart = max(self.apart - 1, 0)
        elif alone and not together and is_later(message, before):
            self.apart = min(self.apart + 1, APART_MAX)
        waits = self.waiting.get(message.seq)
        if waits is not None and waits.device != message.device:
            self.apart = max(self.apart, APART_MIN)
        return expected

    def in_turn(self, message: Message) -> bool:
        """Whether this is the next message; it is counted then. One without a number always is."""
        if message.seq is None or self.next_seq is None:
            if message.seq is not None:
                self.next_seq = (message.seq + 1) % SEQUENCE
            return True
        ahead = (message.seq - self.next_seq) % SEQUENCE
        if ahead == 0:
            self.next_seq = (message.seq + 1) % SEQUENCE
            return True
        return ahead >= LATE_SHARE and not (self.last is not None and is_later(message, self.last))

    def wait_for_earlier(self, message: Message) -> None:
        assert message.seq is not None
        if not self.waiting:
            self.missing_since_us = message.t_rx
        self.waiting[message.seq] = message

    def release_waiting(self) -> list[Message]:
        """As they came: nothing is missing before them."""
        found = list(self.waiting.values())
        self.waiting = {}
        return found

    def next_waiting(self) -> Message | None:
        """The message that has become the next one."""
        if self.next_seq is None:
            return None
        return self.waiting.pop(self.next_seq, None)

    def hold(self, message: Message) -> None:
        """Behind those of earlier numbers: of the first ones that are heard nobody knows whether they are in order."""
        at = len(self.held)
        while at and message.is_before(self.held[at - 1]):
            at -= 1
        self.held.insert(at, message)

    def release(self, device: str | None = None) -> list[Message]:
        """What is held, of one device or of all."""
        found = [message for message in self.held if device in (None, message.device)]
        self.held = [message for message in self.held if device not in (None, message.device)]
        return found

    def give_up_missing(self) -> None:
        """Go on behind what is missing."""
        assert self.next_seq is not None
        here = self.next_seq
        self.next_seq = (here + min((seq - here) % SEQUENCE for seq in self.waiting)) % SEQUENCE


def bd_seq_of(metrics: list[Metric]) -> object:
    """Which life of its node a birth or a death is of; None: it does not say."""
    return next((metric[7] for metric in metrics if metric[0] == "bdSeq"), None)


def is_named_and_typed(metric: Metric) -> bool:
    """Whether it says by itself what it is: a whole number may be one of any width, and negative."""
    name, _, _, datatype, _, _, number, _ = metric
    return name is not None and (datatype != 0 or number not in INTEGER_FIELDS)


def decoded(
    type_: str, device: str, payload: tuple[int | None, int | None, list[Metric]], t_rx: int, size: int, owed: bool
) -> Message:
    """A message out of a decoded payload. Raises SparkplugFault: a number that is none."""
    timestamp, seq, metrics = payload
    if seq is not None and seq >= SEQUENCE:
        raise SparkplugFault("a sequence number above 255")
    return Message(type_, device, seq, timestamp, metrics, t_rx, size, owed)
