"""Certificates as organisations make them: an authority of a test's own, and what it signs."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path
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
    def read(cls, key: Path, name: str) -> Self:
        """One whose key lies in a file."""
        found = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        return cls(found, name)

    @classmethod
    def new(cls, name: str = "authority of a test") -> Self:
        """One that nobody knows yet."""
        return cls(ec.generate_private_key(ec.SECP256R1()), name)

    @property
    def private(self) -> str:
        """Its key, as PEM."""
        return _pem(self._key)

    def server(self, host: str) -> Issued:
        """For a server at this address or name."""
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        return self._issue("server", x509.SubjectAlternativeName([alternative]))

    def client(self, user: str, life: dt.timedelta = _LIFE) -> Issued:
        """For somebody, of whom Kubernetes learns by it who they are, for so long."""
        return self._issue(user, x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), life)

    def _issue(self, name: str, extension: x509.ExtensionType, life: dt.timedelta = _LIFE) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._signed(self._begun(subject, key, life).add_extension(extension, critical=False))
        return Issued(certificate, _pem(key))

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, life: dt.timedelta = _LIFE) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)  # noqa: TID251  # others read it by their own clock
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - _LIFE).not_valid_after(now + life)

    def _signed(self, builder: x509.CertificateBuilder) -> str:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
