"""The site file's `[sources.NAME]` with `protocol = "mqtt"`: which broker, which topics, and what their payloads mean.

[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"

[[sources.floor.topics]]
filter = "dc1/pick/+device/evt"
record.src = { template = "dc1/pick/{device}" }
record.kind = { path = "ty", table = { C = "pick.confirm", S = "pick.short" } }
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from itertools import combinations
from typing import Annotated, Literal

import msgspec

from engine.secret import Secret
from engine.tls import Tls, is_loopback
from ext.mqtt_wire import TOPIC_ALIASES
from protocols.mapping.faults import record_faults
from protocols.mapping.paths import PathFault, parse_template
from protocols.mapping.sequence import BACK_SHARE
from protocols.mapping.settings import Constants, FieldSettings, Name, RecordSettings, When, field_settings
from protocols.mqtt.sparkplug.settings import Sparkplug
from protocols.mqtt.topics import TopicFault, TopicFilter, overlap, parse_filter

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Property = Annotated[
    str,
    msgspec.Meta(
        pattern="^(content_type|response_topic|correlation_data|user:.+)$",
        max_length=256,
        description="content_type, response_topic, correlation_data or user:NAME",
    ),
]
TopicName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^$+#\0][^+#\0]*$", max_length=1024, description="a topic without + and # that does not begin with $"
    ),
]
HOST = msgspec.Meta(
    pattern=r"^[A-Za-z0-9_:]([A-Za-z0-9_:.-]*[A-Za-z0-9_])?$",
    max_length=253,
    description="a host's name or IP address",
)
PATH = msgspec.Meta(pattern=r"^/[!-~]*$", max_length=1024, description="a path that begins with /")
SHARE = msgspec.Meta(pattern="^[^/+#]+$", max_length=128, description="a name without / + #")

SPARKPLUG = parse_filter("spBv1.0/#rest")
INFLIGHT_MAX = 4_096
"""Messages on the way where no counter says less: what a broker holds for us beside its queue."""


class WillSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the floor is told of us: the broker says `offline` when we are gone, we say `online` when we are there.

    topic, qos: where and how. retained: the broker shows it to whoever subscribes later.
    """

    topic: TopicName
    offline: Text = "offline"
    online: Text = "online"
    qos: Literal[0, 1] = 1
    retained: bool = True


class WebSocketSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """MQTT inside a WebSocket, for a broker that is reached through a web server or its firewall only.

    path: what the broker, or the web server before it, listens at.
    """

    path: Annotated[str, PATH] = "/mqtt"


