"""Certificates as organisations make them: an authority of a test's own, and what it signs."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_LIFE = dt.timedelta(hours=2)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


class Authority:
    """Signs certificates.

    Args:
        key: Its private key.
        name: What it is called.

    Attributes:
        certificate: Its own, as PEM.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, name: str) -> None:
        self._key = key
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = self._begun(self._name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = self._signed(builder)

    @classmethod
    def new(cls, name: str = "authority of a test") -> Self:
        """One that nobody knows yet."""
        return cls(ec.generate_private_key(ec.SECP256R1()), name)

    def server(self, host: str) -> Issued:
        """For a server at this address or name."""
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        return self._issue("server", "", x509.SubjectAlternativeName([alternative]))

    def client(self, user: str, group: str = "") -> Issued:
        """For somebody, of whom Kubernetes learns by it who they are."""
        return self._issue(user, group, x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]))

    def _issue(self, common: str, organisation: str, extension: x509.ExtensionType) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]
        if organisation:
            parts.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organisation))
        certificate = self._signed(self._begun(x509.Name(parts), key).add_extension(extension, critical=False))
        return Issued(certificate, _pem(key))

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)  # noqa: TID251  # others read it by their own clock
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - _LIFE).not_valid_after(now + _LIFE)

    def _signed(self, builder: x509.CertificateBuilder) -> str:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
