"""Interned texts. `number(text)` is stable for the life of the table; 0 is the empty text, "absent" in every column."""

class Texts:
    count: int
    bytes_max: int
    def __init__(self, bytes_max: int = ...) -> None:
        """`bytes_max` caps the arena of distinct texts; beyond it interning raises MemoryError."""
    def number(self, text: str) -> int: ...
    def find(self, text: str) -> int:
        """The number of a text, 0 if it has none yet; changes nothing."""
    def text(self, number: int) -> str:
        """The text of a number; IndexError for one never given out."""
    def steps(self) -> int:
        """How many slots all texts together lie behind their own: what collisions cost."""
    def __len__(self) -> int: ...
