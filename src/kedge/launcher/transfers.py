"""Files on their way between a step and an object store: in parts, tried again, and compared with their checksums.

Loaded only by steps whose artifacts lie in an object store. Nothing of a file is held in memory but the piece on its way. A store
that is away is waited for as long as a hub that is away; an upload goes on at the part that failed, a download at the byte. Of a
large file a few parts go at once.
"""

import base64
import hashlib
import http.client
import json
import os
import sys
import threading
import time
from typing import Any, BinaryIO, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from .errors import HubUnreachable, StepError
from .files import MANIFEST, describe, make_parent
from .hub import PATIENCE, Hub

_CHUNK = 1 << 20
_AT_ONCE = 4  # parts, or ranges: each holds a chunk of its own, so memory does not grow with the file
_RANGE = 16 << 20  # bytes of a large file that are fetched with one request
_FAST = 0.15  # seconds for the first of them, below which one connection is as quick as several
_SMALL = 32 << 20  # bytes; up to here the address that `begin` granted is enough
_BATCH = 100  # files whose addresses are asked for at once: they are good for an hour
_DAMAGED = 3  # times that a file may arrive as another before that counts as what it is
_TIMEOUT = 60.0  # seconds without a byte


class _Expired(Exception):  # not an error yet
    """The store says no: perhaps the address is over, and a new one is not."""


class _Changed(Exception):  # not an error yet
    """Another file lies there than the one that was begun."""


class _Absent(Exception):  # not an error yet
    """The store has nothing there."""


def upload(path: str, uri: str, grant: Mapping[str, Any], name: str) -> Tuple[str, int]:
    """Send what a step wrote to where it belongs: a file, or a folder's files and then its manifest.

    Args:
        path: A file or folder.
        uri: Its address.
        grant: As ``begin`` gave it; empty for an address that the step chose itself.
        name: The output's, for messages.

    Returns:
        Digest and size, as they are committed.

    Raises:
        StepError: A folder holds what is no file of its own.
        HubUnreachable: The store did not answer, or refused.
    """
    digest, size = describe(path, name)
    sender = _Sender(uri, f"output {name!r}")
    if os.path.isdir(path):
        with open(path + MANIFEST, encoding="utf-8") as file:
            members = [(os.path.join(path, *one["path"].split("/")), one) for one in json.load(file)["files"]]
        for start in range(0, len(members), _BATCH):
            sender.send([(local, {"path": one["path"], "size": one["size"]}) for local, one in members[start : start + _BATCH]])
        sender.send([(path + MANIFEST, {"manifest": True, "size": os.path.getsize(path + MANIFEST)})])
    else:
        sender.send([(path, {"size": size})], [grant] if grant.get("url") and (size or 0) <= _SMALL else None)
    return digest, size or 0


def download(path: str, grant: Mapping[str, Any], name: str) -> None:
    """Fetch what an earlier step wrote: a file, or a folder by its manifest (or the hub's listing); whole, or not at all.

    Nothing, where that step wrote nothing.

    Args:
        path: Where to.
        grant: As ``begin`` gave it.
        name: The input's, for messages.

    Raises:
        StepError: It is not there, or not what was committed, or a folder's manifest names a file outside of it.
        HubUnreachable: The store did not answer, or refused.
    """
    make_parent(path)
    receiver = _Receiver(grant["uri"], f"input {name!r}")
    digest = str(grant.get("digest") or "").rpartition(":")[2]
    try:
        receiver.fetch({}, path, digest, grant["url"])
    except _Absent:
        members = _members(receiver, path + MANIFEST, digest, needed=not grant.get("optional"))
        if members is not None:
            _folder(receiver, path, members)


def _members(receiver: "_Receiver", manifest: str, digest: str, *, needed: bool) -> Optional[List[Dict[str, Any]]]:
    try:
        receiver.fetch({"manifest": True}, manifest, digest)
    except _Absent:
        # A folder that Kedge did not write has no manifest, and nobody committed it.
        members = [] if digest else Hub().listing(receiver.uri)
        if needed and not members:
            raise StepError(f"{receiver.what}: nothing lies at {receiver.uri}. Was it deleted?", "InputMissing") from None
        return members or None
    with open(manifest, encoding="utf-8") as file:
        return list(json.load(file)["files"])


