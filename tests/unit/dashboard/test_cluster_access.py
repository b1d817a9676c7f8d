"""The pages of a hub that knows many callers: what each sees, how they sign in, and whose word is taken for who they are."""

import base64
import html
import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.fernet import Fernet
from starlette.applications import Starlette

from kedge.dashboard import app
from kedge.dashboard.access import Ended, Sessions
from kedge.dashboard.cluster_access import ClusterAccess
from kedge.errors import Forbidden
from kedge.kube.clock import SystemClock, SystemIds
from kedge.kube.core import NAMESPACE
from kedge.kube.kinds import Kind, Obj
from kedge.server.cluster_callers import AUDIENCE, ClusterCallers, TrustedProxy
from kedge.server.cluster_tokens import ClusterTokens
from kedge.testing import pipelines
from kedge.testing.runs import World, hub

ACCOUNT = "system:serviceaccount:team-a:vic"
MAY: dict[str, tuple[str, ...]] = {
    "ann": ("team-a list runs", "team-a get runs", "team-a create runs", "team-a list pipelines", "team-a archive runs"),
    "bob": ("team-b list runs", "team-b get runs", "team-b list pipelines"),
    "eve": ("team-a list runs", "team-b list runs", "team-b get runs"),
    ACCOUNT: ("team-a list runs", "team-a get runs"),
}
PIPELINE = pipelines.pipeline(
    {"s0": pipelines.task("add", x=1)},
    {"add": (pipelines.component("add", {"x": pipelines.NUMBER}, {"Output": pipelines.NUMBER}), pipelines.python("add"))},
)
SECRET = "of the proxy"


class ApiServer:
    """Knows the tokens that `token` makes, and allows what `MAY` says."""

    async def document(self, path: str) -> Obj:
        raise Forbidden(path)

    async def create(self, kind: Kind, obj: Obj) -> Obj:
        spec = obj["spec"]
        if kind.kind == "TokenReview":
            good = spec["token"].endswith(".good")
            return {"status": {"authenticated": good, "audiences": [AUDIENCE], "user": {"username": ACCOUNT}}}
        about = spec["resourceAttributes"]
        return {"status": {"allowed": "{namespace} {verb} {resource}".format(**about) in MAY.get(spec["user"], ())}}


def token(signature: str) -> str:
    """A service account's; what it says of itself does not count here."""
    bound = {"namespace": "team-a", "serviceaccount": {"name": "vic", "uid": "1"}}
    body = {"iss": "i", "sub": ACCOUNT, "aud": AUDIENCE, "exp": 9e9, "kubernetes.io": bound}
    parts = [base64.urlsafe_b64encode(msgspec.json.encode(each)).decode().rstrip("=") for each in ({"alg": "RS256"}, body)]
    return ".".join([*parts, signature])


class People:
    """Browsers of people at one hub."""

    def __init__(self, web: Starlette) -> None:
        self._web = web
        self._open: list[httpx.AsyncClient] = []

    def browser(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self._web, client=("10.0.0.7", 4711))
        made = httpx.AsyncClient(transport=transport, base_url="http://kedge.example", headers=headers, follow_redirects=True)
        self._open.append(made)
        return made

    def of(self, name: str, **more: str) -> httpx.AsyncClient:
        """A browser behind the proxy that says who its owner is."""
        return self.browser({"Kubeflow-UserId": name, "X-Kedge-Proxy-Secret": SECRET, **more})

    async def close(self) -> None:
        for each in self._open:
            await each.aclose()


@pytest.fixture
async def people(tmp_path: Path) -> AsyncGenerator[People]:
    clock, api = SystemClock(), ApiServer()
    callers = ClusterCallers(
        api, ClusterTokens(api, clock), clock, ("kedge", ("team-a", "team-b")), TrustedProxy.of("10.0.0.0/8", SECRET)
    )
    access = ClusterAccess(Sessions(Fernet.generate_key(), clock, SystemIds(), Ended(tmp_path / "ended")))
    async with hub(World.new(tmp_path / "world")) as life:
        for name in ("team-a", "team-b"):
            life.api.create(NAMESPACE, {"metadata": {"name": name}})
        found = People(Starlette(routes=[*life.feature.routes(callers, "1"), *app.routes(access, clock, "1", dict)]))
        body = {"pipeline_spec": PIPELINE, "namespace": "team-a", "display_name": "anns"}
        assert (await found.of("ann").post("/apis/v2beta1/runs", json=body)).status_code == 200
        yield found
        await found.close()


def title(page: httpx.Response) -> str:
    found = re.search(r"<h1>([^<]*)</h1>", page.text)
    return html.unescape(found[1]) if found else page.text


def form(page: httpx.Response, **fields: Any) -> dict[str, Any]:
    found = re.search(r'name="form-token" content="(\w+)"', page.text)
    assert found, page.text
    return {"form_token": found[1], **fields}


