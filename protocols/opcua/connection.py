"""One connection to an OPC UA server: channel, session and services, on asyncua. Knows nothing of records.

asyncua's own supervisor, publish loop and reconnecting are not used: it acknowledges notifications before anybody has
kept them, and reads the server every second. Everything here raises `LinkLost` when the connection cannot go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import math
import socket
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.client.ua_session import UaSession
from asyncua.common.shortcuts import Shortcuts

from engine.errors import SortlineError
from protocols.opcua.security import (
    MODES,
    POLICIES,
    Identity,
    check_server,
    first_certificate,
    load_identity,
    warn_of_policy,
)
from protocols.opcua.settings import Settings

log = logging.getLogger("sortline.opcua")

RENEW_AT = 0.75  # of a security token's lifetime (OPC 10000-4 section 5.5.2.1)
HEARTBEATS_PER_SESSION = 3
CLOSE_S_MAX = 1.0  # below what the engine gives a driver to stop
SERVER_STATE = ua.NodeId(2259, 0)
NAMESPACE_ARRAY = ua.NodeId(2255, 0)

_HINTS = {
    ua.StatusCodes.BadUserAccessDenied: "user or password refused",
    ua.StatusCodes.BadIdentityTokenRejected: "user or password refused",
    ua.StatusCodes.BadIdentityTokenInvalid: "the server does not take this kind of user",
    ua.StatusCodes.BadSecurityChecksFailed: "does the server trust our certificate?",
    ua.StatusCodes.BadCertificateUntrusted: "the server does not trust our certificate: add it to its trust list",
    ua.StatusCodes.BadCertificateUriInvalid: "application_uri is not the one in our certificate",
    ua.StatusCodes.BadSecurityPolicyRejected: "the server does not offer this policy",
}


class LinkLost(SortlineError):
    """The connection failed or ended; the message says why. It is opened anew."""


class _Session(UaSession):  # type: ignore[misc]
    """A session that leaves publishing to us, so that acknowledgements can wait until records are durable."""

    def ensure_publish_loop(self) -> None:
        """Called by asyncua after a subscription is made; its loop would acknowledge by itself."""


@contextlib.contextmanager
def _from_library() -> Iterator[None]:
    """Whatever asyncua raises (a malformed answer can make it raise anything) means that this connection is over."""
    try:
        yield
    except SortlineError:
        raise
    except Exception as error:
        raise LinkLost(_describe(error)) from error


class Connection:
    """Opened once, used, closed; a new one is made for each attempt."""

    def __init__(self, settings: Settings, source: str) -> None:
        self._settings = settings
        self._source = source
        self._client = self._new_client(settings.application_uri)
        self._session = _Session(self._client.uaclient)
        self._client.uaclient.session = self._session
        self._client.nodes = Shortcuts(self._session)
        self._subscription_id = 0
        self.namespaces: Sequence[str] = ()

    async def open(self) -> None:
        """Connects, checks the server, makes and activates a session. Raises LinkLost, Refused."""
        try:
            with _from_library():
                await self._secure()
                await self._connect()
                self.namespaces = await self._read_namespaces()
                if self._settings.structures:
                    await self._client.load_data_type_definitions()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends the session politely if it can be done soon; never raises."""
        self._client.uaclient.pre_request_hook = None
        try:
            with _from_library():
                async with asyncio.timeout(CLOSE_S_MAX):
                    await self._session.close_session(True)
                    await self._client.close_secure_channel()
        except LinkLost as error:
            log.debug("%s: closing: %s", self._source, error)
        finally:
            self._client.disconnect_socket()

    async def keep(self) -> None:
        """Renews the channel's keys and keeps the session from timing out. Runs until cancelled or LinkLost."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._renew_s()
        while True:
            await asyncio.sleep(max(0.1, min(self._heartbeat_s(), renew_at - loop.time())))
            if loop.time() >= renew_at:
                with _from_library():
                    await self._client.open_secure_channel(renew=True)
                    self._client.uaclient.revolve_security_token()
                renew_at = loop.time() + self._renew_s()
            await self.read([SERVER_STATE])

    async def read(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        """The values of these nodes in one Read call, each with both timestamps, read now and not out of a cache."""
        parameters = ua.ReadParameters()
        parameters.MaxAge = 0
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value) for node in nodes]
        with _from_library():
            values: list[ua.DataValue] = await self._session.read(parameters)
        if len(values) != len(nodes):
            raise LinkLost(f"the server answered a Read of {len(nodes)} nodes with {len(values)} values")
        return values

    async def translate(self, paths: Sequence[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        """TranslateBrowsePathsToNodeIds, one result a path."""
        if not paths:
            return []
        with _from_library():
            results: list[ua.BrowsePathResult] = await self._session.translate_browsepaths_to_nodeids(list(paths))
        if len(results) != len(paths):
            raise LinkLost("the server answered TranslateBrowsePaths with another number of results")
        return results

    async def browse_subtypes(self, node: ua.NodeId) -> list[ua.ReferenceDescription]:
        """The direct subtypes of a type."""
        with _from_library():
            references: list[ua.ReferenceDescription] = await self._client.get_node(node).get_references(
                ua.ObjectIds.HasSubtype, ua.BrowseDirection.Forward, ua.NodeClass.Unspecified, True
            )
        return references

    async def subscribe(self) -> float:
        """Makes the subscription; returns for how many seconds its silence can be borne."""
        settings, parameters = self._settings, ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = float(settings.publishing_ms)
        parameters.RequestedMaxKeepAliveCount = math.ceil(settings.keep_alive_ms / settings.publishing_ms)
        parameters.RequestedLifetimeCount = math.ceil(settings.lifetime_ms / settings.publishing_ms)
        parameters.MaxNotificationsPerPublish = settings.notifications_max
        parameters.PublishingEnabled = True
        with _from_library():
            revised = await self._session.create_subscription(parameters, _nobody)
        self._subscription_id = revised.SubscriptionId
        keep_alive_ms = float(revised.RevisedPublishingInterval * revised.RevisedMaxKeepAliveCount)
        log.info(
            "%s: subscription: publishing every %g ms, keep-alive %g ms, lifetime %g ms",
            self._source,
            revised.RevisedPublishingInterval,
            keep_alive_ms,
            revised.RevisedPublishingInterval * revised.RevisedLifetimeCount,
        )
        return max(settings.lifetime_ms, 3 * keep_alive_ms) / 1000

    async def monitor(self, items: Sequence[ua.MonitoredItemCreateRequest]) -> list[ua.MonitoredItemCreateResult]:
        """Adds monitored items to the subscription, one result an item."""
        parameters = ua.CreateMonitoredItemsParameters()
        parameters.SubscriptionId = self._subscription_id
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        parameters.ItemsToCreate = list(items)
        with _from_library():
            results: list[ua.MonitoredItemCreateResult] = await self._session.create_monitored_items(parameters)
        if len(results) != len(items):
            raise LinkLost("the server answered CreateMonitoredItems with another number of results")
        return results

    async def publish(self, acknowledged: Sequence[int]) -> ua.PublishResult | None:
        """Waits for the next publish response; None: one came that cannot be read (its notifications are lost).

        `acknowledged`: sequence numbers of messages that the server may forget.
        """
        acks = [
            ua.SubscriptionAcknowledgement(SubscriptionId=self._subscription_id, SequenceNumber=number)
            for number in acknowledged
        ]
        with _from_library():
            try:
                response = await self._session.publish(acks)
            except ua.uaerrors.UaStructParsingError:
                return None
        return response.Parameters

    async def republish(self, number: int) -> ua.NotificationMessage | None:
        """A notification message once more; None if the server no longer has it."""
        with _from_library():
            try:
                message = await self._session.republish(self._subscription_id, number)
            except ua.uaerrors.BadMessageNotAvailable:
                return None
        return message if message.NotificationData else None

    def _new_client(self, uri: str) -> Client:
        client = Client(self._settings.url, timeout=self._settings.timeout_ms / 1000)
        client.name = client.description = "sortline"
        client.application_uri = uri
        client.session_timeout = self._settings.session_ms
        client.max_messagesize = self._settings.message_bytes_max
        return client

    async def _secure(self) -> None:
        """Chooses the policy, and refuses a server that is not the one we were told to believe."""
        security, host = self._settings.security, urlsplit(self._settings.url).hostname or ""
        warn_of_policy(security, self._source)
        identity = await asyncio.to_thread(
            load_identity, security, self._settings.application_uri, socket.gethostname()
        )
        if identity is None:
            return
        self._client.application_uri = identity.uri
        endpoint = self._endpoint(await self._new_client(identity.uri).connect_and_get_server_endpoints())
        certificate = first_certificate(endpoint.ServerCertificate)
        now = datetime.datetime.now(datetime.UTC)
        await asyncio.to_thread(check_server, certificate, security, host, now)
        self._use(identity, endpoint)

    def _endpoint(self, endpoints: Sequence[ua.EndpointDescription]) -> ua.EndpointDescription:
        security = self._settings.security
        for endpoint in endpoints:
            wanted = (POLICIES[security.policy].URI, MODES[security.mode])
            if (endpoint.SecurityPolicyUri, endpoint.SecurityMode) == wanted:
                return endpoint
        offered = {f"{(e.SecurityPolicyUri or '').rpartition('#')[2]}/{e.SecurityMode.name}" for e in endpoints}
        raise LinkLost(
            f"the server does not offer {security.policy}/{security.mode}; it offers {', '.join(sorted(offered))}"
        )

    def _use(self, identity: Identity, endpoint: ua.EndpointDescription) -> None:
        security = self._settings.security
        policy = POLICIES[security.policy](
            first_certificate(endpoint.ServerCertificate), identity.certificate, identity.key, MODES[security.mode]
        )
        self._client.security_policy = policy
        self._client.uaclient.set_security(policy)

    async def _connect(self) -> None:
        client, user, password = self._client, self._settings.user, self._settings.password
        await client.connect_socket()
        await client.send_hello()
        self._bound_messages()
        await client.open_secure_channel()
        await client.create_session()
        secret = await asyncio.to_thread(password.reveal) if password is not None else None
        await client.activate_session(username=user, password=secret)

    def _bound_messages(self) -> None:
        # asyncua takes over whatever limit the server's Acknowledge names, and 0 is none: put ours back.
        protocol = self._client.uaclient.protocol
        if protocol is not None:
            protocol._connection._limits.max_message_size = self._settings.message_bytes_max

    async def _read_namespaces(self) -> list[str]:
        value = (await self.read([NAMESPACE_ARRAY]))[0].Value
        array = value.Value if value is not None else None
        return [str(uri) for uri in array] if isinstance(array, list) else []

    def _renew_s(self) -> float:
        return float(self._client.secure_channel_timeout) * RENEW_AT / 1000

    def _heartbeat_s(self) -> float:
        return float(self._client.session_timeout) / HEARTBEATS_PER_SESSION / 1000


def _nobody(_: ua.PublishResult) -> None:
    """asyncua wants a callback for its publish loop, which never runs here."""


def _describe(error: Exception) -> str:
    """What went wrong, in one line, without anything that the server could have put into it."""
    if isinstance(error, ua.UaStatusCodeError):
        hint = _HINTS.get(error.code)
        name = ua.StatusCode(ua.UInt32(error.code)).name
        return f"{name} ({hint})" if hint else name
    if isinstance(error, TimeoutError):
        return "no answer within timeout_ms"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"{type(error).__name__}: {ascii(str(error))[:200]}"
