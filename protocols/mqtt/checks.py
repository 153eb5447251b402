"""What an MQTT source can lose, and where its broker is: see `protocols.checking`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from engine.findings import Finding, error, note, warning
from engine.tls import is_loopback
from protocols.checking import Reach
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug.settings import Sparkplug

MOSQUITTO = (Path("/etc/mosquitto/mosquitto.conf"), Path("/etc/mosquitto/conf.d"))
QUEUED_MIN = 100_000
DAY_S = 86_400


def reach(settings: Settings) -> Reach:
    return Reach([settings.address()])


def findings(where: str, settings: Settings) -> Iterator[Finding]:
    for index, topic in enumerate(settings.topics):
        if topic.qos == 0:
            yield warning(
                f"{where}.topics[{index}]",
                f"{topic.filter} comes with QoS 0: what is sent while the engine is away or full is lost",
                "publish and subscribe with QoS 1",
            )
    if any(topic.qos == 1 for topic in settings.topics):
        yield note(
            f"{where}.topics",
            "what a publisher sends with QoS 0 comes with QoS 0, whatever is asked for here, and nobody keeps it while "
            "the engine is away",
            "let every machine publish with QoS 1",
        )
    if settings.sparkplug is not None:
        yield _sparkplug(f"{where}.sparkplug", settings.sparkplug)
    if settings.session_expiry_s < DAY_S:
        yield warning(
            where,
            f"the broker forgets our session after {settings.session_expiry_s} s, and what it holds with it",
            "let session_expiry_s be longer than any repair takes (a week is the default)",
        )
    if is_loopback(settings.host):
        yield from mosquitto_findings(where, MOSQUITTO)
    else:
        yield note(
            where,
            f"what the broker at {settings.host} holds while the engine is away cannot be seen from here",
            "look there: max_queued_messages 0 or large, persistence true (deploy/mosquitto.conf)",
        )


def _sparkplug(where: str, settings: Sparkplug) -> Finding:
    lost = (
        "nodes publish with QoS 0: of what they say while the engine is away only the last values are told, by births"
    )
    if settings.host_id is None:
        return warning(where, lost, "set host_id, and let the nodes keep what they have while that host is offline")
    return note(
        where,
        f"{lost}; but for nodes that wait for {settings.host_id}",
        "make it the primary host of each node that can keep what it has",
    )


def mosquitto_findings(where: str, places: tuple[Path, ...]) -> Iterator[Finding]:
    """What the configuration of a mosquitto on this box says, if this user may read it."""
    files = [file for place in places for file in (sorted(place.glob("*.conf")) if place.is_dir() else [place])]
    lines: list[str] = []
    for file in files:
        try:
            lines += file.read_text(errors="replace").splitlines()
        except OSError:
            continue
    if not lines:
        return
    matches = (re.match(r"\s*(\w+)\s+(\S+)", line) for line in lines)
    says = {found[1]: found[2] for found in matches if found is not None}
    if says.get("persistence", "false") != "true":
        yield error(
            where,
            "mosquitto on this box keeps nothing over a restart (persistence is not true)",
            "take deploy/mosquitto.conf, or set persistence true",
        )
    queued = says.get("max_queued_messages", "1000")
    if queued.isdecimal() and 0 < int(queued) < QUEUED_MIN:
        yield warning(
            where,
            f"mosquitto on this box drops what comes after {queued} messages while the engine is away",
            "set max_queued_messages 0, or to what a repair's time brings, and max_queued_bytes",
        )
