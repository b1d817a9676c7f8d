"""Patterns are those of Go's package regexp: what it takes, what it refuses and in which words, and how long it may take."""

import logging

import pytest

from kedge.kube.structural import regexes
from kedge.kube.structural.regexes import PatternError, compiled

# What Go 1.26 says of each (regexp.Compile); "" where it takes it.
GO = {
    "[a": "missing closing ]: `[a`",
    "(a": "missing closing ): `(a`",
    "a)": "unexpected ): `a)`",
    "a**": "invalid nested repetition operator: `**`",
    "a*+": "invalid nested repetition operator: `*+`",
    "\\": "trailing backslash at end of expression: ``",
    "*a": "missing argument to repetition operator: `*`",
    "a{1001}": "invalid repeat count: `{1001}`",
    "a{2,1}": "invalid repeat count: `{2,1}`",
    "((((a{100}){100}){100}){100})": "invalid repeat count: `{100}`",
    "(?=x)": "invalid or unsupported Perl syntax: `(?=`",
    "(?P=n)": "invalid or unsupported Perl syntax: `(?P`",
    "(?>a)": "invalid or unsupported Perl syntax: `(?>`",
    "(?#c)": "invalid or unsupported Perl syntax: `(?#`",
    "(?z)": "invalid or unsupported Perl syntax: `(?z`",
    "(?P<n": "invalid named capture: `(?P<n`",
    "(?P<é>a)": "invalid named capture: `(?P<é>`",
    r"\1": r"invalid escape sequence: `\1`",
    r"\Z": r"invalid escape sequence: `\Z`",
    r"\C": r"invalid escape sequence: `\C`",
    r"\h": r"invalid escape sequence: `\h`",
    r"[a-\d]": r"invalid escape sequence: `\d`",
    r"[\Qa]\E]": r"invalid escape sequence: `\Q`",
    r"\x{110000}": r"invalid escape sequence: `\x{110000`",
    r"\pX": r"invalid character class range: `\pX`",
    r"\p{Foo}": r"invalid character class range: `\p{Foo}`",
    "[b-a]": "invalid character class range: `b-a`",
    "[[:foo:]]": "invalid character class range: `[:foo:]`",
    **dict.fromkeys(
        [
            "(?<n>a)",
            r"\Qa",
            r"\Q\C",
            "(?i)ab",
            "(?U)a+",
            "a{,3}",
            r"\p{Greek}",
            r"\p{^L}",
            "(|a)*",
            r"\z$",
            r"\_",
            "[]a]",
            r"\07",
        ],
        "",
    ),
    r"\\C": "",
}


@pytest.mark.parametrize("pattern", GO)
def test_a_pattern_is_taken_or_refused_as_by_go(pattern: str) -> None:
    if not GO[pattern]:
        compiled(pattern)
        return
    with pytest.raises(PatternError) as refused:
        compiled(pattern)
    assert str(refused.value) == f"error parsing regexp: {GO[pattern]}"


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "^(a|a)*$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*=$", "(a?){30}a{30}$"]
)
def test_a_hostile_pattern_holds_nobody_up(pattern: str) -> None:
    assert compiled(pattern).search("a" * 100_000 + "!") is None  # Python's re would not end before the sun does


def test_a_pattern_means_what_it_means_to_go() -> None:
    assert compiled(r"^a$").search("a\n") is None  # the very end
    assert compiled(r"^\w+$").search("é") is None  # ASCII alone
    assert compiled(r"^\p{Greek}+$").search("αβγ")
    assert compiled(r"(?i)^straSSe$").search("STRASSE")
    assert compiled(r"^\Qa.b\E$").search("a.b")
    assert [each.group() for each in compiled("é+").finditer("é éé")] == ["é", "éé"]


def test_without_the_library_a_warning_says_what_may_happen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(regexes, "library", lambda: None)
    regexes.compiled.cache_clear()
    regexes._warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert compiled("^a+$").search("aa")
        assert compiled("^b+$").search("bb")
    regexes.compiled.cache_clear()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["google-re2 is not installed"]
