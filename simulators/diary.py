"""What is written down while a story is made up: chance, the clock's steps, and the log of the shipment in hand."""

from __future__ import annotations

from random import Random

from simulators.floor import SECOND, Happening
from simulators.orders import OrderBook
from simulators.settings import Habits, Pace, Span


class Diary:
    """Shared by everybody who makes up a part of the story."""

    def __init__(self, rng: Random, habits: Habits, pace: Pace, book: OrderBook) -> None:
        self.rng = rng
        self.habits = habits
        self.pace = pace
        self.book = book
        self.log: list[Happening] = []  # of the shipment in hand

    def add(self, *happenings: Happening) -> None:
        self.log += happenings

    def chance(self, share: float) -> bool:
        """A habit that this floor does not have draws nothing, so that the others fall as they always did."""
        return share > 0 and self.rng.random() < share

    def after(self, t: int, span: Span) -> int:
        return t + int(self.rng.uniform(*span) * SECOND)
