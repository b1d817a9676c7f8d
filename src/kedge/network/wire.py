"""DNS messages as they go over the wire (RFC 1035, and RFC 6891 for their size): as much as a resolver for Pods needs."""

import socket
import struct
from dataclasses import dataclass

from kedge.network.records import ANY, CNAME, SOA, SRV, TXT, ZONE, A, Record

OK, BROKEN, FAILED, NO_NAME, NOT_DONE = 0, 1, 2, 3, 4
_ANSWER, _AUTHORITATIVE, _CUT, _WANTED, _AVAILABLE = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
_INTERNET, _EXTENSION = 1, 41
_SECONDS = 5  # how long an answer is true, as CoreDNS says it
_SMALLEST = 512
_ASKED_NAME = b"\xc0\x0c"  # a pointer to the name in the question
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks.

    Attributes:
        id: The message's number.
        name: In lower case, without a dot at its end.
        kind: Which type of record.
        room: Bytes that an answer over UDP may have.
        text: The question as it was sent.
        flags: The message's flags.
    """

    id: int
    name: str
    kind: int
    room: int
    text: bytes
    flags: int


def parse(message: bytes) -> Question | None:
    """Read a query; ``None`` when it is none."""
    if len(message) < 12:
        return None
    number, flags, questions, answers, authorities, others = struct.unpack_from("!6H", message)
    if flags & _ANSWER or questions != 1 or answers or authorities:
        return None
    labels, at = list[str](), 12
    while at < len(message) and (size := message[at]):
        if size > 63 or at - 12 > _LONGEST_NAME:
            return None
        labels.append(message[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    end = at + 5
    if end > len(message):
        return None
    kind = struct.unpack_from("!H", message, at + 1)[0]
    room = _SMALLEST
    if others and len(message) >= end + 11 and struct.unpack_from("!BH", message, end) == (0, _EXTENSION):
        room = max(_SMALLEST, struct.unpack_from("!H", message, end + 3)[0])
    return Question(number, ".".join(labels).lower(), kind, room, message[12:end], flags)


def answer(
    question: Question, records: list[Record], *, code: int = OK, ours: bool = True, beside: list[str] | None = None
) -> bytes:
    """Write the answer to a question.

    Args:
        question: What was asked.
        records: What its name has; those that were not asked for are left out.
        code: What became of it.
        ours: Whether the name is the cluster's.
        beside: Addresses of the name that it is another name of.
    """
    wanted = [_record(kind, data) for kind, data in records if kind in {question.kind, CNAME} or question.kind == ANY]
    target = next((data for kind, data in records if kind == CNAME), "")
    if target and question.kind in {A, ANY}:
        wanted += [_record(A, address, _name(target)) for address in beside or ()]
    authority = [] if wanted or not ours else [_start_of_authority()]
    flags = _ANSWER | _AVAILABLE | question.flags & _WANTED | (_AUTHORITATIVE if ours else 0) | code
    header = struct.pack("!6H", question.id, flags, 1, len(wanted), len(authority), 0)
    return header + question.text + b"".join(wanted) + b"".join(authority)


def cut(message: bytes, question: Question) -> bytes:
    """An answer as it fits into one packet: one that does not says so, and is asked for again over TCP."""
    if len(message) <= question.room:
        return message
    number, flags = struct.unpack_from("!2H", message)
    return struct.pack("!6H", number, flags | _CUT, 1, 0, 0, 0) + question.text


def _record(kind: int, data: object, name: bytes = _ASKED_NAME) -> bytes:
    packed = _packed(kind, data)
    return name + struct.pack("!HHIH", kind, _INTERNET, _SECONDS, len(packed)) + packed


def _packed(kind: int, data: object) -> bytes:
    if kind == A:
        return socket.inet_aton(str(data))
    if kind == TXT:
        text = str(data).encode()
        return bytes([len(text)]) + text
    if kind == SRV and isinstance(data, tuple):
        port, target = data
        return struct.pack("!HHH", 0, 100, port) + _name(target)
    return _name(str(data))


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.split(".") if label) + b"\0"


def _start_of_authority() -> bytes:
    data = _name(f"ns.dns.{ZONE}") + _name(f"hostmaster.{ZONE}") + struct.pack("!5I", 1, 7200, 1800, 86400, _SECONDS)
    return _name(ZONE) + struct.pack("!HHIH", SOA, _INTERNET, _SECONDS, len(data)) + data
