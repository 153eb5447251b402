"""Changes one line at a time and shows which changes no test finds.

    python -m tests.mutants ext/readiness.pyx ext/picks.pyx --count 40
    python -m tests.mutants engine/outbox.py --tests tests/unit/test_outbox.py tests/property/test_delivery_story.py

A condition is held for true or false, `and` becomes `or`, a `not` goes, a comparison moves by one, a statement is
left out. All of it happens in a copy, build/mutants. A change that survives is a line that no test holds, a line that
nobody needs, or another way to say the same: a person has to tell which. Without `--tests`, the tests of the rules
look: golden cases first, then the core against the oracle and itself.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPY = ROOT / "build" / "mutants"
COPIED = (
    *("ext", "engine", "protocols", "simulators", "bench", "tests", "examples", "docs"),
    *("pyproject.toml", "setup.py"),
)
RULES = (
    *("tests/cases", "tests/unit/test_core_odd_stories.py", "tests/unit/test_any_arrival.py"),
    *("tests/unit/test_forgotten.py", "tests/unit/test_merged_cycles.py", "tests/unit/test_corrected_picks.py"),
    *("tests/unit/test_late_transitions.py", "tests/property/test_premises_against_oracle.py"),
    *("tests/property/test_gaps_in_any_order.py", "tests/property/test_put_wall.py"),
    *("tests/property/test_named_late.py", "tests/property/test_snapshot.py", "tests/property/test_stuck.py"),
    *("tests/property/test_exceptions_in_any_order.py", "tests/property/test_bounds.py"),
    *("tests/property/test_last_words.py", "tests/property/test_metamorphic.py"),
    *("tests/property/test_core_against_oracle.py", "tests/property/test_whole_floor.py"),
)
QUICKLY = {
    "SORTLINE_EXAMPLES": "60",
    "SORTLINE_LIVES": "60",
    "SORTLINE_CRASH_STATES": "3000",
    "SORTLINE_DAMAGES": "3000",
}
LIMIT_S = 600  # a change may make a loop endless
SWAPS = (
    *((" < ", " <= "), (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" == ", " != "), (" != ", " == ")),
    *((" + ", " - "), (" - ", " + "), (" and ", " or "), (" or ", " and "), ("not ", ""), ("True", "False")),
    *(("False", "True"), (" max(", " min("), (" min(", " max(")),
)
CONDITION = re.compile(r"^(\s*)(if|elif) (.*):$")
STATEMENT = re.compile(
    r"^\s*(?!return|raise|if |elif |for |while |and |or |not |else)"  # no word that begins something else
    r"[\w.\[\]<>*&, ()-]+( [-+|&]?= |\()"
)
NO_CODE = re.compile(r"\s*(cdef|ctypedef|cimport|from|import|(async )?def|class|else|try)\b|\s*[@#]")
FREES = re.compile(r"\.free\(")  # what is left out here is collected later


class Mutant(NamedTuple):
    """One line of a file, changed. line: from 0."""

    file: Path
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line + 1}\n    - {self.before.strip()}\n    + {self.after.strip()}"


def changes(line: str) -> Iterator[str]:
    """All that can become of a line of code."""
    body = line.split("  #")[0].rstrip()
    if condition := CONDITION.match(body):
        indent, word, asked = condition.groups()
        yield f"{indent}{word} False and ({asked}):"
        yield f"{indent}{word} True or ({asked}):"
    for old, new in SWAPS:
        for found in re.finditer(re.escape(old), body):
            yield body[: found.start()] + new + body[found.end() :]
    if is_statement(body):
        yield re.sub(r"\S.*", "pass", body)


def is_statement(body: str) -> bool:
    """Whole on one line, and missed by nobody's grammar."""
    closed = body.count("(") == body.count(")") and body.count("[") == body.count("]") and body[-1:] not in ":,"
    return closed and STATEMENT.match(body) is not None and not FREES.search(body)


def code(source: Sequence[str]) -> Iterator[int]:
    """Lines that are neither text nor declarations."""
    inside = False
    for number, line in enumerate(source):
        quotes = line.count('"""')
        if not inside and not quotes and line.strip() and not NO_CODE.match(line):
            yield number
        inside ^= quotes % 2 == 1


def mutants(files: Sequence[Path]) -> list[Mutant]:
    made = []
    for file in files:
        source = (ROOT / file).read_text(encoding="utf-8").split("\n")
        made += [Mutant(file, n, source[n], after) for n in code(source) for after in changes(source[n])]
    return made


def apply(mutant: Mutant) -> bool:
    """In the copy. False: it is no program."""
    target = COPY / mutant.file
    source = (ROOT / mutant.file).read_text(encoding="utf-8").split("\n")
    source[mutant.line] = mutant.after
    target.write_text("\n".join(source), encoding="utf-8")
    return built(mutant.file)


def undo(file: Path) -> None:
    shutil.copy2(ROOT / file, COPY / file)
    for compiled in (ROOT / file.parent).glob(f"{file.stem}.*.so"):
        shutil.copy2(compiled, COPY / file.parent)


def built(file: Path) -> bool:
    if file.suffix != ".pyx":
        return run([sys.executable, "-m", "py_compile", str(file)]) == 0
    c, library = file.with_suffix(".c"), file.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
    cython = [sys.executable, "-m", "cython", "-3", "-X", "embedsignature=True,binding=True", str(file), "-o", str(c)]
    compiler = ["cc", "-O1", "-w", "-shared", "-fPIC", "-fwrapv", f"-I{sysconfig.get_path('include')}", "-Iext"]
    return run(cython) == 0 and run([*compiler, str(c), "-o", str(library)]) == 0


def run(command: Sequence[str]) -> int:
    """What it returns; 1 also of one that does not end."""
    with subprocess.Popen(
        command, cwd=COPY, env={**os.environ, **QUICKLY}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:  # fmt: skip
        try:
            return running.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, 9)
            return 1


def copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, COPY / name)


def survives(mutant: Mutant, tests: Sequence[str]) -> bool | None:
    """None: it is no program."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    try:
        return all(run([*pytest, test]) == 0 for test in tests) if apply(mutant) else None
    finally:
        undo(mutant.file)


def main(argv: Sequence[str] | None = None) -> int:
    """0: none survived."""
    parser = argparse.ArgumentParser(description="Changes one line at a time and shows which changes no test finds.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="ext/NAME.pyx or a Python module")
    parser.add_argument("--count", type=int, default=40, help="so many, drawn from all (40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", nargs="+", default=RULES, help="files or folders, the quickest first")
    args = parser.parse_args(argv)
    made = mutants(args.files)
    drawn = random.Random(args.seed).sample(made, min(args.count, len(made)))
    copy()
    survived = 0
    for number, mutant in enumerate(drawn, start=1):
        began_s = time.monotonic()
        lives = survives(mutant, args.tests)
        verdict = {True: "SURVIVED", False: "found", None: "no program"}[lives]
        survived += bool(lives)
        print(f"{number}/{len(drawn)} {verdict} in {time.monotonic() - began_s:.0f} s: {mutant}", flush=True)
    print(f"{survived} of {len(drawn)} survived")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
