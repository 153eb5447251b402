"""Who we are and which server is believed: certificates, keys, policies, the trust list.

Everything here reads and writes small files and makes keys: call it off the event loop. Certificates are OPC UA
application instance certificates (OPC 10000-6 section 6.2.2): the application URI stands among the alternative names.
"""

from __future__ import annotations

import datetime
import ipaddress
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from asyncua import ua
from asyncua.crypto import security_policies as policies
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.errors import Refused
from engine.secret import Secret
from protocols.opcua.settings import DEPRECATED, Security, Settings

log = logging.getLogger("sortline.opcua")

POLICIES: dict[str, type[policies.SecurityPolicy]] = {
    "None": policies.SecurityPolicyNone,
    "Basic256Sha256": policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": policies.SecurityPolicyAes256Sha256RsaPss,
    "Basic128Rsa15": policies.SecurityPolicyBasic128Rsa15,
    "Basic256": policies.SecurityPolicyBasic256,
}
TELLS_STRANGERS_NOTHING = (
    "the server takes encrypted connections only, and tells a stranger not even what it offers: security.policy has to "
    "be its own, and security.server_certificate its certificate"
)
MODES = {"Sign": ua.MessageSecurityMode.Sign, "SignAndEncrypt": ua.MessageSecurityMode.SignAndEncrypt}
SUFFIXES = (".der", ".pem", ".crt", ".cer")
REJECTED_MAX = 16
VALID_DAYS = 5 * 365
ENDS_SOON = datetime.timedelta(days=60)
KEY_BITS = 2048
FILE_BYTES_MAX = 65_536


class Identity(NamedTuple):
    """Our application: certificate, its key, and the URI that the certificate carries."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    uri: str


class User(NamedTuple):
    """Who the session is for: a name and a password, a certificate and its key, or none of them (anonymous)."""

    name: str | None
    password: str | None
    certificate: x509.Certificate | None
    key: rsa.RSAPrivateKey | None


def load_identity(security: Security, uri: str, host: str) -> Identity | None:
    """Our certificate and key, made first if `self_signed` asks for it; None under policy "None". Raises Refused."""
    if security.policy == "None" or security.certificate is None or security.private_key is None:
        return None
    certificate_file, key_file = Path(security.certificate), Path(security.private_key)
    if security.self_signed and not certificate_file.exists() and not key_file.exists():
        write_self_signed(certificate_file, key_file, uri, host)
        log.warning("made the application certificate %s: the OPC UA server has to trust it", certificate_file)
    certificate, key = _load_pair(certificate_file, key_file, security.private_key_password)
    if certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) < ENDS_SOON:
        until = certificate.not_valid_after_utc.date()
        log.warning("%s is valid until %s: a server may refuse us after that", certificate_file, until)
    return Identity(certificate, key, application_uri(certificate) or uri)


def load_user(settings: Settings) -> User:
    """The session's user, with secrets read now. Raises Refused."""
    if settings.user_certificate is not None:
        shown = settings.user_certificate
        pair = _load_pair(Path(shown.certificate), Path(shown.private_key), shown.private_key_password)
        return User(None, None, *pair)
    return User(settings.user, settings.password.reveal() if settings.password is not None else None, None, None)