async def test_each_sees_what_they_may_and_who_they_are(people: People) -> None:
    ann, bob = await people.of("ann").get("/runs"), await people.of("bob").get("/runs")
    assert (ann.status_code, "anns" in ann.text, "team-a" in ann.text, ">ann<" in ann.text) == (200, True, True, True)
    assert (bob.status_code, "anns" in bob.text, "team-b" in bob.text, ">bob<" in bob.text) == (200, False, True, True)
    assert "Sign out" not in ann.text, "the proxy says who it is: there is nothing to sign out of"


async def test_a_namespace_that_is_not_ones_own_is_refused_whichever_way_it_is_named(people: People) -> None:
    bob = people.of("bob")
    for page in (
        await bob.get("/runs?namespace=team-a"),
        await bob.post("/namespace", data=form(await bob.get("/runs"), namespace="team-a", back="/runs")),
    ):
        assert page.status_code == 403
        assert "anns" not in page.text
        assert "bob" in page.text


async def test_who_has_several_namespaces_chooses_one(people: People) -> None:
    eve = people.of("eve")
    asked = await eve.get("/runs?page_size=7")
    assert (asked.url.path, title(asked)) == ("/namespace", "Namespace")
    assert re.findall(r'name="namespace" value="([^"]*)"', asked.text) == ["team-a", "team-b"]
    back = re.findall(r'name="back" value="([^"]*)"', asked.text)[-1]  # the first is that of the theme's form
    seen = await eve.post("/namespace", data=form(asked, namespace="team-a", back=html.unescape(back)))
    assert (str(seen.url.raw_path.decode()), "anns" in seen.text) == ("/runs?page_size=7", True)
    other = await eve.post("/namespace", data=form(seen, namespace="team-b", back="/runs"))
    assert (other.status_code, "anns" in other.text, "team-b" in other.text) == (200, False, True)
    wrong = await eve.post("/namespace", data=form(other, namespace="Not_A_Name"))
    assert (wrong.status_code, "namespace: must be" in wrong.text) == (400, True)


async def test_who_may_look_nowhere_is_told_what_would_allow_it(people: People) -> None:
    nil = await people.of("nil").get("/")
    assert title(nil) == "Namespace"
    assert "There is none yet in which nil may list runs" in nil.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Kubeflow-UserId": "ann"},
        {"Kubeflow-UserId": "ann", "X-Kedge-Proxy-Secret": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YW5uOmFubg=="},
    ],
    ids=["nothing", "a name alone", "a wrong secret", "a wrong token", "a password"],
)
async def test_who_is_not_known_is_asked_to_sign_in(people: People, headers: dict[str, str]) -> None:
    page = await people.browser(headers).get("/runs")
    assert (page.status_code, title(page)) == (401, "Sign in")
    assert "kubectl create token" in page.text
    assert "ann" not in page.text.replace("cannot", "")


async def test_a_token_signs_in_and_is_not_to_be_read_from_the_cookie(people: People) -> None:
    vic = people.browser()
    page = await vic.post("/sign-in", data={"token": f" Bearer {token('good')}\n"})
    assert (page.status_code, title(page)) == (200, "Home")
    assert ACCOUNT in page.text
    cookie = page.history[0].headers["set-cookie"]
    assert "; HttpOnly; Max-Age=1209600; Path=/; SameSite=strict" in cookie
    assert token("good") not in cookie
    out = await vic.post("/sign-out", data=form(page))
    assert (out.status_code, title(out), dict(vic.cookies)) == (401, "Sign in", {})


async def test_the_cookie_of_pages_opens_no_api(people: People) -> None:
    vic = people.browser()
    await vic.post("/sign-in", data={"token": token("good")})
    assert (await vic.get("/apis/v2beta1/runs?namespace=team-a")).status_code == 401


async def test_a_token_that_is_over_is_a_sign_in_away(people: People) -> None:
    vic = people.browser()
    for wrong in (token("bad"), "wrong", "größer", ""):
        page = await vic.post("/sign-in", data={"token": wrong})
        assert (page.status_code, title(page), dict(vic.cookies)) == (401, "Sign in", {}), wrong
        assert not wrong or wrong not in page.text


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://x.example"}]
)
async def test_a_page_of_another_site_signs_nobody_in(people: People, headers: dict[str, str]) -> None:
    page = await people.browser().post("/sign-in", data={"token": token("good")}, headers=headers)
    assert page.status_code == 403
    assert "set-cookie" not in page.headers


async def test_a_link_of_another_site_works_behind_a_proxy_and_its_forms_do_not(people: People) -> None:
    ann = people.of("ann")
    own = form(await ann.get("/runs"), namespace="team-a")
    linked = await ann.get("/runs", headers={"Sec-Fetch-Site": "cross-site"})
    assert 'http-equiv="refresh"' in linked.text
    sent = await ann.post("/namespace", data=own, headers={"Sec-Fetch-Site": "cross-site"})
    assert (sent.status_code, "set-cookie" in sent.headers) == (401, False)


async def test_forms_of_one_person_are_nobody_elses(people: People) -> None:
    anns = form(await people.of("ann").get("/runs"), namespace="team-b")
    for data in (anns, {"namespace": "team-b"}):
        refused = await people.of("bob").post("/namespace", data=data)
        assert (refused.status_code, "Load the page again" in refused.text) == (403, True)
