"""A site file is refused with all of its faults at once, each with its path and what would be right."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.faults import Fault, SiteRefused, below, nearest
from engine.config.load import check_site, load_rules, load_site
from engine.config.rules import SITE_NAMES, SOURCE_NAMES, Rules
from engine.config.walk import check
from engine.model import BUSINESS
from engine.schema import part
from engine.sinks.registry import SINKS
from protocols.registry import PROTOCOLS, settings_of


@pytest.fixture(autouse=True, scope="module")
def sample() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for registry in (PROTOCOLS, SINKS):
            patch.setitem(registry, "sample", ("tests.unit.sample_protocol:Settings", ""))
        yield


EXAMPLES = Path(__file__).parents[2] / "examples"

GOOD = """
site = "dc1"
[engine]
intake_records_max = 1000
[rules]
short_on_close = true
[sources.sorter]
protocol = "sample"
host = "10.0.0.7"
covers = ["dc1/sorter"]
disorder_ms = 500
units = [
  { unit = 1, poll_ms = 20 },
  { unit = 2, block = { layout = "mailbox", ack = 40 } },
  { unit = 3, block = { layout = "ring" }, word_order = "little" },
]
table = { "a b" = "x", c = 1 }
[sources."dc1/slow"]
disorder_ms = 20_000
[sinks.erp]
kind = "sample"
host = "erp"
[sinks.lab]
kind = "sample"
host = "lab"
[[routes]]
types = ["pick.*", "carton.closed"]
queue = "wms.stock"
sinks = ["erp"]
"""


def faults_of(text: str) -> dict[str, str]:
    return dict(check_site(tomllib.loads(text)))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(text)
    return path


def test_a_good_file_becomes_structs(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, GOOD))
    assert site.site == "dc1"
    assert site.engine.intake_records_max == 1000
    assert site.rules == Rules(short_on_close=True)
    assert [source.name for source in site.sources] == ["sorter", "dc1/slow"]
    assert site.sources[0].settings.units[1].block.ack == 40
    assert site.sources[1].protocol is None
    assert site.source_rules() == [("dc1/sorter", {"disorder_ms": 500}), ("dc1/slow", {"disorder_ms": 20_000})]
    assert [sink.settings.host for sink in site.sinks] == ["erp", "lab"]


def test_two_keys_are_enough_for_a_replay_and_a_library_is_not_asked_for(tmp_path: Path) -> None:
    rules = load_rules(write(tmp_path, 'site = "dc1"\n[rules]\nloops_max = 5\n'))
    assert (rules.site, rules.rules.loops_max, rules.source_rules) == ("dc1", 5, [])
    elsewhere = GOOD.replace('protocol = "sample"', 'protocol = "of another box"').replace(
        "[engine]", "[engine]\nx = 1"
    )
    assert load_rules(write(tmp_path, elsewhere)).source_rules[0] == ("dc1/sorter", {"disorder_ms": 500})
    with pytest.raises(SiteRefused, match=r"rules\.loop_max.*loops_max"):
        load_rules(write(tmp_path, 'site = "dc1"\n[rules]\nloop_max = 5\n'))


BAD = {
    # name: (what to change in GOOD, by what), (path, part of the message)
    "unknown key at the top": ("[engine]", "[engin]\n[engine]", "engin", 'did you mean "engine"'),
    "missing site": ('site = "dc1"', "", "site", "missing"),
    "site that cannot stand in an id": ('"dc1"', '"dc|1"', "site", "a name of letters, digits and . _ -"),
    "rule in the table of the engine": (
        "[engine]",
        "[engine]\nstate_bytes_max = 1",
        "engine.state_bytes_max",
        "[rules]",
    ),
    "limit in the table of the rules": (
        "[rules]",
        "[rules]\nintake_bytes_max = 1",
        "rules.intake_bytes_max",
        "[engine]",
    ),
    "unknown rule": ("short_on_close", "short_on_clos", "rules.short_on_clos", 'did you mean "short_on_close"'),
    "dash for underscore": (
        "short_on_close",
        "short-on-close",
        "rules.short-on-close",
        'did you mean "short_on_close"',
    ),
    "rule of wrong type": ("= true", '= "yes"', "rules.short_on_close", "true or false, is a string"),
    "limit below its bound": ("_max = 1000", "_max = 0", "engine.intake_records_max", ">= 1 and <= 10000000, is 0"),
    "true for a number": ("_max = 1000", "_max = true", "engine.intake_records_max", "a whole number"),
    "fraction for a whole number": ("_max = 1000", "_max = 10.5", "engine.intake_records_max", "with a fraction"),
    "unknown protocol": ('protocol = "sample"', 'protocol = "sampel"', "sources.sorter.protocol", 'you mean "sample"'),
    "protocol that is no name": ('protocol = "sample"', "protocol = 5", "sources.sorter.protocol", "must be a string"),
    "unknown key of a protocol": ("host =", "hosst =", "sources.sorter.hosst", 'did you mean "host"'),
    "missing key of a protocol": ('host = "10.0.0.7"', "", "sources.sorter.host", "missing: must be a string"),
    "empty string": ('"10.0.0.7"', '""', "sources.sorter.host", "at least 1 character"),
    "bound inside a list": ("poll_ms = 20", "poll_ms = 5", "sources.sorter.units[0].poll_ms", ">= 10"),
    "unknown key inside a list": ("poll_ms = 20", "pol_ms = 20", "sources.sorter.units[0].pol_ms", '"poll_ms"'),
    "choice": ('"little"', '"litle"', "sources.sorter.units[2].word_order", 'did you mean "little"'),
    "unknown variant": ('"ring"', '"rnig"', "sources.sorter.units[2].block.layout", 'did you mean "ring"'),
    "missing variant": ('layout = "mailbox", ', "", "sources.sorter.units[1].block.layout", '"mailbox" or "ring"'),
    "missing key of a variant": (", ack = 40", "", "sources.sorter.units[1].block.ack", "missing"),
    "key of another variant": ("ack = 40", "ack = 4, size = 1", "sources.sorter.units[1].block.size", "unknown key"),
    "value of a table": ("c = 1 }", "c = [] }", "sources.sorter.table.c", "a string or a whole number, is a list"),
    "value under a quoted key": ('"a b" = "x"', '"a b" = 1.5', 'sources.sorter.table."a b"', "with a fraction"),
    "list for a table": ("{ unit = 1, poll_ms = 20 }", "[1]", "sources.sorter.units[0]", "a table { unit = ..."),
    "value out of faults()": ("unit = 2,", "unit = 1,", "sources.sorter.units[1].unit", "1 is already used"),
    "site's rule at a source": ("disorder_ms = 500", "loops_max = 1", "sources.sorter.loops_max", "[rules]"),
    "rule at a source out of bounds": ("disorder_ms = 500", "disorder_ms = -1", "sources.sorter.disorder_ms", ">= 0"),
    "covers that is no list": ('["dc1/sorter"]', '"dc1"', "sources.sorter.covers", "must be a list"),
    "covered twice": ('["dc1/sorter"]', '["dc1/slow"]', 'sources."dc1/slow"', "already covered by sources.sorter"),
    "source without anything": ("disorder_ms = 20_000", "", 'sources."dc1/slow"', "does nothing"),
    "settings without a protocol": (
        "disorder_ms = 20_000",
        "hots = 1",
        'sources."dc1/slow".hots',
        "without a protocol",
    ),
    "source that is no table": ("[sources.sorter]", "[sources]\nfoo = 1\n[sources.sorter]", "sources.foo", "a table"),
    "unknown kind of sink": ('kind = "sample"', 'kind = "rediss"', "sinks.erp.kind", 'did you mean "redis"'),
    "unknown key of a sink": ('host = "erp"', 'host = "erp"\nport_ = 1', "sinks.erp.port_", 'did you mean "port"'),
    "route to an unknown sink": ('sinks = ["erp"]', 'sinks = ["epr"]', "routes[0].sinks[0]", 'did you mean "erp"'),
    "route of an unknown type": ('"pick.*"', '"pik.*"', "routes[0].types[0]", 'did you mean "pick.*"'),
    "type twice in a route": ('"carton.closed"', '"pick.*"', "routes[0].types[1]", "twice"),
    "route that is never used": (
        '[[routes]]\ntypes = ["pick.*"',
        '[[routes]]\ntypes = ["*"]\n[[routes]]\ntypes = ["pick.*"',
        "routes[1]",
        "never used",
    ),
    "number that is not finite": ('host = "10.0.0.7"', 'host = "h"\nratio = nan', "sources.sorter.ratio", "not finite"),
    "secret in the clear": (
        'host = "10.0.0.7"',
        'host = "h"\ntls = true\nlogin = { user = "u", password = "hunter2" }',
        "sources.sorter.login.password",
        "a table { file = ..., env = ... }, is a string",
    ),
    "missing secret file": (
        'host = "10.0.0.7"',
        'host = "h"\ntls = true\nlogin = { user = "u", password = { file = "/nowhere/pw" } }',
        "sources.sorter.login.password",
        "No such file",
    ),
    "missing secret variable": (
        'host = "10.0.0.7"',
        'host = "h"\ntls = true\nlogin = { user = "u", password = { env = "SORTLINE_NO_SUCH" } }',
        "sources.sorter.login.password",
        "not set",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_named_with_its_path_and_what_is_allowed(case: str) -> None:
    old, new, path, message = BAD[case]
    assert GOOD.count(old) >= 1, "the case changes nothing"
    faults = faults_of(GOOD.replace(old, new, 1))
    assert path in faults, faults
    assert message in faults[path]
    assert "hunter2" not in str(faults)


def test_a_good_file_has_no_faults() -> None:
    assert faults_of(GOOD) == {}


INDEPENDENT = [
    "unknown key at the top",
    "site that cannot stand in an id",
    "dash for underscore",
    "limit below its bound",
    "missing key of a protocol",
    "bound inside a list",
    "choice",
    "missing key of a variant",
    "value out of faults()",
    "value of a table",
    "value under a quoted key",
    "rule at a source out of bounds",
    "covers that is no list",
    "settings without a protocol",
    "unknown kind of sink",
    "route of an unknown type",
]


@given(st.sets(st.sampled_from(INDEPENDENT), min_size=1))
@settings(deadline=None)
def test_every_planted_fault_is_reported_and_no_other(cases: set[str]) -> None:
    text = GOOD
    for case in cases:
        text = text.replace(BAD[case][0], BAD[case][1], 1)
    found = faults_of(text)
    if "missing key of a protocol" in cases:
        cases = cases - {"value out of faults()"}  # without what it must have, a struct cannot be asked
    assert set(found) == {BAD[case][2] for case in cases}


def test_a_fault_of_type_does_not_hide_what_cannot_be_meant_in_the_same_table() -> None:
    text = GOOD.replace("poll_ms = 20", "poll_ms = 5").replace("unit = 2,", "unit = 1, pol = 1,")
    units = "sources.sorter.units"
    assert set(faults_of(text)) == {f"{units}[0].poll_ms", f"{units}[1].pol", f"{units}[1].unit"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('site = "dc1"\nsite = "dc2"\n', "a key stands there a second time (at line 2, column 13)"),
        ('site = "dc1\n', "a text has no closing quote (at line 1, column 12)"),
        ("sources = [1]\n", "sources: must be a table, each value a table, is a list"),
        ("site = 1\n", "that begins with a letter or digit, is a whole number"),
    ],
)
def test_what_is_no_toml_or_no_table_is_said_plainly(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SiteRefused) as refused:
        load_site(write(tmp_path, text))
    assert said in str(refused.value)


def test_a_mark_of_a_windows_editor_is_no_fault(tmp_path: Path) -> None:
    assert load_site(write(tmp_path, "\ufeff" + GOOD)).site == "dc1"


def test_every_pattern_is_said_in_words() -> None:
    """A regular expression tells an integrator nothing."""
    schema = msgspec.json.encode(part("site"))
    patterns = [each for each in _objects(msgspec.json.decode(schema)) if isinstance(each.get("pattern"), str)]
    assert len(patterns) > 10
    assert [each["pattern"] for each in patterns if "description" not in each] == []


def _objects(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def test_what_is_meant_is_not_judged_by_a_default_that_stands_in() -> None:
    text = GOOD.replace('host = "10.0.0.7"', 'host = "h"\ntls = 1\nlogin = { user = "u", password = { env = "HOME" } }')
    assert set(faults_of(text)) == {"sources.sorter.tls"}


def test_many_faults_of_real_protocols_at_once() -> None:
    text = (EXAMPLES / "warehouse.toml").read_text()
    for old, new in [
        ("\nscope =", "\nscop ="),
        ('kind = { path = "ty"', 'knd = { path = "ty"'),
        ("wrap = 256", "wrap = -1"),
        ("port = 15020", "port = 99999"),
        ('url = "opc.tcp', 'url = "http'),
    ]:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    assert set(faults_of(text)) == {
        "sources.floor.scop",
        "sources.floor.topics[0].record",
        "sources.floor.topics[0].record.knd",
        "sources.floor.topics[0].record.seq.wrap",
        "sources.machines.port",
        "sources.packing.url",
    }


def test_faults_of_type_do_not_hide_those_of_meaning_elsewhere() -> None:
    text = GOOD.replace("intake_records_max = 1000", "intake_records_max = 0").replace("unit = 2,", "unit = 1,")
    assert set(faults_of(text)) == {"engine.intake_records_max", "sources.sorter.units[1].unit"}
    text = GOOD.replace(
        'host = "10.0.0.7"', 'host = "h"\nlogin = { user = "u", password = { env = "SORTLINE_NO_SUCH" } }'
    )
    assert set(faults_of(text)) == {"sources.sorter.login.password", "sources.sorter.tls"}


def refusal(path: Path) -> SiteRefused:
    with pytest.raises(SiteRefused) as caught:
        load_site(path)
    return caught.value


def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    assert "No such file" in str(refusal(tmp_path / "absent.toml"))
    assert "absent.toml" in str(refusal(tmp_path / "absent.toml"))
    assert "directory" in str(refusal(tmp_path)).lower()


def test_a_syntax_error_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 3" in str(refusal(write(tmp_path, 'site = "dc1"\n[rules]\nloops_max = = 3\n')))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b'site = "dc1"\n# \xff\n')
    assert "not UTF-8 text (line 2)" in str(refusal(binary))
    assert "nested too deeply" in str(refusal(write(tmp_path, "x = " + "[" * 100_000)))


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 4" in str(refusal(write(tmp_path, 'site = "dc1"\n[rules]\nloops_max = 3\nloops_max = 4\n')))


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "sample", ("no_such_library.settings:Settings", ""))
    message = faults_of(GOOD)["sources.sorter.protocol"]
    assert "no_such_library" in message


def test_without_routes_every_type_goes_to_its_own_queue_at_every_sink(tmp_path: Path) -> None:
    routing = load_site(write(tmp_path, GOOD[: GOOD.index("[[routes]]")])).routing()
    assert routing == {type_: {"erp": b.queue, "lab": b.queue} for type_, b in BUSINESS.items()}


def test_a_type_that_routes_name_goes_only_where_they_say(tmp_path: Path) -> None:
    text = (
        GOOD
        + """
