"""Service-account tokens of a cluster, checked offline against the keys that its API server publishes.

``/openid/v1/jwks`` may be read by every service account (ClusterRole ``system:service-account-issuer-discovery``), so no right
beyond a namespace is needed, and a token is checked while the API server is away. Where the keys may not be read, the server is
asked about each token instead (TokenReview, a right at the cluster's scope). Offline, a deleted service account or Pod shows only
when its token ends; who relies on a Pod being there looks for it.
"""

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kedge.errors import ApiError, Forbidden, NotFound, Unauthorized, Unavailable
from kedge.kube.clock import Clock
from kedge.kube.kinds import Kind, Obj
from kedge.kube.reviews import TOKEN_REVIEW
from kedge.server.auth import User, account
from kedge.server.remembered import Remembered
from kedge.server.tokens import Claims, Reference

JWKS, CONFIGURATION = "/openid/v1/jwks", "/.well-known/openid-configuration"
LEEWAY = 10.0
"""Seconds by which clocks may differ."""
_AGAIN = 60.0  # seconds until keys are fetched again for a key id that is not among them
_OLD = 600.0  # seconds after which they are fetched again anyway: a key that was taken back is used no longer
_REVIEWED = 10.0  # seconds for which the answer to a TokenReview is good
_P256 = 32  # bytes of each half of a signature
_HINT = "Ask for a new one (kubectl create token SERVICEACCOUNT --audience {audience})."

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class ApiServer(Protocol):
    """What is asked of the API server; `kedge.client.http.HttpClient` is one."""

    async def document(self, path: str) -> Obj:
        """Read a document that is no object."""
        ...

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        """Create an object."""
        ...


class _Head(msgspec.Struct):
    alg: str
    kid: str = ""


class _Bound(msgspec.Struct):
    namespace: str
    serviceaccount: dict[str, str]
    pod: dict[str, str] | None = None


class _Body(msgspec.Struct):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    bound: _Bound = msgspec.field(name="kubernetes.io")
    nbf: float = 0.0
    jti: str = ""


