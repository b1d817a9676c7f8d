"""Which options of a list and of a watch go together, and what they mean: the rules of Kubernetes' ``ListOptions``."""

from kedge.errors import BadRequest, Cause, Timeout
from kedge.kube.faults import forbidden, shown, unsupported
from kedge.server.api import revision_of
from kedge.server.list import Query
from kedge.server.requests import Options, invalid_options
from kedge.server.streams import WatchOptions

LIST_OPTIONS = ("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch")
WATCH_OPTIONS = ("watch", "allowWatchBookmarks", "timeoutSeconds", "sendInitialEvents", "includeObject")
_ANY = ("", "0")
_MATCH = "resourceVersionMatch"
_LATEST = 1 << 62


def list_query(options: Options, current: int) -> Query:
    """What a list is asked for.

    Args:
        options: The query.
        current: The newest revision.

    Raises:
        BadRequest: An option cannot be read.
        Invalid: Options that do not go together.
        Timeout: A revision that is yet to come.
    """
    faults = _match_faults(options)
    if options.flag("sendInitialEvents") is not None:
        faults.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    _refuse(faults)
    limit = max(0, _numbers(options)[0] or 0)
    version, token = options.text("resourceVersion"), options.text("continue")
    if token and version not in _ANY:
        raise BadRequest("specifying resource version is not allowed when using continue: the token has one. Leave it out.")
    wanted = asked_revision(version, current)
    # Without a match, the pages of a list begin with the revision that was named, and a whole list is at least as new as that.
    exact = options.text(_MATCH) == "Exact" or (limit and not options.text(_MATCH))
    return Query(
        labels=options.text("labelSelector"),
        fields=options.text("fieldSelector"),
        limit=limit,
        continue_=token or None,
        revision=wanted if exact else 0,
    )


def _numbers(options: Options) -> tuple[int | None, int | None]:
    """How many objects a page has, and how long the answer may take; both are read whatever is asked for.

    Raises:
        BadRequest: One of them is none.
    """
    return options.number("limit"), options.number("timeoutSeconds")


def asked_revision(version: str, current: int) -> int:
    """The revision that a reader names; 0 for any.

    Raises:
        BadRequest: It is none.
        Timeout: It is yet to come.
    """
    wanted = _revision(version) if version not in _ANY else 0
    if wanted > current:
        raise Timeout(
            f"Timeout: Too large resource version: {wanted}, current: {current}",
            causes=[Cause("", "Too large resource version", "ResourceVersionTooLarge")],
            retry_after=1,
        )
    return wanted


def watch_query(options: Options, current: int) -> tuple[Query, WatchOptions]:
    """What a watch is asked for.

    Without a revision, or with 0, it begins with all objects there are, as if ``sendInitialEvents`` had been asked for.

    Args:
        options: The query.
        current: The newest revision.

    Raises:
        BadRequest: An option cannot be read.
        Gone: A revision that is yet to come: what the client has seen was lost.
        Invalid: Options that do not go together.
        Timeout: The same, of a watch that shall begin with all objects.
    """
    version, wanted = options.text("resourceVersion"), options.flag("sendInitialEvents")
    match, faults = options.text(_MATCH), list[Cause]()
    if wanted is not None and match != "NotOlderThan":
        faults.append(forbidden(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if wanted is None and match:
        faults.append(forbidden(_MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
    if match not in {"", "NotOlderThan"}:
        faults.append(unsupported(_MATCH, match, ["NotOlderThan"]))
    if options.text("continue"):
        faults.append(forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    _refuse(faults)
    initial = version in _ANY if wanted is None else wanted
    revision = 0
    if initial:
        asked_revision(version, current)
    else:
        revision = current if version in _ANY else _revision(version)
    bookmarks = options.flag("allowWatchBookmarks") or False
    _, seconds = _numbers(options)
    query = Query(options.text("labelSelector"), options.text("fieldSelector"), revision=revision)
    return query, WatchOptions(initial, initial and bookmarks, bookmarks, float(seconds or WatchOptions().seconds))


def _match_faults(options: Options) -> list[Cause]:
    match, version = options.text(_MATCH), options.text("resourceVersion")
    faults: list[Cause] = []
    if not match:
        return faults
    if not version:
        faults.append(forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if options.text("continue"):
        faults.append(forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    if match not in {"Exact", "NotOlderThan"}:
        faults.append(unsupported(_MATCH, match, ["Exact", "NotOlderThan", ""]))
    elif match == "Exact" and version == "0":
        faults.append(forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    return faults


def _refuse(faults: list[Cause]) -> None:
    if faults:
        raise invalid_options("ListOptions", faults)


def _revision(version: str) -> int:
    if not version.isdecimal() or not version.isascii():
        said = shown(version)
        why = f"strconv.ParseUint: parsing {said}: invalid syntax"
        raise BadRequest(f"invalid resource version: resourceVersion: Invalid value: {said}: {why}")
    return min(revision_of(version), _LATEST)
