"""Paths into a payload, and templates with paths and captures in them. Parsed once, followed for every record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

STEPS_MAX = 32

_STEP = re.compile(r"([^.\[\]{}$]+)((?:\[\d{1,6}\])*)(?:\.|$)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)+)"((?:\[\d{1,6}\])*)(?:\.|$)', re.DOTALL)
_PLAIN = re.compile(r'[^.\[\]{}$"]+')
_SPECIAL, _ESCAPED = re.compile(r'["\\]'), r"\\\g<0>"
_INDEX = re.compile(r"\[(\d+)\]")
_PART = re.compile(r"([^{}]+)|\{([^{}]*)\}")


class PathFault(ValueError):
    """A path or template that cannot be read: what is wrong and what to do."""


class Scope(NamedTuple):
    """What a record is read from. `item`: one element of `each`, else the payload itself, which is `root`."""

    item: object
    root: object
    captures: Mapping[str, str]


class Path(NamedTuple):
    """`whole`: the text without `$.`: a key that is spelled like this goes before the steps, so that flat names may
    have dots in them."""

    from_root: bool
    whole: str
    steps: tuple[str | int, ...]

    def follow(self, scope: Scope) -> object | None:
        """The value there; None where there is none."""
        value = scope.root if self.from_root else scope.item
        if self.whole and isinstance(value, Mapping) and self.whole in value:
            found: object = value[self.whole]
            return found
        for step in self.steps:
            value = _step(value, step)
            if value is None:
                return None
        return value


def _step(value: object, step: str | int) -> object | None:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and step < len(value):
        element: object = value[step]
        return element
    return None


def parse_path(text: str) -> Path:
    """`a.b[0].c`, `$.a`, `[0].a`, `a."b.c"`, `.`: the element itself, `$`: the whole payload. Raises PathFault."""
    if text in (".", "$"):
        return Path(text == "$", "", ())
    rest = text.removeprefix("$.").removeprefix("." if text[:1] == "." else "")
    steps = tuple(_steps(rest))
    if len(steps) > STEPS_MAX:
        raise PathFault(f"a path has at most {STEPS_MAX} steps")
    return Path(text.startswith("$."), rest, steps)


def _steps(text: str) -> Iterator[str | int]:
    at = 0
    if head := re.match(r"((?:\[\d{1,6}\])+)(?:\.|$)", text):
        yield from (int(index) for index in _INDEX.findall(head.group(1)))
        at = head.end()
    while at < len(text):
        quoted = _QUOTED.match(text, at)
        match = quoted or _STEP.match(text, at)
        if match is None:
            raise PathFault("not a path: write name.name[0].name, or $.name for the whole payload inside each")
        yield match.group(1) if quoted is None else re.sub(r"\\(.)", r"\1", match.group(1), flags=re.DOTALL)
        yield from (int(index) for index in _INDEX.findall(match.group(2)))
        at = match.end()
    if not text or text.endswith("."):
        raise PathFault("not a path: it ends without a name")


def path_of(names: Sequence[str]) -> str:
    """The path that leads along these names."""
    return ".".join(name if _PLAIN.fullmatch(name) else f'"{_SPECIAL.sub(_ESCAPED, name)}"' for name in names)


class Capture(NamedTuple):
    name: str


class Template(NamedTuple):
    parts: tuple[str | Capture | Path, ...]

    @property
    def head(self) -> str:
        """The constant text that it begins with."""
        return self.parts[0] if isinstance(self.parts[0], str) else ""

    @property
    def captures(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts if isinstance(part, Capture))


def parse_template(text: str) -> Template:
    """Constant text with `{capture}`, `{.path}` and `{$.path}` in it. Raises PathFault."""
    parts: list[str | Capture | Path] = []
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise PathFault("not a template: each { needs a } after a name")
        constant, name = match.groups()
        parts.append(constant if constant is not None else _part(name))
        at = match.end()
    if not parts:
        raise PathFault("the template is empty")
    return Template(tuple(parts))


def _part(name: str) -> Capture | Path:
    if name.startswith((".", "$")):
        return parse_path(name)
    if not name:
        raise PathFault("{} needs a name: {capture}, or {.path} for a value of the payload")
    return Capture(name)
