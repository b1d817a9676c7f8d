"""Logging in by a program: a real one, and a server that takes what it says or does not."""

import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kedge import errors
from kedge.client.exec_login import ExecLogin
from kedge.client.kubeconfig import Program
from kedge.config import Settings

VERSION = "client.authentication.k8s.io/v1"
# Counts its calls, and gives a token with the number of the call.
LOGIN = """
import json, os, sys
path = sys.argv[1]
number = len(open(path).read()) + 1 if os.path.exists(path) else 1
open(path, "a").write("x")
open(path + ".info", "w").write(os.environ["KUBERNETES_EXEC_INFO"])
status = {"token": f"token-{number}", **json.loads(os.environ.get("STATUS", "{}"))}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""
Asked = Callable[[str], int]


def program(tmp_path: Path, **fields: Any) -> Program:
    script = tmp_path / "login.py"
    script.write_text(LOGIN)
    return Program(sys.executable, (str(script), str(tmp_path / "calls")), version=VERSION, **fields)


@asynccontextmanager
async def client(login: Program, taken: Asked) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a server that answers as ``taken`` says of the Authorization header."""
    transport = httpx.MockTransport(lambda request: httpx.Response(taken(request.headers.get("Authorization", ""))))
    auth = ExecLogin(login, None, Settings.from_environment().environ)
    async with httpx.AsyncClient(base_url="http://server", auth=auth, transport=transport) as made:
        yield made


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls").read_text())


async def test_the_program_is_asked_once_for_many_requests(tmp_path: Path) -> None:
    async with client(program(tmp_path), lambda said: 200 if said == "Bearer token-1" else 401) as http:
        assert [(await http.get("/")).status_code for _ in range(3)] == [200, 200, 200]
    assert calls(tmp_path) == 1


async def test_it_is_asked_again_when_the_server_does_not_take_its_token_any_more(tmp_path: Path) -> None:
    taken = {"Bearer token-1"}
    async with client(program(tmp_path), lambda said: 200 if said in taken else 401) as http:
        assert (await http.get("/")).status_code == 200
        taken = {"Bearer token-2"}
        assert (await http.get("/")).status_code == 200
    assert calls(tmp_path) == 2


async def test_it_is_asked_again_when_its_token_is_over(tmp_path: Path) -> None:
    over = program(tmp_path, env=(("STATUS", json.dumps({"expirationTimestamp": "2020-01-01T00:00:00Z"})),))
    async with client(over, lambda _: 200) as http:
        await http.get("/")
        await http.get("/")
    assert calls(tmp_path) == 2


async def test_it_is_told_of_the_cluster_where_it_asks(tmp_path: Path) -> None:
    async with client(program(tmp_path, cluster={"server": "https://h"}, interactive="Never"), lambda _: 200) as http:
        await http.get("/")
    info = json.loads((tmp_path / "calls.info").read_text())
    spec = {"interactive": False, "cluster": {"server": "https://h"}}
    assert info == {"apiVersion": VERSION, "kind": "ExecCredential", "spec": spec}


@pytest.mark.parametrize(
    ("login", "message"),
    [
        (
            Program("no-such-login", hint="brew install it."),
            "no-such-login: the login program cannot be started.*brew install it",
        ),
        (Program("sh", ("-c", "echo go away >&2; exit 3")), "failed with exit status 3: go away"),
        (Program("sh", ("-c", "echo hello")), "is no ExecCredential"),
        (
            Program("echo", (json.dumps({"apiVersion": "x/v1", "status": {"token": "t"}}),)),
            "speaks x/v1, and the kubeconfig says",
        ),
        (Program("echo", (json.dumps({"apiVersion": VERSION, "status": {}}),)), "gave neither a token nor a client certificate"),
        (Program("echo", ("x",), interactive="Always"), "at a terminal only"),
    ],
)
async def test_what_goes_wrong_is_told(login: Program, message: str) -> None:
    async with client(login, lambda _: 200) as http:
        with pytest.raises(errors.StateError, match=message):
            await http.get("/")
