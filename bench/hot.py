"""Where compiled code touches Python: Cython's own annotation, by function.

    python -m bench.hot                         # the hot functions of hot_functions.py
    python -m bench.hot ext/core.pyx ext/...    # every function of these files, the yellowest last

A line is "yellow" where its C calls the Python API. Not counted: what Cython adds to every function that can raise and
that runs only when it does (`AddTraceback`); in a hot function also `raise`, and a line that says `# cold` at its end,
because it runs only for what is rare or refused.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from bench.hot_functions import HOT

ROOT = Path(__file__).parents[1]
ERROR_PATH = {"__Pyx_AddTraceback", "__Pyx_PyGILState_Ensure", "__Pyx_PyGILState_Release"}

_LINE = re.compile(r"<pre class=\"cython line score-\d+\"[^>]*>.*?<span class=\"\w*\">(\d+)</span>", re.DOTALL)
# after an error, and only then, temporaries are let go with XDECREF
_CALL = re.compile(
    r"<span class='(?:py_c_api|py_macro_api|pyx_c_api|pyx_macro_api)'>(?!__Pyx_XDECREF</span>\(__pyx_t_)([^<]*)</span>"
)
_COLD = re.compile(r"^\s*raise\b|#\s*cold\b[^#]*$")
_CLASS = re.compile(r"^(?:cdef |cpdef )?class (\w+)")
_FUNCTION = re.compile(r"^( *)(?:cdef|cpdef|def)\b(?! (?:class|extern|enum|struct|union|fused))[^=#(]*?(\w+)\(")


class Function(NamedTuple):
    """name: Class.method for a method; first, last: its lines in the file, from 1."""

    name: str
    first: int
    last: int


class Yellow(NamedTuple):
    """One line that touches Python: the calls, each as often as it stands there."""

    path: str
    line: int
    source: str
    calls: list[str]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.source.strip()}\n        {', '.join(sorted(set(self.calls)))}"


def functions(source: str) -> list[Function]:
    """The functions and methods of a Cython file, in order."""
    lines = source.splitlines()
    owner = ""
    found = []
    for number, line in enumerate(lines, 1):
        if line and not line[0].isspace() and line[0] not in "#)":
            match = _CLASS.match(line)
            owner = match.group(1) if match else ""
        if match := _FUNCTION.match(line):
            last = _last_line(lines, number, len(match.group(1)))
            if last > number or line.rstrip().endswith(":"):  # a declaration alone is none
                name = f"{owner}.{match.group(2)}" if owner and match.group(1) else match.group(2)
                found.append(Function(name, number, last))
    return found


def yellow(module: str) -> dict[str, dict[int, Yellow]]:
    """path -> line -> what is yellow, of a compiled module and of the inline functions that it takes from others."""
    found = {}
    for path, html in _annotated(module).items():
        sources = (ROOT / path).read_text().splitlines()
        marks = list(_LINE.finditer(html))
        ends = [mark.start() for mark in marks[1:]] + [len(html)]
        of_file: dict[int, Yellow] = {}
        for mark, end in zip(marks, ends, strict=True):
            calls = [unescape(call) for call in _CALL.findall(html[mark.end() : end])]
            calls = [call for call in calls if call not in ERROR_PATH]
            number = int(mark.group(1))
            if calls:
                of_file[number] = Yellow(path, number, sources[number - 1], calls)
        found[path] = of_file
    return found


def yellow_lines(module: str, name: str) -> list[Yellow]:
    """Of one function, without its cold lines. Raises LookupError if the module does not compile such a one."""
    pages = yellow(module)
    places = [
        (path, function)
        for path in pages
        for function in functions((ROOT / path).read_text())
        if function.name == name and _is_compiled(module, path, function)
    ]
    if not places:
        raise LookupError(f"{module} compiles no function {name}: it is gone, renamed, or used by nobody there")
    return [
        line
        for path, function in places
        for number, line in pages[path].items()
        if function.first <= number <= function.last and not _COLD.search(line.source)
    ]


@cache
def _annotated(module: str) -> dict[str, str]:
    """path -> Cython's annotated page, for the module's file and every file of ours that code of it comes from."""
    from Cython.Compiler.Annotate import AnnotationCCodeWriter
    from Cython.Compiler.Main import CompilationOptions, compile_single, default_options

    pages: dict[str, str] = {}
    save = AnnotationCCodeWriter.save_annotation

    def save_all(writer: Any, source: str, target: str, coverage_xml: object = None) -> None:
        for name in filter(None, writer.code):
            path = Path(name) if Path(name).is_absolute() else ROOT / name
            if path.is_relative_to(ROOT / "ext"):
                save(writer, name, target, coverage_xml)
                pages[str(path.relative_to(ROOT))] = Path(target).with_suffix(".html").read_text()

    with tempfile.TemporaryDirectory() as folder, patch.object(AnnotationCCodeWriter, "save_annotation", save_all):
        options = CompilationOptions(
            {**default_options, "annotate": "default", "language_level": 3, "output_file": f"{folder}/annotated.c"}
        )
        options.include_path = [str(ROOT)]
        result = compile_single(str(ROOT / module), options, f"ext.{Path(module).stem}")
        if result.num_errors:
            raise ValueError(f"{module} does not compile")
    return pages


def _is_compiled(module: str, path: str, function: Function) -> bool:
    """Whether code of that function stands in the module: an inline function that nobody calls does not."""
    html = _annotated(module)[path]
    lines = range(function.first, function.last + 1)
    return any(re.search(rf'onclick="[^"]*">[^<]*<span class="\w*">0*{number}</span>', html) for number in lines)


def _last_line(lines: Sequence[str], first: int, indent: int) -> int:
    """The last line of the function whose `def` is line `first`."""
    at = first
    while at < len(lines) and not lines[at - 1].split("#")[0].rstrip().endswith(":"):
        at += 1
        if lines[at - 1].strip() == "":
            return first  # a declaration: it has no body
    last = at
    for number in range(at + 1, len(lines) + 1):
        text = lines[number - 1]
        if text.strip() and not text.lstrip().startswith("#"):
            if len(text) - len(text.lstrip()) <= indent:
                break
            last = number
    return last


def _of_hot_functions() -> Iterator[str]:
    for module, names in HOT.items():
        for name in names:
            lines = yellow_lines(module, name)
            yield f"{module} {name}: {len(lines) or 'no'} yellow line{'' if len(lines) == 1 else 's'}"
            yield from (f"    {line}" for line in lines)


def _of_file(module: str) -> Iterator[str]:
    of_lines = yellow(module)[module]
    rows = []
    for function in functions((ROOT / module).read_text()):
        mine = [line for number, line in of_lines.items() if function.first <= number <= function.last]
        rows.append((sum(len(line.calls) for line in mine), len(mine), function))
    for calls, count, function in sorted(rows, key=lambda row: row[:2]):
        lines = function.last - function.first + 1
        yield f"{module}:{function.first:<4} {function.name:<36} {count:>3} of {lines:>3} lines, {calls:>3} calls"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.hot", description="Where compiled code touches Python.")
    parser.add_argument("modules", nargs="*", metavar="ext/NAME.pyx", help="all functions of these; none: the hot ones")
    modules = parser.parse_args(arguments).modules
    if missing := [
        module for module in modules if not re.fullmatch(r"ext/\w+\.pyx", module) or not (ROOT / module).exists()
    ]:
        parser.error(f"no compiled module: {', '.join(missing)}")
    for text in _of_hot_functions() if not modules else (line for module in modules for line in _of_file(module)):
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
