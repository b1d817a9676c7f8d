"""The subresource ``pods/NAME/log``, with the words of Kubernetes where it refuses."""

from datetime import datetime, timedelta

from starlette.types import Receive, Send

from kedge.errors import BadRequest, Cause
from kedge.kube.clock import parse_timestamp
from kedge.kube.faults import forbidden
from kedge.kube.kinds import Kind, Obj
from kedge.server import metadata
from kedge.server.api import Api
from kedge.server.core import Target
from kedge.server.get import get
from kedge.server.logs import LogOptions
from kedge.server.requests import Options
from kedge.server.streams import Answer, Streams, write_log

_OPTIONS = ("container", "follow", "previous", "sinceSeconds", "sinceTime", "tailLines", "timestamps", "limitBytes")
# Says how to reach a kubelet; there is none to reach.
_MOOT = ("insecureSkipTLSVerifyBackend",)
_POD_LOG_OPTIONS = Kind("PodLogOptions", "podlogoptions")


async def log(api: Api, target: Target, options: Options, out: tuple[Streams, Receive, Send]) -> None:
    """Answer with a container's log; with nothing for a Pod that has no node yet.

    Raises:
        BadRequest: An option cannot be read, the container is not named and there are several, or it has not started.
        Invalid: An option is out of its bounds.
        NotFound: There is no such Pod.
    """
    streams, receive, send = out
    options.only(*_OPTIONS, *_MOOT)
    pod = get(api.core, Target(target.kind, target.namespace, target.name))
    if api.logs is None:
        raise BadRequest("this host keeps no logs: it runs no Pods.")
    container = container_of(pod, options.text("container"))
    wanted = _read(options, target.name, api.core.clock.now())
    answer = Answer(send, b"text/plain; charset=utf-8")
    if not (pod.get("spec") or {}).get("nodeName"):
        await answer.end()
        return
    await streams.run(answer, receive, write_log(answer, api.logs.read(pod, container, wanted)))


def container_of(pod: Obj, wanted: str) -> str:
    """Which container of a Pod is meant.

    Args:
        pod: The Pod as stored.
        wanted: The name that was given, or empty.

    Raises:
        BadRequest: There is none of that name, or none was given and there are several.
    """
    name, spec = pod["metadata"]["name"], pod.get("spec", {})
    main = [each["name"] for each in spec.get("containers") or ()]
    initial = [each["name"] for each in spec.get("initContainers") or ()]
    if not wanted and len(main) == 1:
        return main[0]
    if not wanted:
        raise BadRequest(f"a container name must be specified for pod {name}, choose one of: [{' '.join(initial + main)}]")
    if wanted not in main + initial:
        raise BadRequest(f"container {wanted} is not valid for pod {name}")
    return wanted


def _read(options: Options, name: str, now: datetime) -> LogOptions:
    since, seconds = options.text("sinceTime"), _number(options, "sinceSeconds")
    tail, limit = _number(options, "tailLines"), _number(options, "limitBytes")
    faults = [
        _out_of_bounds(option, value, least)
        for option, value, least in (("tailLines", tail, 0), ("limitBytes", limit, 1), ("sinceSeconds", seconds, 1))
        if value is not None and value < least
    ]
    if since and seconds is not None:
        faults.append(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if faults:
        raise metadata.invalid(_POD_LOG_OPTIONS, name, faults)
    moment = now - timedelta(seconds=min(seconds, 10**9)) if seconds is not None else None
    if since:
        try:
            moment = parse_timestamp(since)
        except ValueError as error:
            raise BadRequest(f"query parameter 'sinceTime': must be an RFC 3339 time, got {since!r}.") from error
    return LogOptions(
        follow=options.flag("follow") or False,
        previous=options.flag("previous") or False,
        since=moment,
        tail=tail,
        timestamps=options.flag("timestamps") or False,
        limit_bytes=limit,
    )


def _number(options: Options, name: str) -> int | None:
    return options.number(name)


def _out_of_bounds(option: str, value: int, least: int) -> Cause:
    bound = "greater than 0" if least else "greater than or equal to 0"
    return Cause(option, f"Invalid value: {value}: must be {bound}")
