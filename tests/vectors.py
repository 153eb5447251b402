"""Real captures and payloads of others, which are not part of the project: tests read them where they lie beside it."""

from __future__ import annotations

from pathlib import Path

import pytest


def vectors(*parts: str) -> Path:
    """A file or folder below `shared/vectors` beside the project or above it; skips the test where there is none."""
    for folder in Path(__file__).parents:
        path = folder.joinpath("shared", "vectors", *parts)
        if path.exists():
            return path
    pytest.skip(f"no vectors here: shared/vectors/{'/'.join(parts)}")
