"""README.md beside this file: which cases show a rule, each with the sentence that it has. `python -m tests.cases.make`
writes it.

A case is named after the rule that it is about first; the sentence begins with all rules that meet in it.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.cases.traps import TRAPS

HERE = Path(__file__).parent
INDEX = HERE / "README.md"
RULES = (
    *("R1", "R2", "R3", "R4", "R4a", "R5", "R6", "R7", "R10", "R11"),
    *("R20", "R21", "R22", "R23", "R24", "R25", "R26", "R27", "R27a", "R28", "R29", "R30", "R31"),
    *("R40", "R40a", "R41", "R42", "R43", "R44", "R45", "R46", "R47", "R48"),
    *("R50", "R50a", "R51", "R52", "R53", "R54", "R55", "R56"),
    *("R60", "R61", "R62", "R63", "R64", "R65", "R66", "R70", "R71", "R72", "R80", "R81", "R82"),
)
LIFECYCLES = "Section 10"

HEAD = """\
# Golden cases

One folder a case: records in (`input.ndjson`), what must come of them (`expected.ndjson`), and a sentence
(`about.txt`). The folder is named after the rule that it is about first; a sentence begins with all the rules that meet
in the case. What a rule means stands in [docs/rules.md](../../docs/rules.md). A number such as "the close of 20" is a
moment: 20 seconds after the story's beginning.

`python -m tests.cases.make` writes the folders and this page.

"""


def rule_of(case: str) -> str:
    """R27 of R27_put_back_after_the_cancel; R21 of R21d_deadline."""
    found = re.match(r"R0*(\d+)(a?)", case)
    if found is None:
        return LIFECYCLES
    rule = f"R{found[1]}{found[2]}"
    return rule if rule in RULES else f"R{found[1]}"


def rules_met(about: str) -> set[str]:
    """Those that the sentence begins with."""
    head = about.partition(":")[0]
    return set(re.findall(r"\bR\d+a?\b", head)) | ({LIFECYCLES} if "ection 10" in head else set())


def anchor(rule: str) -> str:
    return "section-10" if rule == LIFECYCLES else rule.lower()


def link(case: str) -> str:
    return f"[{case}]({case})"


def index(abouts: dict[str, str]) -> str:
    """The page, out of folder name -> sentence."""
    parts = [HEAD, " ".join(f"[{rule}](#{anchor(rule)})" for rule in (*RULES, LIFECYCLES)), "\n"]
    for rule in (*RULES, LIFECYCLES):
        parts.append(f'\n## <a id="{anchor(rule)}"></a>{rule}\n\n')
        parts += [f"- {link(name)}: {flat(abouts[name])}\n" for name in sorted(abouts) if rule_of(name) == rule]
        met = [link(name) for name in sorted(abouts) if rule_of(name) != rule and rule in rules_met(abouts[name])]
        if met:
            parts.append(f"- also in {', '.join(met)}\n")
    parts.append(
        '\n## <a id="traps"></a>Traps\n\nSection 13 of the rules names them; each is shown by a case, or by a test.\n\n'
    )
    for trap, place in TRAPS.items():
        file, _, test = place.partition(":")
        parts.append(f"- {trap}: {f'`{test}` in [{file}](../../{file})' if test else link(place)}\n")
    return "".join(parts)


def flat(about: str) -> str:
    """On one line."""
    return " ".join(about.split())
