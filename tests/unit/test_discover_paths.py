"""The paths that a draft of `discover` shows lead where it says, as they stand there."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.mapping.paths import Scope, parse_path, path_of
from protocols.mapping.sequence import Sequences
from protocols.mqtt import discover
from protocols.mqtt.decode import Decoder
from protocols.mqtt.discover import Group, draft, paths
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug import draft as sparkplug

NAMES = st.text(min_size=1, max_size=6) | st.sampled_from(
    ["a", "a.b", "b", "x[0]", '"', "\\", "{d}", "$", "$.a", ".", "a b"]
)
PAYLOADS = st.recursive(
    st.integers(0, 9) | st.text(max_size=3), lambda inside: st.dictionaries(NAMES, inside, min_size=1, max_size=3)
)


def shown(text: str) -> list[tuple[str, str]]:
    """(path, sample) of each comment, the path as it is between quotes in TOML."""
    found = re.findall(r"^#   (.+) = (.*)$", text, re.M)
    return [(tomllib.loads(f'path = "{path}"')["path"], sample) for path, sample in found]


@given(PAYLOADS)
def test_every_path_leads_to_its_value(payload: object) -> None:
    for path, value in paths(payload):
        assert parse_path(path).follow(Scope(payload, payload, {})) is value


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_a_path_of_names_leads_along_them(names: list[str]) -> None:
    path = parse_path(path_of(names))
    assert path.steps == tuple(names)
    assert not path.from_root


NESTED: dict[str, Any] = {
    "nested": {"x.y": 1, "x": {"y": "two"}, "z[0]": "three"},
    "flat.name": "four",
    "a.b": "five",
    "a": {"b": "six", 'say "hi"': "seven", "back\\slash": "eight", "line\nfeed": "nine"},
    "{brace}": "ten",
    "$cost": "eleven",
    "n" * 80: {"m" * 80: "twelve"},
    "caf\u00e9": "thirteen",
    "list": [1, 2],
}


def test_a_draft_of_nested_names_does_what_it_shows() -> None:
    text = draft(
        "floor", discover.begin("floor", {"host": "h", "plaintext": True}, "5"), [Group(("a",), ("a",), (NESTED,))]
    )
    found = shown(text)
    assert len(found) == 13
    for path, sample in found:
        if sample.startswith("["):
            continue
        table = tomllib.loads(text)["sources"]["floor"]
        del table["protocol"]
        table["topics"][0]["record"]["code"] = {"path": path}
        made = msgspec.convert(table, Settings)
        assert list(made.faults()) == []
        for spelled in (json.dumps(NESTED), json.dumps(NESTED, ensure_ascii=False)):
            lines, causes = told(made, spelled.encode())
            assert causes == []
            assert json.dumps(json.loads(lines[0])["code"]) == (f'"{sample}"' if sample.isdigit() else sample)


def told(made: Settings, payload: bytes) -> tuple[list[bytes], list[str]]:
    found = Decoder(made, Sequences(lambda src: None)).decode("a", payload, 1)
    return found.lines, found.causes


@pytest.mark.parametrize("name", ["Tag[0]", "a.b", "Line {1}/Count", 'the "one"', "$x", "plain/Count"])
def test_a_draft_of_a_metric_does_what_it_shows(name: str) -> None:
    text = "\n".join(sparkplug.draft("floor", {"G/N/D": {name: 5}}))
    ((path, sample),) = shown(text)
    assert sample == "5"
    assert parse_path(path).follow(Scope({name: 5}, None, {})) == 5
