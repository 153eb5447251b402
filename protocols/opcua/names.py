"""How the site file names nodes, event types and event fields. Parsing only: nothing here knows a server.

Node ids are OPC 10000-6 section 5.3.1.10 (`ns=2;s=Counter`, `nsu=<uri>;i=85`); browse paths are the names of OPC
10000-4 annex A.2, always by hierarchical references, with an alias or an index before the colon:
`/pack:Line1/2:Counter`.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Namespaces = Mapping[str, str]
"""Alias -> namespace URI."""


class NameFault(ValueError):
    """A name that cannot be read, or that the server's namespaces do not have: what is wrong and what to do."""


class NodeName(NamedTuple):
    """A node id whose namespace is still an index or a URI. `kind`: i, s, g or b, as in its text form."""

    namespace: int | str
    kind: str
    identifier: int | str | bytes | uuid.UUID


class Step(NamedTuple):
    """A qualified browse name whose namespace is still an index or a URI."""

    namespace: int | str
    name: str


Path = tuple[Step, ...]

SHOWN_MAX = 16
SHOWN_CHARACTERS = 120
"""So much is told of what a server calls its namespaces."""

_NODE_ID = re.compile(r"(?:(ns|nsu)=([^;]*);)?([isgb])=(.+)", re.DOTALL)
_STEPS = re.compile(r"((?:[^/\\]|\\.)+)(?:/|$)", re.DOTALL)


def parse_node(text: str, namespaces: Namespaces) -> NodeName | Path:
    """A node id, or with a leading slash a browse path from the Objects folder."""
    if text.startswith("/"):
        return _steps(text[1:], namespaces)
    return _node_id(text, namespaces)


def parse_event_type(text: str, namespaces: Namespaces) -> NodeName | Step:
    """A node id, or the browse name of a type below BaseEventType."""
    if _NODE_ID.fullmatch(text):
        return _node_id(text, namespaces)
    steps = _steps(text, namespaces)
    if len(steps) != 1:
        raise NameFault("an event type is a node id or one browse name: pack:CartonEventType")
    return steps[0]


def parse_field(text: str, namespaces: Namespaces) -> Path:
    """A browse path from an event type to one of its fields."""
    return _steps(text.removeprefix("/"), namespaces)


def namespace_index(namespace: int | str, array: Sequence[str]) -> int:
    """The index that a server with this NamespaceArray gives to a namespace. Raises NameFault: the server lacks it."""
    if isinstance(namespace, int):
        return namespace
    try:
        return array.index(namespace)
    except ValueError:
        shown = ", ".join(ascii(uri[:SHOWN_CHARACTERS]) for uri in array[:SHOWN_MAX])
        more = f" and {len(array) - SHOWN_MAX} more" if len(array) > SHOWN_MAX else ""
        raise NameFault(f"the server has no namespace {namespace!r}; it has {shown}{more}") from None


def _node_id(text: str, namespaces: Namespaces) -> NodeName:
    match = _NODE_ID.fullmatch(text)
    if match is None:
        raise NameFault("not a node: write ns=2;s=Name, nsu=urn:vendor;i=7 or a browse path /2:Line1/2:Counter")
    scheme, namespace, kind, identifier = match.groups()
    if scheme is None:
        return NodeName(0, kind, _identifier(kind, identifier))
    if scheme == "nsu":
        # RFC 3986 escapes stand for ';' and '%' inside the URI (OPC 10000-6 section 5.3.1.10).
        uri = namespace.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")
        if not uri:
            raise NameFault("nsu= needs a namespace URI")
        return NodeName(uri, kind, _identifier(kind, identifier))
    return NodeName(_namespace(namespace, namespaces), kind, _identifier(kind, identifier))


def _identifier(kind: str, text: str) -> int | str | bytes | uuid.UUID:
    try:
        if kind == "i":
            number = int(text)
            if not 0 <= number < 1 << 32:
                raise ValueError
            return number
        if kind == "g":
            return uuid.UUID(text)
        if kind == "b":
            return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        wanted = {"i": "a number below 2**32", "g": "a GUID", "b": "base64"}[kind]
        raise NameFault(f"{kind}= needs {wanted}") from None
    return text


def _steps(text: str, namespaces: Namespaces) -> Path:
    steps, at = [], 0
    while at < len(text):
        match = _STEPS.match(text, at)
        if match is None:
            raise NameFault("a browse path has a name between every two slashes; \\/ stands for a slash in a name")
        steps.append(_step(match.group(1), namespaces))
        at = match.end()
    if not steps or text.endswith("/"):
        raise NameFault("a browse path ends with a name: /2:Line1/2:Counter")
    return tuple(steps)


def _step(text: str, namespaces: Namespaces) -> Step:
    prefix, colon, name = text.partition(":")
    if not colon or prefix.endswith("\\"):
        return Step(0, re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL))
    if not name:
        raise NameFault(f"no name after {prefix}:")
    return Step(_namespace(prefix, namespaces), re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL))


def _namespace(text: str, namespaces: Namespaces) -> int | str:
    if text.isascii() and text.isdigit() and len(text) <= 5:
        return int(text)
    if text in namespaces:
        return namespaces[text]
    known = ", ".join(namespaces) or "none"
    raise NameFault(f"{text!r} is neither a namespace index nor an alias from namespaces (there: {known})")
