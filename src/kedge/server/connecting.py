"""Connections to what runs in Pods: webhooks are asked before one is made, about its options, objects of kinds of their own."""

from kedge.errors import BadRequest
from kedge.kube.kinds import Obj
from kedge.server.auth import User
from kedge.server.core import Core, Target, Write
from kedge.server.requests import Options

_KINDS = {
    ("pods", "exec"): "PodExecOptions",
    ("pods", "attach"): "PodAttachOptions",
    ("pods", "portforward"): "PodPortForwardOptions",
    ("pods", "proxy"): "PodProxyOptions",
    ("services", "proxy"): "ServiceProxyOptions",
}


async def permit(core: Core, target: Target, options: Options, caller: User, path: str = "") -> None:
    """Ask webhooks whether a connection may be made.

    Args:
        core: The server.
        target: What it leads to, a subresource.
        options: Of the request.
        caller: Who asks.
        path: Where a proxied request leads to, behind what it is passed on to.

    Raises:
        ApiError: A webhook refuses, or does not answer as it has to.
        BadRequest: A webhook wants other options.
    """
    if core.webhooks is None or not core.asks(caller):
        return
    kind = _KINDS[target.kind.plural, target.subresource]
    obj: Obj = {"kind": kind, "apiVersion": "v1", **_told(target.subresource, options, path)}
    write = Write("CONNECT", target, obj, None, caller, {}, form=("v1", kind))
    warnings = list[str]()  # nobody hears them: the answer is no answer of this server
    if await core.webhooks.mutate(write, lambda changed: changed, warnings) != obj:
        raise BadRequest(f"a webhook has changed the {kind} of {target}, which is not done here. Let it allow or refuse them.")
    await core.webhooks.validate(write, warnings)


def _told(subresource: str, options: Options, path: str) -> Obj:
    if subresource == "proxy":
        return {"path": path} if path else {}
    if subresource == "portforward":
        ports = [int(port) for text in options.all("ports") for port in text.split(",") if port.isdecimal()]
        return {"ports": ports} if ports else {}
    told: Obj = {name: True for name in ("stdin", "stdout", "stderr", "tty") if options.flag(name)}
    told |= {"container": container} if (container := options.text("container")) else {}
    return {**told, "command": options.all("command")} if subresource == "exec" else told
