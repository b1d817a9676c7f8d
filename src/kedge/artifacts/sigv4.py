"""AWS Signature Version 4: addresses that carry their own permission.

obstore signs the reading and the writing of a whole object. The parts of a multi-part upload (``uploadId``, ``partNumber``) it
cannot sign, and those are what lets a step send a large file in pieces without holding a credential; so they are signed here.

Pure: no clock, no environment, no network. Where the bytes of a request are not known beforehand, they are left unsigned, as for
every presigned address; TLS and ``Content-MD5`` guard them on their way.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

UNSIGNED = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs.

    Attributes:
        key_id: The access key's id; it is part of every signed address.
        secret: The access key itself; it never leaves this process.
        session_token: For temporary credentials; part of every signed address.
    """

    key_id: str
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for besides its request.

    Attributes:
        region: Such as ``eu-central-1``.
        moment: When it was made; aware.
        service: ``s3``.
    """

    region: str
    moment: datetime
    service: str = "s3"

    @property
    def time(self) -> str:
        """The moment as AWS writes it: ``20130524T000000Z``."""
        return self.moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")

    @property
    def name(self) -> str:
        """The credential scope: ``20130524/us-east-1/s3/aws4_request``."""
        return f"{self.time[:8]}/{self.region}/{self.service}/aws4_request"


def presign(method: str, address: str, query: Mapping[str, str], *, credentials: Credentials, scope: Scope, seconds: int) -> str:
    """Make an address at which one request may be made without credentials.

    Args:
        method: ``PUT``, ``POST``…
        address: Scheme, host and path; the path is percent-encoded already, and sent as it stands.
        query: What the request asks for, such as ``{"partNumber": "1", "uploadId": "…"}``.
        credentials: Who signs.
        scope: Where and when.
        seconds: For how long it is good; AWS allows a week.

    Returns:
        The address with its query and signature.
    """
    split = urlsplit(address)
    asked = {
        **query,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.key_id}/{scope.name}",
        "X-Amz-Date": scope.time,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token:
        asked["X-Amz-Security-Token"] = credentials.session_token
    request = canonical_request(method, split.path or "/", asked, {"host": split.netloc}, UNSIGNED)
    signed = signature(request, credentials.secret, scope)
    return f"{split.scheme}://{split.netloc}{split.path or '/'}?{_query(asked)}&X-Amz-Signature={signed}"


def canonical_request(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], payload: str) -> str:
    """The text that stands for a request: two that mean the same have the same.

    Args:
        method: In capitals.
        path: Percent-encoded, once, as S3 wants it.
        query: Not encoded.
        headers: Names in small letters; exactly those that are signed.
        payload: SHA-256 of the body in hex, or `UNSIGNED`.
    """
    named = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    return "\n".join([method, path, _query(query), named, ";".join(sorted(headers)), payload])


def signature(request: str, secret: str, scope: Scope) -> str:
    """Sign a canonical request; returns hex."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{scope.time}\n{scope.name}\n{digest}"
    return hmac.new(signing_key(secret, scope), text.encode(), hashlib.sha256).hexdigest()


def signing_key(secret: str, scope: Scope) -> bytes:
    """The key for one day, region and service: what is derived cannot be turned back into the secret."""
    key = f"AWS4{secret}".encode()
    for part in (scope.time[:8], scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _query(query: Mapping[str, str]) -> str:
    # Sorted by the encoded name, as the canonical form is: then the address that is sent is the one that was signed.
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in encoded)
