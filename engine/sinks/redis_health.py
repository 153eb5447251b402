"""What a Redis may forget, lose or run out of, as far as the sink's user may ask: for `sortline doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redis.exceptions import RedisError, ResponseError

from engine.findings import Finding, error, good, note, warning
from engine.redis_nodes import Nodes
from engine.sinks.redis_stream import Settings

WAITAOF_FROM = (7, 2)
EARLY_FROM, EARLY_TO = (7, 4), (8, 0)
EARLY_VALKEY_FROM = 8
TRIM_FROM = (6, 2)
MEMORY_PART_MAX = 0.8


async def redis_findings(where: str, settings: Settings, queues: list[str]) -> list[Finding]:
    """queues: names of the queues that go there."""
    nodes = Nodes(settings)
    try:
        await nodes.open()
        found = list(_by_settings(where, settings))
        for place, redis in nodes.all():
            found += await _server(f"{where} ({place})", redis, settings)
        for queue in queues:
            stream = settings.prefix + queue
            found += await _stream(f"{where} {stream}", nodes.of(stream), stream, settings)
        return found
    finally:
        await nodes.close()


def _by_settings(where: str, settings: Settings) -> Iterator[Finding]:
    if settings.kind != "one server" and not settings.replicas:
        yield warning(
            where,
            f"with {settings.kind}, a failover may forget what the old master had told no replica yet",
            "set replicas = 1 or more, and min-replicas-to-write on the servers",
        )
    if settings.plaintext:
        yield warning(where, "plaintext = true: whoever is on the network can read and forge", "use tls")
    if settings.when_full == "drop_oldest":
        yield warning(where, "at entries_max the oldest entries go, read or not", 'use when_full = "wait"')


async def _server(where: str, redis: Any, settings: Settings) -> list[Finding]:
    try:
        info: Mapping[str, Any] = await redis.info()
    except ResponseError as refused:
        do = "allow +info to the sink's user (deploy/redis-acl.conf), and look again"
        return [note(where, f"the server does not tell us about itself: {refused}", do)]
    found = list(_memory(where, info))
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if info.get("role") == "slave":
        found.append(error(where, "this is a replica: it takes no entries", "name the master, or its sentinels"))
    if not info.get("aof_enabled"):
        found.append(
            error(
                where,
                "appendonly is off: a restart brings back an old snapshot, and every event since is gone",
                "appendonly yes (deploy/redis.conf)",
            )
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        found.append(error(where, "the server cannot write its append-only file", "make room on its disk"))
    elif version >= WAITAOF_FROM and settings.wait_aof != "never":
        found.append(await _waitaof(where, redis, settings, info))
    else:
        found.append(await _fsync(where, redis, version))
    if version < TRIM_FROM:
        found.append(note(where, f"Redis {info['redis_version']} cannot be trimmed by us: it needs 6.2"))
    return found


async def _waitaof(where: str, redis: Any, settings: Settings, info: Mapping[str, Any]) -> Finding:
    """WAITAOF is as good as the server's habit lets it be."""
    try:
        habit = (await redis.config_get("appendfsync")).get("appendfsync")
    except ResponseError:
        habit = None  # CONFIG is not allowed
    if habit == "no":
        what = "a power cut of the server leaves what its disk happened to have: appendfsync is no"
        if settings.wait_aof == "always":
            what = (
                "nothing is delivered: appendfsync is no, so WAITAOF never says that entries are on the server's disk"
            )
        return error(where, what, "appendfsync everysec or always on the server")
    if habit != "always" and _answers_early(info):
        return warning(
            where,
            f"{'' if habit else 'if appendfsync is everysec, '}WAITAOF of this server answers up to a second before "
            "its disk has the entries: a power cut loses them where the engine restarts as well",
            "appendfsync always on the server, or Redis 8",
        )
    return good(where, "entries count as delivered when they are on the server's disk (WAITAOF)")


def _answers_early(info: Mapping[str, Any]) -> bool:
    """With `everysec`: https://github.com/redis/redis/pull/13793, Redis 7.4 up to 8.0, Valkey 8 up to now."""
    if "valkey_version" in info:
        return int(str(info["valkey_version"]).split(".")[0]) >= EARLY_VALKEY_FROM
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    return EARLY_FROM <= version < EARLY_TO


async def _fsync(where: str, redis: Any, version: tuple[int, ...]) -> Finding:
    """Without WAITAOF only the server's own habit counts."""
    why = "wait_aof is never" if version >= WAITAOF_FROM else "WAITAOF needs Redis 7.2"
    do = 'appendfsync always on the server, or Redis 7.2 and wait_aof = "auto"'
    try:
        answer: Any = await redis.config_get("appendfsync")
    except ResponseError:
        return warning(
            where, f"whether a power cut loses the last second cannot be seen: {why}, CONFIG is not allowed", do
        )
    if answer.get("appendfsync") == "always":
        return good(where, "appendfsync always")
    return error(
        where,
        f"a power cut of the server loses up to a second of events that count as delivered: appendfsync is "
        f"{answer.get('appendfsync')}, and {why}",
        do,
    )


def _memory(where: str, info: Mapping[str, Any]) -> Iterator[Finding]:
    policy, most, used = info.get("maxmemory_policy"), int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if policy not in (None, "noeviction"):
        yield error(
            where,
            f"maxmemory-policy is {policy}: a full server throws whole streams away",
            "maxmemory-policy noeviction",
        )
    if not most:
        yield note(
            where, "no maxmemory: the streams may take all memory of that box", "set maxmemory (deploy/redis.conf)"
        )
    elif used > most * MEMORY_PART_MAX:
        yield warning(
            where, f"{used / most:.0%} of its memory are used", "let consumers acknowledge, or raise maxmemory"
        )
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield warning(where, "its last snapshot failed: it may refuse writes", 'save "" (deploy/redis.conf)')


async def _stream(where: str, redis: Any, stream: str, settings: Settings) -> list[Finding]:
    try:
        length = int(await redis.xlen(stream))
        groups = await redis.xinfo_groups(stream) if length else []
    except RedisError as refused:
        return [note(where, f"cannot be looked at: {refused}")]
    if length and not groups:
        return [
            warning(
                where,
                f"{length} entries, and no consumer group reads them: the stream only grows",
                "let the consumer read as a group, or set entries_max",
            )
        ]
    if settings.entries_max is not None and length >= settings.entries_max:
        return [error(where, f"full: {length} entries", "let its consumer groups acknowledge")]
    return [good(where, f"{length} entries, {len(groups)} groups")]
