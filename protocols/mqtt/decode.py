"""What the messages of one broker mean: a topic to its plans, a message to canonical lines. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from engine.errors import DecodeError
from ext.line_plan import LinePlan
from ext.mqtt_wire import WireFault, properties_of
from protocols.mapping.meaning import compile_described
from protocols.mapping.payload import PARSERS
from protocols.mapping.plan import Lines, Plan, canonical_lines, compile_plan
from protocols.mapping.sequence import Sequences
from protocols.mqtt import codec
from protocols.mqtt.settings import Settings, Topic
from protocols.mqtt.sparkplug.host import Host
from protocols.mqtt.topics import TopicFilter, parse_filter

TOPIC_BYTES_MAX = 1024
PROPERTY_BYTES_MAX = 4096
PROPERTIES: Mapping[str, int] = {
    "content_type": codec.CONTENT_TYPE,
    "response_topic": codec.RESPONSE_TOPIC,
    "correlation_data": codec.CORRELATION_DATA,
}
"""The properties of a message that have one value, besides those that its sender names (`user:NAME`)."""


class Route(NamedTuple):
    """What the payloads of some topics mean. `compiled`: the plan once more, for what is ordinary; None: never."""

    filter: TopicFilter
    plan: Plan
    compiled: LinePlan | None
    parse: Callable[[bytes, int], object]
    retained: bool
    properties: Mapping[str, str]


class Decoder:
    """All topics of one broker. `sequences`: the devices' counters, which a message moves. `host`: what Sparkplug nodes
    say goes to it."""

    def __init__(self, settings: Settings, sequences: Sequences, host: Host | None = None) -> None:
        self._host = host
        self._bytes_max = settings.payload_bytes_max
        self._routes = [_route(topic, sequences, settings.payload_bytes_max) for topic in settings.topics]

    def resolve(self, topic: bytes) -> list[tuple[LinePlan | None, bool, Sequence[bytes]]]:
        """What `ext.mqtt_lines` remembers of a topic: for each filter that matches its compiled plan, whether it takes
        what the broker kept, and the captures; nothing for a topic that no filter matches."""
        try:
            text = text_of(topic)
        except DecodeError:
            return []
        plain = msgspec.json.encode(text) == b'"%b"' % topic
        found: list[tuple[LinePlan | None, bool, Sequence[bytes]]] = []
        for route in self._routes:
            captures = route.filter.match(text)
            if captures is not None:
                values = [captures[name].encode() for name in route.filter.names if name]
                found.append((route.compiled if plain else None, route.retained, values))
        return found

    def spell_out(
        self,
        topic: bytes | None,
        payload: bytes,
        length: int,
        retained: bool,
        properties: bytes | None,
        t_rx: int,
        owed: bool,
    ) -> Lines:
        """A message that no compiled plan takes. `length`: of the payload as announced, which may have been cut.
        `topic`, `properties`: None if they were too long to be kept. `owed`: see `owes`."""
        if properties is None:
            return Lines([], ["properties: too long"])
        if topic is None:
            return Lines([], [f"topic: longer than {TOPIC_BYTES_MAX} bytes"])
        try:
            text = text_of(topic)
        except DecodeError as error:
            return Lines([], [error.cause])
        if length > self._bytes_max:
            # whatever is left of it, it is longer than the limit
            payload = payload.ljust(self._bytes_max + 1, b"\0")
        if self._host is not None and (text.startswith("spBv1.0/") or text == self._host.state_topic):
            if retained and text != self._host.state_topic:
                # nodes keep nothing at the broker (6.4.2 and on): whoever does speaks of the past
                return Lines([], [])
            if length > self._bytes_max:
                return Lines([], [f"sparkplug: a payload longer than {self._bytes_max} bytes"])
            return self._host.message(text, payload, t_rx, owed)
        return self.decode(text, payload, t_rx, retained, properties)

    def owes(self) -> bool:
        """Whether a message was spelled out whose lines are still to come, and which is acknowledged only then."""
        return self._host is not None and self._host.owes()

    def decode(self, topic: str, payload: bytes, t_rx: int, retained: bool = False, properties: bytes = b"") -> Lines:
        """The lines of a message, and the cause of each thing in it that does not fit, with the filter before it.

        `payload` may be cut off, if it is longer than the limit even so. `retained`: the broker had kept it.
        `properties`: the message's own (MQTT 5), without their length.
        """
        found = Lines([], [])
        if len(topic) * 4 > TOPIC_BYTES_MAX and len(topic.encode()) > TOPIC_BYTES_MAX:
            return Lines([], [f"topic: longer than {TOPIC_BYTES_MAX} bytes"])
        matched = False
        for route in self._routes:
            captures = route.filter.match(topic)
            if captures is None:
                continue
            matched = True
            if route.retained or not retained:
                if route.properties:
                    captures |= read_properties(properties, route.properties)
                lines = _decoded(route, captures, payload, self._bytes_max, t_rx)
                found.lines.extend(lines.lines)
                found.causes.extend(f"{route.filter.wire}: {cause}" for cause in lines.causes)
        if not matched:
            # a kept session remembers subscriptions that the site file has no more
            found.causes.append("topic: no filter matches")
        return found


def text_of(topic: bytes) -> str:
    """A message's topic (MQTT 5 sections 1.5.4 and 4.7.1.1). Raises DecodeError."""
    try:
        text = topic.decode()
    except UnicodeDecodeError:
        raise DecodeError("topic: not UTF-8") from None
    if any(sign in text for sign in "+#\0"):
        raise DecodeError("topic: a wildcard or a zero in it")
    return text


def read_properties(block: bytes, wanted: Mapping[str, str]) -> dict[str, str]:
    """The properties of a message that a topic asks for, by the names that it gives them. One that is not there, not
    UTF-8 or too long is left out; of several with one name the first counts."""
    found: dict[str, str] = {}
    try:
        told = properties_of(block)
    except WireFault:
        return found
    for name, property_ in wanted.items():
        for identifier, value in told:
            text = _property_text(property_, identifier, value)
            if text is not None:
                found[name] = text
                break
    return found


def _property_text(property_: str, identifier: int, value: object) -> str | None:
    if identifier == codec.USER_PROPERTY and isinstance(value, tuple):
        if not property_.startswith("user:") or value[0] != property_.removeprefix("user:").encode():
            return None
        value = value[1]
    elif PROPERTIES.get(property_) != identifier:
        return None
    if not isinstance(value, bytes) or len(value) > PROPERTY_BYTES_MAX:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _decoded(route: Route, captures: Mapping[str, str], payload: bytes, bytes_max: int, t_rx: int) -> Lines:
    try:
        values = route.parse(payload, bytes_max)
    except DecodeError as error:
        return Lines([], [error.cause])
    return canonical_lines(route.plan, values, captures, t_rx)


def _route(topic: Topic, sequences: Sequences, bytes_max: int) -> Route:
    filter_ = parse_filter(topic.filter)
    plan = compile_plan(topic, sequences)
    captures = [name for name in filter_.names if name]
    # a message whose properties are read is spelled out
    compiled = None if topic.properties else compile_described(topic, sequences, bytes_max, captures)
    return Route(filter_, plan, compiled, PARSERS[topic.format], topic.retained == "accept", topic.properties)
