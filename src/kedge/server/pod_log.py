"""The subresource ``pods/NAME/log``."""

from datetime import datetime, timedelta

from starlette.types import Receive, Send

from kedge.errors import BadRequest
from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Obj
from kedge.server.api import Api
from kedge.server.core import Target
from kedge.server.get import get
from kedge.server.logs import LogOptions
from kedge.server.requests import Options
from kedge.server.streams import Answer, Streams, write_log

_OPTIONS = ("container", "follow", "previous", "sinceSeconds", "sinceTime", "tailLines", "timestamps", "limitBytes")
# Says how to reach a kubelet; there is none to reach.
_MOOT = ("insecureSkipTLSVerifyBackend",)
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


async def log(api: Api, target: Target, options: Options, out: tuple[Streams, Receive, Send]) -> None:
    """Answer with a container's log.

    Raises:
        BadRequest: An option cannot be read, the container is not named and there are several, or it has not started.
        NotFound: There is no such Pod.
    """
    streams, receive, send = out
    options.only(*_OPTIONS, *_MOOT)
    pod = get(api.core, Target(target.kind, target.namespace, target.name))
    if api.logs is None:
        raise BadRequest("this host keeps no logs: it runs no Pods.")
    container = _container(pod, options.text("container"))
    pieces = api.logs.read(pod, container, _read(options, api.core.clock.now()))
    answer = Answer(send, b"text/plain; charset=utf-8")
    await streams.run(answer, receive, write_log(answer, pieces))


def _container(pod: Obj, wanted: str) -> str:
    name, spec = pod["metadata"]["name"], pod.get("spec", {})
    main = [each["name"] for each in spec.get("containers") or ()]
    initial = [each["name"] for each in spec.get("initContainers") or ()]
    if not wanted:
        wanted = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER, "")
    if not wanted and len(main) == 1:
        return main[0]
    if not wanted:
        raise BadRequest(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
            + (f" or one of the init containers: [{' '.join(initial)}]" if initial else "")
        )
    if wanted not in main + initial:
        raise BadRequest(f"container {wanted} is not valid for pod {name}. It has {', '.join(main + initial)}.")
    return wanted


def _read(options: Options, now: datetime) -> LogOptions:
    since, seconds = options.text("sinceTime"), options.number("sinceSeconds", minimum=1)
    if since and seconds is not None:
        raise BadRequest("at most one of sinceTime or sinceSeconds may be specified.")
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
        tail=options.number("tailLines"),
        timestamps=options.flag("timestamps") or False,
        limit_bytes=options.number("limitBytes", minimum=1),
    )
