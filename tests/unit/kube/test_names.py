"""What may be a name, and how a name is made to fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.kube import names


@pytest.mark.parametrize("name", ["a", "main", "step-1", "0", "a" * 63])
def test_labels(name: str) -> None:
    assert not names.label_fault(name)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "must be lower-case"),
        ("Main", "must be lower-case letters, digits or '-', starting and ending with a letter or digit, got 'Main'"),
        ("-a", "must be lower-case"),
        ("a-", "must be lower-case"),
        ("a.b", "must be lower-case"),
        ("a\n", "must be lower-case"),
        ("a" * 64, "must be at most 63 characters, got 64"),
    ],
)
def test_no_labels(name: str, fault: str) -> None:
    assert fault in names.label_fault(name)


@pytest.mark.parametrize(
    ("name", "good"), [("a.b-c.d", True), ("a..b", False), ("a.", False), ("a" * 253, True), ("a" * 254, False)]
)
def test_subdomains(name: str, *, good: bool) -> None:
    assert (names.subdomain_fault(name) == "") is good


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("app", True),
        ("kedge.dev/run", True),
        ("A_b.c-d", True),
        ("/a", False),
        ("a/b/c", False),
        ("Kedge/run", False),
        ("", False),
    ],
)
def test_qualified_names(key: str, *, good: bool) -> None:
    assert (names.qualified_fault(key) == "") is good


@pytest.mark.parametrize(("value", "good"), [("", True), ("A_b.c", True), ("a b", False), ("-a", False), ("a" * 64, False)])
def test_label_values(value: str, *, good: bool) -> None:
    assert (names.label_value_fault(value) == "") is good


@given(st.text(max_size=200), st.integers(12, 63))
def test_a_shortened_name_is_a_label_and_fits(text: str, limit: int) -> None:
    name = names.shorten(text, limit)
    assert len(name) <= limit
    assert not names.label_fault(name)
    assert name == names.shorten(text, limit)


@given(st.text(max_size=80), st.text(max_size=80))
def test_different_texts_get_different_names(one: str, other: str) -> None:
    assert (names.shorten(one) == names.shorten(other)) is (one == other)
