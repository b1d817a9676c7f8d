"""Answers as YAML, for clients that take nothing else: those of JSON, written anew."""

import asyncio

import msgspec
from starlette.types import Message, Send

from kedge.kube import yaml
from kedge.server.requests import YAML
from kedge.server.status import JSON


def as_yaml(send: Send) -> Send:
    """Sends what is JSON as YAML, and everything else as it is."""
    held: Message | None = None
    parts: list[bytes] = []

    async def sent(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start" and (b"content-type", JSON) in message["headers"]:
            held = message
        elif held is None:
            await send(message)
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                # A list may be long; others are answered meanwhile.
                text = await asyncio.to_thread(yaml.write, msgspec.json.decode(b"".join(parts)))
                await send(_head(held, len(body := text.encode())))
                await send({"type": "http.response.body", "body": body})

    return sent


def _head(start: Message, length: int) -> Message:
    told = {b"content-type": YAML.encode(), b"content-length": b"%d" % length}
    kept = [(name, value) for name, value in start["headers"] if name not in told]
    return {**start, "headers": [*kept, *told.items()]}
