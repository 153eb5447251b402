"""Which Redis server has a stream: the one that is named, a sentinel's master, or a cluster's node of its slot.

Each server gets one connection of ours that does what it is told, once. Where the servers change their places (a
failover, slots that move), commands fail; sink or source then gives everything up, and asks again when it opens.

Wire formats: https://redis.io/docs/latest/commands/cluster-slots/,
https://redis.io/docs/latest/operate/oss_and_stack/reference/sentinel-clients/.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from engine.errors import Refused, SinkFailed
from engine.redis_connection import connection_class
from engine.secret import Secret
from engine.tls import Tls, is_loopback

HOST = r"[A-Za-z0-9_:]([A-Za-z0-9_:.-]*[A-Za-z0-9_])?"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Host = Annotated[str, msgspec.Meta(pattern=f"^{HOST}$", max_length=253, description="a host's name or IP address")]
Address = Annotated[
    str,
    msgspec.Meta(pattern=rf"^{HOST}:[0-9]{{1,5}}$", max_length=260, description="HOST:PORT, such as 10.0.0.1:6379"),
]


class Place(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis is, and who we are there.

    host, port, db: the server.
    cluster: nodes of a Redis Cluster, as `"10.0.0.1:6379"`: instead of host and port; one that answers is enough.
    sentinels: addresses of sentinels, likewise; `master`: the name by which they know the server.
    sentinel_user, sentinel_password: of the sentinels, where they ask for one.
    user, password: of an ACL user; docs/delivery.md says which commands it needs.
    tls: `tls = {}` for a certificate that this computer trusts; see `engine.tls`. It counts for every server, so each
      certificate has to name the address by which cluster or sentinels announce it.
    plaintext: allow a connection without TLS to another computer. Whoever is on the network can read and forge.
    connect_ms, command_ms: a connection or an answer takes no longer.
    """

    host: Host = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 6379
    db: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    cluster: Annotated[list[Address], msgspec.Meta(max_length=1_000)] = []
    sentinels: Annotated[list[Address], msgspec.Meta(max_length=100)] = []
    master: Text | None = None
    sentinel_user: Text | None = None
    sentinel_password: Secret | None = None
    user: Text | None = None
    password: Secret | None = None
    tls: Tls | None = None
    plaintext: bool = False
    connect_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 3_000
    command_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 5_000

    @property
    def kind(self) -> Literal["one server", "cluster", "sentinels"]:
        return "cluster" if self.cluster else "sentinels" if self.sentinels else "one server"

    def places(self) -> list[Place]:
        """The addresses that the site file names."""
        if self.kind == "one server":
            return [Place(self.host, self.port)]
        return [_place(address) for address in self.cluster or self.sentinels]

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the table, what is wrong and what to do) for what the types cannot say."""
        if self.cluster and self.sentinels:
            yield "sentinels", "a cluster needs none: name either cluster or sentinels"
        if bool(self.sentinels) != (self.master is not None):
            yield "master", "sentinels and the name of their master belong together"
        if self.cluster and self.db:
            yield "db", "a cluster has only db 0"
        for name in ("cluster", "sentinels"):
            for index, address in enumerate(getattr(self, name)):
                if not 0 < _place(address).port < 65_536:
                    yield f"{name}[{index}]", "a port is a number from 1 to 65535"
        others = [place.host for place in self.places() if not is_loopback(place.host)]
        if self.tls is None and not self.plaintext and others:
            yield "tls", f"{others[0]} is another computer: add tls = {{}}, or plaintext = true in a closed network"
        for user, password in (("user", "password"), ("sentinel_user", "sentinel_password")):
            if getattr(self, user) is not None and getattr(self, password) is None:
                yield password, "a user without a password"


class Nodes:
    """The connections of one sink or source. `open`, ask `of` for a stream's, `close`; after an error only `close`."""

    def __init__(self, settings: Servers, wait_s: float = 0.0) -> None:
        self._settings = settings
        self._wait_s = wait_s  # on top of an answer's own time, for commands that wait by themselves
        self._clients: dict[Place, Redis] = {}
        self._slots: list[tuple[int, int, Place]] = []

    async def open(self) -> None:
        """Finds out who has what, and says hello. Raises what redis raises, SinkFailed while there is no master."""
        await self.find()
        for place in sorted({place for _, _, place in self._slots}):
            await self._client(place).ping()

    async def find(self) -> None:
        """Who has what. One server that is named is not asked: it may not even let us say hello."""
        if self._settings.kind == "cluster":
            self._slots = await self._first(self._ask_for_slots)
        else:
            sentinels = self._settings.kind == "sentinels"
            place = await self._first(self._ask_for_master) if sentinels else self._settings.places()[0]
            self._slots = [(0, 16_383, place)]

    def of(self, stream: str) -> Redis:
        """The connection to the server that has the stream."""
        return self._client(self.place(stream))

    def place(self, stream: str) -> Place:
        slot = key_slot(stream.encode())
        for first, last, place in self._slots:
            if first <= slot <= last:
                return place
        raise SinkFailed(f"no node of the cluster has slot {slot}, of stream {stream}")

    def all(self) -> list[tuple[Place, Redis]]:
        """Every server that has streams."""
        return [(place, self._client(place)) for place in sorted({place for _, _, place in self._slots})]

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await shut(client)

    def _client(self, place: Place) -> Redis:
        if place not in self._clients:
            self._clients[place] = connect(self._settings, place, wait_s=self._wait_s)
        return self._clients[place]

    async def _first(self, ask: Callable[[Place], Awaitable[Any]]) -> Any:
        """The answer of the first address that gives one."""
        last: Exception | None = None
        for place in self._settings.places():
            try:
                return await ask(place)
            except (RedisConnectionError, RedisTimeoutError, SinkFailed, OSError) as error:
                last = error
        assert last is not None
        raise last

    async def _ask_for_slots(self, place: Place) -> list[tuple[int, int, Place]]:
        client: Any = connect(self._settings, place)
        try:
            answer = await client.execute_command("CLUSTER", "SLOTS")
        finally:
            await shut(client)
        # [first, last, [host, port, id, ...], replicas ...]; without a host it is the one that was asked
        return [
            (first, last, Place(host.decode() if host else place.host, port))
            for first, last, (host, port, *_), *_ in answer
        ]

    async def _ask_for_master(self, place: Place) -> Place:
        """The master as a sentinel knows it, if it agrees: a sentinel may be behind."""
        settings = self._settings
        sentinel: Any = connect(settings, place, (settings.sentinel_user, settings.sentinel_password))
        try:
            answer = await sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.master)
        finally:
            await shut(sentinel)
        if not answer:
            raise Refused(f"the sentinel at {place} knows no master {settings.master}: put its name right")
        master = Place(_text(answer[0]), int(answer[1]))
        client: Any = connect(settings, master)
        try:
            role = await client.execute_command("ROLE")
        finally:
            await shut(client)
        if _text(role[0]) != "master":
            raise SinkFailed(f"{master} is not the master yet, as the sentinel at {place} says")
        return master


def connect(
    settings: Servers,
    place: Place | None = None,
    account: tuple[str | None, Secret | None] | None = None,
    *,
    wait_s: float = 0.0,
) -> Redis:
    """A client with one connection that sends a command once: redis-py alone would try it ten times.

    place, account: where, and as whom; absent: as the settings say.
    """
    at = place or settings.places()[0]
    user, password = account or (settings.user, settings.password)
    options: dict[str, Any] = {
        "host": at.host,
        "port": at.port,
        "db": settings.db,
        "username": user,
        "password": password.reveal() if password is not None else None,
        "socket_connect_timeout": settings.connect_ms / 1000,
        "socket_timeout": settings.command_ms / 1000 + wait_s,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "protocol": 2,
    }
    made_by = connection_class(settings.tls)
    return Redis.from_pool(ConnectionPool(connection_class=made_by, max_connections=1, **options))


async def shut(client: Redis) -> None:
    await client.aclose()
    await client.connection_pool.disconnect()


def _place(address: str) -> Place:
    host, _, port = address.rpartition(":")
    return Place(host, int(port))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