def write_self_signed(certificate_file: Path, key_file: Path, uri: str, host: str) -> None:
    """Makes a key and a self-signed application certificate for `uri` on `host`; the key is readable by us only.

    The format follows the suffix of each file: `.der` is DER, everything else PEM.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    certificate = _self_signed(key, uri, host, datetime.datetime.now(datetime.UTC))
    for file in (certificate_file, key_file):
        file.parent.mkdir(parents=True, exist_ok=True)
    private = key.private_bytes(_encoding(key_file), serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(private)
    certificate_file.write_bytes(certificate.public_bytes(_encoding(certificate_file)))


def load_certificate(file: Path) -> x509.Certificate:
    """A certificate out of a DER or PEM file, whatever its suffix. Raises Refused, naming the file."""
    data = _read(file)
    try:
        return x509.load_pem_x509_certificate(data) if b"-----BEGIN" in data else x509.load_der_x509_certificate(data)
    except ValueError:
        raise Refused(f"{file}: not a certificate (DER or PEM)") from None


def application_uri(certificate: x509.Certificate) -> str | None:
    """The application URI in a certificate, if it has one."""
    return next(iter(_alternative_names(certificate, x509.UniformResourceIdentifier)), None)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER form, hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def first_certificate(chain: bytes | None) -> x509.Certificate:
    """The leaf of what a server sends: one DER certificate, or several one after the other. Raises Refused."""
    data = chain or b""
    # A DER SEQUENCE of more than 255 bytes begins with 30 82 and its length in two bytes.
    length = int.from_bytes(data[2:4], "big") + 4 if data[:2] == b"\x30\x82" else len(data)
    try:
        return x509.load_der_x509_certificate(data[:length])
    except ValueError:
        raise Refused("the server shows no readable certificate") from None


def check_server(certificate: x509.Certificate, security: Security, host: str, now: datetime.datetime) -> None:
    """Whether the server that shows this certificate is the one we were told to believe. Raises Refused if not."""
    name = _subject(certificate)
    if security.server_uri is not None and application_uri(certificate) != security.server_uri:
        raise Refused(f"server certificate {name} carries {application_uri(certificate)!r}, not server_uri")
    if security.server_certificate is not None:
        pinned = load_certificate(Path(security.server_certificate))
        if pinned == certificate:
            _warn_of_dates(certificate, now)
            return
        if security.trust_dir is None:
            raise Refused(
                f"server certificate {name} (sha256 {fingerprint(certificate)}) is not the pinned "
                f"{security.server_certificate} (sha256 {fingerprint(pinned)}): if the server was given a new one, "
                "compare the fingerprint there and replace the file"
            )
    if security.trust_dir is not None:
        _check_trust_list(certificate, Path(security.trust_dir), host, security.server_uri, now)


def not_offered(security: Security, endpoints: Sequence[ua.EndpointDescription]) -> str:
    """What a server offers instead, in our words and not in its own."""
    names = {policy.URI: name for name, policy in POLICIES.items()}
    offered = set()
    for endpoint in endpoints:
        name = names.get(endpoint.SecurityPolicyUri or "", "a policy unknown to us")
        offered.add(name if name == "None" else f"{name}/{endpoint.SecurityMode.name}")
    wanted = security.policy if security.policy == "None" else f"{security.policy}/{security.mode}"
    return f"the server does not offer {wanted}; it offers {', '.join(sorted(offered)) or 'nothing'}"


def warn_of_policy(security: Security, source: str) -> None:
    """One line for a connection that is not protected, or not well."""
    if security.policy == "None":
        log.warning('%s: policy "None": nothing is signed or encrypted', source)
    elif security.policy in DEPRECATED:
        log.warning("%s: policy %s is deprecated: its hashes are broken", source, security.policy)


def _check_trust_list(
    certificate: x509.Certificate, folder: Path, host: str, server_uri: str | None, now: datetime.datetime
) -> None:
    trusted = list(_trusted(folder))
    if certificate in trusted:
        _warn_of_dates(certificate, now)
        return
    issuers = [authority for authority in trusted if _issued(authority, certificate)]
    for authority in issuers:
        if _valid(authority, now) and _valid(certificate, now):
            # Whoever has any certificate of this authority must not pass for our server.
            if server_uri is None and host not in _hosts(certificate):
                names = ", ".join(_hosts(certificate)) or "none"
                raise Refused(
                    f"server certificate {_subject(certificate)} is for the hosts {names}, not for {host}: "
                    "use one of them in url, or name the server's server_uri"
                )
            return
    kept = _keep_rejected(certificate, folder / "rejected")
    if issuers:
        late = certificate if not _valid(certificate, now) else issuers[0]
        since, until = late.not_valid_before_utc.date(), late.not_valid_after_utc.date()
        raise Refused(
            f"server certificate {_subject(certificate)} is issued by {_subject(issuers[0])}, which is trusted, but "
            f"that of {_subject(late)} is valid from {since} to {until}: it has to be made anew; or, to believe this "
            f"server by name, move {kept} to {folder}"
        )
    raise Refused(
        f"server certificate {_subject(certificate)} is not trusted (sha256 {fingerprint(certificate)}): compare the "
        f"fingerprint at the server; if it is the same, move {kept} to {folder}"
    )


def _trusted(folder: Path) -> Iterator[x509.Certificate]:
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise Refused(f"trust_dir {folder}: {error.strerror or type(error).__name__}") from None
    for file in files:
        try:
            yield load_certificate(file)
        except Refused as error:
            log.warning("trust list: %s", error)


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(authority)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return constraints.ca


def _valid(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _warn_of_dates(certificate: x509.Certificate, now: datetime.datetime) -> None:
    # Refusing would stop a line at midnight for a certificate that was trusted by hand; its key is still the server's.
    if not _valid(certificate, now):
        log.warning("server certificate %s is out of its dates, but trusted by name", _subject(certificate))


def _keep_rejected(certificate: x509.Certificate, folder: Path) -> Path:
    file = folder / f"{fingerprint(certificate)[:32]}.der"
    try:
        folder.mkdir(exist_ok=True)
        if file.exists() or len(list(folder.iterdir())) < REJECTED_MAX:
            file.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
            return file
    except OSError as error:
        log.warning("%s: %s", file, error.strerror or type(error).__name__)
    return Path("the server's certificate file")


def _self_signed(key: rsa.RSAPrivateKey, uri: str, host: str, now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sortline"[:64])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    extended = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # the server's clock may be behind
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), _host_name(host)]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(extended, False)
        .add_extension(identifier, False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
        .sign(key, hashes.SHA256())
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_pair(
    certificate_file: Path, key_file: Path, password: Secret | None
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    certificate = load_certificate(certificate_file)
    key = _load_key(key_file, password.reveal() if password is not None else None)
    if certificate.public_key() != key.public_key():
        raise Refused(f"{certificate_file} and {key_file} do not belong together: name the key of this certificate")
    return certificate, key


def _load_key(file: Path, password: str | None) -> rsa.RSAPrivateKey:
    data, secret = _read(file), password.encode() if password is not None else None
    load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
    try:
        key = load(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Never the library's text: it may speak of the password.
        raise Refused(f"{file}: not a private key (PEM or DER), or private_key_password is missing or wrong") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Refused(f"{file}: OPC UA's policies need an RSA key")
    return key


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            data = source.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(f"{file}: {error.strerror or type(error).__name__}") from None
    if len(data) > FILE_BYTES_MAX:
        raise Refused(f"{file}: longer than {FILE_BYTES_MAX} bytes")
    return data


def _encoding(file: Path) -> serialization.Encoding:
    return serialization.Encoding.DER if file.suffix.lower() == ".der" else serialization.Encoding.PEM


def _subject(certificate: x509.Certificate) -> str:
    return ascii(certificate.subject.rfc4514_string()[:200])


def _alternative_names(
    certificate: x509.Certificate, kind: type[x509.UniformResourceIdentifier] | type[x509.DNSName]
) -> list[str]:
    names = _all_names(certificate)
    return names.get_values_for_type(kind) if names is not None else []


def _hosts(certificate: x509.Certificate) -> list[str]:
    names = _all_names(certificate)
    addresses = names.get_values_for_type(x509.IPAddress) if names is not None else []
    return _alternative_names(certificate, x509.DNSName) + [str(address) for address in addresses]


def _all_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None
