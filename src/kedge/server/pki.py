"""The host's own certificate authority, its serving certificate and the key that signs service-account tokens.

Made once in a directory that only the owner reads, renewed when the end is near. All keys are EC P-256: small, and quick to sign.
The CA signs this host's own certificate, which names loopback and the address at which other machines find it, if they do, and
the certificates of nodes that join.
"""

import datetime as dt
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kedge.errors import StateError
from kedge.files import write_private
from kedge.kube.clock import Clock, parse_timestamp, timestamp

CA_LIFETIME = dt.timedelta(days=3650)
SERVING_LIFETIME = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)
DNS_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1")  # the last is that of the Service by which Pods find this API


@dataclass(frozen=True, slots=True)
class Pki:
    """Where the files lie.

    Attributes:
        ca: The CA's certificate, PEM; goes into kubeconfigs.
        certificate: The serving certificate, PEM.
        key: Its private key, PEM, mode 0600.
        signing_key: The private key of service-account tokens, PEM, mode 0600.
    """

    ca: Path
    certificate: Path
    key: Path
    signing_key: Path

    @property
    def ca_key(self) -> Path:
        """The authority's private key, PEM, mode 0600."""
        return self.ca.with_name("ca.key")

    def load_signing_key(self) -> ec.EllipticCurvePrivateKey:
        """Read the private key that signs tokens."""
        return load_key(self.signing_key)


def ensure(directory: Path, clock: Clock, address: str = "") -> Pki:
    """Make what is missing or about to end, and return where it lies.

    Args:
        directory: Made with mode 0700 when it is not there.
        clock: Decides what is about to end.
        address: An IP address that the serving certificate names besides loopback.

    Raises:
        StateError: A file in the directory cannot be read; names it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki = Pki(directory / "ca.crt", directory / "serving.crt", directory / "serving.key", directory / "sa.key")
    if not pki.signing_key.exists():
        write_private(pki.signing_key, _key_pem(ec.generate_private_key(ec.SECP256R1())))
    # The dates are kept beside the certificates: parsing X.509 costs an existing host 60 ms of start-up for nothing.
    dates = _read_dates(directory / "dates.json")
    names, addresses = directory / "names.json", [*ADDRESSES, *([address] if address else [])]
    limit = clock.now() + RENEW_BEFORE
    present = pki.ca.exists() and pki.certificate.exists() and pki.key.exists()
    if (
        not present
        or _read_names(names) != [*DNS_NAMES, *addresses]
        or min(dates.get("ca", limit), dates.get("serving", limit)) <= limit
    ):
        _renew(directory, pki, clock.now(), addresses)
        write_private(names, json.dumps([*DNS_NAMES, *addresses]).encode())
    return pki


def _read_names(path: Path) -> object:
    """What the serving certificate names: one of an older version may lack some."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _renew(directory: Path, pki: Pki, now: dt.datetime, addresses: Sequence[str]) -> None:
    ca_key_file, dates_file = directory / "ca.key", directory / "dates.json"
    dates = _read_dates(dates_file)
    new_ca = not (ca_key_file.exists() and pki.ca.exists()) or dates.get("ca", now) <= now + SERVING_LIFETIME
    ca_end = now + CA_LIFETIME if new_ca else dates["ca"]
    if new_ca:
        ca_key = ec.generate_private_key(ec.SECP256R1())
        write_private(ca_key_file, _key_pem(ca_key))
        write_private(pki.ca, _authority(ca_key, now, ca_end), mode=0o644)
    else:
        ca_key = load_key(ca_key_file)
    key = ec.generate_private_key(ec.SECP256R1())
    end = now + SERVING_LIFETIME
    # Certificate last: should this stop in between, the dates still say that the pair has to be made.
    dates_file.unlink(missing_ok=True)
    write_private(pki.key, _key_pem(key))
    write_private(pki.certificate, _serving(key, ca_key, (now, end), addresses), mode=0o644)
    write_private(dates_file, json.dumps({"ca": timestamp(ca_end), "serving": timestamp(end)}).encode())


def _authority(key: ec.EllipticCurvePrivateKey, start: dt.datetime, end: dt.datetime) -> bytes:
    from cryptography import x509  # noqa: PLC0415  # 60 ms, wanted only on the day a certificate is made
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kedge-ca")])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - dt.timedelta(minutes=5))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _serving(
    key: ec.EllipticCurvePrivateKey,
    ca_key: ec.EllipticCurvePrivateKey,
    lifetime: tuple[dt.datetime, dt.datetime],
    addresses: Sequence[str],
) -> bytes:
    from cryptography import x509  # noqa: PLC0415  # as above
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    start, end = lifetime
    names = [*map(x509.DNSName, DNS_NAMES), *(x509.IPAddress(ipaddress.ip_address(text)) for text in addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kedge")]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kedge-ca")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - dt.timedelta(minutes=5))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a private key; raises `errors.StateError` where it is none."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except ValueError as error:
        raise StateError(f"{path}: is not a private key in PEM. Move it away; a new one is made at the next start.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StateError(f"{path}: is not an EC key. Move it away; a new one is made at the next start.")
    return key


def _read_dates(path: Path) -> dict[str, dt.datetime]:
    try:
        return {name: parse_timestamp(text) for name, text in json.loads(path.read_text()).items()}
    except (FileNotFoundError, ValueError, AttributeError, TypeError):
        return {}