[[routes]]
types = ["*.confirmed", "exception.*"]
sinks = ["lab"]
"""
    )
    routing = load_site(write(tmp_path, text)).routing()
    assert routing["pick.confirmed"] == {"erp": "wms.stock", "lab": "erp.inventory"}
    assert routing["pick.short"] == {"erp": "wms.stock"}
    assert routing["exception.raised"] == {"lab": "ops.exceptions"}
    assert routing["shipment.ready"] == {"erp": "erp.shipping", "lab": "erp.shipping"}


def test_without_sinks_there_is_one_embedded_queue() -> None:
    faults = faults_of('site = "dc1"\n[[routes]]\ntypes = ["*"]\nsinks = ["other"]\n')
    assert faults["routes[0].sinks[0]"] == 'there is no sink "other": known here: queue'


def test_the_rules_have_the_names_and_defaults_that_are_written_down() -> None:
    assert len(SITE_NAMES) == 18 + len({"closing_points", "partial_load", "stuck_ms", "rate_band"})
    assert SOURCE_NAMES < SITE_NAMES
    given = Rules().given()
    assert (given["disorder_ms"], given["loops_max"], given["short_on_close"]) == (2_000, 3, False)
    assert given["state_bytes_max"] == 536_870_912


@pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - {"sample"}))
def test_no_setting_of_a_protocol_has_a_name_that_the_site_file_gives_away(protocol: str) -> None:
    names = {field.encode_name for field in msgspec.structs.fields(settings_of(protocol))}
    assert not names & (SITE_NAMES | {"protocol", "covers"})


class Node(msgspec.Struct):
    name: str

    def faults(self, known: set[str]) -> list[tuple[str, str]]:
        return [] if self.name in known else [("name", "is not known")]


class Line(msgspec.Struct):
    nodes: list[Node]

    def faults(self) -> list[tuple[str, str]]:
        found = ((i, fault) for i, node in enumerate(self.nodes) for fault in node.faults({"a"}))
        return [(f"nodes[{i}].{path}", message) for i, (path, message) in found]


def test_a_struct_that_cannot_judge_alone_is_left_to_the_one_that_holds_it() -> None:
    assert check({"nodes": [{"name": "a"}, {"name": "b"}]}, Line) == [Fault("nodes[1].name", "is not known")]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_have_no_faults(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in re.findall(r'env = "(\w+)"', path.read_text()):
        monkeypatch.setenv(variable, "secret")
    assert faults_of(path.read_text()) == {}


def test_nearest_and_paths() -> None:
    assert nearest("pollms", ["poll_ms", "port"]) == "poll_ms"
    assert nearest("POLL-MS", ["poll_ms", "port"]) == "poll_ms"
    assert nearest("zzz", ["poll_ms"]) is None
    assert below("a", "") == "a"
    assert below("a", "[0].b") == "a[0].b"
    assert below("", "b") == "b"
    assert str(Fault("", "whole file")) == "whole file"


TWO = {
    "mqtt": (
        'host = "127.0.0.1"\nclient_id = "us"\nscope = ["dc1/"]\ntopics = [{ filter = "a/#", format = "canonical" }]',
        "client_id",
        "the name us at 127.0.0.1:1883",
    ),
    "telegram": (
        'host = "127.0.0.1"\nport = 2000\nrole = "server"\nsrc = "dc1/a"\nframing = { kind = "stx_etx" }\n'
        "header = {}\ntelegrams = [{}]",
        "port",
        "port 2000 of 127.0.0.1",
    ),
    "file_lines": ('path = "/tmp/{name}"\nbookmark = "/tmp/mark"', "bookmark", "the file /tmp/mark"),
}


@pytest.mark.parametrize("protocol", TWO)
def test_what_only_one_source_may_have_is_named_where_a_second_has_it(protocol: str) -> None:
    table, key, what = TWO[protocol]
    text = 'site = "dc1"\n' + "".join(
        f'[sources.{name}]\nprotocol = "{protocol}"\n{table.replace("{name}", name)}\n' for name in ("a", "b")
    )
    assert faults_of(text) == {f"sources.b.{key}": f"{what} is already that of sources.a.{key}"}
