"""A real S3 server for the tests: versitygw over a folder, built once from its Go module.

It checks signatures, part numbers and ``Content-MD5`` as Amazon's does. What it stores is files below `S3.folder`, so that a test
can look at them, or damage one.
"""

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
from pathlib import Path

from go_programs import built
from ports import free_port

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
BUCKET = "bucket"
START_SECONDS = 60


class S3:
    """The server; may be stopped and started again on the same port.

    Args:
        program: What to run.
        folder: Where it keeps its objects.
        address: Where it listens.
    """

    def __init__(self, program: str, folder: Path, address: str = "127.0.0.1") -> None:
        self._address = address
        self._program = program
        self.folder = folder / BUCKET
        self._sidecar = folder.with_name("metadata")
        self.folder.mkdir(parents=True)
        self._sidecar.mkdir()
        self.port = free_port(address)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        """What a hub needs to use it."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self._address}:{self.port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "not-for-steps",
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        keys = {"ROOT_ACCESS_KEY": "tester", "ROOT_SECRET_KEY": "not-for-steps", "PATH": os.defpath}
        command = [self._program, "--port", f"{self._address}:{self.port}", "--quiet"]
        command += ["posix", "--sidecar", str(self._sidecar), str(self.folder.parent)]
        with (self._sidecar / ".log").open("ab") as log:
            self._process = subprocess.Popen(command, env=keys, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError), closing(socket.create_connection((self._address, self.port), timeout=1)):
                return
            assert self._process.poll() is None, (self._sidecar / ".log").read_text()
            assert time.monotonic() < deadline, f"versitygw was not ready within {START_SECONDS} s"
            threading.Event().wait(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(60)
            self._process = None


@contextmanager
def running_s3(address: str = "127.0.0.1") -> Generator[S3]:
    """Start a server with one empty bucket, and end it afterwards.

    Args:
        address: Where it listens.
    """
    folder = Path(tempfile.mkdtemp(prefix="kedge-s3-"))
    server = S3(built("versitygw", MODULE, VERSION), folder / "objects", address)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
