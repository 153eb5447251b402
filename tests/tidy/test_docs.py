"""The pages tell the truth where a test can ask: what they name is there, and rules stand in their numbers' order."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bench.hot_functions import HOT
from engine.cli import COMMANDS
from engine.config.rules import Rules, SourceRules
from engine.event_schema import DATA
from tests.cases.index import RULES
from tests.tidy.sources import ROOT

FOLDERS_PAGES = [ROOT / folder / "README.md" for folder in ("bench", "engine", "ext", "protocols", "tests/cases")]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *FOLDERS_PAGES])
RULES_PAGE = (ROOT / "docs/rules.md").read_text()
DECISIONS_PAGE = (ROOT / "docs/decisions.md").read_text()
CORE_PAGE = (ROOT / "ext/README.md").read_text()
FUNCTION = re.compile(r"`((?:ext|engine|protocols)/[\w/]+\.pyx?):(\w+)`")
DECIDING = sorted(
    {
        (rule, file, name)
        for rule, told in re.findall(
            r'^### <a id="\w+"></a>(R\d+a?):(.*?)(?=^##)', RULES_PAGE, re.MULTILINE | re.DOTALL
        )
        for file, name in FUNCTION.findall(told)
    }
)
DEFAULTS = msgspec.structs.asdict(Rules())


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of the table that begins so."""
    lines = page[page.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`: the anchors that are set, and those that GitHub makes of headings."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w -]", "", re.sub(r"<[^>]*>", "", line).lower()).replace(" ", "-") for line in headings}
    return made | set(re.findall(r'<a id="([^"]+)"', text))


def test_every_rule_has_a_heading_in_order() -> None:
    headings = re.findall(r'^### <a id="(r\d+a?)"></a>(R\d+a?):', RULES_PAGE, re.MULTILINE)
    assert [rule for _, rule in headings] == list(RULES)
    assert [anchor for anchor, _ in headings] == [rule.lower() for rule in RULES]


def test_decisions_stand_in_the_order_of_the_rules() -> None:
    headings = re.findall(r'^## <a id="(r\d+a?)"></a>(R\d+a?):', DECISIONS_PAGE, re.MULTILINE)
    places = [RULES.index(rule) for _, rule in headings]
    assert places == sorted(set(places))
    said = re.findall(r"^### .*$", DECISIONS_PAGE, re.MULTILINE)
    assert len(said) > 100


def definitions(file: str, name: str) -> list[str]:
    """The text of each function of that name: all that stands deeper than its first line."""
    head = rf"^(?P<margin> *)(?:async )?c?def\b[^=\n]*\b{name}\("
    body = r"(?:.*\n)(?:(?:(?P=margin) +.*)?\n)*"
    return [found.group() for found in re.finditer(head + body, (ROOT / file).read_text(), re.MULTILINE)]


@pytest.mark.parametrize(("file", "name"), sorted(set(FUNCTION.findall(RULES_PAGE))))
def test_a_function_that_decides_is_there(file: str, name: str) -> None:
    assert definitions(file, name)


@pytest.mark.parametrize(("rule", "file", "name"), DECIDING)
def test_a_function_that_decides_carries_the_rule(rule: str, file: str, name: str) -> None:
    assert any(re.search(rf"\b{rule}\b", text) for text in definitions(file, name)), f"{rule} does not stand in it"


def test_every_module_of_the_core_has_its_row() -> None:
    rows = re.findall(r"^\| ((?:\**`\w+`\**(?:, )?)+) \|", CORE_PAGE, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted({path.stem for path in [*ROOT.glob("ext/*.pyx"), *ROOT.glob("ext/*.pxd")]})


@pytest.mark.parametrize(
    ("folder", "depth"), [("engine", "**/*.py"), ("protocols", "*.py"), ("protocols", "mapping/*.py")]
)
def test_every_module_of_a_folder_has_its_row(folder: str, depth: str) -> None:
    """Of the protocols only what they share: each has a page of its own."""
    cells = re.findall(r"^\| ((?:`[\w/]+`(?:, )?)+) \|", (ROOT / folder / "README.md").read_text(), re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`([\w/]+)`", cell)]
    there = {str(path.relative_to(ROOT / folder).with_suffix("")) for path in (ROOT / folder).glob(depth)}
    assert {name for name in there if not name.endswith("__init__")} <= set(named)
    assert len(named) == len(set(named))
    for name in named:
        assert (ROOT / folder / f"{name}.py").exists() or (ROOT / folder / name).is_dir(), name


def test_modules_with_hot_functions_are_told_apart() -> None:
    say_so = {path.stem for path in ROOT.glob("ext/*.pyx") if re.search(r"\bHot[:,] ", path.read_text())}
    assert set(re.findall(r"\*\*`(\w+)`\*\*", CORE_PAGE)) == say_so | {Path(file).stem for file in HOT}


def test_every_parameter_is_explained_with_its_default() -> None:
    table = {re.findall(r"`(\w+)`", row[0])[0]: row for row in rows(RULES_PAGE, "| name | default |")}
    assert set(table) == set(DEFAULTS)
    for name, (cell, default, _) in table.items():
        said = default.split(" (")[0].strip("`").replace(" ", "").replace('"', "")
        value = DEFAULTS[name]
        assert said == ("[]" if value == () else str(value).lower()), name
        assert cell.endswith(" s") == (name in SourceRules.__struct_fields__), name


def test_every_exception_is_explained() -> None:
    source = (ROOT / "ext/exceptions.pyx").read_text()
    table = re.findall(r'^    \("([A-Z_]+)", "(\w+)"', source, re.MULTILINE)
    told = [
        (code, row[1]) for row in rows(RULES_PAGE, "| code | severity |") for code in re.findall(r"`([A-Z_]+)`", row[0])
    ]
    assert told == table
    header = (ROOT / "ext/exceptions.pxd").read_text()
    codes = re.search(r"^cdef enum:\n((?:    [A-Z_]+\n)+)    CODES ", header, re.MULTILINE)
    assert codes is not None
    assert codes[1].split() == [code for code, _ in table], "the numbers are those of the rows"


def test_what_an_event_carries_is_told_as_in_its_schema() -> None:
    told = {
        type_: [f"{name}{may}" for name, may in re.findall(r"`(\w+)`(\??)", fields)]
        for types, _, _, fields in rows((ROOT / "docs/records.md").read_text(), "| type | code | key |")
        for type_ in re.findall(r"`([a-z.]+)`", types)
    }
    assert told == {type_: [field.split(":")[0] for field in fields.split()] for type_, fields in DATA.items()}


def test_every_command_is_named() -> None:
    named = re.findall(r"^\| `sortline (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target
