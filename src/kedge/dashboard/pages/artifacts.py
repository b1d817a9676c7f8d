"""Artifacts: which there are, what each is and shows of itself, its bytes, and its lineage both ways."""

import asyncio
import re
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, unquote

from starlette.responses import Response, StreamingResponse

from kedge.dashboard import lineage, previews
from kedge.dashboard.api import filtered, rest
from kedge.dashboard.page import Page, Section, get, link
from kedge.errors import ApiError, NotFound, ServerError

TYPES = ("Dataset", "Model", "Metrics", "ClassificationMetrics", "SlicedClassificationMetrics", "HTML", "Markdown", "Artifact")
"""Those of Kubeflow, which are proposed; any other is found by its whole title, such as ``acme.Forecast``."""
_PAGE, _PAGE_MOST = 50, 200
_DEPTH, _DEPTH_MOST = 2, 12
_SNIFFED = 1024
_BLOCK = 512  # of a tar
_ACTIVE = ("text/html", "image/svg")  # what may hold scripts
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}
FRAME = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; frame-ancestors 'self'"
)
"""The policy of what a step wrote, in its frame: an origin of nobody's, without cookies, which cannot load or send anything."""


async def listed(page: Page) -> Response:
    """``GET /artifacts``: newest first, filtered by name, type, run and metadata."""
    asked = {name: page.query(name).strip() for name in ("name", "type", "run_id", "metadata")}
    fault = ""
    if asked["metadata"] and not all(part.strip() for part in asked["metadata"].partition("=")):
        fault = "Metadata is asked for as key=value, such as framework=sklearn."
    predicates = [] if fault else _predicates(asked)
    text = filtered(predicates)
    size = page.number("page_size", _PAGE, most=_PAGE_MOST)
    found = (
        {}
        if fault
        else await page.api.get(
            "/artifacts",
            namespace=page.namespace,
            run_id=asked["run_id"],
            page_size=size,
            page_token=page.query("page_token"),
            filter=text,
        )
    )
    return page.render(
        "artifacts.html", asked=asked, fault=fault, found=found, types=TYPES, schema=previews.schema, filtered=any(asked.values())
    )


