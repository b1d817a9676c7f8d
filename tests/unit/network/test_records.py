"""What the cluster's DNS answers, as a client reads it from the wire."""

import socket
import struct
from typing import Any

import pytest

from kedge.network import records, wire

WEB: dict[str, Any] = {
    "namespace": "team",
    "name": "web",
    "clusterIP": "10.96.0.77",
    "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    "endpoints": [{"ip": "10.244.0.3", "ports": {"http": 8080}}],
}
TRAIN: dict[str, Any] = {
    "namespace": "team",
    "name": "train",
    "clusterIP": "None",
    "ports": [{"name": "store", "port": 29500, "protocol": "TCP"}],
    "endpoints": [
        {"ip": "10.244.0.4", "hostname": "train-node-0-0", "ports": {"store": 29500}},
        {"ip": "10.244.0.5", "ports": {"store": 29501}},
    ],
}
ELSEWHERE: dict[str, Any] = {"namespace": "team", "name": "far", "externalName": "far.example.com", "ports": [], "endpoints": []}
NAMES = records.names_of([WEB, TRAIN, ELSEWHERE])


def query(name: str, kind: int, *, room: int = 0) -> bytes:
    """A query as a stub resolver sends it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    more = b"\0" + struct.pack("!HHIH", 41, room, 0, 0) if room else b""
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, int(bool(room))) + labels + b"\0" + struct.pack("!HH", kind, 1) + more


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        pytest.param("web.team.svc.cluster.local", records.A, "10.96.0.77", id="service"),
        pytest.param("WEB.Team.svc.cluster.local", records.A, "10.96.0.77", id="any-case"),
        pytest.param("train-node-0-0.train.team.svc.cluster.local", records.A, "10.244.0.4", id="hostname"),
        pytest.param("10-244-0-5.train.team.svc.cluster.local", records.A, "10.244.0.5", id="endpoint-without-hostname"),
        pytest.param("10-244-0-9.team.pod.cluster.local", records.A, "10.244.0.9", id="pod"),
        pytest.param("77.0.96.10.in-addr.arpa", records.PTR, "web.team.svc.cluster.local", id="reverse-of-service"),
        pytest.param(
            "4.0.244.10.in-addr.arpa", records.PTR, "train-node-0-0.train.team.svc.cluster.local", id="reverse-of-hostname"
        ),
        pytest.param("_http._tcp.web.team.svc.cluster.local", records.SRV, (80, "web.team.svc.cluster.local"), id="port"),
        pytest.param("far.team.svc.cluster.local", records.CNAME, "far.example.com", id="external-name"),
    ],
)
def test_a_name_has_its_record(name: str, kind: int, expected: object) -> None:
    question = wire.parse(query(name, kind))
    assert question is not None
    assert (kind, expected) in (records.find(NAMES, question.name) or [])


def test_a_headless_service_has_all_its_endpoints_and_their_ports() -> None:
    assert records.find(NAMES, "train.team.svc.cluster.local") == [(records.A, "10.244.0.4"), (records.A, "10.244.0.5")]
    ports = records.find(NAMES, "_store._tcp.train.team.svc.cluster.local")
    assert ports == [
        (records.SRV, (29500, "train-node-0-0.train.team.svc.cluster.local")),
        (records.SRV, (29501, "10-244-0-5.train.team.svc.cluster.local")),
    ]


def test_a_name_that_is_not_there_is_told_from_one_without_such_a_record() -> None:
    assert records.find(NAMES, "nobody.team.svc.cluster.local") is None
    assert records.find(NAMES, "team.svc.cluster.local") == []
    assert not records.is_ours("example.com", NAMES)


def test_an_answer_carries_its_question_its_addresses_and_nothing_else() -> None:
    question = wire.parse(query("train.team.svc.cluster.local", records.A))
    assert question is not None
    made = wire.answer(question, records.find(NAMES, question.name) or [])
    number, flags, questions, answers, authorities, others = struct.unpack_from("!6H", made)
    assert (number, questions, answers, authorities, others) == (7, 1, 2, 0, 0)
    assert flags == 0x8580  # an answer, ours, recursion wanted and had
    assert made.endswith(socket.inet_aton("10.244.0.5"))


def test_a_type_that_a_name_does_not_have_is_answered_with_whom_to_ask() -> None:
    question = wire.parse(query("web.team.svc.cluster.local", records.AAAA))
    assert question is not None
    assert struct.unpack_from("!6H", wire.answer(question, [(records.A, "10.96.0.77")]))[1:] == (0x8580, 1, 0, 1, 0)


def test_what_does_not_fit_says_so_unless_there_is_more_room() -> None:
    many = [(records.A, f"10.244.1.{number}") for number in range(100)]
    for room, fits in ((0, False), (4096, True)):
        question = wire.parse(query("train.team.svc.cluster.local", records.A, room=room))
        assert question is not None
        made = wire.cut(wire.answer(question, many), question)
        assert bool(struct.unpack_from("!H", made, 2)[0] & 0x0200) is not fits
        assert len(made) <= question.room


@pytest.mark.parametrize(
    "message", [b"", b"short", bytes(12), query("a.b", 1)[:-3], b"\0" * 5 + b"\1" + b"\0" * 6 + b"\x50" * 40]
)
def test_what_is_no_question_is_passed_over(message: bytes) -> None:
    assert wire.parse(message) is None
