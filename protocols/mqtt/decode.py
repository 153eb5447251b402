"""One message in, canonical lines out. Pure: no I/O, no clock, no logging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.errors import DecodeError
from protocols.mapping.payload import parse_json, parse_text
from protocols.mapping.plan import CanonicalPlan, Lines, Plan, Selection, canonical_lines, compile_record
from protocols.mapping.sequence import Sequences
from protocols.mqtt.settings import Settings, Topic
from protocols.mqtt.topics import TopicFilter, parse_filter

TOPIC_BYTES_MAX = 1024


class Route(NamedTuple):
    """What the payloads of some topics mean."""

    filter: TopicFilter
    plan: Plan
    parse: Callable[[bytes, int], object]
    retained: bool


class Decoder:
    """All topics of one broker. `sequences`: the devices' counters, which a message moves."""

    def __init__(self, settings: Settings, sequences: Sequences) -> None:
        self._bytes_max = settings.payload_bytes_max
        self._routes = [_route(topic, sequences) for topic in settings.topics]

    def decode(self, topic: str, payload: bytes, t_rx: int, retained: bool = False) -> Lines:
        """The lines of a message, and the cause of each thing in it that does not fit, with the filter before it.

        `payload` may be cut off, if it is longer than the limit even so. `retained`: the broker had kept it.
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
                lines = _decoded(route, captures, payload, self._bytes_max, t_rx)
                found.lines.extend(lines.lines)
                found.causes.extend(f"{route.filter.wire}: {cause}" for cause in lines.causes)
        if not matched:
            # a kept session remembers subscriptions that the site file has no more
            found.causes.append("topic: no filter matches")
        return found


def _decoded(route: Route, captures: Mapping[str, str], payload: bytes, bytes_max: int, t_rx: int) -> Lines:
    try:
        values = route.parse(payload, bytes_max)
    except DecodeError as error:
        return Lines([], [error.cause])
    return canonical_lines(route.plan, values, captures, t_rx)


def _route(topic: Topic, sequences: Sequences) -> Route:
    plan: Plan
    if topic.format == "canonical":
        plan = CanonicalPlan(topic.constants, Selection(topic.when, topic.each))
    else:
        plan = compile_record(
            topic.record, constants=topic.constants, when=topic.when, each=topic.each, sequences=sequences
        )
    parse = parse_text if topic.format == "text" else parse_json
    return Route(parse_filter(topic.filter), plan, parse, topic.retained == "accept")
