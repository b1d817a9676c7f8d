"""Reads requests: what a path means, which options it has, what a body is. What is not understood is refused by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope

from kedge.client.types import PatchType
from kedge.errors import ApiError, BadRequest, NotFound, TooLarge, UnsupportedMediaType
from kedge.kube.kinds import Obj
from kedge.kube.patches import CONTENT_TYPES
from kedge.server import protobuf
from kedge.server.core import Target, Validation, WriteOptions
from kedge.server.delete import DeleteOptions
from kedge.server.registry import Registry

BODY_LIMIT = 3 << 20
_TOO_LARGE = f"the request body is over {BODY_LIMIT} bytes (3 MiB), the limit of one object. Store large data as an artifact."
PROTOBUF = "application/vnd.kubernetes.protobuf"
# Every reader has these; `timeout` bounds discovery, `pretty` spaces JSON out: both change nothing that a client could miss.
_ALWAYS = frozenset({"pretty", "timeout"})
_TRUE, _FALSE = frozenset({"1", "t", "T", "true", "True", "TRUE"}), frozenset({"0", "f", "F", "false", "False", "FALSE"})
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
        raise NotFound(f"{path}: the old /{rest[0]}/ paths are not served. Add ?watch=true to the list's own path instead.")
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in {"status", "finalize"}):
        namespace, rest = rest[1], rest[2:]
    kind = registry.find(group, version, rest[0])
    if len(rest) > 3 or (namespace is not None and not kind.namespaced):
        raise NotFound(f"{path}: the server could not find the requested resource.")
    if kind.namespaced and namespace is None and len(rest) > 1:
        raise NotFound(f"{path}: {kind.plural} live in namespaces; use {kind.path('NAMESPACE', rest[1])}.")
    return Target(kind, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")


class Options:
    """The query of a request; every option has to be asked for, so that none is ignored in silence."""

    def __init__(self, scope: Scope) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            self._values.setdefault(name, []).append(value)

    def only(self, *names: str) -> "Options":
        """Refuse options other than these.

        Raises:
            BadRequest: Names the first that is not known.
        """
        for name in self._values:
            if name not in names and name not in _ALWAYS:
                known = ", ".join(names) or "none"
                raise BadRequest(f"query parameter {name!r} is not supported here. Supported: {known}. Remove it.")
        return self

    def all(self, name: str) -> list[str]:
        """Every value of an option."""
        return self._values.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        """The last value of an option."""
        return self._values[name][-1] if name in self._values else default

    def flag(self, name: str) -> bool | None:
        """A truth value; ``None`` when it is not there."""
        value = self.text(name)
        if not value:
            # As `?watch` and `?watch=`; on a real API server an empty value is false unless the name alone stands there.
            return None if name not in self._values else False
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise BadRequest(f"query parameter {name!r}: must be true or false, got {value!r}.")

    def number(self, name: str, minimum: int = 0) -> int | None:
        """A whole number; ``None`` when it is not there."""
        value = self.text(name)
        if not value:
            return None
        if not value.lstrip("-").isdecimal() or len(value) > 18 or int(value) < minimum:
            raise BadRequest(f"query parameter {name!r}: must be a whole number of at least {minimum}, got {value!r}.")
        return int(value)


def write_options(options: Options) -> WriteOptions:
    """How a create, update or patch is to be done."""
    validation = options.text("fieldValidation") or "Warn"
    levels: Mapping[str, Validation] = {"Strict": "Strict", "Warn": "Warn", "Ignore": "Ignore"}
    if validation not in levels:
        raise BadRequest(f"query parameter 'fieldValidation': must be Ignore, Warn or Strict, got {validation!r}.")
    return WriteOptions(dry_run=_dry_run(options.all("dryRun")), validation=levels[validation])


def _dry_run(values: list[str]) -> bool:
    wrong = [value for value in values if value not in {"All", ""}]
    if wrong:
        raise BadRequest(f"query parameter 'dryRun': must be All, got {wrong[0]!r}.")
    return "All" in values


_DELETE_FIELDS: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "apiVersion": (str,),
    "gracePeriodSeconds": (int,),
    "preconditions": (dict,),
    "orphanDependents": (bool,),
    "propagationPolicy": (str,),
    "dryRun": (list,),
}


def delete_options(options: Options, body: Any) -> DeleteOptions:
    """How a delete is to be done: the body's ``DeleteOptions``, else the query's.

    Raises:
        BadRequest: An option is not supported, or has the wrong type.
    """
    given: Obj = body if isinstance(body, dict) else {}
    if body is not None and not isinstance(body, dict):
        raise BadRequest("the body of a delete must be a DeleteOptions object, or empty.")
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        types = _DELETE_FIELDS.get(name)
        if types is None:
            raise BadRequest(f"DeleteOptions.{name} is not supported. Remove it.")
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise BadRequest(f"DeleteOptions.{name}: must be {types[0].__name__}, got {value!r}.")
    conditions: Obj = given.get("preconditions", {})
    grace = given.get("gracePeriodSeconds", options.number("gracePeriodSeconds", minimum=-1))
    policy = given.get("propagationPolicy") or options.text("propagationPolicy")
    orphan = given.get("orphanDependents", options.flag("orphanDependents"))
    if policy and policy not in _PROPAGATION:
        raise BadRequest(f"propagationPolicy: must be Background, Foreground or Orphan, got {policy!r}.")
    if orphan is not None:
        if policy:
            raise BadRequest("orphanDependents and propagationPolicy may not be set together. Set propagationPolicy alone.")
        policy = "Orphan" if orphan else "Background"
    return DeleteOptions(
        uid=_text_or_none(conditions, "uid"),
        resource_version=_text_or_none(conditions, "resourceVersion"),
        grace=grace,
        propagation=_PROPAGATION.get(policy),
        dry_run=_dry_run([str(each) for each in given.get("dryRun", [])] or options.all("dryRun")),
    )


def _text_or_none(obj: Obj, name: str) -> str | None:
    value = obj.get(name)
    return None if value is None else str(value)


def patch_type(form: str) -> PatchType:
    """The language of a patch, by its content type.

    Raises:
        UnsupportedMediaType: It is not one that is taken; says what to send instead.
    """
    if form == "application/apply-patch+yaml":
        raise UnsupportedMediaType(
            "server-side apply is not served here yet: nothing records who owns which field. "
            "Use client-side apply (`kubectl apply` without --server-side), or send a merge patch."
        )
    found = CONTENT_TYPES.get(form)
    if found is None:
        raise UnsupportedMediaType(f"a patch of type {form!r} cannot be read here. Send one of {', '.join(CONTENT_TYPES)}.")
    return found


def header(scope: Scope, name: bytes) -> str:
    """The first header of a name, or ``""``."""
    return next((value.decode("latin-1") for each, value in scope["headers"] if each == name), "")


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
    """
    told = header(scope, b"content-length")
    size, parts = int(told) if told.isdecimal() else 0, list[bytes]()
    if size <= limit:
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise BadRequest("the connection ended before the request did.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit or not message.get("more_body", False):
                break
    if size > limit:
        raise TooLarge(too_large)
    return b"".join(parts)


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
    if form not in {"", "application/json"}:
        raise UnsupportedMediaType(f"a body of type {form!r} cannot be read here. Send application/json or {PROTOBUF}.")
    return decode_json(body)


@dataclass(frozen=True, slots=True)
class Form:
    """In which form the client wants the answer.

    Attributes:
        shape: ``""`` for objects as they are, ``Table``, or ``PartialObjectMetadata`` (with ``List`` for lists).
    """

    shape: str = ""


def form_of(scope: Scope) -> Form:
    """The first form that the client takes and the server has.

    Raises:
        NotAcceptable: There is none; says what the server has.
    """
    accept = header(scope, b"accept")
    for choice in accept.split(",") if accept else ["*/*"]:
        media, *parameters = (part.strip() for part in choice.split(";"))
        if media.lower() not in {"application/json", "application/*", "*/*"}:
            continue
        settings = dict(part.split("=", 1) for part in parameters if "=" in part)
        shape = settings.get("as", "")
        if not shape:
            return Form()
        if settings.get("g") == "meta.k8s.io" and settings.get("v") == "v1":
            if shape == "Table":
                return Form("Table")
            if shape in {"PartialObjectMetadata", "PartialObjectMetadataList"}:
                return Form("PartialObjectMetadata")
    raise NotAcceptable(f"the answer cannot be given as {accept!r}: only JSON is served. Accept application/json.")
