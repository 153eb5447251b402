"""The core hands what is due to the window that asked for it, by a number: two meanings of one would be a crash."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

EXT = Path(__file__).parents[2] / "ext"


def test_every_timer_tag_has_a_number_of_its_own() -> None:
    tags = [
        (int(number), name)
        for path in sorted([*EXT.glob("*.pxd"), *EXT.glob("*.pyx")])
        for name, number in re.findall(r"^    (TAG_[A-Z_]+) = (\d+)", path.read_text(), re.MULTILINE)
    ]
    assert len(tags) > 10
    twice = [number for number, count in Counter(number for number, _ in tags).items() if count > 1]
    assert [tag for tag in tags if tag[0] in twice] == []
