"""`sortline discover mqtt HOST`: listens to a broker for a while and drafts a source's table.

It listens under a name of its own, with a session that ends with it and QoS 0: it takes nothing away from anybody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, NamedTuple

import aiomqtt
import msgspec

from engine.arguments import number_of_seconds
from engine.cancellation import raise_if_cancelled
from engine.clock import now_us
from engine.errors import Refused
from engine.model import KINDS
from protocols.discovery import (
    Discovery,
    Seen,
    add_place,
    head,
    how_to_connect,
    in_quotes,
    key,
    sample,
    table,
    toml,
)
from protocols.mapping.paths import PathFault, Scope, parse_path, path_of
from protocols.mapping.sequence import Sequences
from protocols.mqtt.connection import Connection, Lost
from protocols.mqtt.decode import Decoder
from protocols.mqtt.listening import client, connected, has_answered, why_not
from protocols.mqtt.settings import Settings, usual_port
from protocols.mqtt.sparkplug import draft as sparkplug
from protocols.mqtt.topics import TopicFault, parse_filter

PURPOSE = "listen to a broker, show its topics, draft the source's table; publishes nothing"
CONNECTION = ("host", "port", "websocket", "version", "user", "password", "tls", "plaintext", "connect_ms")
SECRET = "SORTLINE_PASSWORD"  # noqa: S105  # where it is
PLAINTEXT = " # only in a closed network; better: tls = {}"
TOPICS_MAX = 5_000
PATHS_MAX = 24
PATH_CHARACTERS_MAX = 200
PAYLOAD_BYTES_MAX = 262_144
ROWS_MAX = 200


class Heard(NamedTuple):
    """What came under one topic. `last`: its last payload; `retained`: how many the broker had kept."""

    seen: Seen
    last: bytes
    retained: int


Topics = dict[str, Heard]
Levels = tuple[str | None, ...]


class Group(NamedTuple):
    """Topics that differ in some levels. `levels`: None where they differ; `payloads`: one of each form that came."""

    levels: Levels
    topics: tuple[str, ...]
    payloads: tuple[object, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "HOST", "the broker, HOST or HOST:PORT")
    parser.add_argument(
        "--topics", type=_wanted, default="#", metavar="FILTER", help="only topics that match, MQTT wildcards (#)"
    )
    parser.add_argument("--seconds", type=number_of_seconds, default=10.0, metavar="N", help="listen for so long (10)")
    parser.add_argument("--tls", action="store_true", help="TLS, by a certificate that this computer trusts")
    parser.add_argument("--websocket", metavar="PATH", help="inside a WebSocket at this path, mostly /mqtt")
    parser.add_argument("--user", help="user name; the password is taken from the environment, SORTLINE_PASSWORD")
    parser.add_argument("--name", default="mqtt", help="the source's name in the draft (mqtt)")


def _wanted(text: str) -> str:
    own = "$" if text.startswith("$") else ""  # the broker's own topics: a source has none, but they may be looked at
    try:
        return own + parse_filter(text.removeprefix("$")).wire
    except TopicFault as fault:
        raise argparse.ArgumentTypeError(f"{text}: {fault}") from None


async def discover(args: argparse.Namespace) -> Discovery:
    """Raises Refused where the broker cannot be listened to."""
    connect = how_to_connect(args, CONNECTION, lambda where: _connect(args, where))
    try:
        settings = msgspec.convert(connect, Settings)
    except msgspec.ValidationError as error:
        raise Refused(f"{connect.get('host', 'mqtt')}: {error}") from None
    topics: Topics = {}
    try:
        version = await _listen(args, settings, topics)
    except (aiomqtt.MqttError, OSError) as error:
        raise Refused(f"{_where(settings)}: {why_not(error, settings)}") from None
    nodes = {topic: heard.last for topic, heard in topics.items() if topic.startswith(sparkplug.NAMESPACE)}
    # what begins with $ is the broker's own: shown, but no source
    others = {topic: heard for topic, heard in topics.items() if topic not in nodes and not topic.startswith("$")}
    above = begin(args.name, connect, version)
    text = draft(args.name, above, groups(others, bool(nodes)), bool(nodes))
    if nodes:
        text += "\n".join([*sparkplug.draft(args.name, sparkplug.devices(nodes)), ""])
    return Discovery(_report(_where(settings), args.seconds, topics), text)


def _where(settings: Settings) -> str:
    host, port = settings.address()
    return f"{host}:{port}"


def _connect(args: argparse.Namespace, where: str) -> dict[str, Any]:
    """As the options say."""
    host, port = _address(where, usual_port(args.tls, args.websocket is not None))
    connect: dict[str, Any] = {"host": host, "port": port}
    if args.user is not None:
        connect["user"] = args.user
        if SECRET in os.environ:
            connect["password"] = {"env": SECRET}
    if args.websocket is not None:
        connect["websocket"] = {"path": args.websocket}
    connect["tls" if args.tls else "plaintext"] = {} if args.tls else True
    return connect


async def _listen(args: argparse.Namespace, settings: Settings, topics: Topics) -> str:
    """Until its time is over. Returns the newest version of MQTT that the broker speaks."""
    name = f"sortline-discover-{os.getpid()}"
    version = "5"
    async with AsyncExitStack() as stack:
        try:
            listener = await stack.enter_async_context(connected(client(settings, name, aiomqtt.ProtocolVersion.V5)))
        except aiomqtt.MqttError as error:
            version = "3.1.1"
            try:
                old = client(settings, name, aiomqtt.ProtocolVersion.V311)
                listener = await stack.enter_async_context(connected(old))
            except aiomqtt.MqttError:
                why = "" if has_answered(error) else await _why_ours(settings, name)
                raise Refused(f"{_where(settings)}: {why or why_not(error, settings)}") from None
        await listener.subscribe(args.topics, qos=0)
        raise_if_cancelled()  # aiomqtt waits with asyncio.wait_for until here
        with suppress(TimeoutError):
            async with asyncio.timeout(args.seconds):
                async for message in listener.messages:
                    _hear(topics, str(message.topic), message)
    return version


async def _why_ours(settings: Settings, name: str) -> str:
    """Why a source's own connection comes to nothing; empty if it does not. aiomqtt waits till its time is over,
    whatever the other side says."""
    password = settings.password.reveal() if settings.password is not None else None
    forgotten = msgspec.structs.replace(settings, session_expiry_s=0)
    decoder = Decoder(forgotten, Sequences(lambda src: None))
    connection = Connection(forgotten, name, password, decoder, now_us, lambda cause, payload, topic: None)
    try:
        await connection.open(settings.tls.context() if settings.tls is not None else None)
    except Lost as error:
        return str(error)
    finally:
        connection.drop()
    return ""


def groups(topics: Mapping[str, Heard], has_nodes: bool = False) -> list[Group]:
    """Topics put together where their payloads have much in common and they differ in one level. No two groups overlap
    (a broker could send a message twice), nor one with the Sparkplug nodes."""
    kinds: list[tuple[int, set[str], list[str]]] = []
    payloads = {topic: payload_of(heard.last) for topic, heard in topics.items()}
    for topic, payload in payloads.items():
        depth, names = topic.count("/"), _form(payload)
        for other_depth, known, alike in kinds:
            if depth == other_depth and 2 * len(names & known) >= min(len(names), len(known)):
                known |= names
                alike.append(topic)
                break
        else:
            kinds.append((depth, set(names), [topic]))
    found: dict[Levels, list[str]] = {}
    for _, _, alike in kinds:
        for levels, members in _merge([tuple(topic.split("/")) for topic in alike], int(has_nodes)).items():
            _put_apart(found, levels, ["/".join(member) for member in members])
    listed = [Group(levels, tuple(names), _one_of_each(names, payloads)) for levels, names in found.items()]
    return sorted(listed, key=lambda group: group.topics[0])


def _put_apart(found: dict[Levels, list[str]], levels: Levels, names: list[str]) -> None:
    """Add it to those that are apart already; one that overlaps is taken in, whatever its payloads are."""
    while (other := next((each for each in found if _overlap(each, levels)), None)) is not None:
        names = found.pop(other) + names
        levels = tuple(a if a == b else None for a, b in zip(other, levels, strict=True))
    found[levels] = names


def _overlap(one: Levels, other: Levels) -> bool:
    return len(one) == len(other) and all(a == b or a is None or b is None for a, b in zip(one, other, strict=True))


def _one_of_each(names: list[str], payloads: Mapping[str, object]) -> tuple[object, ...]:
    return tuple({_form(payloads[name]): payloads[name] for name in reversed(names)}.values())[::-1]


def begin(name: str, connect: Mapping[str, Any], version: str) -> list[str]:
    """The beginning of a source's table: how to connect."""
    lines = head(name, "mqtt", {each: value for each, value in connect.items() if each != "version"})
    if connect.get("plaintext"):
        lines = [line + PLAINTEXT if line.startswith("plaintext") else line for line in lines]
    if version != "5":
        lines.append(f"version = {toml(version)} # this broker does not speak 5")
    return lines


