"""Logging in by a program, as kubeconfigs of cloud providers want it: Kubernetes' ``client.authentication.k8s.io`` protocol.

The program is told in ``KUBERNETES_EXEC_INFO`` what it needs to know, and writes an ``ExecCredential`` with a token, a client
certificate, or both. What it said is good until its ``expirationTimestamp``, or until the server no longer takes it.
"""

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from kedge.client.kubeconfig import Program
from kedge.errors import StateError, Unauthorized
from kedge.kube.clock import Clock, SystemClock, parse_timestamp

_EARLY = timedelta(seconds=10)  # what ends while a request is on its way is of no use
_PATIENCE_SECONDS = 60.0
_PATIENCE_AT_A_TERMINAL_SECONDS = 600.0  # somebody logs in with a browser


@dataclass(frozen=True, slots=True)
class Credential:
    """What a program said.

    Attributes:
        token: Bearer token, or ``""``.
        certificate: PEM of a client certificate with its key, or ``""``.
        expires: Until when it is good; ``None`` for as long as the server takes it.
    """

    token: str
    certificate: str
    expires: datetime | None


class ExecLogin(httpx.Auth):
    """Puts on requests what a program says.

    Args:
        program: The program.
        context: Of the connections: gets the client certificate, when the program gives one.
        environ: The program's environment, besides what the kubeconfig adds.
        clock: Tells when what it said is over.
        forget: Called when connections show another certificate from now on: those that there are show the one before, and are
            not to be used again. Where it is ``None``, no request with a certificate leaves one behind.
    """

    def __init__(
        self,
        program: Program,
        context: ssl.SSLContext | None,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        forget: Callable[[], None] | None = None,
    ) -> None:
        self._program = program
        self._context = context
        self._environ = environ
        self._clock = clock or SystemClock()
        self._forget = forget
        self._known: Credential | None = None
        self._asking = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send the request; again, with what the program says now, when the server does not take it."""
        said = await self._current(None)
        self._put(request, said)
        response = yield request
        if response.status_code == Unauthorized.code:
            again = await self._current(said)
            self._put(request, again)
            yield request

    async def _current(self, refused: Credential | None) -> Credential:
        async with self._asking:
            known = self._known
            if known is None or known is refused or (known.expires is not None and self._clock.now() >= known.expires - _EARLY):
                known = self._known = await asyncio.to_thread(_ask, self._program, self._environ)
                if known.certificate and self._context is not None:
                    _present(self._context, known.certificate)
                    if self._forget is not None:
                        self._forget()
            return known

    def _put(self, request: httpx.Request, said: Credential) -> None:
        if said.token:
            request.headers["Authorization"] = f"Bearer {said.token}"
        if said.certificate and self._forget is None:
            request.headers["Connection"] = "close"


def _present(context: ssl.SSLContext, certificate: str) -> None:
    """Connections that are made from now on show this certificate."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads certificates from files only
        file.write(certificate)
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as error:
            raise StateError(f"the client certificate that the login program gave cannot be used: {error}.") from error


def _ask(program: Program, environ: Mapping[str, str]) -> Credential:
    """Run the program.

    Raises:
        StateError: It is not there, failed, or said what cannot be understood.
    """
    interactive = program.interactive != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if program.interactive == "Always" and not interactive:
        raise StateError(
            f"{program.command}: logs in at a terminal only (interactiveMode: Always), and there is none. "
            "Log in with it first, or run `kedge up` in the foreground."
        )
    spec: dict[str, Any] = {"interactive": interactive, **({"cluster": program.cluster} if program.cluster else {})}
    info = json.dumps({"apiVersion": program.version, "kind": "ExecCredential", "spec": spec})
    given = {**environ, **dict(program.env), "KUBERNETES_EXEC_INFO": info}
    command = program.command if os.sep in program.command else shutil.which(program.command, path=given.get("PATH"))
    try:
        done = subprocess.run(
            [command or program.command, *program.args],
            check=False,
            env=given,
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if interactive else subprocess.PIPE,
            timeout=_PATIENCE_AT_A_TERMINAL_SECONDS if interactive else _PATIENCE_SECONDS,
        )
    except OSError as error:
        hint = program.hint.strip() or "Install it, or name another user in the kubeconfig."
        raise StateError(f"{program.command}: the login program cannot be started: {error.strerror}. {hint}") from error
    except subprocess.TimeoutExpired as error:
        raise StateError(
            f"{program.command}: the login program did not end within {error.timeout:g} s. Run it by hand."
        ) from error
    if done.returncode:
        words = (done.stderr or b"").decode(errors="replace").strip()[-1000:]
        raise StateError(
            f"{program.command}: the login program failed with exit status {done.returncode}: {words or 'see above'}."
        )
    return _read(program, done.stdout)


def _read(program: Program, said: bytes) -> Credential:
    try:
        answer = json.loads(said)
        version, status = answer["apiVersion"], answer["status"]
        token = str(status.get("token") or "")
        parts = [str(status.get(name) or "") for name in ("clientCertificateData", "clientKeyData")]
        expires = parse_timestamp(status["expirationTimestamp"]) if status.get("expirationTimestamp") else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"{program.command}: what the login program wrote is no ExecCredential: {error!r}. Run it by hand."
        ) from error
    if version != program.version:
        raise StateError(
            f"{program.command}: the login program speaks {version}, and the kubeconfig says {program.version}. "
            "Change exec.apiVersion in the kubeconfig."
        )
    if all(parts):
        return Credential(token, "\n".join(parts), expires)
    if not token:
        raise StateError(f"{program.command}: the login program gave neither a token nor a client certificate with its key.")
    return Credential(token, "", expires)
