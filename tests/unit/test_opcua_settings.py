"""What the OPC UA settings refuse, and how nodes are named."""

from __future__ import annotations

import tomllib
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.opcua.names import NameFault, NodeName, Step, namespace_index, parse_event_type, parse_field, parse_node
from protocols.opcua.settings import Settings, UserCertificate

EXAMPLE = Path(__file__).parents[2] / "examples/opcua.toml"
ALIASES = {"pack": "urn:vendor:packing"}


def table(**changes: Any) -> dict[str, Any]:
    entry = {
        "src": "dc1/pack/PK-01",
        "nodes": {"counter": "ns=2;s=C", "lu": "ns=2;s=L"},
        "trigger": "counter",
        "record": {"kind": {"const": "carton.open"}, "lu": "lu"},
    }
    return {"url": "opc.tcp://h:4840/", "security": {"policy": "None"}, "variables": {"cartons": entry}} | changes


def faults(**changes: Any) -> dict[str, str]:
    return dict(msgspec.convert(table(**changes), Settings).faults())


def variables(**changes: Any) -> dict[str, Any]:
    return {"variables": {"cartons": table()["variables"]["cartons"] | changes}}


def test_the_example_has_no_fault() -> None:
    source = tomllib.loads(EXAMPLE.read_text())["sources"]["packing"]
    del source["protocol"], source["covers"]
    assert list(msgspec.convert(source, Settings).faults()) == []


def test_security_has_no_default_and_an_unknown_key_is_refused() -> None:
    bare = table()
    del bare["security"]
    with pytest.raises(msgspec.ValidationError, match="security"):
        msgspec.convert(bare, Settings)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert(table(polling_ms=1), Settings)


def test_a_policy_needs_our_certificate_and_a_server_to_believe() -> None:
    told = [fault for _, fault in msgspec.convert(table(security={"policy": "Basic256Sha256"}), Settings).faults()]
    assert "certificate and private_key" in told[0]
    assert "server_certificate or trust_dir" in told[1]


def test_a_password_without_protection_has_to_be_allowed_by_name() -> None:
    user = {"user": "u", "password": {"env": "HOME"}}
    assert "in the clear" in faults(**user)["password"]
    assert faults(**user, security={"policy": "None", "plain_password": True}) == {}


def test_a_user_has_a_name_or_a_certificate_and_a_certificate_is_shown_to_a_known_server_only(tmp_path: Path) -> None:
    files = {"certificate": str(tmp_path / "user.der"), "private_key": str(tmp_path / "user.pem")}
    assert [path for path, _ in msgspec.convert(files, UserCertificate).faults()] == ["certificate", "private_key"]
    for file in files.values():
        Path(file).touch()
    assert list(msgspec.convert(files, UserCertificate).faults()) == []
    shown = {"user_certificate": files}
    assert "cannot tell whom" in faults(**shown)["user_certificate"]
    secure = {"policy": "Basic256Sha256", "certificate": "c", "private_key": "k", "server_certificate": "s"}
    assert faults(**shown, security=secure) == {}
    assert "has a name already" in faults(**shown, user="u", security=secure)["user_certificate"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"url": "opc.tcp://host"}, "url"),
        ({"url": "opc.tcp://user:word@host:4840"}, "url"),
        ({"lifetime_ms": 5_000}, "lifetime_ms"),
        ({"publishing_ms": 5_000}, "keep_alive_ms"),
        ({"reconnect_max_ms": 10}, "reconnect_max_ms"),
        ({"variables": {}}, ""),
        ({"namespaces": {"nsu": "urn:x"}}, "namespaces.nsu"),
        (variables(trigger="cuonter"), "variables.cartons.trigger"),
        (variables(check="begun"), "variables.cartons.check"),
        (variables(check="lu", collect="monitor"), "variables.cartons.check"),
        (variables(edge="write", record={"kind": "lu", "seq": "counter"}), "variables.cartons.edge"),
        (variables(nodes={"counter": "ns=2;s=C", "lu": "2:Lu"}), "variables.cartons.nodes.lu"),
        (variables(nodes={"counter": "ns=2;s=C", "lu": "ns=2;s=L", "time": "i=2258"}), "variables.cartons.nodes.time"),
        (variables(record={"kind": {"const": "carton.open"}, "lu": "li"}), "variables.cartons.record.lu.path"),
    ],
)
def test_faults_are_named_by_their_place(changes: dict[str, Any], path: str) -> None:
    assert path in faults(**changes)


