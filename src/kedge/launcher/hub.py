"""Speaking to the hub: ``begin``, ``commit`` and what lies between, tried again for as long as a restart of the hub may take."""

import base64
import json
import os
import sys
import time
from typing import Any, Dict, List, Optional

from .errors import HubUnreachable, LauncherError, NotWanted, StepError
from .report import encode
from .step import PROTOCOL

_PATH = "/apis/kedge.dev/v1/staging/"
_TOKEN = "/var/run/secrets/kedge.dev/token"  # noqa: S105  # where it lies, not what it is
PATIENCE = 600.0  # seconds
_TIMEOUT = 60.0
_CONNECT_TIMEOUT = 10.0  # a Service that was made anew has another address: who asks the old one hears nothing
_UNAUTHORIZED_PATIENCE = 90.0  # a rotated token reaches the file within about a minute


class Hub:
    """The hub, as this Pod may speak to it.

    Args:
        address: ``http://host:port``, from ``KEDGE_HUB`` by default.
        patience: Seconds for which a call is tried again.
        timeout: Seconds for which the hub may be silent within one try.
    """

    def __init__(self, address: Optional[str] = None, *, patience: float = PATIENCE, timeout: float = _TIMEOUT) -> None:
        self._address = (address or os.environ.get("KEDGE_HUB", "")).rstrip("/")
        self._timeout = timeout
        self._patience = float(os.environ.get("KEDGE_HUB_PATIENCE", patience))
        if not self._address:
            raise LauncherError("KEDGE_HUB is not set, but this step must speak to the hub. Kedge sets it when it makes the Pod.")

    def begin(self) -> Dict[str, Any]:
        """Ask what to do: ``{"executorInput", "grants"}``."""
        return self._call("begin", {"protocol": PROTOCOL, "user": os.getuid()})

    def transfers(self, side: str, uri: str, files: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Ask where files of an artifact in an object store can be read (``inputs``) or sent (``outputs``)."""
        return self._call("transfers", {"protocol": PROTOCOL, "side": side, "uri": uri, "files": files})["files"]

    def listing(self, uri: str) -> List[Dict[str, Any]]:
        """Ask what lies in an input that is a folder without a manifest."""
        return self._call("listing", {"protocol": PROTOCOL, "uri": uri})["files"]

    def complete(self, uri: str, file: Dict[str, Any], etags: List[str]) -> None:
        """Have the parts of a file joined."""
        self._call("complete", {"protocol": PROTOCOL, "uri": uri, "file": file, "etags": etags})

    def commit(self, outputs: Dict[str, Any]) -> None:
        """Record what this attempt made; when this returns, it happened.

        Raises:
            NotWanted: Nobody wants it any more.
            StepError: The outputs do not fit their declaration.
            HubUnreachable: No answer.
        """
        self._call("commit", {"protocol": PROTOCOL, "outputs": outputs})

    def report(self) -> None:
        """Say that a step with nothing to commit has ended well; where the hub cannot be told now, the exit code says so."""
        self._try("commit", {"protocol": PROTOCOL, "outputs": {}})

    def metrics(self, series: List[Dict[str, Any]], *, insist: bool) -> bool:
        """Hand over points of series.

        Args:
            series: ``[{"output", "index", "name", "points": [[step, microseconds, value], …]}, …]``.
            insist: Try for as long as for the outputs; otherwise once.

        Returns:
            Whether the hub has them.

        Raises:
            NotWanted: Nobody wants them any more.
            LauncherError: The hub will never take them.
        """
        body = {"protocol": PROTOCOL, "series": series}
        if insist:
            self._call("metrics", body)
            return True
        return isinstance(self._try("metrics", body)[0], dict)

    def _call(self, verb: str, body: Dict[str, Any]) -> Dict[str, Any]:
        start = time.monotonic()
        delay, told = 0.05, False
        while True:
            wait, reason = self._try(verb, body)
            if isinstance(wait, dict):
                return wait
            waited = time.monotonic() - start
            patience = min(self._patience, _UNAUTHORIZED_PATIENCE) if reason.startswith("401") else self._patience
            if waited >= patience:
                raise HubUnreachable(
                    f"the hub at {self._address} did not take this step's {verb} for {waited:.0f} s: {reason}. "
                    "Is it running (kedge status)? The step will be run again."
                )
            if waited > 5 and not told:
                print(f"kedge: waiting for the hub at {self._address}: {reason}", file=sys.stderr, flush=True)
                told = True
            time.sleep(min(max(delay, wait or 0.0), max(0.0, patience - waited)))
            delay = min(delay * 2, 5.0)

    def _try(self, verb: str, body: Dict[str, Any]) -> Any:
        """One try: ``(answer, "")``, or ``(seconds to wait or None, why)``."""
        import http.client  # most steps never speak to the hub

        try:
            token = _token()
            status, header, answer = self._post(verb, encode(dict(body, podUid=_pod_uid(token))), token)
            if status < 300:
                return json.loads(answer), ""
        except (OSError, http.client.HTTPException, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"
        message = _message(answer)
        if status == 409:
            raise NotWanted(message)
        if status == 422:
            raise StepError(message, "OutputInvalid")
        if status in (401, 429) or status >= 500:
            return _seconds(header), f"{status} {message}"
        raise LauncherError(
            f"the hub refused this step's {verb}: {status} {message}. This is a defect of Kedge; please report it."
        )

    def _post(self, verb: str, body: bytes, token: str) -> Any:
        import http.client

        secure = self._address.startswith("https://")
        place, _, prefix = self._address.partition("://")[2].partition("/")
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(place, timeout=min(self._timeout, _CONNECT_TIMEOUT))
        try:
            connection.connect()
            connection.sock.settimeout(self._timeout)
            headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json", "Connection": "close"}
            connection.request("POST", (f"/{prefix}" if prefix else "") + _PATH + verb, body, headers)
            response = connection.getresponse()
            return response.status, response.getheader("Retry-After"), response.read()
        finally:
            connection.close()


def _token() -> str:
    # Read anew for each try: the kubelet replaces it long before it ends.
    with open(os.environ.get("KEDGE_TOKEN", _TOKEN), encoding="ascii") as file:
        return file.read().strip()


def _pod_uid(token: str) -> str:
    """The UID of the Pod that the token is bound to: what it says is checked by the hub, not here."""
    try:
        claims = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return said["kubernetes.io"]["pod"]["uid"]
    except (IndexError, KeyError, ValueError, TypeError):
        return os.environ.get("KEDGE_POD_UID", "")


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer[:500].decode("utf-8", "replace")


def _seconds(header: Optional[str]) -> Optional[float]:
    try:
        return min(float(header), 30.0) if header else None
    except ValueError:
        return None
