"""SHA-256 of the core against that of the standard library: by the processor's instructions and without them."""

import hashlib
import random

import pytest

from ext.sha256 import digest_both


@pytest.mark.parametrize("length", [*range(200), 447, 448, 4_095, 65_537])
def test_is_that_of_the_standard_library(length: int) -> None:
    text = random.Random(length).randbytes(length)
    expected = hashlib.sha256(text).digest()
    assert digest_both(text) == (expected, expected)
