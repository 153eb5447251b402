"""The site file's `[sources.NAME.sparkplug]`: which groups of edge nodes, and what their metrics mean.

[sources.floor.sparkplug]
groups = ["Plant1"]

[[sources.floor.sparkplug.records]]
filter = "Plant1/+line/+device"
trigger = "Pick/Count"
record.src = { template = "dc1/pick/{device}" }
record.kind = { const = "pick.confirm" }
record.seq = { path = "Pick/Count", wrap = 256 }
record.task = "Pick/Task"
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from protocols.mapping.faults import record_faults
from protocols.mapping.settings import Constants, FieldSettings, RecordSettings, When, field_settings
from protocols.mqtt.topics import TopicFault, parse_filter

Part = Annotated[str, msgspec.Meta(pattern=r"^[^/+#\0]+$", max_length=128, description="a name without / + #")]
NodeName = Annotated[
    str, msgspec.Meta(pattern=r"^[^/+#\0]+/[^/+#\0]+$", max_length=257, description="GROUP/NODE, without + #")
]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]


class RecordOf(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the reports of some devices mean.

    filter: `group/node/device`, or `group/node` for a node's own metrics, with names for wildcards as in a topic:
      `Plant1/+line/+device`. `record` takes the named parts with `capture` and `template`.
    trigger: the metric whose every reported value is a record: a counter, a scan, a state. The other metrics are taken
      as they stand then; those that did not change were not sent again, and are remembered. A value that only a birth
      tells counts if it is not the one that was known before.
    record: canonical field -> where it comes from. A path is the name of a metric; `$.timestamp` is the trigger's time
      (milliseconds), `$.historical` whether it comes out of the node's buffer. `t` and `hist` are these by default.
      Where the trigger itself is `seq`, `epoch` is `$.epoch`: how often its counter has begun anew.
    constants, when: as in an MQTT topic.
    """

    filter: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    trigger: Text
    record: RecordSettings
    constants: Constants = {}
    when: When = {}

    def faults(self) -> Iterator[tuple[str, str]]:
        captures: frozenset[str] = frozenset()
        try:
            parsed = parse_filter(self.filter)
            captures = parsed.captures
            if parsed.open_end or len(parsed.levels) not in (2, 3):
                yield "filter", "group/node/device, or group/node for the node's own metrics"
        except TopicFault as fault:
            yield "filter", str(fault)
        yield from record_faults(self.record, constants=self.constants, when=self.when, captures=captures)

    @property
    def counts(self) -> bool:
        """Whether the trigger is a counter that numbers the records."""
        if "seq" not in self.record:
            return False
        numbered = field_settings(self.record["seq"])
        return numbered.path == self.trigger and numbered.table is None and numbered.bit is None

    def full_record(self) -> RecordSettings:
        """With what the protocol itself says of a value, unless the site says it."""
        given: RecordSettings = {
            "t": FieldSettings(path="$.timestamp", time="epoch_ms"),
            "hist": FieldSettings(path="$.historical", absent=[False]),
        }
        if self.counts:
            given["epoch"] = FieldSettings(path="$.epoch", absent=[0])
        return {name: field for name, field in given.items() if name not in self.constants} | self.record


class Sparkplug(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Edge nodes that speak Sparkplug B.

    groups: the groups whose nodes are listened to.
    records: what their metrics mean, `[[sources.NAME.sparkplug.records]]`: see `RecordOf`.
    nodes: `GROUP/NODE`, nodes that are asked for their births whenever we connect. The others are known by what they
      say, so one that is silent when we start stays unknown till then. Nodes that a `filter` names without a wildcard
      are asked as well, and a node that waits for its primary host (`host_id`) tells its births by itself.
    host_id: tells the nodes that we are their primary host: `spBv1.0/STATE/HOST_ID` says `online` while we are there.
      Nodes that wait for it keep what they have to say while we are away. Without it, nobody is told.
    host_version: of Sparkplug, in whose words `host_id` is told: `"3.0"` (default) as above; `"2.2"`: `STATE/HOST_ID`
      says `ONLINE` or `OFFLINE`. A connection has one will, so all nodes that wait for us have to know the same words.
    reorder_ms: so long a message that seems to be missing is waited for, then it is a gap.
    rebirth_ms: a node is asked to introduce itself again at most so often; one that has not done so by then is taken at
      its word.
    commands: whether nodes may be asked at all. Without it, one that was not heard from its birth on stays unread.
    held_max: so many messages of a node wait for births that were asked for; with one more none is waited for.
    held_bytes_max: so many bytes of payload wait so, of all nodes together.
    nodes_max, metrics_max: so many nodes, and metrics of all of them together, are remembered.
    """

    groups: Annotated[list[Part], msgspec.Meta(min_length=1, max_length=100)]
    records: Annotated[list[RecordOf], msgspec.Meta(min_length=1, max_length=1_000)]
    nodes: Annotated[list[NodeName], msgspec.Meta(max_length=100_000)] = []
    host_id: Part | None = None
    host_version: Literal["3.0", "2.2"] = "3.0"
    reorder_ms: Milliseconds = 2_000
    rebirth_ms: Milliseconds = 10_000
    commands: bool = True
    held_max: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 256
    held_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=1 << 30)] = 32 << 20
    nodes_max: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    metrics_max: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 500_000

    @property
    def state_topic(self) -> str | None:
        """Where we say that we are there; None: nowhere."""
        if self.host_id is None:
            return None
        return f"STATE/{self.host_id}" if self.host_version == "2.2" else f"spBv1.0/STATE/{self.host_id}"

    def faults(self) -> Iterator[tuple[str, str]]:
        for index, each in enumerate(self.records):
            group = each.filter.split("/")[0]
            if not group.startswith("+") and group not in self.groups:
                yield f"records[{index}].filter", f"{group!r} is not in groups"
        for index, name in enumerate(self.nodes):
            if name.split("/")[0] not in self.groups:
                yield f"nodes[{index}]", f"{name.split('/')[0]!r} is not in groups"

    def named_nodes(self) -> list[tuple[str, str]]:
        """(group, node) of those that the site file names."""
        literal = [parse_filter(each.filter).levels[:2] for each in self.records]
        found = [tuple(name.split("/")) for name in self.nodes] + [levels for levels in literal if None not in levels]
        return list(dict.fromkeys(found))  # type: ignore[arg-type]  # two of a name, and none is None