def _folder(receiver: "_Receiver", path: str, members: List[Dict[str, Any]]) -> None:
    os.makedirs(path, exist_ok=True)
    for one in members:
        parts = str(one["path"]).split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in one["path"]:
            raise StepError(
                f"{receiver.what}: the manifest of the folder {receiver.uri} names {one['path']!r}, which leaves it. "
                "It was not made by Kedge; refused.",
                "InputInvalid",
            )
    for start in range(0, len(members), _BATCH):
        some = members[start : start + _BATCH]
        urls = receiver.addresses([{"path": one["path"]} for one in some])
        for one, url in zip(some, urls):
            local = os.path.join(path, *one["path"].split("/"))
            make_parent(local)
            try:
                receiver.fetch({"path": one["path"]}, local, one.get("sha256", ""), url)
            except _Absent:
                raise StepError(
                    f"{receiver.what}: {one['path']!r} is missing from the folder {receiver.uri}. Was it deleted?", "InputMissing"
                ) from None


class _Sender:
    """Sends the files of one artifact."""

    def __init__(self, uri: str, what: str) -> None:
        self._uri = uri
        self.what = f"{what} could not be stored"
        self._hub: Optional[Hub] = None

    def send(self, files: List[Tuple[str, Dict[str, Any]]], offers: Any = None) -> None:
        """Send files of which each is named as the hub is asked for it."""
        if offers is None:
            offers = self.ask([asked for _, asked in files])
        for (path, asked), offer in zip(files, offers):
            if offer.get("urls"):
                self._send_parts(path, asked, offer)
            else:
                self._send_whole(path, asked, offer)

    def ask(self, files: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Ask the hub where files can be sent."""
        if self._hub is None:
            self._hub = Hub()
        return self._hub.transfers("outputs", self._uri, files)

    def _send_whole(self, path: str, asked: Dict[str, Any], offer: Mapping[str, Any]) -> None:
        checksum = _md5(path, 0, asked["size"])
        offers = [offer]

        def renew() -> None:
            offers[0] = self.ask([asked])[0]

        def put() -> None:
            _put(offers[0]["url"], offers[0].get("headers") or {}, (path, 0, asked["size"]), checksum)

        try:
            _patiently(put, self.what, renew)
        except _Absent:
            raise HubUnreachable(f"{self.what}: the object store does not know the bucket of {self._uri}.") from None

    def _send_parts(self, path: str, asked: Dict[str, Any], offer: Dict[str, Any]) -> None:
        parts = _Parts(path, asked, offer, self)
        while True:
            try:
                etags = _at_once(parts.send, range(len(offer["urls"])))
                break
            except _Absent:
                parts.renew(again=True)  # the store has forgotten the upload
        if self._hub is None:
            self._hub = Hub()
        self._hub.complete(self._uri, dict(asked, upload=parts.offer["upload"]), etags)


class _Parts:
    """The parts of one file on their way, several at once; they share the addresses."""

    def __init__(self, path: str, asked: Dict[str, Any], offer: Dict[str, Any], sender: _Sender) -> None:
        self.offer = offer
        self._path = path
        self._asked = asked
        self._sender = sender
        self._renewing = threading.Lock()

    def send(self, number: int) -> str:
        """Send one part; returns its ETag. Raises `_Absent` where the store does not know the upload."""
        start = number * self.offer["partSize"]
        piece = (self._path, start, min(self.offer["partSize"], self._asked["size"] - start))
        checksum = _md5(*piece)
        used = [self.offer]

        def put() -> str:
            used[0] = self.offer
            return _put(used[0]["urls"][number], {}, piece, checksum)

        return str(_patiently(put, self._sender.what, lambda: self.renew(used[0])))

    def renew(self, refused: Optional[Dict[str, Any]] = None, *, again: bool = False) -> None:
        """Ask for new addresses, of the same upload or of another; only the first of those that were refused together does."""
        with self._renewing:
            if refused is None or refused is self.offer:
                more = {} if again else {"upload": self.offer["upload"]}
                self.offer = self._sender.ask([dict(self._asked, **more)])[0]


class _Receiver:
    """Fetches the files of one artifact."""

    def __init__(self, uri: str, what: str) -> None:
        self.uri = uri
        self.what = what

    def addresses(self, files: List[Dict[str, Any]]) -> List[str]:
        """Ask the hub where files can be read."""
        return [one["url"] for one in Hub().transfers("inputs", self.uri, files)]

    def fetch(self, asked: Dict[str, Any], path: str, digest: str, url: str = "") -> None:
        """Fetch one file and compare it with its digest, if that is known; raises `_Absent` where there is nothing."""
        urls = [url or self.addresses([asked])[0]]

        def renew() -> None:
            urls[0] = self.addresses([asked])[0]

        found = ""
        for _ in range(_DAMAGED):
            progress = _Progress(path + ".partial")
            _patiently(lambda going=progress: going.go_on(urls[0]), f"{self.what} could not be fetched", renew)
            if not self._fetch_ranges(progress, urls, renew):
                continue  # another file lies there now
            found = progress.hexdigest()
            if found == (digest or found):
                os.replace(path + ".partial", path)
                return
        os.unlink(path + ".partial")
        raise StepError(
            f"{self.what}: what lies at {'/'.join(filter(None, [self.uri, asked.get('path')]))} is not what was committed: its "
            f"SHA-256 is {found}, not {digest}. It was changed or damaged; run the step that made it again.",
            "InputInvalid",
        )

    def _fetch_ranges(self, progress: "_Progress", urls: List[str], renew: Callable[[], None]) -> bool:
        """Fetch what is left of a large file, several ranges at once; False if it was changed meanwhile."""

        def fetch(number: int) -> None:
            _patiently(lambda: progress.fetch(urls[0], number), f"{self.what} could not be fetched", renew)

        try:
            if progress.ranges:
                _at_once(fetch, range(len(progress.ranges)))
        except _Changed:
            return False
        return True


class _Progress:
    """How far a download has come: what was received is not fetched again after an interruption."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._begin()

    def _begin(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self.ranges: List[List[int]] = []  # what is left of a large file: from, and up to
        self._etag = ""
        with open(self._path, "wb"):
            pass

    def go_on(self, url: str) -> None:
        # If-Match: what goes on must be what was begun, or both halves would be of different files.
        going_on = bool(self._size and self._etag)
        if self._size and not going_on:
            self._begin()
        headers = {"Range": f"bytes={self._size}-", "If-Match": self._etag} if going_on else {}
        try:
            with _opened(Request(url, headers=headers)) as answer:  # noqa: S310  # an address that the hub made
                if going_on and answer.status != 206:
                    self._begin()
                self._etag = answer.headers.get("ETag") or ""
                self._receive(answer)
        except HTTPError as error:
            if error.code not in (412, 416):
                raise
            self._begin()  # another file lies there now
            raise OSError("the file was changed while it was fetched") from error

    def _receive(self, answer: Any) -> None:
        announced = answer.headers.get("Content-Length")
        rest = int(announced) if announced is not None else None
        # A weak ETag does not say that it is the same to the byte.
        certain = self._etag and not self._etag.startswith("W/") and answer.headers.get("Accept-Ranges") == "bytes"
        large = rest is not None and rest > _SMALL and certain
        wanted, start = rest, time.monotonic()
        with open(self._path, "ab") as file:
            while wanted is None or wanted:
                piece = answer.read(_CHUNK if wanted is None else min(_CHUNK, wanted))
                if not piece:
                    break
                file.write(piece)
                self._digest.update(piece)
                self._size += len(piece)
                wanted = wanted - len(piece) if wanted is not None else None
                if large and wanted and rest and rest - wanted >= _RANGE:
                    large = False
                    if time.monotonic() - start > _FAST:
                        end = self._size + wanted
                        self.ranges = [[first, min(first + _RANGE, end)] for first in range(self._size, end, _RANGE)]
                        return
        if wanted:
            raise OSError(f"the connection ended {wanted} bytes early")

    def fetch(self, url: str, number: int) -> None:
        """Fetch what is left of one range; raises `_Changed` where it is of another file."""
        span = self.ranges[number]
        if span[0] == span[1]:
            return
        headers = {"Range": f"bytes={span[0]}-{span[1] - 1}", "If-Match": self._etag}
        try:
            with _opened(Request(url, headers=headers)) as answer, open(self._path, "r+b") as file:  # noqa: S310  # the hub's
                if answer.status != 206:
                    raise _Changed
                file.seek(span[0])
                while span[0] < span[1]:
                    piece = answer.read(min(_CHUNK, span[1] - span[0]))
                    if not piece:
                        raise OSError(f"the connection ended {span[1] - span[0]} bytes early")
                    file.write(piece)
                    span[0] += len(piece)
        except HTTPError as error:
            if error.code not in (412, 416):
                raise
            raise _Changed from error

    def hexdigest(self) -> str:
        """SHA-256 of all that was received."""
        with open(self._path, "rb") as file:
            file.seek(self._size)
            for piece in iter(lambda: file.read(_CHUNK), b""):
                self._digest.update(piece)
        return self._digest.hexdigest()


def _at_once(act: Callable[[int], Any], numbers: Iterable[int]) -> List[Any]:
    """Act on each number, a few at once, and return the answers in order; the first failure ends it, and is raised."""
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait  # only large files need it

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        going = [pool.submit(act, number) for number in numbers]
        done, waiting = wait(going, return_when=FIRST_EXCEPTION)
        for one in waiting:
            one.cancel()
        for one in done:
            if one.exception() is not None:
                raise one.exception()  # type: ignore[misc]
        return [one.result() for one in going]


class _Piece:
    """A part of a file, as something that `http.client` reads."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        file.seek(start)
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        # `http.client` asks for 8 kB at a time; larger pieces are fewer calls.
        wanted = self._left if size < 0 else min(self._left, max(size, 1 << 16))
        piece = self._file.read(wanted)
        self._left -= len(piece)
        return piece


def _put(url: str, headers: Mapping[str, str], piece: Tuple[str, int, int], checksum: str) -> str:
    """Send a part of a file; returns the ETag that the store gave it."""
    path, start, size = piece
    sent = {"Content-Length": str(size), "Content-Type": "application/octet-stream", **headers}
    if checksum:
        sent["Content-MD5"] = checksum
    with open(path, "rb") as file:
        request = Request(url, _Piece(file, start, size), sent, method="PUT")  # type: ignore[arg-type]  # noqa: S310  # a hub's address
        with _opened(request) as answer:
            answer.read()
            return str(answer.headers.get("ETag") or "")


def _opened(request: Request) -> Any:
    try:
        return urlopen(request, timeout=_TIMEOUT)  # noqa: S310  # an address that the hub made
    except HTTPError as error:
        if error.code == 404:
            error.close()
            raise _Absent from error
        if error.code == 403:
            error.close()
            raise _Expired(str(error)) from error
        raise


def _patiently(act: Callable[[], Any], what: str, renew: Callable[[], None]) -> Any:
    """Try for as long as a store may be away."""
    patience = float(os.environ.get("KEDGE_HUB_PATIENCE", PATIENCE))
    start, told, renewed = time.monotonic(), False, 0
    for delay in _delays():
        try:
            return act()
        except _Expired as error:
            renewed += 1
            if renewed > 3:
                raise HubUnreachable(
                    f"{what}: the object store refuses the hub's addresses: {error}. See the hub's log."
                ) from None
            renew()
            continue
        except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
            reason = _told(error)
            waited = time.monotonic() - start
            if waited >= patience or not _passing(error):
                raise HubUnreachable(
                    f"{what}: {reason}. The object store refused or did not answer; the step will be run again."
                ) from error
        if waited > 5 and not told:
            print(f"kedge: {what} yet: {reason}; trying again", file=sys.stderr, flush=True)
            told = True
        time.sleep(min(delay, max(0.0, patience - waited)))
    raise AssertionError


def _delays() -> Iterator[float]:
    delay = 0.1
    while True:
        yield delay
        delay = min(delay * 2, 5.0)


def _told(error: Exception) -> str:
    if isinstance(error, HTTPError):
        said = error.read(2000).decode("utf-8", "replace")
        error.close()
        return f"{error.code} {error.reason} {said}".strip()
    return f"{type(error).__name__}: {error}"


def _passing(error: Exception) -> bool:
    # 400: S3 says so of a part that arrived with another checksum than it was sent with.
    return not isinstance(error, HTTPError) or error.code >= 500 or error.code in (400, 408, 429)


def _md5(path: str, start: int, size: int) -> str:
    """``Content-MD5`` of a part of a file: the store refuses what arrives as something else."""
    try:
        total = hashlib.md5()  # noqa: S324  # a checksum on the way, not a proof
    except ValueError:
        return ""  # a Python that is built without it; TLS guards the bytes all the same
    with open(path, "rb") as file:
        piece = _Piece(file, start, size)
        while True:
            chunk = piece.read(_CHUNK)
            if not chunk:
                return base64.b64encode(total.digest()).decode()
            total.update(chunk)
