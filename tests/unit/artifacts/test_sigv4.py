"""Signature Version 4 against the examples that AWS publishes, and against what obstore signs."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import obstore
import pytest
from obstore.store import S3Store

from kedge.artifacts.sigv4 import Credentials, Scope, canonical_request, presign, signature, signing_key

# The access key of the examples in Amazon's documentation; it opens nothing.
KEY = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
DAY = Scope("us-east-1", datetime(2013, 5, 24, tzinfo=UTC))
EMPTY = hashlib.sha256(b"").hexdigest()
HOST = "examplebucket.s3.amazonaws.com"


def test_the_published_presigned_address() -> None:
    made = presign("GET", f"https://{HOST}/test.txt", {}, credentials=KEY, scope=DAY, seconds=86400)
    assert made == (
        f"https://{HOST}/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@pytest.mark.parametrize(
    ("asked", "headers", "payload", "expected"),
    [
        (
            ("GET", "/test.txt", {}),
            {"range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            ("PUT", "/test%24file.text", {}),
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (("GET", "/", {"lifecycle": ""}), {}, b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            ("GET", "/", {"prefix": "J", "max-keys": "2"}),
            {},
            b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["part-of-an-object", "a-path-that-is-encoded", "a-query-without-a-value", "a-query-that-is-sorted"],
)
def test_the_published_requests(
    asked: tuple[str, str, dict[str, str]], headers: dict[str, str], payload: bytes, expected: str
) -> None:
    digest = hashlib.sha256(payload).hexdigest()
    signed = {"host": HOST, "x-amz-content-sha256": digest, "x-amz-date": DAY.time, **headers}
    assert signature(canonical_request(*asked, signed, digest), KEY.secret, DAY) == expected


def test_the_published_signing_key() -> None:
    scope = Scope("us-east-1", datetime(2015, 8, 30, tzinfo=UTC), "iam")
    made = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", scope)
    assert made.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


@pytest.mark.parametrize("key", ["a/b", "a b/ü+~", "x=1&y", "(1)!*'"])
@pytest.mark.parametrize("token", ["", "temporary/+="])
@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9000", "https://store.example/below"])
def test_signatures_are_those_of_obstore(key: str, token: str, endpoint: str) -> None:
    more: dict[str, Any] = {"session_token": token} if token else {}
    if endpoint:
        more.update(endpoint=endpoint, client_options={"allow_http": True})
    store = S3Store("bucket", access_key_id="id", secret_access_key="s/e+c", region="eu-west-1", **more)
    theirs = obstore.sign(store, "PUT", key, timedelta(hours=1))
    split = urlsplit(theirs)
    asked = dict(parse_qsl(split.query))
    moment = datetime.strptime(asked["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    address = theirs.partition("?")[0]
    ours = presign(
        "PUT", address, {}, credentials=Credentials("id", "s/e+c", token), scope=Scope("eu-west-1", moment), seconds=3600
    )
    assert dict(parse_qsl(urlsplit(ours).query))["X-Amz-Signature"] == asked["X-Amz-Signature"]


def test_a_secret_is_never_shown() -> None:
    assert "wJalr" not in repr(KEY)
