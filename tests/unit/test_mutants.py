"""What becomes of a line that is changed on purpose, and which lines are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import changes, code, mutants


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("    if a < b:  # why", "    if a <= b:"),
        ("    if a < b:", "    if False and (a < b):"),
        ("    elif a:", "    elif True or (a):"),
        ("    return a and not b", "    return a or not b"),
        ("    return a and not b", "    return a and b"),
        ("    floor.tell(fact)", "    pass"),
        ("    shipment.held = True", "    pass"),
        ("    i -= 1", "    pass"),
        ("    return min(a + 1, b)", "    return max(a + 1, b)"),
    ],
)
def test_a_line_says_something_else(line: str, wanted: str) -> None:
    assert wanted in list(changes(line))


@pytest.mark.parametrize("line", ["    floor.store.free(facts)", "    return a", "    tell(a,", "    else:"])
def test_what_cannot_be_left_out(line: str) -> None:
    assert "    pass" not in list(changes(line))


def test_text_and_declarations_are_no_code() -> None:
    source = ['"""What it is,', 'and why."""', "cdef int tell(int a) except -1:", '    """Once."""', "    a += 1", ""]
    assert list(code(source)) == [4]


def test_every_change_is_one() -> None:
    made = mutants([Path("ext/readiness.pyx"), Path("engine/throttle.py")])
    assert len({mutant.file for mutant in made}) == 2
    assert all(mutant.before != mutant.after for mutant in made)