class Topic(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Topics whose payloads mean the same.

    filter: the topics, as MQTT writes them, with names for the wildcards: `dc1/+area/+device/evt`, `dc1/wms/#rest`.
      `record` takes the named levels with `capture` and `template`.
    qos: 1 (default): the broker keeps a message until the engine has it on disk. 0: what is lost on the way is lost.
      What is published under QoS 2 comes by 1.
    format: `"json"` (default): `record` says what the payload means. `"canonical"`: the payload is a canonical record
      already (orders from a WMS, for example), or with `each` a list of them. `"text"`: a bare text or number, which
      `record` calls `.`.
    record: canonical field -> where it comes from (the mapping language, shared by all protocols).
    constants: canonical fields that are the same in every record: `constants = { kind = "motor.state" }`.
    when: only payloads with these values are meant: `when = { ty = ["C", "S"] }`. Others are passed over in silence.
    each: path of a list in the payload; each element is a record, with its place in the list as `sub`.
    properties: name -> a property of the message (MQTT 5), which `record` takes by this name with `capture` and
      `template`, like a level of the topic: `properties = { trace = "correlation_data", line = "user:line" }`.
      There are `content_type`, `response_topic`, `correlation_data` and, named by the sender, `user:NAME`.
    retained: what the broker kept of a topic and shows to every new subscriber. `"ignore"` (default): it is an old
      state, not an event. `"accept"`: it is taken like any other message (for context that a WMS leaves there).
    """

    filter: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    qos: Literal[0, 1] = 1
    format: Literal["json", "canonical", "text"] = "json"
    record: RecordSettings = {}
    constants: Constants = {}
    when: When = {}
    each: Text | None = None
    properties: dict[Name, Property] = {}
    retained: Literal["ignore", "accept"] = "ignore"

    def faults(self) -> Iterator[tuple[str, str]]:
        try:
            captures = parse_filter(self.filter).captures
        except TopicFault as fault:
            yield "filter", str(fault)
            # what it seems to capture, so that one mistake is not told twice
            captures = frozenset(re.findall(r"[+#](\w+)", self.filter))
        for name in captures & self.properties.keys():
            yield f"properties.{name}", "the filter captures something of this name already"
        if self.format == "canonical" and self.properties:
            yield "properties", 'has no meaning with format = "canonical": the payload says it all'
        captures |= self.properties.keys()
        if self.format == "canonical" and self.record:
            yield "record", 'has no meaning with format = "canonical": the payload says it all'
        found = record_faults(self.record, constants=self.constants, when=self.when, each=self.each, captures=captures)
        for where, fault_text in found:
            # a canonical payload brings its own kind and src
            if self.format != "canonical" or where != "record":
                yield where, fault_text


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One MQTT broker.

    host, port: the broker. Default port: 8883 with `tls`, else 1883; of a `websocket` 443 and 80.
    websocket: `websocket = {}` where MQTT goes inside one: `ws://`, or with `tls` `wss://`; see `WebSocketSettings`.
    version: `"5"` (default) or `"3.1.1"`.
    client_id: our name at the broker, under which it keeps our session: it must stay the same, and nobody else may use
      it. Default: `sortline-` and the source's name.
    user, password: for brokers that ask.
    tls: `tls = {}` for a certificate that this computer trusts; see `engine.tls`.
    plaintext: allow a connection without TLS to another computer. Whoever is on the network can read and forge.
    topics: what to subscribe to, `[[sources.NAME.topics]]`: see `Topic`.
    sparkplug: edge nodes that speak Sparkplug B, `[sources.NAME.sparkplug]`: see `Sparkplug`.
    scope: prefixes of `src` that go blind when this connection is lost. Default: what the `src` of each topic begins
      with, up to its first variable part. Needed where that is nothing (`format = "canonical"`, `src` from a path).
    session_expiry_s: how long the broker keeps our session, and with it what arrives while we are away (version 5; with
      3.1.1 the broker's own setting counts). Keep it longer than any repair takes.
    keepalive_s: a connection is given up after at most twice this without a sign of life.
    connect_ms: an answer to connecting and subscribing takes no longer.
    inflight_max: messages that the broker sends before the first is acknowledged (version 5; with 3.1.1 the broker's
      own setting counts, mosquitto's is 20). At most a quarter of any `wrap` of its topics: after a lost connection the
      broker sends them again, and a counter must not have gone round meanwhile. Default: that quarter, or 4096.
    topic_aliases: so many topics the broker may shorten to a number (version 5). Default: none. It saves bytes; but
      there are brokers that keep the numbers in what they hold for us over an outage, where they stand for nothing.
    coalesce_ms: where messages come so fast that it gathers several, the next read waits so long, which saves most of
      the cost of reading; 0: never.
    share: the name of a group of engines that divide the messages among them (a shared subscription, `$share/NAME/`).
      Not together with `wrap`: each engine sees only part of what a device counts.
    will: what the floor is told of us; see `WillSettings`.
    payload_bytes_max: a longer payload does not fit; it is dropped while it arrives and never held in memory.
    batch_messages: at most so many are handed to the engine at once.
    queue_messages, queue_bytes: at most so much is read ahead of the engine; beyond it, we stop reading.
    counters_max: at most so many devices' counters (`wrap`) are remembered.
    reconnect_min_ms, reconnect_max_ms: bounds of the pause between two attempts to connect, doubled each time, full
      jitter.
    """

    host: Annotated[str, HOST]
    topics: Annotated[list[Topic], msgspec.Meta(max_length=1_000)] = []
    sparkplug: Sparkplug | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    websocket: WebSocketSettings | None = None
    version: Literal["5", "3.1.1"] = "5"
    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    user: Text | None = None
    password: Secret | None = None
    tls: Tls | None = None
    plaintext: bool = False
    scope: list[Annotated[str, msgspec.Meta(min_length=1, max_length=128)]] = []
    session_expiry_s: Annotated[int, msgspec.Meta(ge=60, le=4_294_967_294)] = 604_800
    keepalive_s: Seconds = 20
    connect_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 5_000
    inflight_max: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    topic_aliases: Annotated[int, msgspec.Meta(ge=0, le=TOPIC_ALIASES)] = 0
    coalesce_ms: Annotated[float, msgspec.Meta(ge=0, le=100)] = 2.0
    share: Annotated[str, SHARE] | None = None
    will: WillSettings | None = None
    payload_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=16 << 20)] = 262_144
    batch_messages: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1_000
    queue_messages: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    queue_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=1 << 30)] = 16 << 20
    counters_max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    reconnect_min_ms: Milliseconds = 100
    reconnect_max_ms: Milliseconds = 15_000

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the source's table, what is wrong and what to do) for what the types cannot say."""
        if self.tls is None and not self.plaintext and not is_loopback(self.host):
            yield (
                "tls",
                f"{self.host} is another computer: add tls = {{}}, or plaintext = true in a closed network",
            )
        if self.password is not None and self.user is None:
            yield "user", "a password without a user name"
        if self.reconnect_max_ms < self.reconnect_min_ms:
            yield "reconnect_max_ms", f"at least reconnect_min_ms: {self.reconnect_min_ms}"
        if not self.topics and self.sparkplug is None:
            yield "topics", "missing: [[sources.NAME.topics]] says what to subscribe to"
        if self.sparkplug is not None and self.sparkplug.host_id is not None and self.will is not None:
            yield "will", "a connection has one, and sparkplug.host_id needs it"
        if self.sparkplug is not None and self.share is not None:
            yield "share", "a Sparkplug host has to hear every message of a node"
        yield from self._topic_faults()
        if not self.scope and not all(scopes_of(self)):
            yield "scope", 'which src prefixes does this broker speak for? scope = ["dc1/pick/"]'

    def alone(self) -> Iterator[tuple[str, str]]:
        """Yields (key, what no other source may have): the broker would end the connection of one for the other's."""
        if self.client_id is not None:
            host, port = self.address()
            yield "client_id", f"the name {self.client_id} at {host}:{port}"

    def _topic_faults(self) -> Iterator[tuple[str, str]]:
        filters = dict(self._filters())
        taken = [SPARKPLUG] if self.sparkplug is not None else []
        if self.sparkplug is not None and self.sparkplug.state_topic is not None:
            taken.append(parse_filter(self.sparkplug.state_topic))
        for index, filter_ in filters.items():
            if any(overlap(filter_, theirs) for theirs in taken):
                yield f"topics[{index}].filter", "overlaps with sparkplug: the broker may send such a message twice"
        for (one, left), (other, right) in combinations(filters.items(), 2):
            # the same filter twice is one subscription with two meanings
            if left.wire != right.wire and overlap(left, right):
                yield (
                    f"topics[{other}].filter",
                    f"overlaps with topics[{one}]: the broker may send such a message twice. Write both with the same "
                    "filter and tell them apart with when",
                )
        for index, topic in enumerate(self.topics):
            if topic.properties and self.version != "5":
                yield f"topics[{index}].properties", 'only messages of MQTT 5 have properties: version = "5"'
            wrap = wrap_of(topic)
            if wrap is None:
                continue
            if topic.qos == 1 and self.inflight_max is not None and self.inflight_max > wrap // BACK_SHARE:
                yield "inflight_max", f"at most {wrap // BACK_SHARE}: topics[{index}] counts with wrap = {wrap}"
            if self.share is not None:
                yield "share", f"topics[{index}] counts with wrap: a group's engine sees only part of what is counted"

    def _filters(self) -> Iterator[tuple[int, TopicFilter]]:
        for index, topic in enumerate(self.topics):
            try:
                yield index, parse_filter(topic.filter)
            except TopicFault:
                continue  # said by the topic itself

    def address(self) -> tuple[str, int]:
        """Where the broker is."""
        return self.host, self.port or usual_port(self.tls is not None, self.websocket is not None)

    def receive_maximum(self) -> int:
        """How many messages the broker may send before the first is acknowledged."""
        if self.inflight_max is not None:
            return self.inflight_max
        wraps = [wrap for topic in self.topics if topic.qos == 1 and (wrap := wrap_of(topic)) is not None]
        return min([INFLIGHT_MAX, *(wrap // BACK_SHARE for wrap in wraps)])

    def asked_for(self, topic: Topic) -> str:
        """The filter as the broker is asked for it."""
        shared = f"$share/{self.share}/" if self.share is not None else ""
        return shared + parse_filter(topic.filter).wire

    def scopes(self) -> list[str]:
        """The prefixes of `src` that are blind without this connection."""
        return self.scope or list(dict.fromkeys(scopes_of(self)))

    def blind_without(self, refused: Container[str]) -> set[str]:
        """Those of them of which nothing is heard without these filters, as far as that is known."""
        if self.scope or not self.topics:
            return set()
        is_refused = [self.asked_for(topic) in refused for topic in self.topics]
        of_topics = scopes_of(self)[: len(self.topics)]
        blind = {scope for scope, is_blind in zip(of_topics, is_refused, strict=True) if is_blind}
        return blind - {scope for scope, is_blind in zip(of_topics, is_refused, strict=True) if not is_blind}


def usual_port(tls: bool, websocket: bool) -> int:
    """Of brokers, and of the web servers that one reaches them through."""
    plain, encrypted = (80, 443) if websocket else (1883, 8883)
    return encrypted if tls else plain


def wrap_of(topic: Topic) -> int | None:
    """After how many numbers a topic's counters go back to 0."""
    seq = topic.record.get("seq")
    return field_settings(seq).wrap if seq is not None else None


def scopes_of(settings: Settings) -> list[str]:
    """For everything that is described, what its `src` begins with; empty: nothing that is known."""
    found = [
        scope_of(topic.constants, {} if topic.format == "canonical" else topic.record) for topic in settings.topics
    ]
    records = settings.sparkplug.records if settings.sparkplug is not None else []
    return found + [scope_of(each.constants, each.record) for each in records]


def scope_of(constants: Constants, record: RecordSettings) -> str:
    """What every `src` begins with: all of a constant, a template up to its first variable part."""
    src = constants.get("src")
    if "src" in record:
        field = field_settings(record["src"])
        if field.table is not None:
            return ""
        if field.template is not None:
            return _head(field)
        src = field.const
    return src if isinstance(src, str) else ""


def _head(field: FieldSettings) -> str:
    try:
        return parse_template(field.template or "").head
    except PathFault:
        return ""
