"""A followed log over a connection that ends too early, as kubelets go on: from the whole second, in parts of lines."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import httpx
import pytest

from kedge.kube.clock import parse_timestamp
from kedge.pipelines.step_log import Follower, LogPart

# As containerd keeps it: when, whether the line goes on in the next part, and the text.
Part = tuple[str, bool, str]


def kubelet(parts: list[Part], since: str) -> bytes:
    """What a kubelet answers: parts from the whole second on, a time before each that begins a line."""
    first = (
        parse_timestamp(since).replace(microsecond=0)
        if since
        else datetime.min.replace(tzinfo=parse_timestamp(parts[0][0]).tzinfo)
    )
    text, begins = "", True
    for moment, goes_on, said in parts:
        if parse_timestamp(moment) >= first:
            text += (f"{moment} " if begins else "") + said + ("" if goes_on else "\n")
        begins = not goes_on
    return text.encode()


@pytest.mark.parametrize("zone", ["Z", "+05:30"])
@pytest.mark.parametrize("cut", range(0, 260, 7))
def test_a_log_that_is_cut_off_comes_whole_and_once(cut: int, zone: str) -> None:
    said: list[Part] = [
        ("2026-11-28T17:31:09.877466383", False, "a"),
        ("2026-11-28T17:31:09.977956664", True, "long, "),
        ("2026-11-28T17:31:10.034855478", False, "longer"),
        ("2026-11-28T17:31:10.134881917", False, "b"),
        ("2026-11-28T17:31:10.134881917", False, "b"),
        ("2026-11-28T17:31:10.134881918", False, "c"),
        ("2026-11-28T17:31:11.000000000", False, ""),
    ]
    parts = [(moment + zone, goes_on, text) for moment, goes_on, text in said]
    asked = list[Mapping[str, str]]()

    @contextmanager
    def ask(query: Mapping[str, str]) -> Iterator[httpx.Response]:
        asked.append(query)
        answer = kubelet(parts, query.get("since_time", ""))
        yield httpx.Response(200, content=answer[:cut] if len(asked) == 1 else answer)

    def task() -> dict[str, object]:
        end = {"end_time": "now"} if asked else {}
        return {"state": "SUCCEEDED" if asked else "RUNNING", "attempts": [{"attempt": 0, **end}]}

    assert list(Follower(ask, task, LogPart()).lines(0)) == [b"a", b"long, longer", b"b", b"b", b"c", b""]
    assert len(asked) == 2
