"""Real servers for the tests, which speak as Azure's and as Google's stores do: Azurite, and fake-gcs-server behind a front.

Azurite checks every signature, and ``Content-MD5``. fake-gcs-server checks none, so the front does: each signed address, with the
public key of the test's service account. It also lacks the plain ``PUT`` of an object by who has a token, which the hub makes for
logs; the front hands it on in the form that the server knows (as one with a signed address).
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import obstore
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from go_programs import built
from obstore.store import from_url
from ports import free_port

from kedge.config import Settings

AZURITE = "3.35.0"
GCS_MODULE, GCS = "github.com/fsouza/fake-gcs-server", "v1.52.2"
START_SECONDS = 60
# Azurite's own, which everybody knows.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Cloud:
    """A running server with one empty bucket.

    Attributes:
        root: The bucket's address, such as ``gs://bucket``.
        environ: What a hub needs to use it.
    """

    def __init__(self, root: str, environ: dict[str, str]) -> None:
        self.root = root
        self.environ = environ

    def keys(self, prefix: str) -> list[str]:
        """What lies below an address of the bucket."""
        # obstore knows a setting by the name of its variable too.
        config: Any = {name.lower(): value for name, value in self.environ.items()}
        store = from_url(self.root, config=config, client_options={"allow_http": True})
        return [one["path"] for some in obstore.list(store, prefix) for one in some]


@contextmanager
def running_azurite(address: str = "127.0.0.1") -> Generator[Cloud]:
    """Start Azurite, and end it afterwards.

    Args:
        address: Where it listens.
    """
    folder = Path(tempfile.mkdtemp(prefix="kedge-az-"))
    port = free_port(address)
    command = [_node(), str(_azurite()), "--silent", "--disableTelemetry", "--location", str(folder)]
    command += ["--blobHost", address, "--blobPort", str(port), "--skipApiVersionCheck"]
    endpoint = f"http://{address}:{port}/{ACCOUNT}"
    account = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY}
    environ = {**account, "AZURE_STORAGE_ENDPOINT": endpoint}
    with _server(command, folder, (address, port)):
        _make_container(endpoint, "bucket")
        yield Cloud("az://bucket", environ)


@contextmanager
def running_gcs(address: str = "127.0.0.1") -> Generator[Cloud]:
    """Start fake-gcs-server and its front, and end both afterwards.

    Args:
        address: Where the front listens.
    """
    folder = Path(tempfile.mkdtemp(prefix="kedge-gs-"))
    (folder / "objects" / "bucket").mkdir(parents=True)
    behind = free_port()
    server = built("fake-gcs-server", GCS_MODULE, GCS)
    command = [server, "-scheme", "http", "-host", "127.0.0.1", "-port", str(behind), "-log-level", "warn"]
    command += ["-filesystem-root", str(folder / "objects")]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    front = ThreadingHTTPServer((address, 0), _Front)
    port = front.server_address[1]
    # The server tells buckets in the path from buckets in the host's name by the name under which it is asked.
    command += ["-public-host", f"{address}:{port}", "-external-url", f"http://{address}:{port}"]
    _Front.behind, _Front.public_key = behind, key.public_key()
    thread = threading.Thread(target=front.serve_forever, daemon=True)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {"private_key": pem.decode(), "private_key_id": "1", "client_email": "tester@example.org", "client_id": ""}
    environ = {
        "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({**account, "type": "service_account"}),
        "GOOGLE_BASE_URL": f"http://{address}:{port}",
    }
    with _server(command, folder, ("127.0.0.1", behind)):
        thread.start()
        try:
            yield Cloud("gs://bucket", environ)
        finally:
            front.shutdown()
            front.server_close()


class _Front(BaseHTTPRequestHandler):
    """Hands requests on, if their signatures are right."""

    behind = 0
    public_key: rsa.RSAPublicKey
    protocol_version = "HTTP/1.1"

    def _hand_on(self) -> None:
        path, size = self.path, int(self.headers.get("Content-Length") or 0)
        if "X-Goog-Signature=" in path:
            if not self._signed():
                self._answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
                return
        elif not self.headers.get("Authorization", "").startswith("Bearer "):
            self._answer(401, b"<Error><Code>AuthenticationRequired</Code></Error>")
            return
        elif self.command == "PUT":
            path += ("&" if "?" in path else "?") + "X-Goog-Algorithm=handed-on"
        with closing(http.client.HTTPConnection("127.0.0.1", self.behind, timeout=60)) as server:
            server.request(self.command, path, _Body(self.rfile, size) if size else None, dict(self.headers.items()))
            answer = server.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "date"}:
                    self.send_header(name, value)
            if answer.headers.get("Content-Length") is None:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile, 1 << 20)

    def _signed(self) -> bool:
        split = urlsplit(self.path)
        asked = dict(parse_qsl(split.query, keep_blank_values=True))
        given = bytes.fromhex(asked.pop("X-Goog-Signature"))
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(asked[name], safe='-_.~')}" for name in sorted(asked))
        # obstore signs for Google's own host, wherever it is told to go.
        request = f"{self.command}\n{split.path}\n{query}\nhost:storage.googleapis.com\n\nhost\nUNSIGNED-PAYLOAD"
        scope = asked["X-Goog-Credential"].partition("/")[2]
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join([asked["X-Goog-Algorithm"], asked["X-Goog-Date"], scope, digest])
        try:
            self.public_key.verify(given, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def _answer(self, code: int, text: bytes) -> None:
        self.close_connection = True
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        pass

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _hand_on  # noqa: N815  # names that http.server looks for


class _Body:
    """So many bytes of a connection."""

    def __init__(self, file: object, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(self._left if size < 0 else min(size, self._left))  # type: ignore[attr-defined]
        self._left -= len(piece)
        return piece


def _make_container(endpoint: str, name: str) -> None:
    date = formatdate(usegmt=True)
    lines = [
        "PUT",
        *[""] * 11,
        f"x-ms-date:{date}",
        "x-ms-version:2023-11-03",
        f"/{ACCOUNT}/{ACCOUNT}/{name}",
        "restype:container",
    ]
    made = hmac.new(base64.b64decode(ACCOUNT_KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    signed = f"SharedKey {ACCOUNT}:{base64.b64encode(made).decode()}"
    headers = {"x-ms-date": date, "x-ms-version": "2023-11-03", "Authorization": signed}
    httpx.put(f"{endpoint}/{name}", params={"restype": "container"}, headers=headers, timeout=60).raise_for_status()


@contextmanager
def _server(command: list[str], folder: Path, where: tuple[str, int]) -> Generator[None]:
    with (folder / ".log").open("ab") as log:
        process = subprocess.Popen(command, env={"PATH": os.defpath, "HOME": str(folder)}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError), closing(socket.create_connection(where, timeout=1)):
                break
            assert process.poll() is None, (folder / ".log").read_text()
            assert time.monotonic() < deadline, f"{command[0]} was not ready within {START_SECONDS} s"
            threading.Event().wait(0.05)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no Node to run Azurite with")
    return found


def _azurite() -> Path:
    folder = Settings.from_environment().cache / "tests" / f"azurite-{AZURITE}"
    main = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not (folder / "complete").exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("there is no npm to install Azurite with")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), f"azurite@{AZURITE}"]
        subprocess.run(command, env=dict(Settings.from_environment().environ), check=True)
        (folder / "complete").touch()
    return main
