"""A node's certificate: asked for in Kubernetes' own form, with a token, a kubeconfig, or the certificate before it.

The request is a CertificateSigningRequest. A host signs it in its answer; of a cluster the controllers of kubeadm approve it, or
who asked and may, or somebody whom we wait for.
"""

import base64
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.errors import Conflict, Forbidden, NotFound, StateError, Unauthorized
from kedge.kube import yaml
from kedge.kube.clock import Clock, timestamp
from kedge.kube.core import NODE
from kedge.kube.kinds import Kind, Obj
from kedge.server.joining import INFO, SIGNER, hash_of

_log = logging.getLogger(__name__)
_REQUEST = Kind(
    "CertificateSigningRequest", "certificatesigningrequests", group="certificates.k8s.io", namespaced=False, subresources=()
)
_ASK_SECONDS, _PATIENCE = 2.0, 300.0
# A certificate is renewed when a third of its time is left, or thirty days: a cluster may give it for a day or for a year.
_RENEW_AT, _RENEW_BEFORE_SECONDS = 1 / 3, 30 * 86400.0


async def refuse_taken(access: Access, name: str) -> None:
    """A cluster signs for any name, also for that of a machine which is a node already: two agents would be one node.

    Args:
        access: As the node.
        name: The node's.

    Raises:
        StateError: It is there already.
    """
    async with HttpClient(access) as client:
        with suppress(NotFound):
            await client.get(NODE, name)
            raise StateError(
                f'{access.server}: node "{name}" is there already. If it is this machine, leave out --token and --kubeconfig. '
                f"Otherwise choose another name (kedge join --node-name), or take it away first: kubectl delete node {name}."
            )


async def authority(server: str, ca_hash: str) -> str:
    """The authority of an API, PEM: what the other end says, if it has the hash that we were told.

    Args:
        server: The API's address.
        ca_hash: As `hash_of` makes it.

    Raises:
        StateError: It does not say, or it is another one.
    """
    async with HttpClient(Access(server, verify=False)) as client:  # nothing secret is sent, and the hash decides
        try:
            found: Obj = yaml.read((await client.document(INFO))["data"]["kubeconfig"])
            pem = base64.b64decode(found["clusters"][0]["cluster"]["certificate-authority-data"])
            known = hash_of(pem)
        except (LookupError, TypeError, ValueError) as error:
            raise StateError(f"{server}{INFO}: does not say who signs its certificates ({error!r}).") from error
        except (Forbidden, NotFound, Unauthorized) as error:
            raise StateError(
                f"{server}{INFO}: cannot be read without a login ({error}). Clusters that kubeadm has made have it; "
                "join others with --kubeconfig."
            ) from error
    if known != ca_hash:
        raise StateError(
            f"{server}: its authority has the hash {known}, not {ca_hash}. Either this is another server, "
            "or the host has a new authority: run `kedge invite` there again."
        )
    return pem.decode()


def _certificate(access: Access) -> Any:
    from cryptography import x509  # noqa: PLC0415  # 60 ms, wanted here alone

    return x509.load_pem_x509_certificate((access.certificate or "").encode())


def check_name(kept: Path, access: Access, name: str) -> None:
    """Whether a certificate is that of a node.

    Args:
        kept: Where it lies.
        access: Has it.
        name: The node's.

    Raises:
        StateError: It is another's.
    """
    subject: str = _certificate(access).subject.rfc4514_string()
    if f"CN=system:node:{name}" not in subject.split(","):
        raise StateError(f"{kept}: is the certificate of {subject}, not of node {name}. Give --node-name, or join anew.")


def due(access: Access, now: datetime) -> bool:
    """Whether the end of a certificate is near."""
    found = _certificate(access)
    lasts = (found.not_valid_after_utc - found.not_valid_before_utc).total_seconds()
    return (found.not_valid_after_utc - now).total_seconds() <= min(lasts * _RENEW_AT, _RENEW_BEFORE_SECONDS)


async def asked(access: Access, name: str, clock: Clock, *, approve: bool = False) -> Access:
    """Have a new key signed; waits where somebody has to approve it.

    Args:
        access: Who asks.
        name: The node's.
        clock: Waits.
        approve: Approve the request too, where who asks may.

    Returns:
        The same API, as the node.

    Raises:
        ApiError: Who asks may not.
        StateError: The request was denied, or nobody has approved it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    meta = {"generateName": "node-csr-"}
    usages = ["client auth", "digital signature"]
    spec: Obj = {"request": base64.b64encode(_request(key, name)).decode(), "signerName": SIGNER, "usages": usages}
    async with HttpClient(access, clock=clock) as client:
        made = await client.create(_REQUEST, {"metadata": meta, "spec": spec})
        if approve:
            made = await _approved(client, made, clock.now())
        certificate = await _signed(client, made, access.server, clock)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    way = Access(access.server, ca=access.ca, verify=access.verify, server_name=access.server_name, proxy=access.proxy)
    return replace(way, certificate=base64.b64decode(certificate).decode(), key=private.decode())


async def _approved(client: HttpClient, made: Obj, now: datetime) -> Obj:
    """The request, approved by who made it; as it was where that is not allowed, or the cluster has done it already."""
    condition = {"type": "Approved", "status": "True", "reason": "KedgeJoin", "message": "Approved by who ran kedge join."}
    approved = {**made, "status": {"conditions": [{**condition, "lastUpdateTime": timestamp(now)}]}}
    with suppress(Forbidden, Conflict):
        return await client.update(_REQUEST, approved, subresource="approval")
    return made


async def _signed(client: HttpClient, made: Obj, server: str, clock: Clock) -> str:
    """The certificate of a request, once it is there."""
    began, told = clock.monotonic(), made["metadata"].get("name", "")
    while not (certificate := (made.get("status") or {}).get("certificate")):
        found = {each["type"] for each in (made.get("status") or {}).get("conditions") or ()}
        if found & {"Denied", "Failed"}:
            raise StateError(f"{server}: certificate signing request {told} was denied: kubectl describe csr {told}.")
        if clock.monotonic() - began > _PATIENCE:
            why = "nothing there signs it" if "Approved" in found else "nobody has approved it"
            raise StateError(f"{server}: certificate signing request {told}: {why}: kubectl certificate approve {told}.")
        if not found:
            _log.info("waiting until the request for a certificate is approved", extra={"request": told})
        await clock.sleep(_ASK_SECONDS)
        made = await client.get(_REQUEST, told)
    return str(certificate)


def _request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A request for the certificate of a node, PEM."""
    from cryptography import x509  # noqa: PLC0415  # as above

    parts: list[Any] = [
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, f"system:node:{name}"),
    ]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)
