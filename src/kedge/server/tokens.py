"""Service-account tokens: JWTs signed with ES256, as the TokenRequest API hands them out.

A token names its service account, its audiences and, when it was asked for by a Pod, that Pod. This module signs and checks
signatures, times and audiences; whether the service account and the Pod still exist is `auth`'s question.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from kedge.errors import Unauthorized
from kedge.kube.clock import Clock, Ids, timestamp

DEFAULT_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
MIN_SECONDS, MAX_SECONDS = 600, 1 << 32
_SIZE = 32  # bytes of each half of a P-256 signature


@dataclass(frozen=True, slots=True)
class Reference:
    """A named object that is meant by its uid."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says.

    Attributes:
        namespace: Of the service account and the Pod.
        account: The service account.
        audiences: Who may accept the token.
        pod: The Pod that it is bound to.
        id: The token's own id (``jti``).
        bound: What else it is bound to: ``secret`` or ``node``, and which.
    """

    namespace: str
    account: Reference
    audiences: tuple[str, ...]
    pod: Reference | None
    id: str
    bound: tuple[str, Reference] | None = None

    @property
    def subject(self) -> str:
        """The user name, ``system:serviceaccount:NAMESPACE:NAME``."""
        return f"system:serviceaccount:{self.namespace}:{self.account.name}"


class Tokens:
    """Signs and checks tokens.

    Args:
        key: EC P-256.
        issuer: The ``iss`` of every token; the address under which the discovery document is found.
        clock: For issue and expiry.
        ids: For token ids.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, issuer: str, clock: Clock, ids: Ids) -> None:
        self.issuer = issuer
        self._key = key
        self._public = key.public_key()
        self._clock = clock
        self._ids = ids
        spki = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._key_id = _encode(hashlib.sha256(spki).digest())
        self._header = _encode_json({"alg": "ES256", "kid": self._key_id, "typ": "JWT"})
        self._algorithm = ec.ECDSA(hashes.SHA256())

    def issue(
        self,
        namespace: str,
        account: Reference,
        *,
        audiences: Sequence[str] = (),
        seconds: int = 3600,
        pod: Reference | None = None,
        bound: tuple[str, Reference] | None = None,
    ) -> tuple[str, str]:
        """Sign a token.

        Args:
            namespace: The account's.
            account: The service account.
            audiences: Empty for the API server itself.
            seconds: How long it is good for.
            pod: Bind it to this Pod.
            bound: Bind it to this instead: ``secret`` or ``node``, and which.

        Returns:
            The token, and when it ends as an RFC 3339 time.
        """
        now = self._clock.now()
        start = int(now.timestamp())
        holder: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": account.name, "uid": account.uid}}
        if pod is not None:
            bound = ("pod", pod)
        if bound is not None:
            holder[bound[0]] = {"name": bound[1].name, "uid": bound[1].uid}
        claims = {
            "aud": self.audiences(audiences),
            "exp": start + seconds,
            "iat": start,
            "iss": self.issuer,
            "jti": self._ids.uid(),
            "kubernetes.io": holder,
            "nbf": start,
            "sub": f"system:serviceaccount:{namespace}:{account.name}",
        }
        text = self._header + "." + _encode_json(claims)
        r, s = decode_dss_signature(self._key.sign(text.encode(), self._algorithm))
        token = text + "." + _encode(r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big"))
        return token, timestamp(now + timedelta(seconds=seconds))

    @staticmethod
    def audiences(wanted: Sequence[str]) -> list[str]:
        """The audiences of a token for which these were asked: the API server's own when none was."""
        return list(wanted) or [DEFAULT_AUDIENCE]

    def verify(self, token: str) -> Claims:
        """Check a token's signature and times.

        Raises:
            Unauthorized: It was not signed here, or its time is over. The message never holds the token.
        """
        try:
            head, body, signature = token.split(".")
            raw = _decode(signature)
            if head != self._header or len(raw) != 2 * _SIZE:
                raise Unauthorized("the token was not issued by this host. Ask for a new one (`kubectl create token`).")
            pair = encode_dss_signature(int.from_bytes(raw[:_SIZE], "big"), int.from_bytes(raw[_SIZE:], "big"))
            self._public.verify(pair, f"{head}.{body}".encode(), self._algorithm)
            claims = msgspec.json.decode(_decode(body))
        except (ValueError, InvalidSignature) as error:
            raise Unauthorized("the token is not one of this host's. Ask for a new one (`kubectl create token`).") from error
        now = self._clock.now().timestamp()
        if now >= claims["exp"]:
            raise Unauthorized("the token has expired. Ask for a new one (`kubectl create token`).")
        # A minute of grace: the clock may have been set back since the token was made.
        if now + 60 < claims["nbf"] or claims["iss"] != self.issuer:
            raise Unauthorized("the token is not valid yet, or was issued for another host.")
        holder = claims["kubernetes.io"]
        pod = Reference(**holder["pod"]) if "pod" in holder else None
        bound = next(((what, Reference(**holder[what])) for what in ("secret", "node") if what in holder), None)
        account = Reference(**holder["serviceaccount"])
        return Claims(holder["namespace"], account, tuple(claims["aud"]), pod, claims["jti"], bound)

    def jwks(self) -> dict[str, Any]:
        """The public key, as ``/openid/v1/jwks`` serves it."""
        point = self._public.public_numbers()
        x, y = (_encode(number.to_bytes(_SIZE, "big")) for number in (point.x, point.y))
        return {"keys": [{"use": "sig", "kty": "EC", "kid": self._key_id, "crv": "P-256", "alg": "ES256", "x": x, "y": y}]}

    def openid_configuration(self) -> dict[str, Any]:
        """The discovery document, as ``/.well-known/openid-configuration`` serves it."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode_json(value: Any) -> str:
    return _encode(msgspec.json.encode(value))


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
