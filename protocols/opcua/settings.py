"""The site file's `[sources.NAME]` with `protocol = "opcua"`: one server, how it is trusted, which nodes make records.

    [sources.packing]                        one connection: url, limits
    [sources.packing.security]               policy, certificates, whom to believe
    [sources.packing.user_certificate]       who we are to the server, if it knows its users by certificates
    [sources.packing.variables.cartons]      nodes read together as one record when a trigger changes
    [sources.packing.events.labels]          a record out of each event of the server

Wherever a node is named, one of these is meant:

- a node id: `ns=2;s=PK01.Counter`, `i=2253`, `nsu=urn:vendor:packing;s=PK01.Counter`. After `ns=` an index or an alias
  from `namespaces` (`ns=pack;s=PK01.Counter`). Prefer `nsu=` or an alias: a server may number its namespaces anew at a
  restart.
- a browse path from the Objects folder, with a leading slash: `/pack:Line1/pack:PK01/pack:Counter`. Before each colon
  an alias from `namespaces` or an index (`2:Line1`); without a colon the name is one of OPC UA's own
  (`/Server/ServerStatus`). A slash or a backslash inside a name is escaped with a backslash.

Ids and paths are resolved anew at every connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from engine.places import no_file
from engine.secret import Secret
from protocols.mapping.faults import field_faults, record_faults
from protocols.mapping.settings import FieldSettings, Name, RecordSettings, When, field_settings
from protocols.opcua.names import NameFault, Namespaces, parse_event_type, parse_field, parse_node

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Src = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
Time = Literal["source", "server", "none"]

DEPRECATED = ("Basic128Rsa15", "Basic256")
RESERVED = ("status", "time", "epoch")


class Security(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How the connection is secured and which server is believed. There is no default: a site says what it wants.

    policy: `"None"` (no signature, no encryption, anybody can be the server: only inside a closed network),
      `"Basic256Sha256"`, `"Aes128Sha256RsaOaep"`, `"Aes256Sha256RsaPss"`. `"Basic128Rsa15"` and `"Basic256"` rest on
      broken hashes; they are used only if named here, with a warning at each connection.
    mode: `"SignAndEncrypt"` or `"Sign"`. Not used with policy `"None"`.
    certificate, private_key: files of our application certificate (DER or PEM) and its RSA key (PEM or DER). The server
      has to trust the certificate. Needed unless the policy is `"None"`.
    private_key_password: of an encrypted key file.
    self_signed: make the pair at the first start if neither file exists (valid 5 years, key readable by its owner
      only).
    server_certificate: file of the one certificate that the server must show (pinned).
    trust_dir: directory of certificates (`*.der`, `*.pem`, `*.crt`, `*.cer`): a server's own, or those of authorities.
      An authority's server must also show the host name of `url`, or `server_uri`, in its certificate. An unknown
      certificate is refused and put into `trust_dir/rejected/`: compare its fingerprint at the server, then move it up.
      One of `server_certificate` and `trust_dir` is needed unless the policy is `"None"`.
    server_uri: application URI that the server's certificate must carry.
    plain_password: allow a password under policy `"None"`, where whoever listens can read it.
    """

    policy: Literal["None", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss", "Basic128Rsa15", "Basic256"]
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    certificate: Text | None = None
    private_key: Text | None = None
    private_key_password: Secret | None = None
    self_signed: bool = False
    server_certificate: Text | None = None
    trust_dir: Text | None = None
    server_uri: Text | None = None
    plain_password: bool = False

    def faults(self) -> Iterator[tuple[str, str]]:
        if self.policy == "None":
            return
        if self.certificate is None or self.private_key is None:
            yield "", f"policy {self.policy} needs certificate and private_key (self_signed = true makes them)"
        if self.server_certificate is None and self.trust_dir is None:
            yield "", f"policy {self.policy} needs server_certificate or trust_dir: say which server is believed"


class UserCertificate(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The user of the session, known by a certificate whose key we hold (X509IdentityToken, OPC 10000-4 section 7.41).

    certificate, private_key: files of the user's certificate (DER or PEM) and its RSA key (PEM or DER). The server has
      to trust the certificate as a user's; that of our application is another matter and has another list there.
    private_key_password: of an encrypted key file.
    """

    certificate: Text
    private_key: Text
    private_key_password: Secret | None = None

    def faults(self) -> Iterator[tuple[str, str]]:
        for name in ("certificate", "private_key"):
            if why := no_file(getattr(self, name)):
                yield name, why


class Variables(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One record out of several variables: when the trigger changes, all are collected and the record is built from
    them.

    src: the source that gaps and link states are reported for, and the record's `src` unless `record` maps its own;
      then this is what those names begin with.
    nodes: name -> node. The names are what `record` refers to: the value of node `lu` has the path `lu`, a member of a
      structure `state.weight` (see `structures`), an element of an array `codes[0]`. Each node also has a status and a
      time: `status.lu` (the status code, an integer), `time.lu` (its source timestamp, microseconds).
    trigger: the name of the node that says that something happened; it alone starts a record.
    edge: `"any"` change of the trigger (default), for booleans `"rising"` / `"falling"`, or `"write"`: each time that
      it is written, also with the value that it has (a scanner's last code); told apart by its source timestamp.
    each: path of an array whose elements are a record each; paths then begin at the element, and `$.lu` is the node.
    when: path -> the value, or a list of the values, that it must have; otherwise no record is made.
    collect: how the other nodes are got.
      `"read"` (default): all nodes in one Read call after the trigger's notification. If the trigger has moved on by
      then, the values of the notification are gone, and it becomes a `source.gap`. For devices that keep the values
      until the next event, and events further apart than `publishing_ms` and a round trip. A trigger alone is not read:
      its notification says all that there is.
      `"monitor"`: all nodes are monitored, and a record takes what each had at the trigger's source timestamp (the last
      value not younger than it). For bursts, and for servers that report every write with a true source timestamp.
    check: with `"read"`: the name of a node that is read before and after the others in the one call; its two values
      must be equal, and if the trigger is a counter, equal to it. Best a counter that the device increments before it
      writes the values, the trigger after. If not, the read was torn and is done again, at most `check_reads` times;
      then it is a fault and a `source.gap`.
    record: canonical field -> where it comes from (the mapping language, shared by all protocols).
      If `seq` is taken from the trigger, the trigger is a counter: after a reconnect or a restart a counter that moved
      means missed events, and one that began anew (the device was restarted) begins a new `epoch`, unless `record` maps
      that. One source has one counter: entries with counters of their own need a `src` of their own.
    time: what becomes `t` if `record` does not map it: the trigger's `"source"` timestamp (default), its `"server"`
      timestamp, or `"none"` (no `t`).
    snapshot: the first value after connecting is the state, not an event. `"ignore"` (default) takes it as the base
      line; `"emit"` makes a record of it. Under either, a trigger that differs from the one last seen before an
      interruption
      means missed events: a `source.gap`, and if the trigger is a counter, the record that can still be read.
    sampling_ms: asked of the server per monitored node: 0 (default) as fast as it can, ideally on every write.
    queue_size: notifications that the server keeps per node between two publishings, oldest discarded. More changes
      than that lose values; the server then sets the overflow bit, and it becomes a `source.gap`. A queue of one has no
      such bit: only for a trigger that numbers the records, or of which the last value is all that matters.
    """

    src: Src
    nodes: Annotated[dict[Name, Text], msgspec.Meta(min_length=1, max_length=256)]
    trigger: Name
    record: RecordSettings
    edge: Literal["any", "rising", "falling", "write"] = "any"
    when: When = {}
    each: Text | None = None
    collect: Literal["read", "monitor"] = "read"
    check: Name | None = None
    check_reads: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3
    time: Time = "source"
    snapshot: Literal["ignore", "emit"] = "ignore"
    sampling_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 0
    queue_size: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100

    def faults(self, namespaces: Namespaces) -> Iterator[tuple[str, str]]:
        known = ", ".join(self.nodes)
        names = {*self.nodes, *RESERVED}
        yield from _record_faults(self, names)
        if self.trigger not in self.nodes:
            yield "trigger", f"{self.trigger!r} is not in nodes: one of {known}"
        numbered = field_settings(self.record["seq"]) if "seq" in self.record else FieldSettings()
        if self.edge == "write" and numbered.path == self.trigger:
            yield "edge", '"write" is for a trigger that is no counter: one that numbers the records has "any"'
        if self.check is not None and self.check not in self.nodes:
            yield "check", f"{self.check!r} is not in nodes: one of {known}"
        if self.check is not None and self.collect == "monitor":
            yield "check", 'only works with collect = "read"'
        for name, node in self.nodes.items():
            if name in RESERVED:
                yield f"nodes.{name}", "the name has a meaning already (status.*, time.*, epoch): choose another"
            yield from _fault(f"nodes.{name}", parse_node, node, namespaces)


class Events(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One record out of each event of a server.

    src: the source that gaps and link states are reported for, and the record's `src` unless `record` maps its own;
      then this is what those names begin with.
    notifier: the node that is subscribed to: a node whose EventNotifier allows it. Default: the Server object, which
      notifies of every event of the server.
    event_type: only events of this type or below: a node id, or the type's browse name under BaseEventType
      (`pack:CartonEventType`).
    fields: name -> browse path of the field inside the event type (`pack:Carton`, `Message`, `pack:State/Id`).
      The names are what `record` refers to. `EventId`, `SourceName`, `Severity` and the others of BaseEventType have to
      be listed like all others.
    record: canonical field -> where it comes from (the mapping language, shared by all protocols).
    each: path of an array whose elements are a record each; paths then begin at the element, and `$.lu` is the field.
    when: path -> the value, or a list of the values, that it must have; otherwise no record is made.
    time: what becomes `t` if `record` does not map it: the event's `Time` (`"source"`, default), its `ReceiveTime`
      (`"server"`), or `"none"`.
    queue_size: events that the server keeps between two publishings; an overflow becomes a `source.gap`.
    severity_min: only events of this severity (1 to 1000) and more; the server filters.
    conditions: the events are of conditions (alarms): after connecting and after a loss have the server tell the
      present state of each once more. Fields such as `ActiveState/Id` or `AckedState/Id` say what the state is.
    """

    src: Src
    event_type: Text
    fields: Annotated[dict[Name, Text], msgspec.Meta(min_length=1, max_length=256)]
    record: RecordSettings
    notifier: Text = "i=2253"
    when: When = {}
    each: Text | None = None
    time: Time = "source"
    queue_size: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    severity_min: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    conditions: bool = False

    def faults(self, namespaces: Namespaces) -> Iterator[tuple[str, str]]:
        yield from _record_faults(self, self.fields)
        yield from _fault("notifier", parse_node, self.notifier, namespaces)
        yield from _fault("event_type", parse_event_type, self.event_type, namespaces)
        for name, path in self.fields.items():
            yield from _fault(f"fields.{name}", parse_field, path, namespaces)


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One OPC UA server.

    url: `opc.tcp://host:port/path`. No user name in it: see `user`.
    security: see `Security`. `security = { policy = "None" }` for a closed network.
    user, password: name and password of the session's user.
    user_certificate: the user's certificate instead, see `UserCertificate`. With none of them the user is anonymous.
    application_uri: our name towards the server; taken from our certificate if there is one.
    namespaces: alias -> namespace URI, for node ids and browse paths: `namespaces = { pack = "urn:vendor:packing" }`.
    variables: name -> a record made of variables, `[sources.NAME.variables.cartons]`: see `Variables`.
    events: name -> a record made of events, `[sources.NAME.events.labels]`: see `Events`.
    structures: load the server's type definitions at connecting, so that members of its own structures can be used.
    publishing_ms: how often the server sends what it has queued. The latency of a record is about this.
    keep_alive_ms: with nothing to send, the server says that it lives this often.
    lifetime_ms: without any sign of the subscription for so long, the server drops it, and we connect anew. At least
      three times `keep_alive_ms`.
    timeout_ms: for connecting and for each request.
    session_ms: asked session timeout: how long the server keeps a session that nothing is heard of. Within it (and
      `lifetime_ms` for the subscriptions) a lost connection loses nothing: the session is taken up again over the next.
    queue_messages: publish responses that wait here for the engine, of together `message_bytes_max`. When it is full no
      new ones are asked for, the server's queues fill instead, and its overflow bit then tells of loss.
    notifications_max: values or events asked for in one publish response; the rest comes in the next.
    publish_requests: how many publish requests wait at the server at a time, at least; one more than there are
      subscriptions if that is more, 32 at most. A server that takes fewer is asked for fewer.
    items_per_subscription: items are shared out among subscriptions of so many; an entry's stay together.
    message_bytes_max: largest message accepted from the server.
    retry_ms: a node that is missing or refused is tried again this often; the others go on meanwhile. All variables are
      read as often, to find those that the server tells nothing of any more.
    reconnect_min_ms, reconnect_max_ms: bounds of the pause between two attempts to connect, doubled each time, full
      jitter.
    """

    url: Annotated[
        str,
        msgspec.Meta(pattern=r"^opc\.tcp://", max_length=1024, description="an address such as opc.tcp://HOST:4840"),
    ]
    security: Security
    user: Text | None = None
    password: Secret | None = None
    user_certificate: UserCertificate | None = None
    application_uri: Text = "urn:sortline:client"
    namespaces: dict[Name, Text] = {}
    variables: Annotated[dict[Name, Variables], msgspec.Meta(max_length=10_000)] = {}
    events: Annotated[dict[Name, Events], msgspec.Meta(max_length=10_000)] = {}
    structures: bool = False
    publishing_ms: Milliseconds = 100
    keep_alive_ms: Milliseconds = 3_000
    lifetime_ms: Milliseconds = 10_000
    timeout_ms: Milliseconds = 4_000
    session_ms: Milliseconds = 60_000
    queue_messages: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 256
    notifications_max: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 200
    publish_requests: Annotated[int, msgspec.Meta(ge=1, le=32)] = 3
    items_per_subscription: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000
    message_bytes_max: Annotated[int, msgspec.Meta(ge=65_536, le=64 << 20)] = 4 << 20
    retry_ms: Milliseconds = 60_000
    reconnect_min_ms: Milliseconds = 100
    reconnect_max_ms: Milliseconds = 15_000

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the source's table, what is wrong and what to do) for what the types cannot say."""
        yield from self._connection_faults()
        for path, fault in self.security.faults():
            yield _join("security", path), fault
        if not self.variables and not self.events:
            yield "", "nothing to read: add [sources.NAME.variables.X] or [sources.NAME.events.X]"
        tables: tuple[tuple[str, Mapping[str, Variables | Events]], ...] = (
            ("variables", self.variables),
            ("events", self.events),
        )
        for table, entries in tables:
            for name, entry in entries.items():
                for path, fault in entry.faults(self.namespaces):
                    yield _join(f"{table}.{name}", path), fault
        yield from self._counter_faults()

    def _counter_faults(self) -> Iterator[tuple[str, str]]:
        """Two counters that number one source would make records of the one pass for repetitions of the other."""
        counters: dict[str, str] = {}
        for name, entry in self.variables.items():
            trigger = entry.nodes.get(entry.trigger)
            if "seq" not in entry.record or "src" in entry.record or trigger is None:
                continue
            if counters.setdefault(entry.src, trigger) != trigger:
                yield (
                    f"variables.{name}.src",
                    f"{entry.src!r} is already numbered by another counter: give it its own src",
                )

    def _connection_faults(self) -> Iterator[tuple[str, str]]:
        try:
            address = urlsplit(self.url)
            host, port = address.hostname, address.port
        except ValueError:
            host, port = None, None
        if not host or not port:
            yield "url", "needs a host and a port: opc.tcp://host:4840"
        elif "@" in address.netloc:
            yield "url", "no user name or password here: use user and password"
        if self.password is not None and self.user is None:
            yield "user", "a password without a user name"
        if self.password is not None and self.security.policy == "None" and not self.security.plain_password:
            yield (
                "password",
                'policy "None" sends it in the clear: choose a policy, or set security.plain_password = true',
            )
        if self.user_certificate is not None and self.user is not None:
            yield "user_certificate", "the user has a name already: keep one of the two"
        if self.user_certificate is not None and self.security.policy == "None":
            yield "user_certificate", 'policy "None" cannot tell whom it is shown to: choose a policy'
        if self.lifetime_ms < 3 * self.keep_alive_ms:
            yield "lifetime_ms", f"at least three times keep_alive_ms: {3 * self.keep_alive_ms}"
        if self.keep_alive_ms < self.publishing_ms:
            yield "keep_alive_ms", f"at least publishing_ms: {self.publishing_ms}"
        if self.reconnect_max_ms < self.reconnect_min_ms:
            yield "reconnect_max_ms", f"at least reconnect_min_ms: {self.reconnect_min_ms}"
        for alias in self.namespaces:
            if re.fullmatch(r"[nsgib]|nsu|svr|srv", alias):
                yield f"namespaces.{alias}", "the alias has a meaning in node ids: choose another"


def _record_faults(entry: Variables | Events, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Under `each` paths begin at the element, whose members are the server's affair; only `each` names a value."""
    known = names if entry.each is None else None
    yield from record_faults(entry.record, constants={"src": entry.src}, when=entry.when, each=entry.each, names=known)
    if entry.each is not None:
        for _, fault in field_faults("lu", FieldSettings(path=entry.each), names=names):
            yield "each", fault


def _fault(
    path: str, parse: Callable[[str, Namespaces], object], text: str, namespaces: Namespaces
) -> Iterator[tuple[str, str]]:
    try:
        parse(text, namespaces)
    except NameFault as fault:
        yield path, str(fault)


def _join(parent: str, path: str) -> str:
    return f"{parent}.{path}" if path else parent
