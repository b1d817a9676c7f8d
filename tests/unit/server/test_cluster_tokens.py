"""Service-account tokens that a hub checks by the keys which its cluster publishes."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from kedge import errors
from kedge.artifacts.pod_tokens import PodTokens
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.kube.core import SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.server.cluster_tokens import CONFIGURATION, JWKS, ClusterTokens
from kedge.server.tokens import Reference, Tokens
from kedge.testing.clock import FakeClock, FakeIds

AUDIENCE = "pipelines.kubeflow.org"


@dataclass
class Cluster:
    """What a cluster publishes, and how it answers; counts what it is asked."""

    documents: dict[str, Any]
    review: Any = field(default_factory=lambda: errors.Forbidden("no"))
    asked: list[str] = field(default_factory=list[str])

    async def document(self, path: str) -> Obj:
        self.asked.append(path)
        if isinstance(found := self.documents[path], Exception):
            raise found
        return found

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        self.asked.append(kind.plural)
        if isinstance(self.review, Exception):
            raise self.review
        return {**obj, "status": self.review}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def issuer(clock: FakeClock) -> Tokens:
    return Tokens(ec.generate_private_key(ec.SECP256R1()), "https://cluster", clock, FakeIds())


@pytest.fixture
def cluster(issuer: Tokens) -> Cluster:
    return Cluster({CONFIGURATION: issuer.openid_configuration(), JWKS: issuer.jwks()})


@pytest.fixture
def tokens(cluster: Cluster, clock: FakeClock) -> ClusterTokens:
    return ClusterTokens(cluster, clock)


def made(issuer: Tokens, *, audience: str = AUDIENCE, pod: Reference | None = None) -> str:
    return issuer.issue("team-a", Reference("editor", "uid-e"), audiences=[audience], pod=pod)[0]


def changed(token: str, **claims: Any) -> str:
    """A token whose signature does not fit any more."""
    head, body, signature = token.split(".")
    return f"{head}.{encoded({**decoded(body), **claims})}.{signature}"


def decoded(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_a_token_says_who_calls_and_the_keys_are_read_once(issuer: Tokens, cluster: Cluster, tokens: ClusterTokens) -> None:
    user = await tokens.user(made(issuer), AUDIENCE)
    assert user.name == "system:serviceaccount:team-a:editor"
    assert "system:serviceaccounts:team-a" in user.groups
    await tokens.user(made(issuer), AUDIENCE)
    assert cluster.asked == [CONFIGURATION, JWKS]


@pytest.fixture
async def embedded(served: Any) -> AsyncIterator[ClusterTokens]:
    transport = httpx.ASGITransport(app=served.app)
    async with HttpClient(Access("http://localhost:1", token="owner-token"), transport=transport) as client:
        yield ClusterTokens(client, served.clock)


async def test_an_embedded_host_publishes_what_a_cluster_does(served: Any, embedded: ClusterTokens) -> None:
    uid = served.api.get(SERVICE_ACCOUNT, "default", "default")["metadata"]["uid"]
    token, _ = served.tokens.issue("default", Reference("default", uid), audiences=[AUDIENCE])
    assert (await embedded.user(token, AUDIENCE)).uid == uid


async def test_a_token_is_bound_to_its_audience(issuer: Tokens, tokens: ClusterTokens) -> None:
    with pytest.raises(errors.Unauthorized, match="is for kedge, not for"):
        await tokens.user(made(issuer, audience="kedge"), AUDIENCE)


async def test_a_token_ends_and_clocks_may_differ_a_little(issuer: Tokens, tokens: ClusterTokens, clock: FakeClock) -> None:
    token = made(issuer)
    await clock.advance(3605)
    await tokens.user(token, AUDIENCE)
    await clock.advance(10)
    with pytest.raises(errors.Unauthorized, match="has expired"):
        await tokens.user(token, AUDIENCE)


async def test_a_token_of_another_issuer_is_refused(cluster: Cluster, issuer: Tokens, tokens: ClusterTokens) -> None:
    cluster.documents[CONFIGURATION] = {"issuer": "https://elsewhere"}
    with pytest.raises(errors.Unauthorized, match="issued by 'https://cluster'"):
        await tokens.user(made(issuer), AUDIENCE)


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: changed(token, sub="system:serviceaccount:kube-system:admin"),
        lambda token: ".".join([encoded({**decoded(token.split(".")[0]), "alg": "none"}), token.split(".")[1], ""]),
        lambda token: ".".join([encoded({**decoded(token.split(".")[0]), "alg": "HS256"}), *token.split(".")[1:]]),
        lambda token: ".".join([encoded({**decoded(token.split(".")[0]), "alg": "RS256"}), *token.split(".")[1:]]),
        lambda token: token[:-4],
        lambda token: token + ".more",
        lambda token: "a.b.c",
        lambda token: "é.é.é",
    ],
    ids=["claims", "none", "hmac", "other-algorithm", "short", "four-parts", "letters", "no-ascii"],
)
async def test_a_forged_token_is_refused_and_never_told(issuer: Tokens, tokens: ClusterTokens, forge: Any) -> None:
    token = forge(made(issuer))
    with pytest.raises(errors.Unauthorized) as caught:
        await tokens.user(token, AUDIENCE)
    assert token not in caught.value.message


async def test_an_rsa_key_signs_as_clusters_do(cluster: Cluster, issuer: Tokens, tokens: ClusterTokens) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_numbers()
    n, e = (encoded(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (public.n, public.e))
    cluster.documents[JWKS] = {"keys": [{"kty": "RSA", "kid": "r", "alg": "RS256", "n": n, "e": e}]}
    text = f"{encoded({'alg': 'RS256', 'kid': 'r'})}.{made(issuer).split('.')[1]}"
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert (await tokens.user(f"{text}.{encoded(signature)}", AUDIENCE)).uid == "uid-e"


async def test_new_keys_are_looked_for_once_a_minute(
    cluster: Cluster, clock: FakeClock, issuer: Tokens, tokens: ClusterTokens
) -> None:
    await tokens.user(made(issuer), AUDIENCE)
    other = Tokens(ec.generate_private_key(ec.SECP256R1()), "https://cluster", clock, FakeIds())
    for _ in range(3):
        with pytest.raises(errors.Unauthorized, match="a key that is none of this cluster's"):
            await tokens.user(made(other), AUDIENCE)
    assert cluster.asked.count(JWKS) == 1
    cluster.documents[JWKS] = other.jwks()
    await clock.advance(60)
    await tokens.user(made(other), AUDIENCE)
    assert cluster.asked.count(JWKS) == 2


async def test_known_keys_hold_while_the_api_server_is_away(
    cluster: Cluster, clock: FakeClock, issuer: Tokens, tokens: ClusterTokens
) -> None:
    await tokens.user(made(issuer), AUDIENCE)
    cluster.documents[CONFIGURATION] = errors.Unavailable("away")
    await clock.advance(900)
    assert (await tokens.user(made(issuer), AUDIENCE)).uid == "uid-e"


async def test_nobody_is_let_in_while_there_are_no_keys(cluster: Cluster, issuer: Tokens, tokens: ClusterTokens) -> None:
    cluster.documents[CONFIGURATION] = errors.Unavailable("away")
    with pytest.raises(errors.Unavailable, match="keys could not be read"):
        await tokens.user(made(issuer), AUDIENCE)


async def test_where_keys_may_not_be_read_the_api_server_is_asked(
    cluster: Cluster, issuer: Tokens, tokens: ClusterTokens
) -> None:
    cluster.documents[CONFIGURATION] = errors.Forbidden("no")
    cluster.review = {"authenticated": True, "user": {"username": "u", "groups": ["g"]}, "audiences": [AUDIENCE]}
    user = await tokens.user(made(issuer), AUDIENCE)
    assert (user.name, user.groups) == ("u", ("g",))
    cluster.review = {"authenticated": True, "user": {"username": "u"}, "audiences": ["https://kubernetes.default.svc"]}
    with pytest.raises(errors.Unauthorized, match="it is not for"):
        await tokens.user(made(issuer), AUDIENCE)
    assert cluster.asked.count(CONFIGURATION) == 1


async def test_without_either_right_it_says_which_is_missing(cluster: Cluster, issuer: Tokens, tokens: ClusterTokens) -> None:
    cluster.documents[CONFIGURATION] = errors.Forbidden("no")
    with pytest.raises(errors.Unavailable, match="system:service-account-issuer-discovery"):
        await tokens.user(made(issuer), AUDIENCE)


async def test_staging_knows_the_pod_of_a_token(issuer: Tokens, tokens: ClusterTokens) -> None:
    pod = await PodTokens(tokens).verify(made(issuer, audience="kedge", pod=Reference("step", "uid-p")))
    assert (pod.namespace, pod.name, pod.uid) == ("team-a", "step", "uid-p")
    with pytest.raises(errors.Unauthorized, match="bound to no Pod"):
        await PodTokens(tokens).verify(made(issuer, audience="kedge"))
    with pytest.raises(errors.Unauthorized, match="not for kedge"):
        await PodTokens(tokens).verify(made(issuer, pod=Reference("step", "uid-p")))
