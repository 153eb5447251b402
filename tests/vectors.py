"""Files of other projects (captures, information models) that may lie beside the repository, in shared/vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def vectors(*names: str) -> Path:
    """The path of a file or folder among them; skips the test, saying so, where they are not there."""
    for above in ROOT.parents:
        found = (above / "shared" / "vectors").joinpath(*names)
        if found.exists():
            return found
    pytest.skip(f"shared/vectors/{'/'.join(names)} is not there")
