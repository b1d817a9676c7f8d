"""What an artifact shows of itself is decided by what it is called and how it begins."""

import pytest

from kedge.dashboard.previews import READ, of_bytes, slices

ELSEWHERE = {
    "a script of a network": (b"<!doctype html><script src='https://cdn.example/a.js'></script>", "cdn.example"),
    "one without a scheme": (b"<html><script async src=//cdn.example/a.js></script>", "cdn.example"),
    "a style": (b'<html><link rel="stylesheet" href="https://fonts.example/css?a=b">', "fonts.example"),
    "one that a script loads": (b"<html><script>load('https://d3.example/d3.v5.js')</script>", "d3.example"),
    "several": (
        b"<html><script src=//a.example/1.js></script><script src=//b.example/2.js></script>",
        "a.example, b.example",
    ),
}
AT_HOME = {
    "a script of its own": b"<html><script>const a = 1;</script>",
    "a link that people may follow": b"<html><a href='https://example.com/'>more</a>",
    "a picture of its own": b"<html><img src='data:image/png;base64,AAAA'>",
    "an address in a large library": b"<html><script>/* 'https://example.com/a.js' */" + b" " * READ,
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_page_that_wants_something_of_another_machine_says_so_and_how_to_write_it(name: str) -> None:
    page, hosts = ELSEWHERE[name]
    shown = of_bytes(page, "report.html", "HTML")
    assert shown.kind == "page"
    assert f"It wants scripts or styles of {hosts}, which it cannot load here" in shown.note
    assert "include_plotlyjs=True" in shown.note


@pytest.mark.parametrize("name", AT_HOME)
def test_a_page_that_brings_all_along_says_nothing(name: str) -> None:
    assert of_bytes(AT_HOME[name], "report.html", "HTML").note == ""


def test_json_is_indented_unless_that_would_make_it_many_times_as_long() -> None:
    assert of_bytes(b'{"a":[1]}', "facts.json", "Artifact").text == '{\n  "a": [\n    1\n  ]\n}'
    depth = 900
    deep = b"[" * depth + b"1," * 100_000 + b"1" + b"]" * depth
    assert of_bytes(deep, "deep.json", "Artifact").text == deep.decode()


@pytest.mark.parametrize("number", [-1e308, 10**400, -(10**400), float("nan"), float("-inf")])
def test_numbers_that_no_plot_has_fail_no_matrix_and_no_curve(number: float) -> None:
    names = [{"displayName": "cat"}, {"displayName": "dog"}]
    matrix = {"annotationSpecs": names, "rows": [{"row": [5, number]}, {"row": [0, 1]}]}
    curve = [{"falsePositiveRate": number, "recall": 1}, {"falsePositiveRate": 1, "recall": number}]
    (shown,) = slices({"confusionMatrix": matrix, "confidenceMetrics": curve})
    assert [one[2] for one in shown["roc"]["points"]] == [None, None]
    if number == -1e308:
        assert [cell["heat"] for cell in shown["matrix"]["rows"][0]] == [9, 0]
    else:
        assert shown["matrix"] == {}
