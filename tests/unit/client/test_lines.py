"""Streams cut into their lines, however they arrive."""

import json

import pytest

from kedge.client.lines import Lines

TEXT = "a\u2028b\u2029c\x85d\x0be\r"
STREAM = b"".join(json.dumps({"text": TEXT, "n": n}, ensure_ascii=False).encode() + b"\n" for n in range(3))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_value_is_whole_whatever_its_text_says_and_however_the_stream_is_cut(size: int) -> None:
    lines = Lines()
    found = [line for start in range(0, len(STREAM), size) for line in lines.feed(STREAM[start : start + size])]
    assert [json.loads(line) for line in found] == [{"text": TEXT, "n": n} for n in range(3)]


def test_what_never_ended_is_the_rest_and_empty_lines_are_lines() -> None:
    lines = Lines()
    assert lines.feed(b'\r\n{"a": 1}\n\n{"cut":') == [b"\r", b'{"a": 1}', b""]
    assert lines.rest == b'{"cut":'
