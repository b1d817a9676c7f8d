"""Packets as they are read and made, looked at byte by byte."""

import struct

import pytest

from kedge.network import packets

SENT = packets.datagram(("10.244.0.2", 4000), ("192.0.2.7", 53), b"hello")


def total(data: bytes) -> int:
    """The sum of RFC 1071 over data that has its checksum in it: all ones when nothing was changed on the way."""
    found = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while found >> 16:
        found = (found & 0xFFFF) + (found >> 16)
    return found


def test_a_datagram_is_a_packet_whose_header_adds_up() -> None:
    assert (SENT[0], len(SENT), int.from_bytes(SENT[2:4], "big"), SENT[9]) == (0x45, 33, 33, 17)
    assert total(SENT[:20]) == 0xFFFF
    assert SENT[20:28] == struct.pack("!HHHH", 4000, 53, 13, 0)


def test_who_sent_it_is_told_why_it_did_not_arrive() -> None:
    sent = packets.parse(SENT)
    assert sent is not None
    complaint = packets.unreachable(sent, packets.NO_PORT)
    assert (complaint[9], complaint[12:16], complaint[16:20]) == (1, SENT[16:20], SENT[12:16])
    assert complaint[20:22] == b"\x03\x03"
    assert total(complaint[20:]) == 0xFFFF
    assert complaint[28:] == SENT[:28]
    assert packets.parse(complaint) is None  # nobody complains about a complaint


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(SENT[:27], id="cut off"),
        pytest.param(b"\x65" + SENT[1:], id="of version 6"),
        pytest.param(b"\x44" + SENT[1:], id="a header that is too short"),
        pytest.param(b"\x4f" + SENT[1:], id="a header that is longer than the packet"),
        pytest.param(SENT[:6] + b"\x20\x00" + SENT[8:], id="a first piece"),
        pytest.param(SENT[:6] + b"\x00\x01" + SENT[8:], id="a later piece"),
    ],
)
def test_what_is_no_whole_packet_is_left_alone(data: bytes) -> None:
    assert packets.parse(data) is None
