"""The site file's `[sources.NAME]` with `protocol = "redis_stream"`: a stream that an order system writes, read as a
consumer group.

    [sources.wms]
    protocol = "redis_stream"
    stream = "wms.context"
    constants = { src = "dc1/wms/main" }
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from engine.redis_nodes import Servers, Text
from protocols.mapping.faults import record_faults
from protocols.mapping.settings import Constants, RecordSettings, When

Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]


class Settings(Servers, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One Redis Stream (Redis >= 6.2).

    stream: the stream's key.
    host, port, db: the server.
    cluster: nodes of a Redis Cluster, as `"10.0.0.1:6379"`, instead of host and port; one that answers is enough.
    sentinels, master: addresses of sentinels, likewise, and the name by which they know the server.
    sentinel_user, sentinel_password: of the sentinels, where they ask for one.
    user, password: of an ACL user; it needs XGROUP, XREADGROUP, XACK and XAUTOCLAIM on the stream; in a
      cluster also CLUSTER SLOTS, behind sentinels ROLE.
    tls: `tls = {}` for a certificate that this computer trusts; see `engine.tls`. It counts for every server.
    plaintext: allow a connection without TLS to another computer. Whoever is on the network can read and forge.
    group: the consumer group; made, with the stream, if it does not exist.
    consumer: our name in the group, under which the server remembers what we have and did not acknowledge: it must stay
      the same. Default: `sortline-` and the source's name.
    begin: where a new group begins: with the `"oldest"` entry of the stream (default) or with the `"newest"`. One
      that is lost while we run begins with the oldest: what is written meanwhile is not passed over. One that was lost
      while we were away begins an hour before the last record of this source, if the journal's end has one and
      `constants` names its `src`; otherwise it is a new one, and with `"newest"` what was written before we came back
      is never read.
    field: the field of an entry that holds the payload.
    format: `"canonical"` (default): the payload is a canonical record, as JSON, or with `each` a list of them.
      `"json"`: `record` says what the payload means. `"fields"`: `record` reads the entry's own fields, all texts.
    record: canonical field -> where it comes from (the mapping language, shared by all protocols).
    constants: canonical fields for records that lack them: `constants = { src = "dc1/wms/main" }`.
    when: only payloads with these values are meant. Others are passed over in silence.
    each: path of a list in the payload; each element is a record, with its place in the list as `sub`.
    scope: prefixes of `src` that go blind when this connection is lost; needed only if machines speak through it, for
      what an order system says is not waited for.
    payload_bytes_max: a longer payload does not fit.
    batch_entries: at most so many are read at once.
    unacknowledged_max: at most so many are with the engine and not yet on disk; beyond it, we stop reading.
    block_ms: the longest that an acknowledgement waits to be sent while nothing comes.
    claim_idle_ms: what another consumer of the group has had for so long without acknowledging is ours.
    connect_ms, command_ms: a connection or an answer takes no longer.
    reconnect_min_ms, reconnect_max_ms: bounds of the pause between two attempts to connect, doubled each time, full
      jitter.
    """

    stream: Text
    group: Text = "sortline"
    consumer: Text | None = None
    begin: Literal["oldest", "newest"] = "oldest"
    field: Text = "record"
    format: Literal["canonical", "json", "fields"] = "canonical"
    record: RecordSettings = msgspec.field(default_factory=dict)
    constants: Constants = msgspec.field(default_factory=dict)
    when: When = msgspec.field(default_factory=dict)
    each: Text | None = None
    scope: list[Annotated[str, msgspec.Meta(min_length=1, max_length=128)]] = msgspec.field(default_factory=list)
    payload_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=16 << 20)] = 262_144
    batch_entries: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    unacknowledged_max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1_000
    block_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 200
    claim_idle_ms: Annotated[int, msgspec.Meta(ge=100, le=86_400_000)] = 60_000
    reconnect_min_ms: Milliseconds = 100
    reconnect_max_ms: Milliseconds = 15_000

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the source's table, what is wrong and what to do) for what the types cannot say."""
        yield from Servers.faults(self)
        if self.reconnect_max_ms < self.reconnect_min_ms:
            yield "reconnect_max_ms", f"at least reconnect_min_ms: {self.reconnect_min_ms}"
        if self.format == "canonical" and self.record:
            yield "record", 'has no meaning with format = "canonical": the payload says it all'
        for where, fault in record_faults(self.record, constants=self.constants, when=self.when, each=self.each):
            # a canonical payload brings its own kind and src
            if self.format != "canonical" or where != "record":
                yield where, fault
