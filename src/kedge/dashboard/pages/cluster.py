"""Cluster: nodes, events, and the objects of every kind that the host serves, to be read, edited and deleted as YAML."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import PlainTextResponse, Response

from kedge.dashboard.api import whole
from kedge.dashboard.nodes import Node, nodes
from kedge.dashboard.page import Page, Section, get, post
from kedge.errors import ApiError, BadRequest, Cause, Forbidden, NotFound
from kedge.kube.yaml import line_of, read, write

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_GROUPS = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_CORE, _NOWHERE = "core", "-"
"""Stand in addresses for the group and the namespace that have no name."""
_ROWS = 100
_EVENTS = 30
_MOST = 500
_FIELD = re.compile(r"Go struct field \w+\.(\S+) of type ")
_LOG_LINES, _LOG_BYTES = 1000, 4 << 20
_OBJECTS = "/cluster/objects/{group}/{version}/{plural}"
_OBJECT = _OBJECTS + "/{namespace}/{name}"


@dataclass(frozen=True, slots=True)
class Place:
    """A kind, or one object of it, as an address names it.

    Attributes:
        group: ``""`` for the core group.
        version: Such as ``v1``.
        plural: Such as ``pods``.
        namespace: ``""`` for all of them, or where the kind has none.
        name: Of the object; ``""`` for the kind.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""

    @classmethod
    def of(cls, path: Mapping[str, str]) -> "Place":
        """The place that the path of a page names."""
        group, namespace = path["group"], path.get("namespace", "")
        return cls(
            "" if group == _CORE else group,
            path["version"],
            path["plural"],
            "" if namespace == _NOWHERE else namespace,
            path.get("name", ""),
        )

    @property
    def api(self) -> str:
        """Its path in the Kubernetes API."""
        start = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{start}{where}/{self.plural}" + (f"/{self.name}" if self.name else "")

    @property
    def kind_page(self) -> str:
        """The page of its kind."""
        return f"/cluster/objects/{self.group or _CORE}/{self.version}/{self.plural}"

    def page(self, namespace: str, name: str) -> str:
        """The page of an object of this kind."""
        return f"{self.kind_page}/{namespace or _NOWHERE}/{name}"


async def cluster(page: Page) -> Response:
    """``GET /cluster``."""
    kinds = await _kinds(page)
    machines, no_nodes = await _machines(page)
    within = f"/namespaces/{page.tenant}" if page.tenant else ""
    events, no_events = await _seen(page, f"/api/v1{within}/events")
    return page.render(
        "cluster.html",
        kinds=kinds,
        nodes=machines,
        no_nodes=no_nodes,
        events=[_event(each) for each in sorted(events, key=_last_seen, reverse=True)[:_EVENTS]],
        no_events=no_events,
    )


async def objects(page: Page) -> Response:
    """``GET /cluster/objects/{group}/{version}/{plural}``: those of one kind."""
    place = Place.of({**page.path, "namespace": page.query("in") or page.tenant})
    labels = page.query("labels")
    query = {"limit": _ROWS, "continue": page.query("continue"), "labelSelector": labels}
    fault = ""
    found: dict[str, Any] = {"columnDefinitions": [], "rows": [], "metadata": {}}
    try:
        found = await page.api.send("GET", place.api, query=query, accept=_TABLE)
    except BadRequest as error:  # a selector that cannot be read
        fault = str(error)
    namespaced = await _is_namespaced(page, place)
    columns = [(number, each["name"]) for number, each in enumerate(found["columnDefinitions"]) if not each.get("priority")]
    rows = [_row(place, each) for each in found["rows"]]
    return page.render(
        "cluster_objects.html",
        place=place,
        columns=columns,
        rows=rows,
        labels=labels,
        fault=fault,
        namespaced=namespaced,
        more=found["metadata"].get("continue", ""),
    )


async def one(page: Page) -> Response:
    """``GET /cluster/objects/…/{namespace}/{name}``: an object, as YAML, with what was said of it."""
    place = Place.of(page.path)
    found = await page.api.get(place.api)
    where = f"/api/v1/namespaces/{place.namespace}/events" if place.namespace else "/api/v1/events"
    events, no_events = await _seen(page, where, f"involvedObject.uid={found['metadata']['uid']}")
    said = [_event(each) for each in sorted(events, key=_last_seen, reverse=True)]
    hidden = [] if page.query("all") else _hide(found)
    return page.render(
        "cluster_object.html",
        place=place,
        found=found,
        text=write(found),
        hidden=hidden,
        events=said,
        no_events=no_events,
        kubectl=_kubectl(place, "edit"),
    )


async def edit(page: Page) -> Response:
    """``GET …/edit``: the object as a text that can be changed."""
    place = Place.of(page.path)
    if page.tenant:
        raise Forbidden(f"this hub changes no objects for others. `{_kubectl(place, 'edit')}` does it with your own rights.")
    found = await page.api.get(place.api)
    found["metadata"].pop("managedFields", None)
    return page.render("cluster_edit.html", place=place, text=write(found), faults=[], passed="")


