"""What Sparkplug nodes say, for somebody who looks for what is there: `discover`'s part of the namespace. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ext.sparkplug import SparkplugFault, decode, value_of
from protocols.discovery import in_quotes, key, sample, toml
from protocols.mapping.paths import PathFault, parse_path, path_of

NAMESPACE = "spBv1.0/"
METRICS_MAX = 24
TYPES = ("NBIRTH", "DBIRTH", "NDATA", "DDATA")

Metrics = Mapping[str, object]


def metrics_of(payload: bytes) -> dict[str, object] | None:
    """Name, or `alias N` where only births tell names, to value; None: no Sparkplug payload."""
    try:
        _, _, metrics = decode(payload)
        return {
            metric[0] if metric[0] is not None else f"alias {metric[1]}": value_of(metric, metric[3])
            for metric in metrics
        }
    except SparkplugFault:
        return None


def devices(last: Mapping[str, bytes]) -> dict[str, dict[str, object]]:
    """Topic to its last payload -> `group/node` or `group/node/device` to its metrics, as far as they have names."""
    found: dict[str, dict[str, object]] = {}
    for topic, payload in sorted(last.items()):
        levels = topic.split("/")
        if len(levels) < 4 or levels[2] not in TYPES or (metrics := metrics_of(payload)) is None:
            continue
        place = "/".join([levels[1], *levels[3:]])
        named = {name: value for name, value in metrics.items() if not name.startswith("alias ")}
        found[place] = {**found.get(place, {}), **named}
    return found


def draft(name: str, found: Mapping[str, Metrics]) -> list[str]:
    """The `sparkplug` table of a source, with an entry for the devices of each group that report by the same metric:
    with two of one filter and trigger each value would be two records."""
    table = f"sources.{key(name)}.sparkplug"
    alike: dict[tuple[str, int, str], list[str]] = {}
    for place, metrics in sorted(found.items()):
        if (trigger := trigger_of(metrics)) is not None:
            group, *names = place.split("/")
            alike.setdefault((group, len(names), trigger), []).append(place)
    if not alike:
        return ["# Sparkplug nodes are there, of which no birth was heard: listen while one is born"]
    lines = ["", f"[{table}]", f"groups = {toml(sorted({group for group, _, _ in alike}))}"]
    for (group, depth, trigger), places in alike.items():
        names = ["node", "device"][:depth]
        metrics = {name: value for place in reversed(places) for name, value in found[place].items()}
        lines += ["", f"# {len(places)} like {sample(places[0])[1:-1]}", f"[[{table}.records]]"]
        lines.append(f"filter = {toml('/'.join([group, *(f'+{each}' for each in names)]))}")
        lines.append(f"trigger = {toml(trigger)} # every value of this metric is a record")
        lines.append(f"record.src = {{ template = {toml('/'.join(['site', *(f'{{{each}}}' for each in names)]))} }}")
        lines.append('record.kind = { const = "telemetry" } # what happened: see the kinds in docs/records.md')
        lines.append("# there is:")
        named = [(path, value) for name, value in metrics.items() if (path := _path(name)) is not None]
        lines += [f"#   {in_quotes(path)} = {sample(value)}" for path, value in named[:METRICS_MAX]]
    return lines


def _path(metric: str) -> str | None:
    """A path that leads to it; a metric's name stands as it is where it can."""
    for path in (metric, path_of([metric])):
        try:
            parse_path(path)
        except PathFault:
            continue
        return path
    return None


def trigger_of(metrics: Metrics) -> str | None:
    """A whole number, as counters are, before anything else; not what the protocol itself needs."""
    own = {name: value for name, value in metrics.items() if name != "bdSeq" and not name.startswith("Node Control/")}
    whole = [name for name, value in own.items() if isinstance(value, int) and not isinstance(value, bool)]
    return next(iter([*whole, *own]), None)
