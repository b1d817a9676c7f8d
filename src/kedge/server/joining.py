"""How another machine becomes a node, in Kubernetes' own words: what it may know before it trusts us, and its certificate.

A machine that is to join reads the authority from ``kube-public/cluster-info`` and compares it with the hash that came with its
token, as kubeadm does. Then it asks for a client certificate (``certificates.k8s.io``), with a bootstrap token or, to renew
one, with the certificate that it has. The request is signed in the answer, and none is kept. A token is for one node: it is
deleted before its certificate leaves.
"""

import base64
import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kedge.client.kubeconfig import Access, render
from kedge.errors import ApiError, Cause, Forbidden, Invalid, MethodNotAllowed, NotFound, Unauthorized
from kedge.kube import yaml
from kedge.kube.clock import parse_timestamp, timestamp
from kedge.kube.core import NODE, SECRET
from kedge.kube.kinds import Obj
from kedge.kube.names import subdomain_fault
from kedge.server.api import Api
from kedge.server.nodes import NODES, PREFIX
from kedge.server.peers import peer_of
from kedge.server.pki import Pki, load_key
from kedge.server.requests import decode_object, header, read_body
from kedge.server.status import send_error, send_json

SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
TOKEN_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105  # the name of a type
TOKENS_IN = "kube-system"
INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_SERVED = re.compile(r"/api(/v1(/.*)?)?|/apis(/(?!v\d).*)?|/version|/openapi/.*|/(healthz|livez|readyz)(/.*)?")
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_LIFETIME = dt.timedelta(days=365)
_USAGES = frozenset({"digital signature", "key encipherment", "client auth"})
_UNKNOWN = "the join token is not known, has been used, or has ended. Make another on the host: kedge invite."


def hash_of(authority: bytes) -> str:
    """What kubeadm calls ``discovery-token-ca-cert-hash``: that of the public key in a certificate.

    Args:
        authority: The certificate, PEM.
    """
    from cryptography import x509  # noqa: PLC0415  # 60 ms, wanted only where somebody joins

    key = x509.load_pem_x509_certificate(authority).public_key()
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return f"sha256:{hashlib.sha256(key.public_bytes(*form)).hexdigest()}"


class Joining:
    """The routes for machines that join.

    Args:
        api: Where tokens and nodes are.
        pki: Signs.
        server: The address that they are told.
        own: The host's own node, whose name nobody gets.
    """

    def __init__(self, api: Api, pki: Pki, server: str, own: str) -> None:
        self._api = api
        self._pki = pki
        self._server = server
        self._own = own

    def routes(self) -> list[BaseRoute]:
        """They begin with ``/api``, so they must stand before those of the API."""
        return [Route(INFO, _Endpoint(self._info)), Route(REQUESTS, _Endpoint(self._request))]

    async def _info(self, scope: Scope, receive: Receive) -> tuple[Obj, int]:
        """What anybody may read: where the API is, and its authority, which is worth nothing without the hash."""
        del receive
        if scope["method"] != "GET":
            raise MethodNotAllowed(f"{scope['method']} is not supported here: the host itself says what is in {INFO}.")
        data = {"kubeconfig": yaml.write(render(Access(self._server, ca=self._pki.ca.read_text())))}
        meta = {"name": "cluster-info", "namespace": "kube-public"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}, 200

    async def _request(self, scope: Scope, receive: Receive) -> tuple[Obj, int]:
        if scope["method"] != "POST":
            raise MethodNotAllowed("a certificate signing request is signed in the answer to its POST; none is kept.")
        peer = peer_of(scope)
        token = None if peer is not None else self._token(header(scope, b"authorization"))
        asked = decode_object(scope, await read_body(scope, receive))
        node, request = _read(asked)
        if peer is not None and peer.name != PREFIX + node:
            raise Forbidden(f"{peer.name} may renew its own certificate only, not one of {PREFIX}{node}.")
        if peer is None and (why := self._taken(node)):
            raise Forbidden(f'certificatesigningrequests.certificates.k8s.io is forbidden: node "{node}": {why}')
        if token is not None:  # used up now, whatever becomes of the answer
            meta = token["metadata"]
            self._api.delete(SECRET, meta["name"], meta["namespace"], uid=meta["uid"])
        return self._signed(asked, request), 201

    def _token(self, authorization: str) -> Obj:
        """The Secret of the bootstrap token that came with a request."""
        found = _TOKEN.fullmatch(authorization.removeprefix("Bearer ").strip())
        if found is None:
            raise Unauthorized(_UNKNOWN)
        try:
            secret = self._api.get(SECRET, f"bootstrap-token-{found[1]}", TOKENS_IN)
        except NotFound:
            raise Unauthorized(_UNKNOWN) from None
        data = {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in (secret.get("data") or {}).items()}
        held = hmac.compare_digest(data.get("token-secret", "").encode(), found[2].encode())
        until = data.get("expiration")
        ended = until is not None and parse_timestamp(until) <= self._api.core.clock.now()
        if not held or ended or secret.get("type") != TOKEN_TYPE or data.get("usage-bootstrap-authentication") != "true":
            raise Unauthorized(_UNKNOWN)
        return secret

    def _taken(self, node: str) -> str:
        """Why a name is nobody's to ask for."""
        if node == self._own:
            return "it is the host's own. Choose another: kedge join --node-name."
        try:
            self._api.get(NODE, node)
        except NotFound:
            return ""
        return f"it is there already. Choose another (kedge join --node-name), or take it away first: kubectl delete node {node}."

    def _signed(self, asked: Obj, request: Any) -> Obj:
        """The request with its certificate."""
        now = self._api.core.clock.now()
        certificate = signed(request, self._pki, now)
        condition = {
            "type": "Approved",
            "status": "True",
            "reason": "AutoApproved",
            "message": "Auto approving kubelet client certificate after SubjectAccessReview.",
            "lastUpdateTime": timestamp(now),
            "lastTransitionTime": timestamp(now),
        }
        status = {"conditions": [condition], "certificate": base64.b64encode(certificate).decode()}
        meta = {**asked.get("metadata", {}), "creationTimestamp": timestamp(now)}
        kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
        return {**asked, **kind, "metadata": meta, "status": status}


