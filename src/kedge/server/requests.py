"""Reads requests: what a path means, which options it has, what a body is. What is not understood is refused by name."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Message, Receive, Scope

from kedge.client.types import PatchType
from kedge.errors import About, ApiError, BadRequest, Cause, Invalid, NotFound, Timeout, TooLarge, UnsupportedMediaType
from kedge.kube import yaml
from kedge.kube.faults import invalid, required, shown, too_long, unsupported
from kedge.kube.kinds import Obj
from kedge.kube.patches import CONTENT_TYPES
from kedge.server import patience, protobuf
from kedge.server.asked import is_true
from kedge.server.core import Target, Validation, WriteOptions
from kedge.server.delete import DeleteOptions
from kedge.server.registry import NOT_THERE, Registry

BODY_LIMIT = 3 << 20
_TOO_LARGE = f"the request body is over {BODY_LIMIT} bytes (3 MiB), the limit of one object. Store large data as an artifact."
PROTOBUF = "application/vnd.kubernetes.protobuf"
APPLY = "application/apply-patch+yaml"
JSON, YAML = "application/json", "application/yaml"
_SENT = frozenset({JSON, YAML, "application/*", "*/*"})
_READ = (JSON, YAML, PROTOBUF)
# What Kubernetes calls by these names: ignored where it is not meant, it would be a surprise. It ignores every other name.
_MEANT = frozenset(
    {
        "allowWatchBookmarks",
        "command",
        "container",
        "continue",
        "dryRun",
        "fieldManager",
        "fieldSelector",
        "fieldValidation",
        "follow",
        "force",
        "gracePeriodSeconds",
        "includeObject",
        "insecureSkipTLSVerifyBackend",
        "labelSelector",
        "limit",
        "limitBytes",
        "orphanDependents",
        "ports",
        "previous",
        "propagationPolicy",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "sinceSeconds",
        "sinceTime",
        "stderr",
        "stdin",
        "stdout",
        "stream",
        "tailLines",
        "timeoutSeconds",
        "timestamps",
        "tty",
        "watch",
    }
)
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_RANGE = 1 << 63
_MANAGER_LENGTH = 128
_LEVELS: Mapping[str, Validation] = {"": "Warn", "Ignore": "Ignore", "Strict": "Strict", "Warn": "Warn"}
_PROPAGATION: Mapping[str, Literal["Background", "Foreground", "Orphan"]] = {
    "Background": "Background",
    "Foreground": "Foreground",
    "Orphan": "Orphan",
}


class NotAcceptable(ApiError):
    """The client takes no form in which the server can answer."""

    code, reason = 406, "NotAcceptable"


def target_of(registry: Registry, path: str) -> Target:
    """What ``/api/v1/…`` or ``/apis/GROUP/VERSION/…`` is about.

    Raises:
        NotFound: Nothing is served there.
    """
    parts = [part for part in path.split("/") if part]
    if parts[0] == "api":
        group, (version, *rest) = "", parts[1:]
    else:
        group, version, *rest = parts[1:]
    if rest[0] in {"watch", "proxy"}:
        raise NotFound(f"{NOT_THERE}: the old /{rest[0]}/ paths are not served. Add ?watch=true to the list's own path instead.")
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in {"status", "finalize"}):
        namespace, rest = rest[1], rest[2:]
    kind = registry.find(group, version, rest[0])
    if len(rest) > 3 or (namespace is not None and not kind.namespaced):
        raise NotFound(f"{NOT_THERE}: there is nothing at {path}.")
    if kind.namespaced and namespace is None and len(rest) > 1:
        raise NotFound(f"{NOT_THERE}: {kind.plural} live in namespaces; use {kind.path('NAMESPACE', rest[1])}.")
    return Target(kind, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")


class Options:
    """The query of a request; every option that Kubernetes has is to be asked for, so that none is ignored in silence."""

    def __init__(self, scope: Scope) -> None:
        self._values: dict[str, list[str]] = {}
        query = scope["query_string"]
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else ():
            self._values.setdefault(name, []).append(value)

    def only(self, *names: str) -> "Options":
        """Refuse options of Kubernetes other than these; names that it does not have are passed over, as it does.

        Raises:
            BadRequest: Names the first that has no meaning here.
        """
        for name in self._values:
            if name in _MEANT and name not in names:
                known = ", ".join(names) or "none"
                raise BadRequest(f"query parameter {name!r} is not supported here. Supported: {known}. Remove it.")
        return self

    def all(self, name: str) -> list[str]:
        """Every value of an option."""
        return self._values.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        """The first value of an option, as Kubernetes reads it."""
        return self._values[name][0] if name in self._values else default

    def flag(self, name: str) -> bool | None:
        """A truth value; ``None`` when it is not there."""
        return is_true(self.text(name)) if name in self._values else None

    def number(self, name: str) -> int | None:
        """A whole number; ``None`` when it is not there."""
        value = self.text(name)
        if not value:
            return None
        if not _NUMBER.fullmatch(value):
            raise BadRequest(f"strconv.ParseInt: parsing {shown(value)}: invalid syntax")
        if not -_RANGE <= int(value) < _RANGE:
            raise BadRequest(f"strconv.ParseInt: parsing {shown(value)}: value out of range")
        return int(value)


NO_OPTIONS = Options({"query_string": b""})
"""Of a request whose query is read elsewhere."""


def invalid_options(kind: str, faults: list[Cause]) -> Invalid:
    """The error of options that are wrong: as of an object of that kind.

    Args:
        kind: Such as ``ListOptions``.
        faults: What is wrong.
    """
    listed = [f"{cause.field}: {cause.message}" for cause in faults]
    said = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    error = Invalid(f'{kind}.meta.k8s.io "" is invalid: {said}', causes=faults)
    error.about = About(kind, "meta.k8s.io")
    return error


def write_options(options: Options, kind: str, agent: str, faults: Sequence[Cause] = ()) -> WriteOptions:
    """How a write is to be done.

    Args:
        options: The query.
        kind: What Kubernetes calls its options, such as ``CreateOptions``.
        agent: The client's name for itself, as ``User-Agent`` has it; its first word is the manager where none is named.
        faults: What is wrong already.

    Raises:
        Invalid: An option has a value that it cannot have.
    """
    manager, validation = options.text("fieldManager"), options.text("fieldValidation")
    dry_run = _is_dry(options.all("dryRun"))
    if (
        faults
        or dry_run is None
        or validation not in _LEVELS
        or len(manager.encode()) > _MANAGER_LENGTH
        or not manager.isprintable()
    ):
        _require_valid(options, kind, faults)
    return WriteOptions(
        dry_run=bool(dry_run),
        validation=_LEVELS[validation],
        sent=_sent(options, kind),
        manager=manager or _program(agent),
    )


def _require_valid(options: Options, kind: str, faults: Sequence[Cause]) -> None:
    """Name what is wrong with the options of a write, if anything is."""
    manager, validation, found = options.text("fieldManager"), options.text("fieldValidation"), [*faults]
    if len(manager.encode()) > _MANAGER_LENGTH:
        found.append(too_long("fieldManager", _MANAGER_LENGTH))
    for at, letter in enumerate(manager):
        if not letter.isprintable():
            found.append(invalid("fieldManager", manager, f"invalid character U+{ord(letter):04X} (at position {at})"))
    found += _dry_faults(options.all("dryRun"))
    if validation not in _LEVELS:
        found.append(unsupported("fieldValidation", validation, _LEVELS))
    if found:
        raise invalid_options(kind, found)


@lru_cache(64)  # clients send the same with each request
def _program(agent: str) -> str:
    """What a client calls itself, as the name of a manager."""
    named = "".join(letter for letter in agent.partition("/")[0] if letter.isprintable())
    return named.encode()[:_MANAGER_LENGTH].decode(errors="ignore") or "unknown"


def _sent(options: Options, kind: str) -> Obj:
    """The options of a write as an object, such as webhooks are shown: those of a patch as of the update that it leads to."""
    sent: Obj = {"kind": "UpdateOptions" if kind == "PatchOptions" else kind, "apiVersion": "meta.k8s.io/v1"}
    sent |= {"dryRun": given} if (given := [each for each in options.all("dryRun") if each]) else {}
    return sent | {name: options.text(name) for name in ("fieldManager", "fieldValidation") if options.text(name)}


def apply_options(options: Options, agent: str) -> tuple[WriteOptions, bool]:
    """How a configuration is to be applied, and whether fields are taken from others."""
    faults = [] if options.text("fieldManager") else [required("fieldManager", "is required for apply patch")]
    return write_options(options, "PatchOptions", agent, faults), bool(options.flag("force"))


def decode_config(body: bytes) -> Any:
    """Read what is applied: YAML, of which JSON is a part.

    Raises:
        BadRequest: It is neither.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return _decode_yaml(body)


