"""The Python step's template: what is rendered is recognised, and nothing else; its shell text does what it says."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.dsl import template
from kedge.dsl.template import PythonTemplate

OPTIONS = {
    "nothing to install": PythonTemplate((), (), (), None, False, "f", "x = 1"),
    "the runtime alone": PythonTemplate((), (), (), template.KFP_PACKAGE, False, "f", "x = 1"),
    "packages": PythonTemplate(("a==1", "b[c]>=2; python_version<'4'"), (), (), template.KFP_PACKAGE, False, "f", "x = 1"),
    "indexes": PythonTemplate(("a",), ("https://one.example", "https://two.example"), ("one.example",), None, False, "f", "x"),
    "another runtime": PythonTemplate((), (), (), "git+https://host.example/kfp", False, "f", "x"),
    "an environment": PythonTemplate(("a",), (), (), template.KFP_PACKAGE, True, "f", "x"),
    "text that the shell would read": PythonTemplate(("a'; rm -rf $HOME #\n`x`",), (), (), None, False, "f", "x"),
}


def rendered(step: PythonTemplate) -> list[str]:
    script = template.render(
        step.packages, step.index_urls, step.trusted_hosts, kfp_package=step.kfp_package, use_venv=step.use_venv
    )
    return template.command(script, step.source)


@pytest.mark.parametrize("case", OPTIONS)
def test_what_is_rendered_is_recognised(case: str) -> None:
    step = OPTIONS[case]
    assert template.parse(rendered(step), template.arguments(step.function)) == step


STEP = OPTIONS["packages"]
OTHERS = {
    "another command": ["python", "-c", "pass", "x"],
    "a shorter command": rendered(STEP)[:3],
    "an edited script": [*rendered(STEP)[:2], rendered(STEP)[2] + "echo done\n", "x"],
    "edited packages": [*rendered(STEP)[:2], rendered(STEP)[2].replace("a==1'", "a==2'").replace(" a==1", " a==2"), "x"],
    "options that are no JSON": ["sh", "-ec", "# \n# kedge-step: {\n", "x"],
    "options of another shape": ["sh", "-ec", "# \n# kedge-step: []\n", "x"],
    "options that are missing": ["sh", "-ec", "# \n# kedge-step: {}\n", "x"],
    "no options": ["sh", "-ec", "echo", "x"],
}


@pytest.mark.parametrize("case", OTHERS)
def test_anything_else_is_left_to_the_shell(case: str) -> None:
    assert template.parse(OTHERS[case], template.arguments("f")) is None


def test_other_arguments_are_left_to_the_shell() -> None:
    assert template.parse(rendered(STEP), [*template.arguments("f"), "more"]) is None
    assert template.parse(rendered(STEP), ["--executor_input", "x", "--function_to_execute", "f"]) is None


def test_the_position_of_the_function_is_read_from_the_first_line() -> None:
    assert STEP._replace(source=template.position("my pipeline.py", 12) + "x").position == ("my pipeline.py", 12)
    assert STEP.position == ("component.py", 1)
    assert template.position("a\nb.py", 1) == "# kedge: file=a b.py line=1\n"


def test_a_source_is_split_into_what_comes_from_where() -> None:
    header = template.position("p.py", 9) + template.HEADER
    source = header + template.position("p.py", 3) + "class A: pass\n" + template.position("p.py", 9) + "def f(): pass\n"
    assert template.blocks(source) == [
        ("<step>", 2, template.HEADER), ("p.py", 3, "class A: pass\n"), ("p.py", 9, "def f(): pass\n"),
    ]  # fmt: skip
    assert template.blocks("def f(): pass\n") == [("<step>", 1, "def f(): pass\n")]
    assert template.blocks("") == []


@pytest.mark.parametrize("case", OPTIONS)
def test_the_shell_text_installs_and_calls_the_runtime_with_the_source(case: str, tmp_path: Path) -> None:
    step = OPTIONS[case]
    log = tmp_path / "log"
    # A stand-in for python3 writes its arguments down, one a line, and the source that it was given.
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text(
        f'#!{sys.executable}\nimport os, shutil, sys\nwith open({str(log)!r}, "a") as f: print(sys.argv[1:], file=f)\n'
        'if sys.argv[1:3] == ["-m", "venv"]:\n'
        '    os.makedirs(sys.argv[-1] + "/bin"); shutil.copy2(sys.argv[0], sys.argv[-1] + "/bin/python3")\n'
        'if "--component_module_path" in sys.argv:\n'
        '    print(open(sys.argv[sys.argv.index("--component_module_path") + 1]).read(), end="")\n'
    )
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    command = [*rendered(step), "--executor_input", "{}", "--function_to_execute", step.function]
    path = f"{fake.parent}:{os.defpath}"
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={"PATH": path, "TMPDIR": str(tmp_path)})
    assert done.stdout == step.source
    calls = [eval(line) for line in log.read_text().splitlines()]  # noqa: S307  # written above
    installs = [call[call.index("install") + 1 :] for call in calls if "install" in call]
    wanted = [package for install in installs for package in install if package in {*step.packages, step.kfp_package}]
    assert wanted == [*([step.kfp_package] if step.kfp_package else []), *step.packages]
    assert calls[-1][-4:] == ["--executor_input", "{}", "--function_to_execute", step.function]
