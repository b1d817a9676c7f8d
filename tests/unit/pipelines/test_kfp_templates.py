"""Recognising what kfp compiles: taken apart and written again, so that one changed character is seen."""

import pytest

from kedge.pipelines import kfp_templates, templates
from kedge.pipelines.kfp_templates import PROGRAM, KfpTemplate, parse
from kedge.pipelines.kfp_uses import first_beyond
from kedge.pipelines.spec import Container, EnvVar

SOURCE = (
    "\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\ndef add(a: int) -> int:\n    return a\n\n"
)
ARGS = ["--executor_input", "{{$}}", "--function_to_execute", "add"]
BEFORE = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 """
PIP = "python3 -m pip install --quiet --no-warn-script-location "
KFP = """'kfp==2.14.0' '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<"3.9"'"""
AFTER = ' && "$0" "$@"\n'
VENV = """
export PIP_DISABLE_PIP_VERSION_CHECK=1
tmp=$(mktemp -d)
python3 -m venv "$tmp/venv" --system-site-packages
. "$tmp/venv/bin/activate"
"""
GIT = "git+https://example.com/pipelines@refs/pull/1/merge#subdirectory=sdk/python"


def command(install: str | None) -> list[str]:
    return [*([] if install is None else ["sh", "-c", BEFORE + install + AFTER]), "sh", "-ec", PROGRAM, SOURCE]


def step(packages: tuple[str, ...] = (), urls: tuple[str, ...] = (), hosts: tuple[str, ...] = (), kfp: str = "") -> KfpTemplate:
    return KfpTemplate(packages, urls, hosts, kfp, "add", SOURCE)


@pytest.mark.parametrize(
    ("install", "expected"),
    [
        (None, step()),
        (PIP + KFP, step(kfp="kfp==2.14.0")),
        (f"{PIP}{KFP}  &&  {PIP}'six' 'a>1'", step(("six", "a>1"), kfp="kfp==2.14.0")),
        (f"{PIP}'six'  &&  {PIP}{KFP}", step(("six",), kfp="kfp==2.14.0")),
        (f"{VENV} {PIP}{KFP}  &&  {PIP}'six'", step(("six",), kfp="kfp==2.14.0")),
        (f"{PIP}'six'  &&  {VENV} {PIP}{KFP}", step(("six",), kfp="kfp==2.14.0")),
        (f"{PIP}'six'", step(("six",))),
        (f"{PIP}'six' 'kfp[kubernetes]==2.9'", step(("six",), kfp="kfp[kubernetes]==2.9")),
        (f"{PIP}'{GIT}'", step(kfp=GIT)),
        (f"{PIP}'{GIT}' '--no-deps'", step(kfp=GIT)),
        (f"""{PIP}'six; python_version<"3"' "it; os_name=='nt'\"""", step(('six; python_version<"3"', "it; os_name=='nt'"))),
        (
            f"{PIP}--index-url https://a/simple --extra-index-url https://b/simple --trusted-host https://a/simple --trusted-host c 'six'",
            step(("six",), ("https://a/simple", "https://b/simple"), ("a", "c")),
        ),
    ],
)
def test_what_kfp_writes_is_taken_apart(install: str | None, expected: KfpTemplate) -> None:
    assert parse(command(install), ARGS) == expected


@pytest.mark.parametrize(
    "install",
    [
        f"{PIP}{KFP} ",
        f"{PIP} {KFP}",
        PIP.replace("--quiet", "-q") + KFP,
        f"{PIP}{KFP} && {PIP}'six'",
        f"{PIP}'six'  &&  {PIP}'seven'",
        f"{PIP}'-r' 'requirements.txt'",
        f"{PIP}'/wheels/six.whl'",
        f"{PIP}'./six'",
        f"{PIP}'{{{{$.inputs.parameters[\"x\"]}}}}'",
        f'{PIP}"$HOME\'s"',
        f"{PIP}--index-url https://$USER@a/simple 'six'",
        f"{PIP}--index-url https://a/simple;true 'six'",
        f"{PIP}--extra-index-url https://a/simple --index-url https://b/simple 'six'",
        f"{PIP}six",
        f"echo hello && {PIP}{KFP}",
        f"{PIP}'six'  &&  {VENV}{PIP}{KFP}",
    ],
)
def test_what_somebody_edited_or_what_means_more_than_it_says_is_not(install: str) -> None:
    assert parse(command(install), ARGS) is None


@pytest.mark.parametrize(
    ("argv", "args"),
    [
        (["sh", "-ec", PROGRAM + " ", SOURCE], ARGS),
        (["bash", "-ec", PROGRAM, SOURCE], ARGS),
        (["sh", "-ec", PROGRAM, SOURCE], [*ARGS, "more"]),
        (["sh", "-ec", PROGRAM, SOURCE], ["--executor_input", "{}", "--function_to_execute", "add"]),
        ([], []),
        (["sh", "-x", "", "sh", "-ec", PROGRAM, SOURCE], ARGS),
    ],
)
def test_another_program_or_other_arguments_are_not(argv: list[str], args: list[str]) -> None:
    assert parse(argv, args) is None


def test_a_line_that_ends_in_the_runtime_is_run_by_the_launcher_to_the_letter() -> None:
    edited = Container(image="python:3.11", command=command(f"{PIP} {KFP}"), args=ARGS)
    assert templates.recognise(edited) == templates.PythonStep("", "", literal=True)


@pytest.mark.parametrize("word", ["{{$.outputs.parameters['x'].output_file}}", "{{$.inputs.artifacts['x'].path}}"])
def test_a_line_that_is_told_paths_is_a_container_like_any_other(word: str) -> None:
    assert templates.recognise(Container(image="python:3.11", command=command(f"{PIP} {KFP}"), args=[*ARGS, word])) is None


def test_the_real_package_is_one_more_requirement() -> None:
    chosen = Container(
        image="python:3.11", command=command(PIP + KFP), args=ARGS, env=[EnvVar(name="KEDGE_KFP_RUNTIME", value="installed")]
    )
    found = templates.recognise(chosen)
    assert found is not None
    assert found.installed
    assert found.packages == ("kfp==2.14.0",)
    assert templates.recognise(Container(image="python:3.11", command=command(PIP + KFP), args=ARGS), "installed") == found


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("kfp.Client()", "kfp.Client"),
        ("from kfp import compiler", "kfp.compiler"),
        ("import kfp.compiler as compiler", "kfp.compiler"),
        ("from kfp.client import Client", "kfp.client.Client"),
        ("dsl.structures", "kfp.dsl.structures"),
        ("kfp.dsl.structures", "kfp.dsl.structures"),
        ("dsl.Dataset, kfp.dsl.Model, kfp.__version__, dsl.component, dsl.get_uri()", ""),
        ("from kfp.dsl.types.artifact_types import Dataset", ""),
        ("kfp_like.Client()", ""),
        ("return (", ""),
    ],
)
def test_what_a_source_uses_beyond_the_launchers_own_is_found(body: str, name: str) -> None:
    assert first_beyond(f"import kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\n\ndef f():\n    {body}\n") == name


def test_kfp_is_told_from_what_is_only_called_alike() -> None:
    assert [kfp_templates.is_kfp(text) for text in ("KFP>2", "https://x/kfp-2.9.0.tar.gz", "kfp_server_api", "mykfp")] == [
        True,
        True,
        False,
        False,
    ]
