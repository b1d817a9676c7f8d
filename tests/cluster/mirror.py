"""A registry that can only be read: the images that tests have brought, under whatever registry's name they are asked for.

The node's runtime asks it in place of every registry (a *mirror*), so Pods are started as anywhere: the node pulls, also what is
untagged and thus pulled always, and is told *not found* of what does not exist.

    mirror.py FOLDER ADDRESS PORT     each entry of FOLDER is an OCI image layout
"""

import json
import re
import shutil
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

NAME = "org.opencontainers.image.ref.name"  # whole, such as docker.io/library/busybox:latest
ASKED = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")


def manifest_of(folder: Path, name: str) -> tuple[Path, dict[str, str]] | None:
    """The layout that has an image, and the entry of its index.

    Args:
        folder: Of layouts.
        name: Whole.
    """
    for index in sorted(folder.glob("*/index.json")):
        for entry in json.loads(index.read_text())["manifests"]:
            if entry.get("annotations", {}).get(NAME) == name:
                return index.parent, entry
    return None


class Answer(BaseHTTPRequestHandler):
    """One request."""

    folder = Path()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the library's name
        """Answer with a manifest or a blob."""
        url = urlsplit(self.path)
        asked = ASKED.fullmatch(url.path)
        if url.path.rstrip("/") == "/v2":
            self._say(200, {"Content-Length": "0"})
        elif asked is None or (found := self._find(parse_qs(url.query).get("ns", [""])[0], **asked.groupdict())) is None:
            self._say(404, {"Content-Length": "0"})
        else:
            blob, kind = found
            self._say(200, {"Content-Length": str(blob.stat().st_size), "Content-Type": kind, **_digest(blob)})
            if self.command == "GET":
                with blob.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile, 1 << 20)

    do_HEAD = do_GET  # noqa: N815  # the library's name

    def _find(self, registry: str, repository: str, kind: str, reference: str) -> tuple[Path, str] | None:
        if reference.startswith("sha256:"):
            algorithm, _, digest = reference.partition(":")
            blob = next(iter(self.folder.glob(f"*/blobs/{algorithm}/{digest}")), None)
            return blob and (blob, _media_type(blob) if kind == "manifests" else "application/octet-stream")
        found = manifest_of(self.folder, f"{registry}/{repository}:{reference}")
        if found is None:
            return None
        layout, entry = found
        return layout / "blobs" / entry["digest"].replace(":", "/"), entry["mediaType"]

    def _say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _digest(blob: Path) -> dict[str, str]:
    return {"Docker-Content-Digest": f"{blob.parent.name}:{blob.name}"}


def _media_type(manifest: Path) -> str:
    return json.loads(manifest.read_text()).get("mediaType", "application/vnd.oci.image.manifest.v1+json")


def main() -> None:
    """Serve until the end."""
    Answer.folder = Path(sys.argv[1])
    ThreadingHTTPServer((sys.argv[2], int(sys.argv[3])), Answer).serve_forever()


if __name__ == "__main__":
    main()
