"""The files that pages load. Their addresses hold a digest of all of them, so that browsers keep them for good."""

import asyncio
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from kedge.errors import NotFound

FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_COMPRESSED = frozenset({".js", ".css", ".svg"})
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes
    media: str


class StaticFiles:
    """Serves the files of a folder.

    Args:
        folder: Where they lie; files of folders in it are not served.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._kept: dict[str, _File] = {}

    @cached_property
    def version(self) -> str:
        """A digest of all of them."""
        found = hashlib.sha256()
        for path in sorted(self._folder.iterdir()):
            found.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Where a browser finds a file."""
        return f"/static/{self.version}/{name}"

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self._folder / name).is_file()

    async def serve(self, request: Request) -> Response:
        """``GET /static/{version}/{name}``, for everybody: there is nothing of anybody's in them."""
        file = await asyncio.to_thread(self._file, request.path_params["name"])  # Plotly takes a third of a second to pack
        kept = request.path_params["version"] == self.version
        headers = {
            "Cache-Control": _FOREVER if kept else "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        if file.packed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media)
        return Response(file.body, headers=headers, media_type=file.media)

    def _file(self, name: str) -> _File:
        if name not in self._kept:
            path = self._folder / name
            if path.parent != self._folder or not path.is_file():
                raise NotFound(f"{name!r:.80}: there is no such file among those of the pages.")
            body, suffix = path.read_bytes(), path.suffix
            packed = gzip.compress(body, 6, mtime=0) if suffix in _COMPRESSED else b""
            media = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
            self._kept[name] = _File(body, packed, media)
        return self._kept[name]