def _decode_yaml(body: bytes) -> Any:
    try:
        return yaml.read(body.decode())
    except yaml.KeyTwice as error:
        raise BadRequest(
            f'error decoding YAML: line {error.line}: key "{error.key}" already set in map. Keep one of them.'
        ) from error
    except (BadRequest, UnicodeDecodeError) as error:
        raise BadRequest(f"error decoding YAML: {error}") from error


def _is_dry(values: list[str]) -> bool | None:
    """Whether nothing is to be written; ``None`` where that cannot be told."""
    return "All" in values if all(value in {"All", ""} for value in values) else None


def _dry_faults(values: list[str]) -> list[Cause]:
    return [] if _is_dry(values) is not None else [unsupported("dryRun", values, ["All"])]


_DELETE_FIELDS: Mapping[str, tuple[type, ...]] = {
    "gracePeriodSeconds": (int,),
    "preconditions": (dict,),
    "orphanDependents": (bool,),
    "propagationPolicy": (str,),
    "dryRun": (list,),
}


def delete_options(options: Options, body: Any) -> DeleteOptions:
    """How a delete is to be done: the body's ``DeleteOptions``, else the query's.

    Raises:
        BadRequest: The body is something else, or an option has the wrong type.
        Invalid: An option has a value that it cannot have.
    """
    given: Obj = body if isinstance(body, dict) else {}
    if body is not None and not isinstance(body, dict):
        raise BadRequest("the body of a delete must be a DeleteOptions object, or empty.")
    if given.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f"the body of a delete must be a DeleteOptions object, or empty; got kind {given['kind']!r}.")
    given = {name: value for name, value in given.items() if value is not None and name in _DELETE_FIELDS}
    for name, value in given.items():
        types = _DELETE_FIELDS[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise BadRequest(f"DeleteOptions.{name}: must be {types[0].__name__}, got {value!r}.")
    conditions: Obj = given.get("preconditions", {})
    grace = given.get("gracePeriodSeconds", options.number("gracePeriodSeconds"))
    policy = given.get("propagationPolicy") or options.text("propagationPolicy")
    orphan = given.get("orphanDependents", options.flag("orphanDependents"))
    if policy and policy not in _PROPAGATION:
        known = 'supported values: "Foreground", "Background", "Orphan", "nil"'
        fault = Cause("propagationPolicy", f'Unsupported value: "{policy}": {known}', "FieldValueNotSupported")
        raise invalid_options("DeleteOptions", [fault])
    if orphan is not None:
        if policy:
            why = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
            raise invalid_options("DeleteOptions", [Cause("propagationPolicy", why)])
        policy = "Orphan" if orphan else "Background"
    dry = [str(each) for each in given.get("dryRun", [])] or options.all("dryRun")
    if found := _dry_faults(dry):
        raise invalid_options("DeleteOptions", found)
    return DeleteOptions(
        uid=_text_or_none(conditions, "uid"),
        resource_version=_text_or_none(conditions, "resourceVersion"),
        grace=grace,
        propagation=_PROPAGATION.get(policy),
        dry_run="All" in dry,
        sent=_deletion(given, options, grace, policy),
    )


def _deletion(given: Obj, options: Options, grace: int | None, policy: str) -> Obj:
    """The options of a delete as an object, such as webhooks are shown."""
    sent: Obj = {**given, "kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    sent |= {} if grace is None else {"gracePeriodSeconds": grace}
    sent |= {"propagationPolicy": policy} if policy else {}
    sent |= {"dryRun": every} if (every := options.all("dryRun")) and "dryRun" not in sent else {}
    return sent


def _text_or_none(obj: Obj, name: str) -> str | None:
    value = obj.get(name)
    return None if value is None else str(value)


def patch_type(form: str) -> PatchType:
    """The language of a patch, by its content type.

    Raises:
        UnsupportedMediaType: It is not one that is taken; says what to send instead.
    """
    found = CONTENT_TYPES.get(form)
    if found is None:
        raise UnsupportedMediaType(
            f"a patch of type {form!r} cannot be read here. Send one of {', '.join([*CONTENT_TYPES, APPLY])}."
        )
    return found


def header(scope: Scope, name: bytes) -> str:
    """The first header of a name, or ``""``."""
    for each, value in scope["headers"]:
        if each == name:
            return value.decode("latin-1")
    return ""


async def read_body(scope: Scope, receive: Receive, *, limit: int = BODY_LIMIT, too_large: str = _TOO_LARGE) -> bytes:
    """The whole body.

    Args:
        scope: ASGI's.
        receive: ASGI's.
        limit: Bytes that are taken.
        too_large: What to tell who sends more.

    Raises:
        TooLarge: It is over the limit.
        BadRequest: The client went away before its end.
        Timeout: It stopped before its end.
    """
    whole: bytes | None = scope.get(patience.BODY)
    if whole is not None and len(whole) <= limit:
        return whole
    told = header(scope, b"content-length")
    size, parts = int(told) if told.isdecimal() else 0, list[bytes]()
    if size <= limit:
        size = 0
        while True:
            message = await _piece(receive)
            if message["type"] != "http.request":
                raise BadRequest("the connection ended before the request did.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit or not message.get("more_body", False):
                break
    if size > limit:
        raise TooLarge(too_large)
    return b"".join(parts)


async def _piece(receive: Receive) -> Message:
    try:
        async with asyncio.timeout(patience.BODY_SECONDS):
            return await receive()
    except TimeoutError as error:
        raise Timeout(
            "Timeout: request did not complete within the allotted timeout: no more of its body came for "
            f"{patience.BODY_SECONDS:g} seconds. Send it again, as long as its Content-Length says."
        ) from error


def content_type(scope: Scope) -> str:
    """The media type of the body, without parameters."""
    return header(scope, b"content-type").partition(";")[0].strip().lower()


def decode_json(body: bytes) -> Any:
    """Read JSON.

    Raises:
        BadRequest: Says where it breaks.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadRequest(f"the body is not JSON: {error}.") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply.") from error


def decode_object(scope: Scope, body: bytes) -> Any:
    """Read an object in one of the forms that are taken.

    Raises:
        BadRequest: It cannot be read.
        UnsupportedMediaType: It is in another form.
    """
    form = content_type(scope)
    if form == PROTOBUF:
        return protobuf.decode(body)
    if form == YAML:
        return _decode_yaml(body)
    if form not in {"", JSON}:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(_READ)}"
        )
    return decode_json(body)


@dataclass(frozen=True, slots=True)
class Form:
    """In which form the client wants the answer.

    Attributes:
        shape: ``""`` for objects as they are, ``Table``, or ``PartialObjectMetadata``.
        of_list: Whether the client asked for metadata alone as of a list.
    """

    shape: str = ""
    of_list: bool = False


def form_of(scope: Scope, *, tables: bool = True) -> Form:
    """The first form that the client takes and the server has.

    Args:
        scope: The request.
        tables: Whether there is a table; reviews have none.

    Raises:
        NotAcceptable: There is none; says what the server has.
    """
    return _form(header(scope, b"accept"), tables=tables)


@lru_cache(64)  # clients send the same with each request
def _form(accept: str, *, tables: bool) -> Form:
    for choice in accept.split(",") if accept else ["*/*"]:
        media, *parameters = (part.strip() for part in choice.split(";"))
        if media.lower() not in _SENT:
            continue
        settings = dict(part.split("=", 1) for part in parameters if "=" in part)
        shape = settings.get("as", "")
        if not shape:
            return Form()
        if settings.get("g") == "meta.k8s.io" and settings.get("v") == "v1":
            if shape == "Table" and tables:
                return Form("Table")
            if shape in {"PartialObjectMetadata", "PartialObjectMetadataList"}:
                return Form("PartialObjectMetadata", of_list=shape.endswith("List"))
    raise NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}")


def wants_yaml(scope: Scope) -> bool:
    """Whether YAML is the first form that the client takes and the server has."""
    accept = header(scope, b"accept")
    if YAML not in accept:
        return False
    choices = (choice.partition(";")[0].strip().lower() for choice in accept.split(","))
    return next((choice for choice in choices if choice in _SENT), "") == YAML