class ClusterTokens:
    """Says whose service-account token it is.

    Args:
        api: The cluster's API server.
        clock: For times of tokens, and the age of keys.
    """

    def __init__(self, api: ApiServer, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._issuer = ""
        self._keys: dict[str, Key] = {}
        self._fetched: float | None = None
        self._refused: tuple[float, ApiError] | None = None
        self._reviewed: Remembered[tuple[bytes, str], User] = Remembered(clock)

    async def prepare(self) -> None:
        """Read the keys before the first token comes: the API server may be away when it does."""
        with suppress(ApiError):
            await self._fetch()

    async def user(self, token: str, audience: str) -> User:
        """The service account that holds a token.

        Args:
            token: Without ``Bearer``.
            audience: The token must be for it.

        Raises:
            Unauthorized: It was not issued by this cluster, is over, or is for others. Never names the token.
            Unavailable: The API server must be asked, and cannot be; or may not be: says which right is missing.
        """
        head, body, signed, signature = _parts(token)
        try:
            key = await self._key(head.kid)
        except (Forbidden, NotFound) as error:
            return await self._review(token, audience, error)
        if key is None:
            raise Unauthorized(
                f"the token was signed with a key that is none of this cluster's. {_HINT}".format(audience=audience)
            )
        if not _fits(key, head.alg, signed, signature):
            raise Unauthorized(f"the token's signature is not right. {_HINT}".format(audience=audience))
        return self._account(body, audience)

    def _account(self, body: _Body, audience: str) -> User:
        audiences = (body.aud,) if isinstance(body.aud, str) else tuple(body.aud)
        now = self._clock.now().timestamp()
        if body.iss != self._issuer:
            raise Unauthorized(f"the token was issued by {body.iss!r}, this cluster's tokens are by {self._issuer!r}.")
        if audience not in audiences:
            raise Unauthorized(f"the token is for {', '.join(audiences)}, not for {audience}. {_HINT}".format(audience=audience))
        if now >= body.exp + LEEWAY:
            raise Unauthorized(f"the token has expired. {_HINT}".format(audience=audience))
        if now + LEEWAY < body.nbf:
            raise Unauthorized("the token is not valid yet. Are the clocks of the hub and the cluster right?")
        bound = body.bound
        pod = Reference(bound.pod["name"], bound.pod["uid"]) if bound.pod else None
        holder = Reference(bound.serviceaccount["name"], bound.serviceaccount["uid"])
        claims = Claims(bound.namespace, holder, audiences, pod, body.jti)
        if claims.subject != body.sub:
            raise Unauthorized("the token names two service accounts. Ask for a new one.")
        return account(claims, (audience,))

    # ---- keys

    async def _key(self, kid: str) -> Key | None:
        now = self._clock.monotonic()
        if self._refused is not None and now < self._refused[0] + _AGAIN:
            raise self._refused[1]
        age = _OLD if self._fetched is None else now - self._fetched
        if age >= _OLD or (kid not in self._keys and age >= _AGAIN):
            try:
                await self._fetch()
            except (Forbidden, NotFound) as error:
                self._keys, self._fetched, self._refused = {}, None, (now, error)
                raise
            except ApiError as error:
                if kid not in self._keys:
                    raise Unavailable(f"the cluster's keys could not be read to check the token: {error}") from error
                # What is known still holds, and a server that is away is not asked about every token.
                self._fetched = now + _AGAIN - _OLD
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        configuration = await self._api.document(CONFIGURATION)
        found = await self._api.document(JWKS)
        self._keys = dict(_read(one) for one in found.get("keys") or () if one.get("kty") in {"RSA", "EC"} and one.get("kid"))
        self._issuer = str(configuration.get("issuer", ""))
        self._fetched = self._clock.monotonic()

    # ---- the server's own word

    async def _review(self, token: str, audience: str, why: ApiError) -> User:
        key = hashlib.sha256(token.encode()).digest(), audience
        if (known := self._reviewed.get(key)) is not None:
            return known
        spec = {"token": token, "audiences": [audience]}
        try:
            answer = await self._api.create(TOKEN_REVIEW, {"metadata": {}, "spec": spec})
        except Forbidden as error:
            raise Unavailable(
                f"tokens cannot be checked: the hub may not read {JWKS} ({why.message}), nor create tokenreviews. Bind the "
                "ClusterRole system:service-account-issuer-discovery to its service account."
            ) from error
        except ApiError as error:
            raise Unavailable(f"the cluster cannot be asked whose token it is: {error}") from error
        status = answer.get("status") or {}
        if not status.get("authenticated") or audience not in (status.get("audiences") or ()):
            reason = status.get("error") or f"it is not for {audience}"
            raise Unauthorized(f"the cluster does not accept the token: {reason}. {_HINT}".format(audience=audience))
        user = _reviewed(status["user"], audience)
        self._reviewed.keep(key, user, _REVIEWED)
        return user


def _reviewed(info: Mapping[str, Any], audience: str) -> User:
    extra = {name: tuple(values) for name, values in (info.get("extra") or {}).items()}
    return User(info["username"], info.get("uid", ""), tuple(info.get("groups") or ()), extra, (audience,))


def _parts(token: str) -> tuple[_Head, _Body, bytes, bytes]:
    try:
        head, body, signature = token.split(".")
        return (
            msgspec.json.decode(_decode(head), type=_Head),
            msgspec.json.decode(_decode(body), type=_Body),
            f"{head}.{body}".encode(),
            _decode(signature),
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise Unauthorized(
            "the token is no service account's of this cluster. Ask for one with kubectl create token SERVICEACCOUNT."
        ) from error


def _fits(key: Key, algorithm: str, signed: bytes, signature: bytes) -> bool:
    """Whether a signature is right. The key says which algorithm may be used, never the token alone."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if algorithm != "RS256":
                return False
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            if algorithm != "ES256" or len(signature) != 2 * _P256:
                return False
            r, s = (int.from_bytes(half, "big") for half in (signature[:_P256], signature[_P256:]))
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _read(one: Mapping[str, str]) -> tuple[str, Key]:
    """A key of a JWK set; an elliptic curve other than P-256 signs nothing that is accepted."""
    if one["kty"] == "RSA":
        return one["kid"], rsa.RSAPublicNumbers(_number(one["e"]), _number(one["n"])).public_key()
    curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}[one["crv"]]()
    return one["kid"], ec.EllipticCurvePublicNumbers(_number(one["x"]), _number(one["y"]), curve).public_key()


def _number(text: str) -> int:
    return int.from_bytes(_decode(text), "big")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
