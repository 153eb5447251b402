"""Which event ids were told: where in the outbox to look for one, without an index that every commit has to rewrite.

Ids look random, so an index on disk changes a page for nearly each new one: measured, four fifths of what a commit
wrote. Here a thousand ids take 16 kB of memory: sorted 64-bit hashes, and the sequences beside them. Two ids that share
a hash would hide one from the other; with a million ids that is one chance in 10^13 a new event, and costs a check.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

FRESH_MAX = 32_768

Numbers = npt.NDArray[np.int64]


class ToldIds:
    """The ids of the last events, by their sequence. kept: those of before, in order of sequence."""

    def __init__(self, kept: Iterable[tuple[int, str]]) -> None:
        flat = np.fromiter((number for sequence, id_ in kept for number in (hash(id_), sequence)), dtype=np.int64)
        order = np.argsort(flat[::2])
        self._hashes: Numbers = flat[::2][order]
        self._sequences: Numbers = flat[1::2][order]
        self._fresh: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._hashes) + len(self._fresh)

    def places(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """(id, sequence at which it may have been told) of those that may have been told."""
        hashes = [hash(id_) for id_ in ids]
        found = [(id_, self._fresh[number]) for id_, number in zip(ids, hashes, strict=True) if number in self._fresh]
        if len(self._hashes):
            wanted = np.array(hashes, dtype=np.int64)
            at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
            hits = np.flatnonzero(self._hashes[at] == wanted)
            found += [(ids[hit], int(self._sequences[at[hit]])) for hit in hits.tolist()]
        return found

    def add(self, told: Iterable[tuple[int, str]], forget_to: int) -> None:
        """These were told now; what was told up to `forget_to` is not asked for any more."""
        for sequence, id_ in told:
            self._fresh[hash(id_)] = sequence
        if len(self._fresh) < FRESH_MAX:
            return
        kept = self._sequences > forget_to
        fresh = np.fromiter(self._fresh.keys(), dtype=np.int64)
        order = np.argsort(fresh)
        hashes, sequences = self._hashes[kept], self._sequences[kept]
        # both are sorted: putting one into the other takes a fifth of sorting them together
        at = np.searchsorted(hashes, fresh[order])
        self._hashes = np.insert(hashes, at, fresh[order])
        self._sequences = np.insert(sequences, at, np.fromiter(self._fresh.values(), dtype=np.int64)[order])
        self._fresh.clear()
