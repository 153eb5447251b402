"""A Sparkplug B host application (Eclipse Sparkplug 3.0, sections 5 and 6): who is there, and what they report.

    topic, payload ──► Node (births, aliases, sequence) ──► Place (values, triggers) ──► canonical lines
                          └── what cannot be read ──► `requests`: be born again

Pure: no I/O, and time is an argument. The driver publishes what `requests` gives, and calls `tick` several times a
second.
"""

from __future__ import annotations

from ext.sparkplug import SparkplugFault, Unborn, decode
from protocols.mapping.lines import encode_line
from protocols.mapping.plan import Lines
from protocols.mapping.sequence import Sequences
from protocols.mqtt.sparkplug.node import SEQUENCE, WAITING_MAX, Device, Message, Node, bd_seq_of, decoded
from protocols.mqtt.sparkplug.records import Entry, Held, Place
from protocols.mqtt.sparkplug.saying import NAMESPACE, OFFLINE, ONLINE, Request, contradicts, rebirth_command
from protocols.mqtt.sparkplug.settings import Sparkplug

TYPES = frozenset({"NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA"})
OURS = frozenset({"NCMD", "DCMD", "STATE"})
"""What hosts say, we or others."""

MILLISECOND = 1_000
REQUESTS_A_TICK = 10
"""After an outage of ours all nodes are asked; not all at once."""

PLACES_MAX = 100_000
DEVICES_MAX = 10_000
"""Devices of one node."""

PAYLOAD_BYTES_MAX = 262_144


