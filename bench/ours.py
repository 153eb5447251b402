"""Ours, as the cases of the core use it: a core with its decoder, without journal, outbox and drivers."""

from __future__ import annotations

from bench.measure import Failed
from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

SITE = "dc1"
Event = tuple[int, str, str, str, bytes, bytes]
"""As `Core.take` gives them."""


class Engine:
    """A core with its decoder. `rules`: parameters that are not as they come."""

    def __init__(self, **rules: object) -> None:
        self.texts = Texts()
        self.decoder = make_decoder(self.texts)
        self.batch = Batch(self.texts)
        self.core = Core(SITE, self.texts, rules)

    def take(self, lines: bytes) -> list[Event]:
        """Canonical lines to business events."""
        self.batch.clear()
        self.core.reject(len(self.decoder.decode(lines, self.batch)))
        self.core.feed(self.batch)
        return self.core.take()

    def decoded(self, lines: bytes) -> Batch:
        """A batch of its own. Raises Failed if any is refused."""
        batch = Batch(self.texts)
        if refused := self.decoder.decode(lines, batch):
            raise Failed(f"refused: {refused[0][1]}")
        return batch

    def decided(self, batch: Batch) -> list[Event]:
        self.core.feed(batch)
        return self.core.take()

    def finished(self) -> list[Event]:
        self.core.finish()
        return self.core.take()
