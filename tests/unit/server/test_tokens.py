"""Tokens, and who holds them."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kedge import errors
from kedge.kube.core import NODE, POD, SECRET, SERVICE_ACCOUNT
from kedge.server.tokens import DEFAULT_AUDIENCE, Reference, Tokens
from kedge.testing.clock import FakeClock, FakeIds

ACCOUNT = Reference("default", "uid-a")


def issue(served: Any, **options: Any) -> str:
    """A token of the account that is there."""
    account = served.api.get(SERVICE_ACCOUNT, "default", "default")["metadata"]
    return served.tokens.issue("default", Reference("default", account["uid"]), **options)[0]


def test_a_token_says_what_kubernetes_tokens_say(served: Any) -> None:
    head, body, _ = issue(served, audiences=["kedge"], seconds=600, pod=Reference("p", "uid-p")).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    assert (header["alg"], header["kid"]) == ("ES256", served.tokens.jwks()["keys"][0]["kid"])
    assert (claims["aud"], claims["sub"]) == (["kedge"], "system:serviceaccount:default:default")
    assert claims["exp"] - claims["iat"] == 600
    assert claims["kubernetes.io"]["pod"] == {"name": "p", "uid": "uid-p"}


async def test_a_token_ends(served: Any) -> None:
    token = issue(served, seconds=600)
    assert served.authenticator.user(token).name == "system:serviceaccount:default:default"
    await served.clock.advance(600)
    with pytest.raises(errors.Unauthorized, match="the token has expired"):
        served.authenticator.user(token)


@pytest.mark.parametrize("change", ["payload", "signature", "short", "words", "header", "none"])
def test_a_token_that_was_changed_is_refused(served: Any, change: str) -> None:
    head, body, signature = issue(served).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "x"}).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    token = {
        "payload": f"{head}.{forged}.{signature}",
        "signature": f"{head}.{body}.{'A' * len(signature)}",
        "short": f"{head}.{body}.{signature[:-4]}",
        "words": "not a.token at.all",
        "header": f"{head[:-2]}.{body}.{signature}",
        "none": f"{none}.{body}.",
    }[change]
    with pytest.raises(errors.Unauthorized) as caught:
        served.authenticator.user(token)
    assert token not in caught.value.message


def test_another_hosts_token_is_refused(served: Any) -> None:
    other = Tokens(ec.generate_private_key(ec.SECP256R1()), served.tokens.issuer, FakeClock(), FakeIds())
    with pytest.raises(errors.Unauthorized, match="was not issued by this host"):
        served.authenticator.user(other.issue("default", ACCOUNT)[0])


def test_a_token_is_for_its_audience(served: Any) -> None:
    token = issue(served, audiences=["kedge"])
    assert served.authenticator.user(token, ["kedge"]).audiences == ("kedge",)
    with pytest.raises(errors.Unauthorized, match="the token is for kedge, not for"):
        served.authenticator.user(token)
    assert served.authenticator.user(issue(served)).audiences == (DEFAULT_AUDIENCE,)


def test_a_pods_token_ends_with_the_pod(served: Any, make_pod: Any) -> None:
    uid = served.api.create(POD, make_pod())["metadata"]["uid"]
    request = {
        "metadata": {"namespace": "default"},
        "spec": {"audiences": ["kedge"], "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": uid}},
    }
    token = served.api.create(SERVICE_ACCOUNT, request, name="default", subresource="token")["status"]["token"]
    user = served.authenticator.bearer(f"Bearer {token}", ["kedge"])
    assert user.pod_uid == uid
    assert user.extra["authentication.kubernetes.io/pod-name"] == ("p",)
    served.api.delete(POD, "p", "default")
    served.api.create(POD, make_pod())
    with pytest.raises(errors.Unauthorized, match="the token's Pod default/p is gone"):
        served.authenticator.bearer(f"Bearer {token}", ["kedge"])


@pytest.mark.parametrize("kind", [SECRET, NODE], ids=lambda kind: kind.kind)
def test_a_token_ends_with_what_it_is_bound_to(served: Any, kind: Any) -> None:
    bound = served.api.create(kind, {"metadata": {"name": "b"}})["metadata"]
    request = {"spec": {"boundObjectRef": {"kind": kind.kind, "apiVersion": "v1", "name": "b", "uid": bound["uid"]}}}
    token = served.api.create(SERVICE_ACCOUNT, request, name="default", subresource="token")["status"]["token"]
    extra = served.authenticator.user(token).extra
    named = {"authentication.kubernetes.io/node-name": ("b",), "authentication.kubernetes.io/node-uid": (bound["uid"],)}
    assert {key: value for key, value in extra.items() if "/node-" in key} == (named if kind is NODE else {})
    served.api.delete(kind, "b", bound.get("namespace"))
    with pytest.raises(errors.Unauthorized, match=f"the token's {kind.kind} .*b is gone"):
        served.authenticator.user(token)


def test_a_token_ends_with_its_account(served: Any) -> None:
    token = issue(served)
    served.api.delete(SERVICE_ACCOUNT, "default", "default")
    served.api.create(SERVICE_ACCOUNT, {"metadata": {"name": "default"}})
    with pytest.raises(errors.Unauthorized, match="service account default/default is gone"):
        served.authenticator.user(token)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ({"expirationSeconds": 60}, errors.Invalid, "Invalid value: 60: may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": "x"}, errors.BadRequest, "TokenRequestSpec.spec.expirationSeconds of type int64"),
        (
            {"boundObjectRef": {"kind": "ConfigMap", "name": "n"}},
            errors.BadRequest,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        ({"boundObjectRef": {"kind": "Node", "name": "n"}}, errors.NotFound, 'nodes "n" not found'),
        ({"boundObjectRef": {"kind": "Pod", "name": "p"}}, errors.NotFound, 'pods "p" not found'),
        ({"boundObjectRef": {"kind": "Pod", "name": "q", "uid": "x"}}, errors.Conflict, "the UID in the bound object reference"),
    ],
)
def test_requests_for_tokens_that_are_refused(
    served: Any, make_pod: Any, spec: Any, error: type[errors.ApiError], message: str
) -> None:
    served.api.create(POD, make_pod("q"))
    with pytest.raises(error) as caught:
        served.api.create(SERVICE_ACCOUNT, {"spec": spec}, name="default", subresource="token")
    assert message in caught.value.message


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer wrong", "Bearer \udcff", "Bearer owner-toke"])
def test_headers_without_a_known_token(served: Any, header: str) -> None:
    with pytest.raises(errors.Unauthorized):
        served.authenticator.bearer(header)


def test_the_owner_may_do_everything(served: Any) -> None:
    user = served.authenticator.bearer("bearer owner-token", ["kedge"])
    assert user.is_owner
    assert user.pod_uid is None
