"""What the core is told of a connection: it must not take our silence for that of the machines (R2, R6)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from protocols.mapping.lines import encode_line


class LinkNews:
    """`sources`: of each whose link it is `src`, and `scope` where that speaks for all whose name begins like it."""

    def __init__(self, name: str, sources: Sequence[Mapping[str, str]], intake: Intake, clock: Clock) -> None:
        self._name = name
        self._sources = sources
        self._intake = intake
        self._clock = clock
        self._told: tuple[str, Collection[str]] | None = None  # the last that surely arrived

    async def tell(self, kind: Literal["link.up", "link.down"], but_for: Collection[str] = ()) -> None:
        """Once until it is the other. `but_for`: scopes of which it is not so."""
        if self._told == (kind, but_for):
            return
        # of what is given up on its way nobody knows whether it arrived: rather twice than never
        self._told = None
        t_rx = self._clock()
        lines = [
            encode_line({**source, "kind": kind, "t_rx": t_rx})
            for source in self._sources
            if source.get("scope") not in but_for
        ]
        if lines:
            await self._intake.put(Delivery(self._name, lines))
        self._told = kind, but_for


def speaking_for(scopes: Iterable[str]) -> list[dict[str, str]]:
    """Sources that speak for all whose name begins with a scope."""
    return [{"src": scope.rstrip("/") or scope, "scope": scope} for scope in scopes]


def unreached(error: OSError | UnicodeError | TimeoutError, within_ms: float) -> str:
    """Why a connection could not be made: what the system says, or that nobody answered `within_ms`."""
    if isinstance(error, ssl.SSLError):
        return without_tls(error)
    if isinstance(error, OSError) and error.strerror:
        # asyncio puts the address there, uvloop the reason
        why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
    elif isinstance(error, TimeoutError):
        why = f"no answer within {within_ms:.0f} ms"
    else:
        # the event loop says nothing of an end in the middle of a handshake
        why = str(error) or "the server closed the connection"
    return f"cannot connect: {why}"


def without_tls(error: ssl.SSLError) -> str:
    """Why TLS came to nothing."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {error.verify_message} (tls.ca: who may have signed it)"
    return tls_refusal(error) or f"no TLS there ({error.reason})"


def tls_refusal(error: BaseException | None) -> str:
    """What the server says is wrong with us, in one of TLS's alerts; empty if it said nothing."""
    alert = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    if "ALERT" not in alert:
        return ""
    return f"the server refuses us ({alert}): does it want another certificate? (tls.certificate, tls.private_key)"
