"""Protocols whose second connection does a running engine no harm as it is: it has a session of its own, or none."""

from __future__ import annotations

from typing import Any


def as_it_is(settings: Any) -> Any:
    """The same settings."""
    return settings
