"""How a connection to a server fails, and what is said of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from asyncua import ua

from engine.cancellation import raise_if_cancelled
from engine.errors import SortlineError

_HINTS = {
    ua.StatusCodes.BadUserAccessDenied: "the user is refused: name, password or certificate",
    ua.StatusCodes.BadIdentityTokenRejected: "the user is refused: name, password or certificate",
    ua.StatusCodes.BadIdentityTokenInvalid: "the server does not take this kind of user",
    ua.StatusCodes.BadSecurityChecksFailed: "does the server trust our certificate?",
    ua.StatusCodes.BadCertificateUntrusted: "the server does not trust our certificate: add it to its trust list",
    ua.StatusCodes.BadCertificateUriInvalid: "application_uri is not the one in our certificate",
    ua.StatusCodes.BadSecurityPolicyRejected: "the server does not offer this policy",
    ua.StatusCodes.BadTooManyMonitoredItems: "fewer items_per_subscription, if the server limits those of one",
    ua.StatusCodes.BadTooManySubscriptions: "more items_per_subscription, or wait for those of clients that are gone",
    ua.StatusCodes.BadTooManySessions: "the server takes no more: wait for those of clients that are gone",
    ua.StatusCodes.BadTcpEndpointUrlInvalid: "the server does not know this url: is its path another one?",
}


class LinkLost(SortlineError):
    """The connection failed or ended; the message says why. It is opened anew."""


class NotOpcUa(Exception):
    """Where we have connected to, nobody has said a word of OPC UA; the message says what happened instead."""


class NotOffered(LinkLost):
    """The server takes no connection that is secured like this."""


class SubscriptionsGone(LinkLost):
    """The server has dropped our subscriptions; there is nothing to come back to."""


class Throttled(SortlineError):
    """The server does not take so many publish requests."""


class Unreadable(SortlineError):
    """A response came that cannot be read; its notifications are lost unless they can be had again."""


@contextlib.contextmanager
def from_library() -> Iterator[None]:
    """Whatever asyncua raises (a malformed answer can make it raise anything) means that this connection is over."""
    try:
        yield
        raise_if_cancelled()
    except SortlineError:
        raise
    except Exception as error:
        raise LinkLost(describe(error)) from error


def refuses_policy(error: ua.UaError) -> bool:
    """Whether a server does not take our policy and mode: it says so, or asyncua misses them in what it offers."""
    if isinstance(error, ua.UaStatusCodeError):
        return error.code in (ua.StatusCodes.BadSecurityPolicyRejected, ua.StatusCodes.BadSecurityModeRejected)
    return str(error).startswith("No matching endpoints")


def named(status: int) -> str:
    """A status as the standard calls it, and its number: a server may have bits of its own in it."""
    return f"{ua.StatusCode(ua.UInt32(status)).name} ({status:#010x})"


def advised(status: int) -> str:
    """A status as the standard calls it, and what to do about it, if that is known."""
    hint = _HINTS.get(status)
    name = ua.StatusCode(ua.UInt32(status)).name
    return f"{name} ({hint})" if hint else name


def describe(error: Exception) -> str:
    """What went wrong, in one line, without anything that the server could have put into it."""
    if isinstance(error, ua.UaStatusCodeError):
        return advised(error.code)
    if isinstance(error, NotOpcUa):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer within timeout_ms"
    if isinstance(error, OSError):
        if error.errno is not None and error.errno > 0:
            return os.strerror(error.errno)
        # numbers below are those of who looks for a host's address
        return error.strerror or str(error) or type(error).__name__
    return f"{type(error).__name__}: {ascii(str(error))[:200]}"
