"""The lines of hot functions touch no Python object: no yellow line in Cython's annotated page."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import hot
from bench.hot_functions import HOT

SOURCE = '''
cdef extern from "x.h":
    int foreign(int a)

cdef class Table:
    cdef int declared(self, int a) except -1

    cdef int find(self, int key,
                  int mask) noexcept nogil:
        """Looks."""

        # a comment below the margin
        return key & mask

    def __len__(self):
        return 1


cdef inline bint alone(int a) noexcept nogil:
    return a > 0
'''
YELLOW = """# a probe
import json

cdef int clean(int a) noexcept:
    return a + 1

cdef int fails(int a) except -1:
    if a < 0:
        raise ValueError(a)
    return clean(a)

cdef int rare(list kept, int a) except -1:
    if a < 0:
        kept.append(a)      # cold: once an hour
    return a

cdef int dirty(dict counts, int a) except -1:
    a += 1
    counts[a] = a
    return a

def call(list kept, dict counts, int a):
    return clean(a) + fails(a) + rare(kept, a) + dirty(counts, a)
"""


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in HOT.items() for name in names])
def test_a_hot_function_has_no_yellow_line(module: str, name: str) -> None:
    lines = hot.yellow_lines(module, name)
    assert not lines, "\n".join(map(str, lines))


def test_functions_are_found_with_their_lines() -> None:
    found = {
        function.name: SOURCE.splitlines()[function.first - 1 : function.last] for function in hot.functions(SOURCE)
    }
    assert found.keys() == {"Table.find", "Table.__len__", "alone"}
    assert found["Table.find"][-1].strip() == "return key & mask"
    assert found["alone"][-1].strip() == "return a > 0"


def test_yellow_lines_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ext").mkdir()
    (tmp_path / "ext" / "__init__.py").touch()
    (tmp_path / "ext" / "probe.pyx").write_text(YELLOW)
    monkeypatch.setattr(hot, "ROOT", tmp_path)
    for name in ("clean", "fails", "rare"):
        assert hot.yellow_lines("ext/probe.pyx", name) == []
    (line,) = hot.yellow_lines("ext/probe.pyx", "dirty")
    assert line.source.strip() == "counts[a] = a"
    assert any("Dict" in call or "Item" in call for call in line.calls)
    with pytest.raises(LookupError, match="no function gone"):
        hot.yellow_lines("ext/probe.pyx", "gone")


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("ext/gone.pyx", 2), ("README.md", 2)])
def test_the_command_says_how_it_is_used(argument: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        hot.main([argument])
    assert ended.value.code == code
    said = capsys.readouterr()
    assert "usage: python -m bench.hot" in said.out + said.err