class _Endpoint:
    """Answers with what a function says, or with the Status of what it raises."""

    def __init__(self, answer: Callable[[Scope, Receive], Awaitable[tuple[Obj, int]]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            found, code = await self._answer(scope, receive)
        except ApiError as error:
            await send_error(send, error)
            return
        await send_json(send, found, code)


def _read(asked: Obj) -> tuple[str, Any]:
    """The node and the request in a CertificateSigningRequest, which asks for what a kubelet may have and nothing else."""
    from cryptography import x509  # noqa: PLC0415  # 60 ms, wanted only where somebody joins

    spec = asked.get("spec") or {}
    if spec.get("signerName") != SIGNER:
        raise _invalid("spec.signerName", f"only {SIGNER} signs here")
    usages: list[str] = spec.get("usages") or []
    if not {"client auth", "digital signature"} <= set(usages) <= _USAGES:
        raise _invalid("spec.usages", f"usages must be {', '.join(sorted(_USAGES))}")
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
        sound = request.is_signature_valid
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid("spec.request", f"must be a certificate request in PEM, encoded with base64 ({error})") from error
    names = [(each.oid, str(each.value)) for each in request.subject]
    organization, common = x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME
    node = next((value.removeprefix(PREFIX) for oid, value in names if oid == common and value.startswith(PREFIX)), "")
    if not sound or sorted(names, key=str) != sorted([(organization, NODES), (common, PREFIX + node)], key=str):
        raise _invalid("spec.request", f"the subject must be O={NODES}, CN={PREFIX}NAME, and the signature the key's own")
    if list(request.extensions):
        raise _invalid("spec.request", "extensions, such as further names, are not signed")
    if fault := subdomain_fault(node):
        raise _invalid("spec.request", f"the node's name, {node!r}: {fault}")
    return node, request


def _invalid(field: str, why: str) -> Invalid:
    return Invalid(f"{field}: Invalid value: {why}", causes=(Cause(field, f"Invalid value: {why}"),))


def signed(request: Any, pki: Pki, now: dt.datetime) -> bytes:
    """A client certificate for what a request names, PEM."""
    from cryptography import x509  # noqa: PLC0415  # as above

    authority, key = x509.load_pem_x509_certificate(pki.ca.read_bytes()), load_key(pki.ca_key)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(authority.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(min(now + _LIFETIME, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)  # pyright: ignore[reportArgumentType]  # ours is EC
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


class OutsideGuard:
    """What other machines may ask for: the Kubernetes API. The pages and REST stay on loopback.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        path: str = scope.get("path", "")
        if not _SERVED.fullmatch(path):
            await send_error(send, NotFound(f"{path}: other machines find the Kubernetes API here, and nothing else."))
        elif any(name == b"origin" for name, _ in scope["headers"]):
            await send_error(send, Forbidden("pages of browsers may not send requests here."))
        else:
            await self._app(scope, receive, send)