def _predicates(asked: Mapping[str, str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    if asked["name"]:
        found.append({"key": "name", "operation": "IS_SUBSTRING", "string_value": asked["name"]})
    if asked["type"]:
        title = f"system.{asked['type']}" if asked["type"] in TYPES else asked["type"]
        found.append({"key": "type", "operation": "EQUALS", "string_value": title})
    if asked["metadata"]:
        key, _, value = asked["metadata"].partition("=")
        found.append({"key": f"metadata.{key.strip()}", "operation": "EQUALS", "string_value": value.strip()})
    return found


async def artifact(page: Page) -> Response:
    """``GET /artifacts/{artifact_id}``: what it is, what made it, what it shows of itself, and its lineage."""
    found = await page.api.get(_api(page))
    depth = page.number("depth", _DEPTH, most=_DEPTH_MOST)
    path = page.query("path")
    origin, shown, files, drawing = await asyncio.gather(
        page.api.get(_api(page) + "/origin"), previews.of(page.api, found, path), _files(page), lineage.of(page.api, found, depth)
    )
    return page.render(
        "artifact.html",
        artifact=found,
        schema=previews.schema,
        origin=origin,
        preview=shown,
        path=path,
        files=files,
        drawing=drawing,
        depth=depth,
        more=min(depth + 2, _DEPTH_MOST) if drawing.more and depth < _DEPTH_MOST else 0,
    )


async def preview(page: Page) -> Response:
    """``GET …/preview``: what it shows of itself, a part for other pages."""
    found = await page.api.get(_api(page))
    path = page.query("path")
    return page.render("preview.html", artifact=found, preview=await previews.of(page.api, found, path), path=path)


async def view(page: Page) -> Response:
    """``GET …/view``: a page or a picture of a step's as it is, in an origin of nobody's.

    Raises:
        NotFound: It is neither.
    """
    found = await page.api.get(_api(page))
    path = page.query("path")
    stack = AsyncExitStack()
    answer = await stack.enter_async_context(page.api.open(_api(page) + "/content", path=path))
    pieces = answer.aiter_bytes()
    start = b""
    async for piece in pieces:
        start += piece
        if len(start) >= _SNIFFED:
            break
    name = (path or found.get("uri", "")).rpartition("/")[2].lower()
    kind = previews.media(start, name, "" if path else previews.schema(found))
    if not kind:
        await stack.aclose()
        raise NotFound("It is no page and no picture of a kind that browsers draw. Download it to look at it.")
    if kind.startswith(_ACTIVE) and page.request.headers.get("sec-fetch-dest") == "document":
        # In a frame our own policy holds it; a page of its own could lead itself to another machine, with what it knows.
        await stack.aclose()
        return page.go(link(_api(page), path=path))
    headers = {**_HEADERS, "Content-Security-Policy": FRAME}
    return StreamingResponse(rest(stack, pieces, start), 200, headers, kind)


async def download(page: Page) -> Response:
    """``GET …/download``: its bytes, or those of a file of a folder; a folder as a tar."""
    found = await page.api.get(_api(page))
    path = page.query("path")
    files = [] if path else await _files(page)
    name = (path or unquote(str(found.get("uri", "")).rstrip("/"))).rpartition("/")[2] or found.get("name", "")
    headers = {**_HEADERS, "Content-Security-Policy": "sandbox; default-src 'none'"}
    if files:
        headers["Content-Disposition"] = _attachment(f"{name}.tar")
        return StreamingResponse(_tar(page, files), 200, headers, "application/x-tar")
    stack = AsyncExitStack()
    answer = await stack.enter_async_context(page.api.open(_api(page) + "/content", path=path))
    headers["Content-Disposition"] = _attachment(name)
    return StreamingResponse(rest(stack, answer.aiter_bytes()), 200, headers, "application/octet-stream")


async def _tar(page: Page, files: Sequence[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    for each in files:
        info = tarfile.TarInfo(each["path"])
        info.size = int(each.get("size", 0))
        yield info.tobuf(tarfile.PAX_FORMAT)
        sent = 0
        async with page.api.open(_api(page) + "/content", path=each["path"]) as answer:
            async for piece in answer.aiter_bytes():
                sent += len(piece)
                yield piece
        if sent != info.size:
            raise ServerError(
                f"{each['path']}: has {sent} bytes, not the {info.size} that were recorded; the download is not whole."
            )
        yield bytes(-sent % _BLOCK)
    yield bytes(2 * _BLOCK)


async def _files(page: Page) -> list[dict[str, Any]]:
    """Those of a folder; none where its bytes are not to be had."""
    try:
        return (await page.api.get(_api(page) + "/files")).get("files", [])
    except ApiError:
        return []


def _attachment(name: str) -> str:
    r"""A download's header: the name in letters that mean the same everywhere, and in its own, without what is none.

    Examples:
        >>> _attachment("a.csv")
        'attachment; filename="a.csv"'
        >>> _attachment("größe\n\u202e.csv")
        'attachment; filename="gr-e-.csv"; filename*=UTF-8\'\'gr%C3%B6%C3%9Fe.csv'
    """
    own = "".join(each for each in name if each.isprintable() and each not in '/\\:*?"<>|').strip(". ")[:120]
    said = f'attachment; filename="{_safe(name)}"'
    return said if own.isascii() else f"{said}; filename*=UTF-8''{quote(own, safe='')}"


def _safe(name: str) -> str:
    r"""A file name that means the same everywhere.

    Examples:
        >>> _safe('a"b\r\n;c.csv'), _safe("...")
        ('a-b-c.csv', 'artifact')
    """
    return re.sub(r"[^A-Za-z0-9._ -]+", "-", name).strip(". -")[:120] or "artifact"


def _api(page: Page) -> str:
    return f"/artifacts/{quote(page.path['artifact_id'], safe='')}"


SECTION = Section(
    "Artifacts",
    "/artifacts",
    [
        get("/artifacts", listed),
        get("/artifacts/{artifact_id}", artifact),
        get("/artifacts/{artifact_id}/preview", preview),
        get("/artifacts/{artifact_id}/view", view),
        get("/artifacts/{artifact_id}/download", download),
    ],
)
