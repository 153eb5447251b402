"""Texts to the numbers that are their places, for compiled code."""

from collections.abc import Iterable

class TextMap:
    def __init__(self, texts: Iterable[bytes]) -> None:
        """ValueError: a text comes twice."""

    def number(self, text: bytes) -> int:
        """The place of a text; -1: it is not there."""
