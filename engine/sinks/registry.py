"""Which sinks there are. Adding one takes a module and a line here; nothing is imported before a site file names it."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

SINKS: dict[str, tuple[str, str]] = {
    # kind in the site file -> (settings struct, sink)
    "queue": ("engine.sinks.queue:Settings", "engine.sinks.queue_sink:QueueSink"),
    "http": ("engine.sinks.http:Settings", "engine.sinks.http:HttpSink"),
    "redis": ("engine.sinks.redis_stream:Settings", "engine.sinks.redis_stream:RedisSink"),
}


def settings_of(kind: str) -> Any:
    """The struct that holds the kind's part of a sink's table."""
    return resolve_name(SINKS[kind][0])


def sink_of(kind: str) -> Any:
    """The sink's class."""
    return resolve_name(SINKS[kind][1])
