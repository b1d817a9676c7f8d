"""How requests and answers travel through the tunnel: several in one body, each a head of JSON and the bytes that belong to it.

A frame is the length of its head (4 bytes, the largest first), the head, and as many bytes as its ``size`` says; none where the
head says ``apart``, because those come by a request of their own.
"""

import json
import struct
from typing import Any, Dict, Iterator, Tuple

PROTOCOL = 1
LENGTH = 4
MAX_HEAD = 64 << 10
INLINE = 256 << 10  # bytes: a larger body travels alone
MAX_BODY = 65 << 20  # a commit may have 64 MiB
SECRET_HEADER = "X-Kedge-Relay-Secret"  # noqa: S105  # its name
SESSION_HEADER = "X-Kedge-Relay-Session"
MARK = "X-Kedge-Relay"  # on every answer of the relay itself, so that it is not taken for one of the API server


def pack(head: Dict[str, Any], body: bytes = b"") -> bytes:
    """One frame."""
    text = json.dumps(head, separators=(",", ":")).encode()
    return struct.pack(">I", len(text)) + text + body


def head_length(data: bytes) -> int:
    """The length of a head.

    Raises:
        ValueError: It is too long to be one.
    """
    (length,) = struct.unpack(">I", data)
    if length > MAX_HEAD:
        raise ValueError(f"a frame's head has {length} bytes, more than {MAX_HEAD}")
    return length


def read_head(data: bytes) -> Dict[str, Any]:
    """A head.

    Raises:
        ValueError: It is none.
    """
    head = json.loads(data)
    if not isinstance(head, dict) or not isinstance(head.get("id"), int) or not isinstance(head.get("size"), int):
        raise ValueError("a frame's head names no request or no size")  # noqa: TRY004  # what was sent is wrong
    if not 0 <= head["size"] <= MAX_BODY:
        raise ValueError(f"a frame has {head['size']} bytes, more than {MAX_BODY}")
    return head


def unpack(data: bytes) -> Iterator[Tuple[Dict[str, Any], bytes]]:
    """The frames of a body that is there as a whole.

    Raises:
        ValueError: It ends in the middle of one.
    """
    at = 0
    while at < len(data):
        start = at + LENGTH
        if start > len(data):
            raise ValueError("the frames end too early")
        end = start + head_length(data[at:start])
        head = read_head(data[start:end])
        at = end if head.get("apart") else end + head["size"]
        if at > len(data):
            raise ValueError("the frames end too early")
        yield head, data[end:at]
