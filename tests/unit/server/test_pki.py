"""The host's certificates: made once, private, renewed in time."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from kedge.errors import StateError
from kedge.server import pki
from kedge.testing.clock import FakeClock

DAY = 86400.0


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_is_made(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path / "pki", FakeClock())
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "kubernetes.default.svc"} <= set(names.get_values_for_type(x509.DNSName))
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1", "10.96.0.1"}
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made.ca.read_bytes()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    assert made.load_signing_key().curve.name == "secp256r1"


def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    pki.ensure(directory, FakeClock())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert {modes[name] for name in ("ca.key", "serving.key", "sa.key")} == {0o600}


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    clock = FakeClock()
    pki.ensure(tmp_path, clock)
    before = contents(tmp_path)
    pki.ensure(tmp_path, clock)
    assert contents(tmp_path) == before


async def test_the_serving_certificate_is_renewed_under_the_same_ca(tmp_path: Path) -> None:
    clock = FakeClock()
    pki.ensure(tmp_path, clock)
    before = contents(tmp_path)
    await clock.advance(336 * DAY)
    pki.ensure(tmp_path, clock)
    after = contents(tmp_path)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"serving.crt", "serving.key", "dates.json"}


async def test_a_ca_near_its_end_is_renewed_too(tmp_path: Path) -> None:
    clock = FakeClock()
    pki.ensure(tmp_path, clock)
    before = contents(tmp_path)
    await clock.advance(3400 * DAY)
    pki.ensure(tmp_path, clock)
    after = contents(tmp_path)
    assert after["ca.crt"] != before["ca.crt"]
    assert after["sa.key"] == before["sa.key"]


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "serving.crt", "serving.key", "dates.json"])
def test_a_lost_file_is_made_anew(tmp_path: Path, name: str) -> None:
    pki.ensure(tmp_path, FakeClock())
    (tmp_path / name).unlink()
    made = pki.ensure(tmp_path, FakeClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made.ca.read_bytes()))


def test_a_certificate_of_an_older_version_is_made_anew_under_the_same_authority(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    pki.ensure(directory, FakeClock())
    before = contents(directory)
    (directory / "names.json").unlink()
    pki.ensure(directory, FakeClock())
    after = contents(directory)
    assert before["serving.crt"] != after["serving.crt"]
    assert [before[name] for name in ("ca.crt", "sa.key", "names.json")] == [
        after[name] for name in ("ca.crt", "sa.key", "names.json")
    ]


def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, FakeClock())
    made.signing_key.write_text("x")
    with pytest.raises(StateError, match=r"sa\.key: is not a private key in PEM\. Move it away"):
        made.load_signing_key()