class Host:
    """All nodes of one broker. `sequences`: the devices' own counters, which records move. `payload_bytes_max`: of a
    payload that came compressed."""

    def __init__(self, settings: Sparkplug, sequences: Sequences, payload_bytes_max: int = PAYLOAD_BYTES_MAX) -> None:
        self._settings = settings
        self._payload_bytes_max = payload_bytes_max
        self._entries = [Entry(each, sequences) for each in settings.records]
        self._position = sequences.position
        self._online_ms = 0
        self._contradicted = False
        self._nodes: dict[tuple[str, str], Node] = {}
        self._waiting: dict[tuple[str, str], Node] = {}  # those of which messages wait for a missing one
        self._holding: dict[tuple[str, str], int] = {}  # those of which data waits for births, and since when
        self._held_bytes = 0
        self._places: dict[str, Place] = {}
        self._metrics = 0

    def message(self, topic: str, payload: bytes, t_rx: int, owed: bool = False) -> Lines:
        """A message of the namespace: the lines of it, and of those that had waited for it. `owed`: see `owes`."""
        if topic == self.state_topic:
            is_old = self._settings.host_version == "2.2"
            self._contradicted |= payload != ONLINE if is_old else contradicts(payload, self._online_ms)
            return Lines([], [])
        parts = topic.split("/")
        if len(parts) >= 3 and (parts[1] == "STATE" or parts[2] in OURS):
            return Lines([], [])
        if not 4 <= len(parts) <= 5 or parts[2] not in TYPES or (len(parts) == 5) != parts[2].startswith("D"):
            return Lines([], ["sparkplug: not a topic of the namespace"])
        node = self._node(parts[1], parts[3])
        if node is None:
            return Lines([], [f"sparkplug: more than {self._settings.nodes_max} nodes"])
        node.is_silent = False
        try:
            content = decode(payload, self._payload_bytes_max)
            message = decoded(parts[2], parts[4] if len(parts) == 5 else "", content, t_rx, len(payload), owed)
            return self._ordered((parts[1], parts[3]), node, message)
        except SparkplugFault as fault:
            return Lines([], [f"sparkplug: {fault}"])

    def tick(self, now_us: int) -> Lines:
        """Give up what was waited for too long."""
        found = Lines([], [])
        limit_us = self._settings.reorder_ms * MILLISECOND
        for name, node in list(self._waiting.items()):
            if now_us - node.missing_since_us >= limit_us:
                self._lose(found, name, node, now_us)
        for name, since_us in list(self._holding.items()):
            if self._has_waited(self._nodes[name], since_us, now_us):
                self._hold_no_more(found, name, now_us)
        return found

    def _has_waited(self, node: Node, since_us: int, now_us: int) -> bool:
        """Whether births were waited for long enough. What the broker wants acknowledged holds up others: what can be
        read all the same waits no longer for its turn to ask."""
        is_owed = any(message.owed for message in node.held)
        asked_us = node.rebirth_asked_us or 0
        # a node that is born by itself meanwhile is not asked
        if node.rebirth_wanted and asked_us < since_us and not (node.doubted and is_owed):
            return False
        is_short = node.doubted or is_owed
        patience_ms = self._settings.reorder_ms if is_short else self._settings.rebirth_ms
        return now_us - max(asked_us, since_us) >= patience_ms * MILLISECOND

    def owes(self) -> bool:
        """Whether a message waits that the broker wants acknowledged: its lines are still to come."""
        held = (message for name in self._holding for message in self._nodes[name].held)
        waiting = (message for node in self._waiting.values() for message in node.waiting.values())
        return any(message.owed for messages in (held, waiting) for message in messages)

    def requests(self, now_us: int) -> list[Request]:
        """What is to be said: our state where it is told wrongly, and to nodes that they have to introduce themselves
        again, to each at most every `rebirth_ms`."""
        found: list[Request] = []
        if self._contradicted:
            self._contradicted = False
            found.append(self.state(True))
        if not self._settings.commands:
            return found
        for (group, name), node in self._nodes.items():
            asked_us = node.rebirth_asked_us
            waits = asked_us is not None and now_us - asked_us < self._settings.rebirth_ms * MILLISECOND
            if node.rebirth_wanted and not waits and len(found) < REQUESTS_A_TICK:
                node.rebirth_asked_us = now_us
                node.asked_since_us = now_us if node.asked_since_us is None else node.asked_since_us
                # nobody may be there: once is enough
                node.rebirth_wanted = not node.is_silent
                found.append(Request(f"{NAMESPACE}/{group}/NCMD/{name}", rebirth_command(now_us // MILLISECOND)))
        return found

    def unborn(self) -> list[str]:
        """Nodes that were heard, and of which a birth is waited for: what they say is not understood till then."""
        return ["/".join(name) for name, node in self._nodes.items() if node.rebirth_wanted and not node.is_silent]

    def cut_off(self, t_rx: int) -> Lines:
        """The broker is gone, and with it what was waited for."""
        found = Lines([], [])
        for name, node in list(self._waiting.items()):
            self._wait_no_more(found, name, node, t_rx)
        for name in list(self._holding):
            self._hold_no_more(found, name, t_rx)
        return found

    def reconnected(self, t_rx: int) -> Lines:
        """The broker is there, or there again: every node that lived, or that the site file names, is asked what it is
        like now, and those that were dead still are."""
        found = Lines([], [])
        for name, node in self._nodes.items():
            node.unheard()
            for device in node.devices if not node.alive else ():
                self._link(found, "link.down", name, device, t_rx)
        for name in self._settings.named_nodes():
            named = self._node(*name)
            if named is not None and not named.alive:
                named.rebirth_wanted = named.is_silent = True
        return found

    def session_lost(self, now_us: int) -> None:
        """What came meanwhile is gone, also a death: an alias may be that of another life by now."""
        for name, node in self._nodes.items():
            self._doubt(name, node, now_us)

    # Our own state (section 5.7).

    @property
    def state_topic(self) -> str | None:
        """Where we say that we are there; None: nowhere."""
        return self._settings.state_topic

    def opening(self, now_us: int) -> None:
        """A connection is about to be opened: `state` tells of this moment."""
        self._online_ms = now_us // MILLISECOND
        self._contradicted = False

    def state(self, online: bool) -> Request:
        """What is said of us at `state_topic`; the will has to have the same time (section 5.7)."""
        if self._settings.host_version == "2.2":
            return Request(self.state_topic or "", ONLINE if online else OFFLINE, 1, True)
        text = f'{{"online":{"true" if online else "false"},"timestamp":{self._online_ms}}}'
        return Request(self.state_topic or "", text.encode(), 1, True)

    # One node.

    def _node(self, group: str, name: str) -> Node | None:
        node = self._nodes.get((group, name))
        if node is None and group in self._settings.groups and len(self._nodes) < self._settings.nodes_max:
            node = self._nodes[group, name] = Node()
        return node

    def _ordered(self, name: tuple[str, str], node: Node, message: Message) -> Lines:
        found = Lines([], [])
        if message.type == "NBIRTH":
            self._born_node(found, name, node, message)
            return found
        if message.type == "NDEATH":
            self._died_node(found, name, node, message)
            return found
        if not node.alive:
            node.rebirth_wanted = True
            self._meet(found, name, node, message, message.t_rx)
        if node.is_repeated(message):
            return found
        expected = node.count_alone(message)
        if node.counts_apart:
            self._take_apart(found, name, node, message, expected)
        elif node.in_turn(message):
            self._take(found, name, node, message)
            self._take_waiting(found, name, node)
        else:
            node.wait_for_earlier(message)
            self._waiting[name] = node
            if len(node.waiting) > WAITING_MAX:
                self._lose(found, name, node, message.t_rx)
        return found

    def _take_apart(
        self, found: Lines, name: tuple[str, str], node: Node, message: Message, expected: int | None
    ) -> None:
        """A message of a device that counts for itself: its connection keeps the order, so what is missing is lost."""
        if self._waiting.pop(name, None) is not None:
            found.causes.append("sparkplug: the devices of a node count their messages each for itself")
            for waiting in node.release_waiting():
                self._take(found, name, node, waiting)
        device = node.devices.get(message.device)
        if device is not None and message.type.endswith("DATA") and expected not in (None, message.seq):
            found.causes.append("sparkplug: messages are missing")
            node.rebirth_wanted = True
            self._gap(found, name, message.device, device.heard_us, message.t_rx)
        node.next_seq = None  # should they turn out to count together
        self._take(found, name, node, message)

    def _take_waiting(self, found: Lines, name: tuple[str, str], node: Node) -> None:
        while (message := node.next_waiting()) is not None:
            node.in_turn(message)
            self._take(found, name, node, message)
        if node.waiting:
            node.missing_since_us = min(message.t_rx for message in node.waiting.values())
        else:
            self._waiting.pop(name, None)

    def _wait_no_more(self, found: Lines, name: tuple[str, str], node: Node, now_us: int) -> None:
        """Whatever is missing does not come any more: all that waits is taken."""
        while node.waiting:
            self._go_on(found, name, node, now_us)

    def _lose(self, found: Lines, name: tuple[str, str], node: Node, now_us: int) -> None:
        """What is missing does not come any more: it may have said how a metric stands that is not told again."""
        if not node.was_asked_in_vain(now_us, self._settings.rebirth_ms * MILLISECOND):
            self._doubt(name, node, now_us)
        self._go_on(found, name, node, now_us)

    def _go_on(self, found: Lines, name: tuple[str, str], node: Node, now_us: int) -> None:
        """What is missing does not come any more: a gap for every device, and the node has to introduce itself."""
        node.give_up_missing()
        node.held = [message._replace(before_gap=True) for message in node.held]
        found.causes.append("sparkplug: messages are missing")
        node.rebirth_wanted = True
        for device in node.devices:
            self._gap(found, name, device, node.heard_us, now_us)
        self._take_waiting(found, name, node)

    def _take(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> bool:
        """A message in its turn. Whether it could be read, or waits for a birth."""
        node.last = message
        node.heard_us = message.t_rx
        if message.device in node.devices:
            node.devices[message.device].heard_us = message.t_rx
        if message.type.endswith("DATA"):
            if self._is_to_wait(node, message) and self._hold(found, name, node, message):
                return True
            self._meet_device(found, name, node, message)
            return self._read(found, name, node, message)
        if not node.alive:
            found.causes.append("sparkplug: a node without a birth")
        elif message.type == "DBIRTH":
            self._born_device(found, name, node, message)
        if message.type == "DDEATH":
            self._died_device(found, name, node, message)
        return True

    def _read(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> bool:
        try:
            reports = node.reports(message)
        except Unborn as fault:
            node.rebirth_wanted = True
            found.causes.append(f"sparkplug: {fault}")
            return False
        except SparkplugFault as fault:
            found.causes.append(f"sparkplug: {fault}")
            return False
        if self._has_learned(found, node, node.devices[message.device]):
            values = node.devices[message.device].values
            self._add(found, self._place(name, message.device).lines(values, reports, message.t_rx))
        return True

    def _meet_device(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> None:
        """One of a node that tells no births."""
        device = node.devices.get(message.device)
        if node.met and (device is None or not device.alive) and self._has_room(found, node, message.device, message):
            node.devices[message.device].alive = True
            self._link(found, "link.up", name, message.device, message.t_rx)

    def _has_learned(self, found: Lines, node: Node, device: Device) -> bool:
        """Room for the metrics that a message has named and no birth. The node is asked once what else it left out."""
        if len(device.types) == device.counted:
            return True
        if self._metrics + len(device.types) - device.counted > self._settings.metrics_max:
            while len(device.types) > device.counted:
                device.types.popitem()
            found.causes.append(f"sparkplug: more than {self._settings.metrics_max} metrics")
            return False
        self._count(device)
        node.rebirth_wanted |= not device.tells_more
        device.tells_more = True
        return True

    def _count(self, device: Device) -> None:
        self._metrics += len(device.types) - device.counted
        device.counted = len(device.types)

    def _born_node(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> None:
        if not self._has_room(found, node, "", message):
            return
        if node.waiting and node.is_told_again(message.metrics):
            self._doubt(name, node, message.t_rx)
        self._wait_no_more(found, name, node, message.t_rx)
        node.doubted = False
        for device in node.born(message.metrics):
            self._link(found, "link.down", name, device, message.t_rx)
        node.heard_us = message.t_rx
        node.next_seq = ((message.seq or 0) + 1) % SEQUENCE
        self._born(found, name, node, message)

    def _born_device(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> None:
        if self._has_room(found, node, message.device, message):
            self._born(found, name, node, message)

    def _born(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> None:
        device = node.devices[message.device]
        named = [metric for metric in message.metrics if metric[0] is not None]
        if len(named) < len(message.metrics):
            found.causes.append("sparkplug: a birth with a metric without a name")
            message = message._replace(metrics=named)
        was_away = device.was_away
        try:
            before = device.born(message.metrics)
            reports = node.reports(message)
        except SparkplugFault as fault:
            found.causes.append(f"sparkplug: {fault}")
            return
        finally:
            self._count(device)
        self._link(found, "link.up", name, message.device, message.t_rx)
        place = self._place(name, message.device)
        held = self._held(found, name, message.device, message.t_rx)
        self._add(found, place.news(before, device.values, reports, message.t_rx, was_away, held))

    def _held(self, found: Lines, name: tuple[str, str], device: str, now_us: int) -> list[Held]:
        """What waited for this birth."""
        node = self._nodes[name]
        told: list[Held] = []
        unread: list[Message] = []
        for message in self._release(name, device):
            try:
                reports = node.reports(message)
            except (SparkplugFault, Unborn) as fault:
                found.causes.append(f"sparkplug: {fault}")
                unread.append(message)
                continue
            if self._has_learned(found, node, node.devices[device]):
                told.append(Held(reports, message.t_rx, message.before_gap))
        if unread:
            self._gap(found, name, device, unread[0].t_rx, now_us)
        return told

    def _has_room(self, found: Lines, node: Node, device: str, message: Message) -> bool:
        if self._metrics + len(message.metrics) > self._settings.metrics_max + len(
            node.devices[device].types if device in node.devices else ()
        ):
            found.causes.append(f"sparkplug: more than {self._settings.metrics_max} metrics")
            return False
        if device not in node.devices:
            if len(node.devices) >= DEVICES_MAX:
                found.causes.append(f"sparkplug: more than {DEVICES_MAX} devices of one node")
                return False
            node.devices[device] = Device()
        return True

    def _died_node(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> None:
        bd_seq = bd_seq_of(message.metrics)
        is_certain = node.is_of_this_life(bd_seq)
        if not is_certain and not (node.is_of_the_next_life(bd_seq) and self._settings.commands):
            return
        self._wait_no_more(found, name, node, message.t_rx)
        if name in self._holding:
            self._hold_no_more(found, name, message.t_rx)
        alive = [device for device, state in node.devices.items() if state.alive]
        node.died()
        # one that lives all the same tells its births then; nobody may be there: once is enough
        node.rebirth_wanted = node.is_silent = not is_certain
        for device in alive:
            self._link(found, "link.down", name, device, message.t_rx)

    def _died_device(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> None:
        self._hold_no_more(found, name, message.t_rx, message.device)
        device = node.devices.get(message.device)
        if device is None:
            return
        if device.alive:
            self._link(found, "link.down", name, message.device, message.t_rx)
        device.died()

    # Data that waits for births.

    def _doubt(self, name: tuple[str, str], node: Node, now_us: int) -> None:
        """Data of a node that lives waits for the births that are asked for; what is known of it is believed if they do
        not come."""
        if node.alive and self._settings.commands and not node.doubted:
            node.doubted = True
            self._holding[name] = now_us

    def _is_to_wait(self, node: Node, message: Message) -> bool:
        return node.doubted or (self._settings.commands and node.waits_for_birth(message))

    def _hold(self, found: Lines, name: tuple[str, str], node: Node, message: Message) -> bool:
        """False: there is no room for its device."""
        if not self._has_room(found, node, message.device, message):
            return False
        node.hold(message)
        node.rebirth_wanted |= not node.doubted
        self._held_bytes += message.size
        self._holding.setdefault(name, message.t_rx)
        if len(node.held) > self._settings.held_max or self._held_bytes > self._settings.held_bytes_max:
            self._hold_no_more(found, name, message.t_rx)
        return True

    def _release(self, name: tuple[str, str], device: str | None = None) -> list[Message]:
        """What is held, of one device or of all."""
        node = self._nodes[name]
        released = node.release(device)
        self._held_bytes -= sum(message.size for message in released)
        if not node.held and not node.doubted:
            self._holding.pop(name, None)
        return released

    def _hold_no_more(self, found: Lines, name: tuple[str, str], now_us: int, device: str | None = None) -> None:
        """The births that were asked for do not come, or not that of a device: what can be read without them is taken.
        A device of which something cannot be read has a gap, and is not seen till it is born."""
        node = self._nodes[name]
        node.doubted &= device is not None
        unread: dict[str, int] = {}
        for message in self._release(name, device):
            if not node.alive:
                self._meet(found, name, node, message, now_us)
            node.devices[message.device].in_vain = True
            if not self._take(found, name, node, message):
                unread.setdefault(message.device, message.t_rx)
        for each, since_us in unread.items():
            self._gap(found, name, each, since_us, now_us)
            if not (node.alive and node.devices[each].alive):
                self._link(found, "link.down", name, each, now_us)

    def _meet(self, found: Lines, name: tuple[str, str], node: Node, message: Message, now_us: int) -> None:
        """Take a node at its word that was asked for its birth in vain."""
        if not node.is_deaf(message, now_us, self._settings.rebirth_ms * MILLISECOND):
            return
        if name in self._holding:
            self._hold_no_more(found, name, now_us)
        if not node.alive:
            node.meet()
            found.causes.append("sparkplug: a node that tells no birth when it is asked: its named metrics are taken")

    # What is told.

    def _link(self, found: Lines, kind: str, name: tuple[str, str], device: str, t_rx: int) -> None:
        for src in self._place(name, device).srcs:
            found.lines.append(encode_line({"kind": kind, "src": src, "t_rx": t_rx}))

    def _gap(self, found: Lines, name: tuple[str, str], device: str, since_us: int, now_us: int) -> None:
        for src in self._place(name, device).srcs:
            gap = {"kind": "source.gap", "src": src, "t_from": since_us, "t_to": now_us, "t_rx": now_us}
            found.lines.append(encode_line(gap))

    @staticmethod
    def _add(found: Lines, more: Lines) -> None:
        found.lines.extend(more.lines)
        found.causes.extend(f"sparkplug: {cause}" for cause in more.causes)

    def _place(self, name: tuple[str, str], device: str) -> Place:
        path = "/".join([*name, device] if device else name)
        place = self._places.get(path)
        if place is None:
            if len(self._places) >= PLACES_MAX:
                self._places.clear()
            place = self._places[path] = Place(self._entries, path, self._position)
        return place
