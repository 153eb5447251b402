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
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.common.shortcuts import Shortcuts
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary
from cryptography import x509

from engine.errors import Refused
from ext.opcua_notifications import Malformed, Publish, read_publish, read_values
from ext.opcua_values import Reading
from protocols.opcua.call_limits import NODES_PER_BROWSE, OPERATION_LIMITS, CallLimits, limits_told
from protocols.opcua.failures import (
    LinkLost,
    NotOffered,
    SubscriptionsGone,
    Throttled,
    Unreadable,
    describe,
    from_library,
    refuses_policy,
)
from protocols.opcua.requests import acknowledgements_of, reading_of
from protocols.opcua.security import (
    MODES,
    POLICIES,
    TELLS_STRANGERS_NOTHING,
    Identity,
    User,
    check_server,
    first_certificate,
    load_certificate,
    load_identity,
    load_user,
    not_offered,
    warn_of_policy,
)
from protocols.opcua.settings import Settings
from protocols.opcua.structures import Structures
from protocols.opcua.transport import ANSWER_BYTES_MAX, BoundedClient, Session
from protocols.opcua.type_definitions import load_structures

log = logging.getLogger("sortline.opcua")

RENEW_AT = 0.75  # of a security token's lifetime (OPC 10000-4 section 5.5.2.1)
HEARTBEATS_PER_SESSION = 3
CLOSE_S_MAX = 1.0  # below what the engine gives a driver to stop
SERVER_STATE = ua.NodeId(2259, 0)
NAMESPACE_ARRAY = ua.NodeId(2255, 0)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_TYPE_BYTES = 4  # of a type id in namespace 0 (OPC 10000-6 section 5.2.2.9)
REFERENCES_PER_BROWSE = 1_000
REFERENCES_MAX = 100_000  # below one node


class Kept(NamedTuple):
    """A session that may outlive its connection."""

    token: ua.NodeId
    nonce: bytes | None
    policies: Sequence[ua.UserTokenPolicy]


class Revised(NamedTuple):
    """A subscription as the server made it. `silence_s`: for how long nothing heard of it can be borne."""

    subscription_id: int
    silence_s: float


