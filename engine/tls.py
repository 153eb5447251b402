"""TLS as a client, for every protocol and sink that has it: settings, and the verified context made of them."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from typing import Annotated

import msgspec

from engine.errors import Refused
from engine.places import no_file
from engine.secret import Secret

File = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Tls(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A connection over TLS 1.2 or later. The server's name is always verified against its certificate.

    ca: file (PEM) of the authorities that may have signed the server's certificate; absent: those of this computer.
    certificate, private_key: files (PEM) of our own certificate, for servers that ask for one. The key may stand in the
      certificate's file.
    private_key_password: of an encrypted key.
    """

    ca: File | None = None
    certificate: File | None = None
    private_key: File | None = None
    private_key_password: Secret | None = None

    def context(self) -> ssl.SSLContext:
        """Reads the files. Raises Refused, saying which one and why."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise Refused(f"tls.ca {self.ca}: {_reason(error)}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            secret = self.private_key_password
            # without a password OpenSSL would ask for one on the terminal
            password = secret.reveal() if secret is not None else ""
            try:
                context.load_cert_chain(self.certificate, self.private_key, password)
            except (OSError, ValueError) as error:
                files = ", ".join(filter(None, (self.certificate, self.private_key)))
                raise Refused(f"tls.certificate {files}: {_reason(error)}") from None
        return context

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (key, what is wrong and what to do)."""
        if self.private_key is not None and self.certificate is None:
            yield "private_key", "a key without a certificate: add certificate"
            return
        for name in ("ca", "certificate", "private_key"):
            path = getattr(self, name)
            if path is not None and (why := no_file(path)):
                yield name, why
                return
        try:
            self.context()
        except Refused as error:
            yield "", str(error)


def is_loopback(host: str) -> bool:
    """Whether the host is this computer itself, so that nobody else can listen."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not a usable PEM file ({error.reason or type(error).__name__})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
