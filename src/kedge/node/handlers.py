"""What a probe or a hook does, once: run a command in the container, ask over HTTP or gRPC, connect, or wait.

A Pod is reached at its own address (``status.podIP``). A result is told in the kubelet's words.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kedge.errors import KedgeError
from kedge.kube.kinds import Obj
from kedge.kube.probes import LIVENESS, READINESS, STARTUP
from kedge.node import grpc_health, http_get
from kedge.node.dialing import Dial, plainly
from kedge.node.http_get import HttpFault, address_of
from kedge.node.status import ADDRESS, full_name, go_list, spoken
from kedge.server.processes import Program, Wanted

TITLES = {LIVENESS: "Liveness", READINESS: "Readiness", STARTUP: "Startup"}
_MOST_BYTES = 10 << 10
_OUTPUTS = Wanted(stdout=True, stderr=True)


class Executes(Protocol):
    """Runs a program in a container; `kedge.node.processes.NodeProcesses` does."""

    async def exec(self, pod: Obj, container: str, argv: Sequence[str], wanted: Wanted) -> Program:
        """See `kedge.server.processes.Processes`."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a probe.

    Attributes:
        ok: Whether it succeeded; ``None`` where it could not be carried out, which counts as neither.
        event: What a person is told of it: reason and message; empty when there is nothing to tell.
    """

    ok: bool | None
    event: tuple[str, str] = ("", "")


class UnknownError(Exception):
    """A probe could not be carried out."""


class Handlers:
    """Carries out the handlers of a node's Pods.

    Args:
        processes: Runs their commands.
        dial: Connects to them.
    """

    def __init__(self, processes: Executes, dial: Dial = plainly) -> None:
        self._processes = processes
        self._dial = dial

    async def probe(self, pod: Obj, container: Obj, kind: str) -> Outcome:
        """Carry out a probe once, within its ``timeoutSeconds``.

        Args:
            pod: The Pod, with its address in its status.
            container: The container's spec.
            kind: The name of the probe's field.
        """
        title, probe = TITLES[kind], container[kind]
        try:
            ok, text = await self._probe(pod, container, probe)
        except UnknownError as error:
            return Outcome(None, ("Unhealthy", f"{title} probe errored and resulted in unknown state: {error}"))
        if not ok:
            return Outcome(False, ("Unhealthy", f"{title} probe failed: {text}"))
        return Outcome(True, ("ProbeWarning", f"{title} probe warning: {text}") if text else ("", ""))

    async def _probe(self, pod: Obj, container: Obj, probe: Obj) -> tuple[bool, str]:
        seconds = probe.get("timeoutSeconds") or 1
        if (command := probe.get("exec")) is not None:
            return await self._command_within(pod, container, command["command"], seconds)
        if (action := probe.get("httpGet")) is not None:
            return await _http(_url_of(pod, container, action), action, seconds, self._dial)
        if (action := probe.get("tcpSocket")) is not None:
            return await _tcp(action.get("host") or _ip_of(pod), _port_of(container, action["port"]), seconds, self._dial)
        action = probe["grpc"]
        port, service = _port_of(container, action["port"]), action.get("service") or ""
        return await grpc_health.check(_ip_of(pod), port, service, seconds, self._dial)

    async def _command_within(self, pod: Obj, container: Obj, command: list[str], seconds: int) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(seconds):
                code, output = await self._command(pod, container, command)
        except TimeoutError:
            return False, f'command timed out: "{" ".join(command)}" timed out after {spoken(seconds)}'
        except KedgeError as error:
            raise UnknownError(str(error)) from error
        return code == 0, output if code else ""

    async def _command(self, pod: Obj, container: Obj, command: list[str]) -> tuple[int, str]:
        """Run a command; its exit code and the beginning of what it printed."""
        program = await self._processes.exec(pod, container["name"], command, _OUTPUTS)
        output = bytearray()

        async def read(name: str) -> None:
            while data := await program.read(name):
                output.extend(data[: max(0, _MOST_BYTES - len(output))])

        try:
            await asyncio.gather(*(read(name) for name in _OUTPUTS.outputs))
            ended = await program.wait()
        finally:
            program.close()
        if ended.code is None or ended.fault:
            raise UnknownError(ended.fault)
        return ended.code, output.decode("utf-8", "replace")

    async def hook(self, pod: Obj, container: Obj, handler: Obj) -> str:
        """Carry out a hook; returns why it failed, empty when it did not. Takes as long as it takes."""
        about = f'for Container "{container["name"]}" in Pod "{full_name(pod)}" failed - error:'
        if (action := handler.get("exec")) is not None:
            command, text = action["command"], ""
            try:
                code, text = await self._command(pod, container, command)
                error = f"command '{' '.join(command)}' exited with {code}: {text}" if code else ""
            except (KedgeError, UnknownError) as fault:
                error = str(fault)
            return f'Exec lifecycle hook ({go_list(command)}) {about} {error}, message: "{text}"' if error else ""
        if (action := handler.get("httpGet")) is not None:
            try:
                url, headers = _url_of(pod, container, action), _headers_of(action, http_get.HOOK_AGENT)
                await http_get.get(url, headers, self._dial)
            except (HttpFault, UnknownError) as error:
                return f"HTTP lifecycle hook ({action['path']}) {about} {error}"
            return ""
        if (action := handler.get("sleep")) is not None:
            await asyncio.sleep(action.get("seconds", 0))
            return ""
        return "Cannot run handler: invalid handler: tcpSocket is none that a hook can have"


async def _http(url: str, action: Obj, seconds: int, dial: Dial) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(seconds):
            answer = await http_get.get(url, _headers_of(action, http_get.PROBE_AGENT), dial)
    except TimeoutError:
        return False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except HttpFault as error:
        return False, str(error)
    if not 200 <= answer.status < 400:
        return False, f"HTTP probe failed with statuscode: {answer.status}"
    return True, f"Probe terminated redirects, Response body: {answer.body}" if answer.status >= 300 else ""


async def _tcp(host: str, port: int, seconds: int, dial: Dial) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(seconds):
            _, writer = await dial(host, port)
    except TimeoutError:
        return False, f"dial tcp {address_of(host, port)}: i/o timeout"
    except OSError as error:
        return False, http_get.said_of(error, host, port)
    writer.close()
    return True, ""


def _url_of(pod: Obj, container: Obj, action: Obj) -> str:
    host, path = action.get("host") or _ip_of(pod), action.get("path") or "/"
    scheme, port = (action.get("scheme") or "HTTP").lower(), _port_of(container, action["port"])
    return f"{scheme}://{address_of(host, port)}{'' if path.startswith('/') else '/'}{path}"


def _headers_of(action: Obj, agent: str) -> list[tuple[str, str]]:
    """What is sent along: as a browser's, unless the Pod says otherwise; an empty value keeps one of these back."""
    given = [(each["name"], each.get("value") or "") for each in action.get("httpHeaders") or ()]
    names = {name.lower() for name, _ in given}
    usual = [("User-Agent", agent), ("Accept", "*/*")]
    kept = [(name, value) for name, value in given if value or name.lower() not in {"user-agent", "accept"}]
    return [*kept, *((name, value) for name, value in usual if name.lower() not in names)]


def _port_of(container: Obj, port: Any) -> int:
    """A port by its number or its name; raises `UnknownError` as the kubelet does for a name that there is not."""
    if isinstance(port, str):
        found = next((each["containerPort"] for each in container.get("ports") or () if each.get("name") == port), None)
        if found is None and not port.isdigit():
            raise UnknownError(f'strconv.Atoi: parsing "{port}": invalid syntax')
        port = int(port) if found is None else found
    if not 0 < port < 65536:
        raise UnknownError(f"invalid port number: {port}")
    return port


def _ip_of(pod: Obj) -> str:
    return (pod.get("status") or {}).get("podIP") or ADDRESS