class Connection:
    """Opened once, used, closed; a new one is made for each attempt."""

    def __init__(self, settings: Settings, source: str) -> None:
        self._settings = settings
        self._source = source
        self._client = self._new_client(settings.application_uri, settings.message_bytes_max)
        self._session: Session = self._client.uaclient.session
        self._heard_at = 0.0
        self.stood = False  # whether the server has opened a channel
        self.resumed = False  # whether it is the session that was kept
        self._structures = Structures()
        self.namespaces: Sequence[str] = ()
        self.limits = CallLimits()

    async def open(self, kept: Kept | None = None) -> bool:
        """Connects, checks the server, makes and activates a session, or goes on with the one that was kept.

        Returns whether it went on with it. Raises LinkLost, Refused; what was kept is left at the server then.
        """
        try:
            with from_library():
                await self._secure()
                self.resumed = await self._connect(kept)
                self.namespaces = await self._read_namespaces()
                self.limits = await self._read_limits()
                if self._settings.structures:
                    self._structures = await load_structures(self, self._source)
        except (LinkLost, Refused):
            if kept is None:
                await self.close()
            else:
                self.leave()
            raise
        except BaseException:
            await self.close()
            raise
        return self.resumed

    @property
    def heard(self) -> bool:
        """Whether a publish response has come."""
        return self._heard_at > 0

    async def close(self) -> None:
        """Ends the session politely if it can be done soon; never raises."""
        self._client.uaclient.pre_request_hook = None
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._session.close_session(True)
                await self._client.close_secure_channel()
        except Exception as error:  # it may be closed already, or the server says nothing or nonsense
            log.debug("%s: closing: %s", self._source, describe(error))
        finally:
            self._client.disconnect_socket()

    def leave(self) -> Kept:
        """Closes the socket and leaves the session and its subscriptions at the server, to be taken up again."""
        kept = Kept(self._session.authentication_token, self._client._server_nonce, self._client._policy_ids)
        self._client.uaclient.pre_request_hook = None
        self._client.disconnect_socket()
        return kept

    async def keep(self) -> None:
        """Renews the channel's keys and keeps the session from timing out. Runs until cancelled or LinkLost."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._renew_s()
        while True:
            await asyncio.sleep(max(0.1, min(self._heartbeat_s(), renew_at - loop.time())))
            if loop.time() >= renew_at:
                with from_library():
                    await self._client.open_secure_channel(renew=True)
                    self._client.uaclient.revolve_security_token()
                renew_at = loop.time() + self._renew_s()
            if loop.time() - self._heard_at >= self._heartbeat_s():
                await self._prove_alive()

    async def read(self, nodes: Sequence[ua.NodeId]) -> list[Reading]:
        """The values of these nodes in one Read call, each with both timestamps, read now and not out of a cache."""
        return await self._read(nodes, ua.AttributeIds.Value)

    async def read_attribute(self, nodes: Sequence[ua.NodeId], attribute: int) -> list[Reading]:
        """The same for any attribute, in as many calls as it takes."""
        found: list[Reading] = []
        for at in range(0, len(nodes), self.limits.read):
            found += await self._read(nodes[at : at + self.limits.read], attribute)
        return found

    async def _read(self, nodes: Sequence[ua.NodeId], attribute: int) -> list[Reading]:
        with from_library():
            body = await self._session.read_body(reading_of(nodes, attribute))
            status, readings = read_values(body, self._structures.of_answer())
            ua.StatusCode(ua.UInt32(status)).check()
        if len(readings) != len(nodes):
            raise LinkLost(f"the server answered a Read of {len(nodes)} nodes with {len(readings)} values")
        return readings

    async def clock_us(self) -> int | None:
        """When the server has answered, by its own clock: each answer says so (OPC 10000-4 section 7.33), to the tick,
        while many servers renew the variable CurrentTime once a second. None: it does not say."""
        with from_library():
            body = await self._session.read_body(reading_of([SERVER_STATE], ua.AttributeIds.Value))
            answered_at = struct_from_binary(ua.ResponseHeader, Buffer(body[_TYPE_BYTES:])).Timestamp
        since = answered_at.replace(tzinfo=datetime.UTC) - _EPOCH
        return since // datetime.timedelta(microseconds=1) if since.days > 0 else None

    async def translate(self, paths: Sequence[ua.BrowsePath]) -> list[ua.BrowsePathResult]:
        """TranslateBrowsePathsToNodeIds, one result a path."""
        if not paths:
            return []
        with from_library():
            results: list[ua.BrowsePathResult] = await self._session.translate_browsepaths_to_nodeids(list(paths))
        if len(results) != len(paths):
            raise LinkLost("the server answered TranslateBrowsePaths with another number of results")
        return results

    async def browse_subtypes(self, node: ua.NodeId) -> list[ua.ReferenceDescription]:
        """The direct subtypes of a type."""
        return await self._browse(ua.NodeId(ua.ObjectIds.HasSubtype), node, ua.NodeClass.Unspecified)

    async def browse(self, node: ua.NodeId) -> list[ua.ReferenceDescription]:
        """Variables and objects that stand below a node."""
        classes = ua.NodeClass.Object | ua.NodeClass.Variable
        return await self._browse(ua.NodeId(ua.ObjectIds.HierarchicalReferences), node, classes)

    async def _browse(self, kind: ua.NodeId, node: ua.NodeId, classes: int) -> list[ua.ReferenceDescription]:
        """Some at a time, as what asyncua makes of them keeps everybody waiting; and not for ever."""
        wanted = ua.BrowseDescription(node, ua.BrowseDirection.Forward, kind, True, classes, ua.BrowseResultMask.All)
        first = ua.BrowseParameters(NodesToBrowse=[wanted], RequestedMaxReferencesPerNode=REFERENCES_PER_BROWSE)
        found: list[ua.ReferenceDescription] = []
        rounds = 1
        with from_library():
            (result,) = await self._session.browse(first)
            while result.ContinuationPoint:
                found += result.References
                rounds += 1
                if max(rounds, len(found)) > REFERENCES_MAX:
                    raise LinkLost(f"the server tells of more than {REFERENCES_MAX} nodes below one, and does not end")
                following = ua.BrowseNextParameters(
                    ReleaseContinuationPoints=False, ContinuationPoints=[result.ContinuationPoint]
                )
                (result,) = await self._session.browse_next(following)
        return [*found, *result.References]

    async def browse_all(
        self, nodes: Sequence[ua.NodeId], reference: ua.NodeId, forward: bool
    ) -> list[list[ua.ReferenceDescription]]:
        """For each node what these references (no subtypes of them) lead to, in as many calls as it takes."""
        found: list[list[ua.ReferenceDescription]] = []
        step = min(self.limits.browse, NODES_PER_BROWSE)  # one node may have many references
        for at in range(0, len(nodes), step):
            wanted = [
                ua.BrowseDescription(
                    NodeId=node,
                    BrowseDirection=ua.BrowseDirection.Forward if forward else ua.BrowseDirection.Inverse,
                    ReferenceTypeId=reference,
                    ResultMask=ua.BrowseResultMask.BrowseName,
                )
                for node in nodes[at : at + step]
            ]
            with from_library():
                results = await self._session.browse(ua.BrowseParameters(NodesToBrowse=wanted))
            if len(results) != len(wanted) or any(result.ContinuationPoint for result in results):
                raise LinkLost("the server does not answer a Browse as it was asked")
            found += [list(result.References) for result in results]
        return found

    async def subscribe(self) -> Revised:
        """Makes a subscription."""
        settings, parameters = self._settings, ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = float(settings.publishing_ms)
        parameters.RequestedMaxKeepAliveCount = math.ceil(settings.keep_alive_ms / settings.publishing_ms)
        parameters.RequestedLifetimeCount = math.ceil(settings.lifetime_ms / settings.publishing_ms)
        parameters.MaxNotificationsPerPublish = settings.notifications_max
        parameters.PublishingEnabled = True
        with from_library():
            revised = await self._session.create_subscription(parameters, _nobody)
        keep_alive_ms = float(revised.RevisedPublishingInterval * revised.RevisedMaxKeepAliveCount)
        log.info(
            "%s: subscription: publishing every %g ms, keep-alive %g ms, lifetime %g ms",
            self._source,
            revised.RevisedPublishingInterval,
            keep_alive_ms,
            revised.RevisedPublishingInterval * revised.RevisedLifetimeCount,
        )
        return Revised(int(revised.SubscriptionId), max(settings.lifetime_ms, 3 * keep_alive_ms) / 1000)

    async def unsubscribe(self, subscription_id: int) -> None:
        """Ends a subscription; one that is gone already is none of our business. Raises LinkLost."""
        with from_library(), contextlib.suppress(ua.UaStatusCodeError):
            await self._session.delete_subscriptions([subscription_id])

    async def transfer(self, subscription_ids: Sequence[int]) -> set[int]:
        """Takes over subscriptions of a session that is gone; returns those that the server let us have."""
        parameters = ua.TransferSubscriptionsParameters()
        parameters.SubscriptionIds = [ua.UInt32(number) for number in subscription_ids]
        parameters.SendInitialValues = False
        with from_library():
            try:
                results = await self._session.transfer_subscriptions(parameters)
            except ua.UaStatusCodeError as error:
                log.info("%s: subscriptions are not transferred: %s", self._source, describe(error))
                return set()
        if refused := {got.StatusCode.name for got in results if not got.StatusCode.is_good()}:
            log.info("%s: subscriptions are not transferred: %s", self._source, ", ".join(sorted(refused)))
        return {number for number, got in zip(subscription_ids, results, strict=False) if got.StatusCode.is_good()}

    async def living(self, subscription_ids: Sequence[int]) -> set[int]:
        """Which of these the session still has; asked by having them publish, which they do."""
        parameters = ua.SetPublishingModeParameters()
        parameters.PublishingEnabled = True
        parameters.SubscriptionIds = [ua.UInt32(number) for number in subscription_ids]
        with from_library():
            try:
                results = await self._session.set_publishing_mode(parameters)
            except ua.UaStatusCodeError:
                return set(subscription_ids)  # it does not say: their silence will
        return {number for number, status in zip(subscription_ids, results, strict=False) if status.is_good()}

    async def refresh_conditions(self, subscription_id: int, level: int = logging.WARNING) -> None:
        """Has the server tell the state of every condition once more (OPC 10000-9 section 5.5.7). `level`: how loudly
        it is said that it does not."""
        call = ua.CallMethodRequest(
            ObjectId=ua.NodeId(ua.ObjectIds.ConditionType),
            MethodId=ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh),
            InputArguments=[ua.Variant(subscription_id, ua.VariantType.UInt32)],
        )
        with from_library():
            (result,) = await self._session.call([call])
        if not result.StatusCode.is_good():
            log.log(level, "%s: the server does not refresh conditions: %s", self._source, result.StatusCode.name)

    async def monitor(
        self, subscription_id: int, items: Sequence[ua.MonitoredItemCreateRequest]
    ) -> list[ua.MonitoredItemCreateResult]:
        """Adds monitored items to a subscription, one result an item."""
        parameters = ua.CreateMonitoredItemsParameters()
        parameters.SubscriptionId = ua.UInt32(subscription_id)
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        parameters.ItemsToCreate = list(items)
        with from_library():
            results: list[ua.MonitoredItemCreateResult] = await self._session.create_monitored_items(parameters)
        if len(results) != len(items):
            raise LinkLost("the server answered CreateMonitoredItems with another number of results")
        return results

    async def unmonitor(self, subscription_id: int, items: Sequence[int]) -> None:
        """Ends monitored items; those that are gone already are none of our business. Raises LinkLost."""
        parameters = ua.DeleteMonitoredItemsParameters()
        parameters.SubscriptionId = ua.UInt32(subscription_id)
        parameters.MonitoredItemIds = [ua.UInt32(item) for item in items]
        with from_library(), contextlib.suppress(ua.UaStatusCodeError):
            await self._session.delete_monitored_items(parameters)

    async def publish(self, acknowledged: Sequence[tuple[int, int]]) -> Publish:
        """Waits for the next publish response. `acknowledged`: (subscription, message) that the server may forget.

        Raises LinkLost, SubscriptionsGone, Throttled, Unreadable.
        """
        with from_library():
            try:
                body = await self._session.publish_body(acknowledgements_of(acknowledged))
                publish = read_publish(body, self._structures.of_answer())
                ua.StatusCode(ua.UInt32(publish.result)).check()
            except (ua.uaerrors.BadTooManyPublishRequests, ua.uaerrors.BadTimeout) as error:
                raise Throttled(describe(error)) from error
            except ua.uaerrors.BadNoSubscription as error:
                raise SubscriptionsGone("the server has dropped the subscription") from error
            except Malformed as error:
                raise Unreadable(str(error)) from error
        self._heard_at = asyncio.get_running_loop().time()
        return publish

    async def republish(self, subscription_id: int, number: int) -> Publish | None:
        """A notification message once more; None if the server no longer has it, or it cannot be read."""
        with from_library():
            try:
                body = await self._session.republish_body(subscription_id, number)
                publish = read_publish(body, self._structures.of_answer(), again=True)
                ua.StatusCode(ua.UInt32(publish.result)).check()
            except (ua.uaerrors.BadMessageNotAvailable, ua.uaerrors.BadSubscriptionIdInvalid, Malformed):
                return None
        return publish if publish.numbered else None

    def _new_client(self, uri: str, message_bytes_max: int) -> Client:
        timeout = self._settings.timeout_ms / 1000
        client = Client(self._settings.url, timeout=timeout)
        client.uaclient = BoundedClient(timeout, message_bytes_max)
        client.nodes = Shortcuts(client.uaclient.session)
        client.name = client.description = "sortline"
        client.application_uri = uri
        client.session_timeout = self._settings.session_ms
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
        certificate = await self._shown(identity)
        now = datetime.datetime.now(datetime.UTC)
        await asyncio.to_thread(check_server, certificate, security, host, now)
        self._use(identity, certificate)

    async def _shown(self, identity: Identity) -> x509.Certificate:
        """The certificate that the server shows for our policy. One that tells strangers nothing has to have the one
        that is pinned: without its key it could not even answer."""
        stranger = self._new_client(identity.uri, ANSWER_BYTES_MAX // 4)  # nothing is known of it yet
        try:
            endpoints = await stranger.connect_and_get_server_endpoints()
        except ua.uaerrors.BadSecurityPolicyRejected:
            pinned = self._settings.security.server_certificate
            if pinned is None:
                raise NotOffered(TELLS_STRANGERS_NOTHING) from None
            return await asyncio.to_thread(load_certificate, Path(pinned))
        return first_certificate(self._endpoint(endpoints).ServerCertificate)

    def _endpoint(self, endpoints: Sequence[ua.EndpointDescription]) -> ua.EndpointDescription:
        security = self._settings.security
        for endpoint in endpoints:
            wanted = (POLICIES[security.policy].URI, MODES[security.mode])
            if (endpoint.SecurityPolicyUri, endpoint.SecurityMode) == wanted:
                return endpoint
        raise NotOffered(not_offered(security, endpoints))

    def _use(self, identity: Identity, certificate: x509.Certificate) -> None:
        security = self._settings.security
        policy = POLICIES[security.policy](certificate, identity.certificate, identity.key, MODES[security.mode])
        self._client.security_policy = policy
        self._client.uaclient.set_security(policy)

    async def _connect(self, kept: Kept | None) -> bool:
        client = self._client
        await client.connect_socket()
        await client.send_hello()
        try:
            await client.open_secure_channel()
            self.stood = True
            user = await asyncio.to_thread(load_user, self._settings)
            if kept is not None and await self._resume(kept, user):
                return True
            await client.create_session()
        except ua.UaError as error:
            if refuses_policy(error):
                raise NotOffered(await self._why_refused()) from None
            raise
        await self._activate(user)
        return False

    async def _why_refused(self) -> str:
        """The server does not take us as we come; what it offers instead it may tell a stranger."""
        stranger = self._new_client("", ANSWER_BYTES_MAX // 4)
        try:
            return not_offered(self._settings.security, await stranger.connect_and_get_server_endpoints())
        except Exception as error:
            log.debug("%s: asked what it offers: %s", self._source, describe(error))
            return TELLS_STRANGERS_NOTHING

    async def _resume(self, kept: Kept, user: User) -> bool:
        """Activates a session that was left at the server on this channel (OPC 10000-4 section 6.7)."""
        self._client._server_nonce, self._client._policy_ids = kept.nonce, list(kept.policies)
        self._session.restore_authentication_token(kept.token)
        try:
            await self._activate(user)
        except ua.UaStatusCodeError as error:
            log.info("%s: the session is not taken up again: %s", self._source, describe(error))
            self._session.reset_authentication_token()
            return False
        return True

    async def _activate(self, user: User) -> None:
        client = self._client
        taken = {policy.TokenType for policy in client._policy_ids}
        if user.certificate is not None and taken and ua.UserTokenType.Certificate not in taken:
            names = ", ".join(sorted(kind.name for kind in taken))
            raise LinkLost(f"the server takes no user certificates on this endpoint; it takes {names}")
        client.user_private_key = user.key
        await client.activate_session(user.name, user.password, user.certificate)

    async def _prove_alive(self) -> None:
        """Reads a value: an answer or any publish response meanwhile is a sign of life."""
        asked_at = asyncio.get_running_loop().time()
        try:
            await self.read([SERVER_STATE])
        except LinkLost:
            if self._heard_at < asked_at:
                raise

    async def _read_namespaces(self) -> list[str]:
        array = (await self.read([NAMESPACE_ARRAY]))[0].value
        return [str(uri) for uri in array] if isinstance(array, list) else []

    async def _read_limits(self) -> CallLimits:
        """What the server takes in one call; a server that names no limit, or 0, gets ours."""
        return limits_told(await self.read(OPERATION_LIMITS))

    def _renew_s(self) -> float:
        return float(self._client.secure_channel_timeout) * RENEW_AT / 1000

    def _heartbeat_s(self) -> float:
        return float(self._client.session_timeout) / HEARTBEATS_PER_SESSION / 1000


def _nobody(_: ua.PublishResult) -> None:
    """asyncua wants a callback for its publish loop, which never runs here."""
