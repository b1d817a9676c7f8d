"""Commits for Pods that nothing runs in, as a launcher would: under a token that is bound to the Pod.

python stand_in.py KUBECONFIG NAMESPACE HUB KEY
"""

import asyncio
import base64
import hashlib
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import load
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines.kinds import RUN_LABEL

CONNECTIONS = 8
_PATH = "/apis/kedge.dev/v1/staging/commit"


class Tokens:
    """Makes Pods' tokens.

    Args:
        path: The cluster's signing key.
    """

    def __init__(self, path: Path) -> None:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        self._head = _encoded({"alg": "RS256", "kid": key_id(pem)})

    def token(self, pod: Obj) -> str:
        """The token of a Pod."""
        metadata, now = pod["metadata"], int(time.time())  # noqa: TID251  # a token's times are the machine's
        namespace = metadata["namespace"]
        claims = {
            "aud": ["kedge"],
            "exp": now + 3600,
            "iat": now - 5,
            "nbf": now - 5,
            "iss": "https://kubernetes.default.svc",
            "jti": metadata["uid"],
            "sub": f"system:serviceaccount:{namespace}:default",
            "kubernetes.io": {
                "namespace": namespace,
                "pod": {"name": metadata["name"], "uid": metadata["uid"]},
                "serviceaccount": {"name": "default", "uid": "unknown"},
            },
        }
        signed = f"{self._head}.{_encoded(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def key_id(pem: bytes) -> str:
    """The name of a signing key, as the API server makes it."""
    public = serialization.load_pem_private_key(pem, None).public_key()
    shape = serialization.PublicFormat.SubjectPublicKeyInfo
    return (
        base64.urlsafe_b64encode(hashlib.sha256(public.public_bytes(serialization.Encoding.DER, shape)).digest())
        .rstrip(b"=")
        .decode()
    )


def _encoded(value: Obj) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


async def commit(hub: str, tokens: Tokens, pods: "asyncio.Queue[Obj]") -> None:
    """Commit for the Pods of a queue, one after the other, over one connection."""
    place = urlsplit(hub)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    while True:
        pod = await pods.get()
        body = json.dumps({"protocol": 1, "podUid": pod["metadata"]["uid"], "outputs": {"parameters": {"Output": 1}}}).encode()
        head = f"POST {_PATH} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {tokens.token(pod)}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        status, length = answer.split(b" ", 2)[1], 0
        for line in answer.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        said = await reader.readexactly(length)
        if status in {b"429", b"503"}:
            pods.put_nowait(pod)
        elif status != b"200":
            print(f"stand-in: {status.decode()} {said.decode()}", file=sys.stderr, flush=True)


async def main(kubeconfig: str, namespace: str, hub: str, key: str) -> None:
    """Follow the Pods that run."""
    tokens = Tokens(Path(key))
    pods: asyncio.Queue[Obj] = asyncio.Queue()
    done = set[str]()
    async with HttpClient(load(Path(kubeconfig)), user_agent="bench") as client, asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(commit(hub, tokens, pods))
        running = "status.phase=Running"
        page = await client.list(POD, namespace, labels=RUN_LABEL, fields=running)
        print("ready", flush=True)
        version = page.resource_version
        async for event in client.watch(POD, namespace, resource_version=version, labels=RUN_LABEL, fields=running):
            if event.type != "BOOKMARK" and (uid := event.object["metadata"]["uid"]) not in done:
                done.add(uid)
                pods.put_nowait(event.object)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