def draft(name: str, above: list[str], found: list[Group], has_nodes: bool = False) -> str:
    """A source's table with an entry for each group behind what stands `above`. `has_nodes`: a Sparkplug table
    follows."""
    lines = [*above, 'scope = ["site/"] # what the src of its records begins with']
    for group in found:
        lines += ["", f"# {len(group.topics)} topics like {_shown(group.topics[0])}", f"[[sources.{key(name)}.topics]]"]
        filter_text, captures = _filter(group.levels)
        lines.append(f"filter = {toml(filter_text)}")
        lines += _meaning(group.payloads, captures)
    if not found and not has_nodes:
        lines += ["", "# nothing was heard: listen longer", f"[[sources.{key(name)}.topics]]", 'filter = "#"']
        lines += ['format = "canonical"']
    return "\n".join(lines) + "\n"


def payload_of(data: bytes) -> object:
    """What a payload is: JSON, a text, or None for bytes that are neither."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _meaning(payloads: tuple[object, ...], captures: list[str]) -> list[str]:
    if all(isinstance(each, dict) and each.get("kind") in KINDS and "src" in each for each in payloads):
        return ['format = "canonical"']
    source = "/".join(["site", *(f"{{{name}}}" for name in captures)]) if captures else "site/area/device"
    src = f"record.src = {{ template = {toml(source)} }}" if captures else f"record.src = {{ const = {toml(source)} }}"
    lines = [src, 'record.kind = { const = "telemetry" } # what happened: see the kinds in docs/records.md']
    if not all(isinstance(each, dict | list) for each in payloads):
        return ['format = "text"', *lines, *(f"# payload: {_shown(each)}" for each in payloads[:PATHS_MAX])]
    shown = list(payloads)
    if all(isinstance(each, list) for each in payloads):
        lines.append('each = "." # the payload is a list: a record for each element')
        shown = [each[0] for each in payloads if isinstance(each, list) and each]
    lines.append("# there is:" if len(shown) == 1 else f"# there is, in payloads of {len(shown)} forms:")
    values = {path: value for each in reversed(shown) for path, value in paths(each)}
    return lines + [f"#   {in_quotes(path)} = {sample(value)}" for path, value in list(values.items())[:PATHS_MAX]]


def paths(payload: object) -> list[tuple[str, object]]:
    """(path, value) of everything in a payload that is no object, each as the mapping language has it."""
    found = []
    for names, value in _leaves(payload, ()):
        flat = ".".join(names)
        # the shortest that leads there
        for path in (flat, path_of(names)) if names else (".",):
            if len(path) <= PATH_CHARACTERS_MAX and _leads_to(path, payload, value):
                found.append((path, value))
                break
    return found


def _leaves(payload: object, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if not isinstance(payload, dict):
        yield above, payload
        return
    for name, value in payload.items():
        yield from _leaves(value, (*above, name))


def _leads_to(path: str, payload: object, value: object) -> bool:
    try:
        return parse_path(path).follow(Scope(payload, payload, {})) is value
    except PathFault:
        return False


def _hear(topics: Topics, topic: str, message: aiomqtt.Message) -> None:
    if topic not in topics and len(topics) >= TOPICS_MAX:
        return
    payload: Any = message.payload
    data = bytes(payload)[:PAYLOAD_BYTES_MAX] if isinstance(payload, bytes | bytearray) else str(payload or "").encode()
    seen, _, retained = topics.get(topic, Heard(Seen(), b"", 0))
    if not message.retain:
        seen.add(None)
    topics[topic] = Heard(seen, data, retained + bool(message.retain))


def _merge(topics: list[tuple[str, ...]], kept: int) -> dict[Levels, list[tuple[str, ...]]]:
    """Topics of one length: those that differ in one level only become one, again and again. The first `kept` levels
    stay as they are."""
    merged: dict[Levels, list[tuple[str, ...]]] = {topic: [topic] for topic in topics}
    for level in range(kept, len(topics[0]) if topics else 0):
        alike: dict[Levels, list[Levels]] = {}
        for levels in merged:
            alike.setdefault((*levels[:level], *levels[level + 1 :]), []).append(levels)
        for same in alike.values():
            if len(same) > 1:
                first = same[0]
                wide = (*first[:level], None, *first[level + 1 :])
                merged[wide] = [topic for levels in same for topic in merged.pop(levels)]
    return merged


def _form(payload: object) -> frozenset[str]:
    """The names in an object, or what else it is."""
    if isinstance(payload, dict):
        return frozenset(map(str, payload)) or frozenset({"{}"})
    if isinstance(payload, list):
        return frozenset(f"[{name}]" for name in _form(payload[0] if payload else None))
    return frozenset({f"({type(payload).__name__})"})


def _filter(levels: Levels) -> tuple[str, list[str]]:
    names = (
        ["device"] if levels.count(None) == 1 else [f"level{at}" for at, level in enumerate(levels) if level is None]
    )
    left = iter(names)
    return "/".join(f"+{next(left)}" if level is None else level for level in levels), names


def _report(where: str, seconds: float, topics: Topics) -> list[str]:
    total = sum(heard.seen.count for heard in topics.values())
    lines = [f"{where}: {len(topics)} topics, {total / seconds:.3g} messages/s"]
    if len(topics) >= TOPICS_MAX:
        lines.append(f"  only the first {TOPICS_MAX} topics: narrow --topics")
    rows = [("rate", "retained", "topic", "payload")]
    for topic, heard in sorted(topics.items(), key=lambda item: -item[1].seen.count)[:ROWS_MAX]:
        payload = payload_of(heard.last)
        if topic.startswith(sparkplug.NAMESPACE) and payload is None:
            payload = sparkplug.metrics_of(heard.last)
        shown = sample(payload) if heard.last else "(empty)"
        rows.append((heard.seen.rate(seconds), str(heard.retained), _shown(topic), shown))
    more = [f"... and {len(topics) - ROWS_MAX} more topics"] if len(topics) > ROWS_MAX else []
    return [*lines, *table(rows), *more]


def _shown(text: object) -> str:
    return sample(text)[1:-1] if isinstance(text, str) else sample(text)


def _address(text: str, port: int) -> tuple[str, int]:
    host, colon, given = text.rpartition(":")
    if not colon or "]" in given or (":" in host and not host.startswith("[")):
        return text, port
    if not given.isdigit() or not 0 < int(given) < 65_536:
        raise Refused(f"{text}: not HOST or HOST:PORT")
    return host.strip("[]"), int(given)
