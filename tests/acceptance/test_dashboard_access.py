"""Who may look at a host's pages, and what cannot be done with what a browser keeps for them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost, running_host

PIPELINE = """
from kedge import dsl

@dsl.component
def wait(folder: str):
    import os, time
    print("begun", flush=True)
    while not os.path.exists(f"{folder}/go"):
        time.sleep(0.01)
    print("done", flush=True)

@dsl.pipeline
def waits(folder: str):
    wait(folder=folder)
"""
CODE = re.compile(r"/sign-in/([\w-]{20,})")


def link(kedge: RunningHost) -> str:
    """A new one-time link, as ``kedge open`` prints it."""
    return kedge.cli("open", "--print", check=True).stdout.strip()


def browser(kedge: RunningHost, **more: object) -> httpx.Client:
    """What keeps cookies and follows redirects, as a browser does."""
    return httpx.Client(base_url=kedge.host.http, trust_env=False, follow_redirects=True, timeout=60, **more)  # pyright: ignore[reportArgumentType]


@contextmanager
def signed_in(kedge: RunningHost) -> Generator[httpx.Client]:
    with browser(kedge) as found:
        answer = found.get(link(kedge))
        assert answer.status_code == 200, answer.text
        yield found


def form_token(page: httpx.Response) -> str:
    found = re.search(r'name="form-token" content="(\w+)"', page.text)
    assert found, page.text
    return found[1]


@pytest.fixture(scope="module")
def person(kedge_host: RunningHost) -> Iterator[httpx.Client]:
    """Somebody who is signed in."""
    with signed_in(kedge_host) as found:
        yield found


def test_a_link_signs_one_browser_in_once_and_the_cookie_is_no_scripts_and_no_other_sites(kedge_host: RunningHost) -> None:
    made = link(kedge_host)
    with browser(kedge_host) as mine, browser(kedge_host) as another:
        assert mine.head(made).status_code == 401, "what only looks whether there is something uses the link up"
        (first, *_) = mine.get(made).history
        cookie = first.headers["set-cookie"]
        assert re.fullmatch(r"kedge-[0-9a-f]{8}=[^;]+; HttpOnly; Max-Age=1209600; Path=/; SameSite=strict", cookie)
        assert mine.get("/runs").status_code == 200
        assert mine.get(made).url.path == "/", "who is signed in already is led on"
        refused = another.get(made)
        assert (refused.status_code, another.get("/runs").status_code) == (401, 401)
        assert "This link has been used, or is older than ten minutes." in refused.text


def test_behind_a_proxy_with_https_the_cookie_is_for_https_alone(kedge_host: RunningHost) -> None:
    with browser(kedge_host, headers={"X-Forwarded-Proto": "https"}) as mine:
        assert "; Secure" in mine.get(link(kedge_host)).history[0].headers["set-cookie"]


def test_a_link_of_another_site_is_followed_once_more_from_here_and_no_third_time(kedge_host: RunningHost) -> None:
    with browser(kedge_host) as nobody:
        asked = {
            site: nobody.get("/runs/x", headers={"Sec-Fetch-Site": site}).text for site in ("cross-site", "same-origin", "none")
        }
    assert {site: 'http-equiv="refresh"' in text for site, text in asked.items()} == {
        "cross-site": True,
        "same-origin": False,
        "none": False,
    }


def test_the_cookie_of_pages_opens_pages_alone(person: httpx.Client) -> None:
    for path in ("/apis/v2beta1/runs", "/api/v1/pods", "/apis/kedge.dev/v1alpha1/runs", "/metrics"):
        assert person.get(path).status_code == 401, path
    assert person.post("/sign-in-links").status_code == 401


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "http://evil.example"}])
def test_a_name_that_points_here_and_a_foreign_page_are_refused(person: httpx.Client, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/runs"), ("POST", "/sign-out"), ("POST", "/theme"), ("GET", "/sign-in/code")):
        assert person.request(method, path, headers=headers).status_code == 403, (method, path)


def test_nothing_is_changed_without_the_token_of_this_sessions_forms(kedge_host: RunningHost, person: httpx.Client) -> None:
    with signed_in(kedge_host) as other:
        foreign = form_token(other.get("/"))
    for given in ("", "wrong", "größer", foreign):
        for path in ("/sign-out", "/theme"):
            refused = person.post(path, data={"form_token": given, "theme": "dark"})
            assert refused.status_code == 403, (path, given)
            assert "Load the page again" in refused.text
            assert "set-cookie" not in refused.headers
    assert person.get("/runs").status_code == 200


def test_sessions_outlast_a_restart_and_one_that_was_signed_out_is_over_everywhere(own_host: RunningHost) -> None:
    with signed_in(own_host) as mine, signed_in(own_host) as stays, browser(own_host) as thief:
        for cookie in mine.cookies.jar:
            thief.cookies.jar.set_cookie(cookie)
        assert thief.get("/runs").status_code == 200
        assert mine.post("/sign-out", data={"form_token": form_token(mine.get("/"))}).status_code == 401
        assert not [name for name in mine.cookies if name.startswith("kedge-")]
        assert thief.get("/runs").status_code == 401
        own_host.stop()
        own_host.start()
        assert (thief.get("/runs").status_code, stays.get("/runs").status_code) == (401, 200)


def test_what_a_session_follows_ends_when_it_signs_out_and_what_another_follows_goes_on(
    kedge_host: RunningHost, tmp_path: Path, shared: Path
) -> None:
    (tmp_path / "waits.py").write_text(PIPELINE)
    begun = kedge_host.client.run(compile_file(tmp_path / "waits.py"), parameters={"folder": str(shared)}, cache=False)
    assert next(iter(kedge_host.client.log_lines(begun["run_id"], "wait", follow=True))) == b"begun"
    run = f"/runs/{begun['run_id']}"
    paths = "/runs/events", f"{run}/events", f"{run}/tasks/wait/events", f"{run}/tasks/wait/log?follow=yes"
    with signed_in(kedge_host) as mine, signed_in(kedge_host) as other, ExitStack() as stack:
        over, on = ([stack.enter_context(each.stream("GET", path)).iter_bytes() for path in paths] for each in (mine, other))
        for log in (over[-1], on[-1]):
            assert any(b"begun" in piece for piece in log)
        mine.post("/sign-out", data={"form_token": form_token(mine.get("/"))})
        for pieces in over:
            assert b"event: end" not in b"".join(pieces), "a page that is told of an end does not ask who may see it"
        assert [mine.get(path).status_code for path in paths] == [401] * len(paths)
        (shared / "go").touch()
        assert b"".join(on[-1]).endswith(b"done\n")
        for pieces in on[1:-1]:
            assert b"SUCCEEDED" in b"".join(pieces)


def test_no_code_of_a_link_is_in_a_log_or_a_metric(kedge_host: RunningHost) -> None:
    made = [link(kedge_host) for _ in range(2)]
    with browser(kedge_host) as mine:
        mine.get(made[0])
        mine.get(made[0])
        told = mine.get("/metrics", headers={"Authorization": f"Bearer {kedge_host.host.token}"}).text
    written = (kedge_host.home / "hub.log").read_text() + told
    for each in made:
        found = CODE.search(each)
        assert found
        assert found[1] not in written


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_elsewhere(person: httpx.Client, back: str) -> None:
    token = form_token(person.get("/"))
    answer = person.post("/theme", data={"back": back, "theme": "dark", "form_token": token}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_theme_is_light_or_dark(person: httpx.Client) -> None:
    token = form_token(person.get("/"))
    chosen = person.post("/theme", data={"back": "/runs?page_size=5", "theme": "dark", "form_token": token})
    assert chosen.url.raw_path == b"/runs?page_size=5"
    assert '<html lang="en" data-theme="dark">' in chosen.text
    for wrong in ("x; Path=/api", "x\r\nSet-Cookie: a=b", '"><script>'):
        answer = person.post("/theme", data={"theme": wrong, "form_token": token}, follow_redirects=False)
        assert re.fullmatch(r'kedge-theme=""; HttpOnly; Max-Age=0; Path=/; SameSite=strict', answer.headers["set-cookie"])


def test_what_another_server_of_this_machine_has_made_a_browser_keep_is_text(person: httpx.Client) -> None:
    keeps = {"kedge-said": "%3Cscript%3Ealert(1)%3C/script%3E", "kedge-theme": '"><script>', "kedge-namespace": "x\\r\\nEvil: 1"}
    page = person.get("/", headers={"Cookie": "; ".join([*(f"{k}={v}" for k, v in {**dict(person.cookies), **keeps}.items())])})
    assert page.status_code == 200
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert not re.search(r"<script(?! type=\"module\" src=\"/static/)", page.text)


def test_every_page_forbids_scripts_and_frames_of_others_and_is_kept_nowhere(person: httpx.Client) -> None:
    with_errors = [person.get(path) for path in ("/", "/runs", "/nothing", "/runs?page_token=wrong")]
    with_errors.append(person.post("/sign-out", data={}))
    person_less = httpx.get(person.base_url.join("/"), trust_env=False, timeout=60)
    for page in (*with_errors, person_less):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert (page.headers["cache-control"], page.headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page.text), page.url


@pytest.mark.parametrize(
    "path",
    ["/static/x/..", "/static/x/%2e%2e", "/static/x/..%2f..%2fapp.py", "/static/../../etc/passwd", "/static/x/app.css%00.js"],
)
def test_files_beside_those_of_the_pages_are_not_served(kedge_host: RunningHost, path: str) -> None:
    with browser(kedge_host) as nobody:
        request = nobody.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        assert nobody.send(request).status_code in {401, 404}


def test_bodies_are_read_up_to_a_limit_which_is_small_for_those_who_are_not_known(kedge_host: RunningHost) -> None:
    with browser(kedge_host) as nobody:
        answer = nobody.post("/theme", data={"theme": "x" * 100_000})
    assert answer.status_code == 413
    assert "larger than 64 kiB" in answer.text


def test_what_is_no_form_is_refused_as_such(person: httpx.Client) -> None:
    broken = person.post("/theme", content=b"nonsense", headers={"Content-Type": "multipart/form-data"})
    assert broken.status_code == 400


@pytest.mark.parametrize("is_terminal", [True, False], ids=["on a terminal", "into a pipe"])
def test_a_host_in_the_background_says_its_link_on_a_terminal_alone(kedge_host: RunningHost, *, is_terminal: bool) -> None:
    ours, theirs = os.openpty() if is_terminal else os.pipe()
    argv = [sys.executable, "-P", "-m", "kedge.cli.main", "up", "--detach"]
    said = b""
    with subprocess.Popen(argv, env=kedge_host.environ, stdin=subprocess.DEVNULL, stdout=theirs) as process:
        os.close(theirs)
        with suppress(OSError):  # how a terminal ends
            while more := os.read(ours, 4096):
                said += more
        assert process.wait(60) == 0
        os.close(ours)
    assert (b"/sign-in/" in said, b"`kedge open` signs a browser in" in said) == (is_terminal, not is_terminal)
    if is_terminal:
        with browser(kedge_host) as mine:
            assert mine.get(re.findall(r"http://\S+/sign-in/[\w-]+", said.decode())[0]).url.path == "/"


def test_a_host_in_the_foreground_says_its_link_on_a_terminal_and_writes_none_to_a_log() -> None:
    with running_host(start=False) as kedge:
        for is_terminal in (True, False):
            ours, theirs = os.openpty() if is_terminal else os.pipe()
            argv = [sys.executable, "-P", "-m", "kedge.cli.main", "up"]
            with subprocess.Popen(argv, env=kedge.environ, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as process:
                os.close(theirs)
                said = b""
                while (b"/sign-in/" not in said or not said.endswith(b"\n")) if is_terminal else b" ready " not in said:
                    said += os.read(ours, 4096)
                if is_terminal:
                    found = re.search(r"http://127\.0\.0\.1:\d+/sign-in/[\w-]+", said.decode())
                    assert found
                    assert httpx.get(found[0], trust_env=False, timeout=60).status_code == 303
                process.send_signal(signal.SIGTERM)
                with suppress(OSError):  # how a terminal ends
                    while more := os.read(ours, 4096):
                        said += more
                assert process.wait(60) == 0
                os.close(ours)
            assert (b"/sign-in/" in said) is is_terminal
