"""Probes and lifecycle hooks of a container: their defaults, and their rules in Kubernetes' own words."""

import re
from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.kinds import Obj

LIVENESS, READINESS, STARTUP = "livenessProbe", "readinessProbe", "startupProbe"
POST_START, PRE_STOP = "postStart", "preStop"
PROBES = (LIVENESS, READINESS, STARTUP)
_DEFAULTS = (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3))
_NUMBERS = ("initialDelaySeconds", *(name for name, _ in _DEFAULTS))
_SCHEMES = ("HTTP", "HTTPS")
_HEADER = re.compile("[-A-Za-z0-9]+")
_HEADER_RULE = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is "
    "'[-A-Za-z0-9]+')"
)
_NOT_NEGATIVE = "must be greater than or equal to 0"
_ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"


def default(container: Obj) -> None:
    """Fill in what a real API server fills in for a container's probes and hooks, in place."""
    for name in PROBES:
        if isinstance(probe := container.get(name), dict):
            for key, value in _DEFAULTS:
                probe[key] = probe.get(key) or value
            _default_handler(probe)
    for hook in hooks_of(container).values():
        _default_handler(hook)


def hooks_of(container: Obj) -> dict[str, Obj]:
    """A container's hooks by name: ``postStart``, ``preStop``."""
    lifecycle = container.get("lifecycle")
    found: Obj = lifecycle if isinstance(lifecycle, dict) else {}
    return {name: found[name] for name in (POST_START, PRE_STOP) if isinstance(found.get(name), dict)}


def _default_handler(handler: Obj) -> None:
    if isinstance(get := handler.get("httpGet"), dict):
        get["path"] = get.get("path") or "/"
        get["scheme"] = get.get("scheme") or "HTTP"
    if isinstance(grpc := handler.get("grpc"), dict):
        grpc.setdefault("service", "")


def container_faults(container: Obj, path: str, *, lasting: bool, grace: Any) -> Iterator[Cause]:
    """What is wrong with a container's probes and hooks.

    Args:
        container: The container.
        path: Where it stands.
        lasting: Whether it is a main container or a sidecar; init containers that end by themselves have none of these.
        grace: The Pod's ``terminationGracePeriodSeconds``.
    """
    if not lasting:
        for name in ("lifecycle", *PROBES):
            if container.get(name) is not None:
                yield faults.forbidden(f"{path}.{name}", _ONLY_SIDECARS)
        return
    for name, hook in hooks_of(container).items():
        yield from _handler_faults(hook, f"{path}.lifecycle.{name}", grace)
    for name in PROBES:
        if isinstance(probe := container.get(name), dict):
            yield from _probe_faults(name, probe, f"{path}.{name}", grace)


def _probe_faults(name: str, probe: Obj, path: str, grace: Any) -> Iterator[Cause]:
    yield from _handler_faults(probe, path, grace)
    for key in _NUMBERS:
        if (value := probe.get(key, 0)) < 0:
            yield faults.invalid(f"{path}.{key}", value, _NOT_NEGATIVE)
    own = probe.get("terminationGracePeriodSeconds")
    if own is not None and own <= 0:
        yield faults.invalid(f"{path}.terminationGracePeriodSeconds", own, "must be greater than 0")
    if name == READINESS:
        if own is not None:
            why = "must not be set for readinessProbes"
            yield faults.invalid(f"{path}.terminationGracePeriodSeconds", own, why)
    elif probe.get("successThreshold", 1) != 1:
        yield faults.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _handler_faults(handler: Obj, path: str, grace: Any) -> Iterator[Cause]:
    first = True
    for kind in ("exec", "httpGet", "tcpSocket", "grpc", "sleep"):
        if not isinstance(action := handler.get(kind), dict):
            continue
        if first:
            yield from _action_faults(kind, action, f"{path}.{kind}", grace)
        else:
            yield faults.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
        first = False
    if first:
        yield faults.required(path, "must specify a handler type")


def _action_faults(kind: str, action: Obj, path: str, grace: Any) -> Iterator[Cause]:
    if kind == "exec":
        if not action.get("command"):
            yield faults.required(f"{path}.command")
    elif kind == "sleep":
        seconds = action.get("seconds", 0)
        if isinstance(grace, int) and not 0 <= seconds <= grace:
            why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            yield faults.invalid(path, seconds, why)
    else:
        yield from faults.port_or_name(f"{path}.port", action.get("port"))
    if kind == "httpGet":
        if (scheme := action.get("scheme", "HTTP")) not in _SCHEMES:
            yield faults.unsupported(f"{path}.scheme", scheme, _SCHEMES)
        for _, header in faults.objects(action.get("httpHeaders")):
            if not _HEADER.fullmatch(name := header.get("name") or ""):
                yield faults.invalid(f"{path}.httpHeaders", name, _HEADER_RULE)


def gate_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the readiness gates of a Pod's spec."""
    for index, gate in faults.objects(spec.get("readinessGates")):
        yield from faults.qualified(f"{path}[{index}].conditionType", gate.get("conditionType") or "")
