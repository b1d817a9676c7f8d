"""pip inside a command line that is run to the letter."""

import pytest

from kedge.launcher.installers import without_kfp

BACKPORT = 'typing-extensions>=3.7.4,<5; python_version<"3.9"'


@pytest.mark.parametrize(
    "words",
    [
        ["install", "kfp"],
        ["install", "--quiet", "--no-warn-script-location", "kfp==2.17.0", "--no-deps", BACKPORT],
        ["install", "--index-url", "https://a/simple", "--trusted-host", "a", "kfp[kubernetes]>=2"],
        ["install", "git+https://example.com/pipelines#subdirectory=sdk/python"],
        ["pip", "install", "kfp~=2.9"],
    ],
)
def test_nothing_is_installed_where_there_is_nothing_but_kfp(words: list[str]) -> None:
    assert without_kfp(words) is None


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["install", "kfp", "pandas"], ["install", "pandas"]),
        (["install", "kfp-kubernetes"], ["install", "kfp-kubernetes"]),
        (["install", "-r", "requirements.txt", "kfp"], ["install", "-r", "requirements.txt"]),
        (["install", "-rrequirements.txt", "kfp"], ["install", "-rrequirements.txt"]),
        (["install", "--target", "kfp", "six"], ["install", "--target", "kfp", "six"]),
        (["install", BACKPORT], ["install", BACKPORT]),
        (["install"], ["install"]),
        (["uninstall", "kfp"], ["uninstall", "kfp"]),
    ],
)
def test_everything_else_is_left_as_it_is(words: list[str], left: list[str]) -> None:
    assert without_kfp(words) == left


def test_the_real_package_is_left_to_pip_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEDGE_KFP_RUNTIME", "installed")
    assert without_kfp(["install", "kfp"]) == ["install", "kfp"]