def test_under_each_paths_begin_at_the_element_and_each_itself_names_a_value() -> None:
    inside = {"kind": {"const": "scan.read"}, "lu": "ScanData.Value"}
    assert faults(**variables(each="lu", record=inside, when={"CodeType": "EAN13"})) == {}
    assert list(faults(**variables(each="results", record=inside))) == ["variables.cartons.each"]


def test_one_source_is_numbered_by_one_counter() -> None:
    first = table()["variables"]["cartons"]
    first["record"]["seq"] = "counter"
    second = first | {"nodes": {"counter": "ns=2;s=D", "lu": "ns=2;s=L"}}
    assert list(faults(variables={"first": first, "second": second})) == ["variables.second.src"]
    assert faults(variables={"first": first, "second": second | {"src": "dc1/pack/PK-02"}}) == {}


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("i=2253", NodeName(0, "i", 2253)),
        ("ns=2;s=a;b=c", NodeName(2, "s", "a;b=c")),
        ("ns=pack;i=7", NodeName("urn:vendor:packing", "i", 7)),
        ("nsu=http://v/a%3Bb;s=X", NodeName("http://v/a;b", "s", "X")),
        (
            "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a",
            NodeName(1, "g", uuid.UUID("09087e75-8e5e-499b-954f-f2a9603db28a")),
        ),
        ("ns=1;b=aGk=", NodeName(1, "b", b"hi")),
        ("/Server", (Step(0, "Server"),)),
        ("/pack:Line1/2:PK:01", (Step("urn:vendor:packing", "Line1"), Step(2, "PK:01"))),
        (r"/2:a\/b/2:c\\d", (Step(2, "a/b"), Step(2, "c\\d"))),
    ],
)
def test_nodes_are_named_by_id_or_by_browse_path(text: str, node: object) -> None:
    assert parse_node(text, ALIASES) == node


@pytest.mark.parametrize(
    "text", ["", "2253", "i=x", "i=4294967296", "ns=other;i=1", "g=1", "b=*", "/", "/a//b", "/a/", "/other:a", "/2:"]
)
def test_what_names_no_node_is_refused(text: str) -> None:
    with pytest.raises(NameFault):
        parse_node(text, ALIASES)


def test_event_types_and_fields() -> None:
    assert parse_event_type("pack:T", ALIASES) == Step("urn:vendor:packing", "T")
    assert parse_event_type("i=2041", ALIASES) == NodeName(0, "i", 2041)
    assert parse_field("pack:State/Id", ALIASES) == (Step("urn:vendor:packing", "State"), Step(0, "Id"))
    with pytest.raises(NameFault):
        parse_event_type("a/b", ALIASES)


def test_a_namespace_that_the_server_lacks_is_named_with_those_it_has() -> None:
    assert namespace_index("urn:b", ["urn:a", "urn:b"]) == 1
    with pytest.raises(NameFault, match=r"no namespace 'urn:c'; it has 'urn:a'"):
        namespace_index("urn:c", ["urn:a"])


def test_no_more_is_told_of_a_servers_namespaces_than_a_person_reads() -> None:
    with pytest.raises(NameFault, match="and 84 more") as refused:
        namespace_index("urn:c", ["\u202e" * 60_000] * 100)
    assert len(str(refused.value)) < 16_000
    assert str(refused.value).isascii()