async def save(page: Page) -> Response:
    """``POST …/edit``: replace the object, or only ask whether it could be. What is refused stays in the form."""
    place, form = Place.of(page.path), await page.form()
    text = form.text("text").replace("\r\n", "\n")
    checking = form.text("do") == "check"
    query = {"fieldValidation": "Strict", "dryRun": "All" if checking else ""}
    try:
        await page.api.send("PUT", place.api, read(text), query=query)
    except ApiError as error:
        if isinstance(error, NotFound):
            raise
        shown = [(line_of(text, cause.field), cause) for cause in _causes(error)]
        return page.render("cluster_edit.html", code=error.code, place=place, text=text, faults=shown, passed="")
    if checking:
        return page.render("cluster_edit.html", place=place, text=text, faults=[], passed="The API would take it.")
    return page.go(place.page(place.namespace, place.name), "Saved.")


def _causes(error: ApiError) -> Sequence[Cause]:
    """What is wrong, by field; that a value has the wrong type is told in a sentence, which names its field."""
    found = _FIELD.search(str(error))
    return error.causes or (Cause(found[1] if found else "", str(error)),)


async def delete(page: Page) -> Response:
    """``POST …/delete``."""
    place = Place.of(page.path)
    await page.api.send("DELETE", place.api)
    return page.go(place.kind_page, f"{place.name} is deleted, or on its way: what must be done before is done first.")


async def log(page: Page) -> Response:
    """``GET /cluster/pods/{namespace}/{name}/log``: the end of what a Pod's container wrote, as text."""
    path = f"/api/v1/namespaces/{page.path['namespace']}/pods/{page.path['name']}/log"
    async with page.api.open(path, tailLines=_LOG_LINES, container=page.query("container"), timestamps="true") as answer:
        found = await whole(answer, _LOG_BYTES)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
    return PlainTextResponse(found.decode("utf-8", "replace"), headers=headers)


def _kubectl(place: Place, verb: str) -> str:
    """The command that does something with an object."""
    kind = f"{place.plural}.{place.group}" if place.group else place.plural
    return f"kubectl {verb} {kind} {place.name}" + (f" --namespace {place.namespace}" if place.namespace else "")


async def _seen(page: Page, path: str, selector: str = "") -> tuple[list[dict[str, Any]], str]:
    """The objects of a list, or why they may not be seen."""
    try:
        return (await page.api.get(path, fieldSelector=selector, limit=_MOST))["items"], ""
    except Forbidden as error:
        return [], str(error)


async def _machines(page: Page) -> tuple[list[Node], str]:
    """The nodes, or why they may not be seen."""
    try:
        return await nodes(page), ""
    except Forbidden as error:
        return [], str(error)


async def _kinds(page: Page) -> list[tuple[str, list[dict[str, Any]]]]:
    """The kinds that can be listed, by group."""
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for start in ("/api", "/apis"):
        groups = await page.api.send("GET", start, accept=_GROUPS)
        for group in groups["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"][:1]:
                kinds = [_kind(name, version["version"], each) for each in version["resources"] if "list" in each["verbs"]]
                if kinds:
                    found.append((name or _CORE, kinds))
    return found


def _kind(group: str, version: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    place = Place(group, version, resource["resource"])
    return {"kind": resource["responseKind"]["kind"], "page": place.kind_page, "plural": place.plural}


async def _is_namespaced(page: Page, place: Place) -> bool:
    start = f"/apis/{place.group}/{place.version}" if place.group else f"/api/{place.version}"
    known = await page.api.get(start)
    return any(each["name"] == place.plural and each["namespaced"] for each in known["resources"])


def _row(place: Place, row: Mapping[str, Any]) -> dict[str, Any]:
    metadata = row["object"]["metadata"]
    namespace = metadata.get("namespace", "")
    return {"namespace": namespace, "page": place.page(namespace, metadata["name"]), "cells": row["cells"]}


def _last_seen(event: Mapping[str, Any]) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    about: Mapping[str, str] = event.get("involvedObject", {})
    page = ""
    if about.get("kind") == "Pod":
        page = Place("", "v1", "pods").page(about.get("namespace", ""), about.get("name", ""))
    return {
        "type": event.get("type", "Normal"),
        "reason": event.get("reason", ""),
        "message": event.get("message", ""),
        "count": event.get("count") or 1,
        "seen": _last_seen(event),
        "kind": about.get("kind", ""),
        "name": about.get("name", ""),
        "page": page,
    }


def _hide(found: dict[str, Any]) -> list[str]:
    """Take out what is seldom wanted, or not to be seen over a shoulder; says what."""
    hidden: list[str] = []
    if found["metadata"].pop("managedFields", None):
        hidden.append("who manages which field")
    if found.get("kind") == "Secret":
        for part in ("data", "stringData"):
            for name, value in _texts(found.get(part)):
                found[part][name] = f"({len(value)} characters)"
                hidden.append(f"{part}.{name}")
    return hidden


def _texts(part: object) -> Iterable[tuple[str, str]]:
    return [(name, str(value)) for name, value in part.items()] if isinstance(part, dict) else []


SECTION = Section(
    "Cluster",
    "/cluster",
    (
        get("/cluster", cluster),
        get("/cluster/pods/{namespace}/{name}/log", log),
        get(_OBJECTS, objects),
        get(_OBJECT + "/edit", edit),
        post(_OBJECT + "/edit", save),
        post(_OBJECT + "/delete", delete),
        get(_OBJECT, one),
    ),
)
