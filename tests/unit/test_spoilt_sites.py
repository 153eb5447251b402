"""A site file with any one value replaced by something absurd is refused with the place of it, or taken: never an error
of ours."""

from __future__ import annotations

import argparse
import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.arguments import number_of_seconds
from engine.config.load import check_site

EXAMPLES = Path(__file__).parents[2] / "examples"
ABSURD: tuple[Any, ...] = (5, [], [[]], {}, "", "x" * 5_000, -1, float("nan"), True)
STEP = 3  # each place is given every third of them, or it would take minutes
Keys = tuple[str | int, ...]


def keys_in(value: object, before: Keys = ()) -> Iterator[Keys]:
    inside: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*before, key)
        yield from keys_in(inner, (*before, key))


def with_value(document: Any, keys: Keys, value: object) -> Any:
    copied = copy.deepcopy(document)
    inside = copied
    for key in keys[:-1]:
        inside = inside[key]
    inside[keys[-1]] = copy.deepcopy(value)
    return copied


def parts_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The document without its sources, and each source by itself: what is not spoilt need not be checked each time."""
    sources = document.get("sources", {})
    yield {**document, "sources": {}}
    for name, source in sources.items():
        yield {"site": document["site"], "sources": {name: source}}


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("*.toml")))
def test_whatever_stands_in_a_value_s_place_is_no_error_of_ours(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORTLINE_PACKING_PASSWORD", "x")
    monkeypatch.chdir(EXAMPLES.parent)
    for part in parts_of(tomllib.loads((EXAMPLES / example).read_text())):
        for number, keys in enumerate(keys_in(part)):
            for value in ABSURD[number % STEP :: STEP]:
                for fault in check_site(with_value(part, keys, value)):
                    assert fault.path, (keys, value, fault)


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ({"sinks": 5}, "sinks"),
        ({"sinks": [[]]}, "sinks"),
        ({"sinks": "x"}, "sinks"),
        ({"engine": {"data_dir": "x" * 300}}, "engine.data_dir"),
        ({"engine": {"data_dir": "/dev/null/x"}}, "engine.data_dir"),
        ({"sources": {"f": {"protocol": "file_lines", "path": "x" * 300}}}, "sources.f.path"),
        ({"sources": {"f": {"protocol": "file_lines", "path": "x", "bookmark": "x" * 300}}}, "sources.f.bookmark"),
    ],
)
def test_what_a_place_cannot_be_is_a_fault_there(table: dict[str, Any], place: str) -> None:
    assert [fault.path for fault in check_site({"site": "dc1", **table})] == [place]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e300", "", "soon"])
def test_a_command_works_for_a_time_that_there_is(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="more than 0, at most"):
        number_of_seconds(text)
