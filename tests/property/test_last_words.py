"""R27, R50 to R56: what is told of shipments whose last words come close behind one another is what the oracle says."""

from __future__ import annotations

import random

import pytest

from tests.last_words import story
from tests.property.agreement import EXAMPLES, agree


@pytest.mark.parametrize("seed", range(EXAMPLES * 2))
def test_R51_last_words(seed: int) -> None:
    records, rules = story(random.Random(seed))
    agree(records, rules)
