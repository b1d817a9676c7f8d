"""What the documentation shows, runs; what it promises to lead to, is there; what it quotes, Kedge says."""

import ast
import html
import json
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import blocks
import click
import msgspec
import pytest
import yaml
from hosts import shared_folder

import kedge as kedge_names
from kedge import dsl
from kedge.artifacts import staging
from kedge.cli import main
from kedge.dsl import kubernetes as dsl_kubernetes
from kedge.testing.host import RunningHost, new_home, running_host, settings_of

# A run of this name is there before a page's blocks run, for pages that only look at one.
EARLIER = """
from kedge import dsl

@dsl.component
def train(model: dsl.Output[dsl.Model], metrics: dsl.Output[dsl.Metrics]):
    for step in range(3):
        metrics.log_metric("loss", 1 / (step + 1), step=step)
    open(model.path, "w").write("a model")

@dsl.pipeline
def earlier():
    train()
"""
PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)
CODE = re.compile(r"\b[A-Z][A-Za-z]{4,}\b")
ROW = re.compile(
    r"^\| `[a-z-]+` \|(?:[^|]*\|){2}([^|]*)\|[^|]*\|([^|]*)\|", re.MULTILINE
)  # of docs/failures.md: its Pod's reason, its code
DOCS = blocks.ROOT / "docs"
# Commands that are refused.
REFUSED = [
    ["runs", "show", "no-such-run"],
    ["run", "no-such-file.py"],
    ["run", "broken.py"],
    ["run", "earlier.py", "--param", "nothing=1"],
    ["logs", "my-run", "no-such-task"],
    ["cache", "clear"],
    ["schedules", "create", "earlier.py", "--name", "nightly"],
    ["artifacts", "show", "00000000"],
    ["pipelines", "show", "no-such-pipeline"],
    ["install", "--dry-run", "--namespaces", "a", "--all-namespaces"],
]
LANGUAGES = {"python", "console", "json", "yaml", "text", "sql"}


@pytest.fixture(scope="module")
def kedge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """One host for all pages."""
    file = tmp_path_factory.mktemp("earlier") / "earlier.py"
    file.write_text(EARLIER)
    with running_host() as made:
        made.cli("run", str(file), "--name", "my-run", check=True)
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a page's files lie: steps see it, as they see a user's."""
    with TemporaryDirectory(dir=shared_folder()) as made:
        yield Path(made)


@pytest.mark.acceptance
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [page for page in blocks.pages() if blocks.to_run(page)])
def test_the_code_of_a_page_runs(page: str, request: pytest.FixtureRequest, folder: Path) -> None:
    typed = [line for block in blocks.to_run(page) for line in block.commands if block.language == "console"]
    if not any(re.search(r"kedge (up|down)\b", line) for line in typed):
        done = blocks.run(page, folder, request.getfixturevalue("kedge").environ)
    else:  # it starts and stops a host: one of its own
        with new_home() as home:
            alone = RunningHost(settings_of(home, {}))
            try:
                done = blocks.run(page, folder, alone.environ)
            finally:
                alone.cli("down")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("09:41:07  SUCCEEDED  a  in 83 ms", "23:59:59  RUNNING    a\n23:59:59  SUCCEEDED  a  in 1 min 3 s"),
        ("09:41:07  CACHED     a\n09:41:07  CACHED     b", "10:00:00  CACHED     b\n10:00:01  CACHED     a"),
        (
            "RUN    NAME             TOOK\n20a950b2-e703-474b-94fd-4def00ac8e4b   run-kt5qg   12 ms",
            "RUN  NAME  TOOK\n1{0}  run-abcde  3.1 s",
        ),
        ("first\n…\nlast", "first\nanything\nat all\nlast"),
        ("in ~/.local/share/kedge.", "in /data."),
    ],
)
def test_an_output_is_the_one_that_is_shown_whenever_it_is_printed(shown: str, printed: str) -> None:
    assert blocks.fits(shown, printed.format("0a950b2-e703-474b-94fd-4def00ac8e4b"), "/data")


def test_an_output_that_is_shown_and_not_printed_is_found() -> None:
    assert not blocks.fits("Outputs\n  Output  5", "Outputs\n  Output  4")
    assert not blocks.fits("09:41:07  SUCCEEDED  a  in 83 ms", "09:41:07  FAILED  a  in 83 ms")
    assert not blocks.fits("first\nlast", "first\nanything\nlast")
    page = blocks.Block("page.md", 1, "console", "$ export WORD=two\n$ echo one\none\n$ echo $WORD\nthree\n")
    with pytest.raises(SystemExit, match=r"page.md:1 shows:\nthree\n\nPrinted is:\ntwo"):
        blocks.console(page, "/data")


@pytest.mark.parametrize("page", [*blocks.pages(), *blocks.more_pages()])
def test_data_in_a_page_can_be_read(page: str) -> None:
    for block in blocks.blocks(page):
        assert block.language in LANGUAGES, f"{page}:{block.line}: say what the block is, one of {sorted(LANGUAGES)}"
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            assert list(yaml.safe_load_all(block.text))
        elif block.language == "python":
            ast.parse(block.text)
        elif block.language == "console":
            assert block.text.startswith("$ "), f"{page}:{block.line}: commands begin with `$ `"


@pytest.mark.parametrize("page", [page for page in [*blocks.pages(), *blocks.more_pages()] if "decisions" not in page])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", (blocks.ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`([\w./*-]+/[\w.*-]+\.(?:py|md|toml|sql|css|js))(?:::[^`]*)?`", prose))
    places = [blocks.ROOT, (blocks.ROOT / page).parent, blocks.ROOT / "src" / "kedge"]
    assert [name for name in sorted(named) if not any(next(place.glob(name), None) for place in places)] == []


def test_what_the_page_of_staging_sends_is_what_a_hub_reads() -> None:
    shapes = {
        "begin": "_Begin",
        "transfers": "_Move",
        "complete": "_Complete",
        "listing": "_List",
        "metrics": "_Metrics",
        "commit": "_Commit",
    }
    page = (DOCS / "staging.md").read_text("utf-8")
    sent = re.findall(r"`POST \S+/staging/(\w+)`(?:[^{]*?)(?:\n```json\n(.*?)\n```|`({.*?})`)", page, re.DOTALL)
    assert {name for name, *_ in sent} == set(shapes)
    for name, block, prose in sent:
        msgspec.json.decode(block or prose, type=getattr(staging, shapes[name]))


def test_every_command_that_a_page_names_is_one_of_kedges() -> None:
    wrong: list[str] = []
    for page in [*blocks.pages(), *blocks.more_pages()]:
        typed = [command for block in blocks.blocks(page) if block.language == "console" for command, _ in block.typed]
        prose = re.sub(r"^```.*?^```$", "", (blocks.ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for command in [*typed, *re.findall(r"`(kedge [^`]+)`", prose)]:
            for found in re.findall(r"(?:^|[|;&(]\s*|\w=\S+ )kedge ((?:[^#|;&><()]|(?<=\S)#)*)", command):
                wrong += [f"{page}: kedge {found}: {fault}" for fault in unknown(found)]
    assert wrong == []


def unknown(command: str) -> list[str]:
    """What of a command Kedge does not know: a command, an option. What stands in capitals or for more is left out.

    Args:
        command: Without ``kedge``, as a shell takes it.
    """
    words = [word.strip("[]") for word in shlex.split(command, comments=True) if word not in {"·", "…", "-f"}]
    found: click.Command | None = main.cli
    ctx = click.Context(main.cli, info_name="kedge")
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        ctx = click.Context(found, info_name=name, parent=ctx)
        if (found := found.get_command(ctx, name)) is None:
            return [f"no command {name}"]
    known = {option for param in getattr(found, "params", []) for option in (*param.opts, *param.secondary_opts)} | {
        "--help",
        "--version",
    }
    return [
        f"no option {word}" for word in words if word.startswith("-") and word.partition("=")[0] not in known and word != "--"
    ]


def test_the_list_of_blocks_that_are_not_run_is_exact() -> None:
    for entry in blocks.not_run():
        found = [block for block in blocks.blocks(entry.page) if block.text.startswith(entry.starts)]
        assert len(found) == 1, f"{entry}: begins {len(found)} blocks of its page"
        assert found[0].language in {"python", "console", "sql"}, f"{entry}: is not run anyway"
        assert len(entry.why) > 10
    sql = [block for page in blocks.pages() for block in blocks.blocks(page) if block.language == "sql"]
    assert all(any(block.text.startswith(entry.starts) for entry in blocks.not_run()) for block in sql)


# ---- the site


class Page(HTMLParser):
    """What a browser would load for a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag in {"script", "img", "iframe", "source", "video"} or (tag == "link" and told.get("rel") != "canonical"):
            self.loaded += [told[name] or "" for name in ("src", "href") if name in told]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A link, an anchor or a page of the navigation that is not there fails the build."""
    folder = tmp_path_factory.mktemp("site")
    argv = ["bash", "scripts/docs", str(folder)]
    done = subprocess.run(argv, cwd=blocks.ROOT, check=False, capture_output=True, text=True, timeout=250)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stdout + done.stderr
    return folder


@pytest.mark.acceptance
@pytest.mark.timeout(300)
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = {(page.name, address) for page in site.rglob("*.html") for address in Page(page.read_text("utf-8")).loaded}
    assert loaded
    assert not [(page, address) for page, address in loaded if re.match(r"(\w+:)?//", address)]


@pytest.mark.acceptance
@pytest.mark.timeout(300)
def test_the_site_has_every_page_command_name_and_operation(site: Path) -> None:
    pages = [page.relative_to(blocks.ROOT / "docs") for page in (blocks.ROOT / "docs").rglob("*.md")]
    built = [page.with_name(page.name.replace("README", "index")).with_suffix(".html") for page in pages]
    assert not [page for page in built if not (site / page).exists()]
    shown = {page.stem: page.read_text("utf-8") for page in (site / "reference").glob("*.html")}
    assert all(f'id="kedge-{name}"' in shown["cli"] for name in main.COMMANDS)
    for module, page in ((kedge_names, "python"), (dsl, "dsl"), (dsl_kubernetes, "kubernetes")):
        names = set(module.__all__) - {"__version__", "dsl"}
        described = {name for name in names if f'id="{module.__name__}.{name}"' in shown[page]}
        assert {name for name in names - described if f"<code>{name}</code>" not in shown[page]} == set()
    assert "GET /runs/{run_id}/tasks/{task_id}/logs" in shown["rest"]


@pytest.mark.acceptance
def test_lists_and_tables_of_the_site_are_lists_and_tables(site: Path) -> None:
    """Others want an empty line before one, or show its signs."""
    paragraphs = [(page.name, found) for page in site.rglob("*.html") for found in PARAGRAPH.findall(page.read_text("utf-8"))]
    assert [(page, text[:100]) for page, text in paragraphs if re.search(r"\n(- |\| |```)", text)] == []


@pytest.mark.acceptance
def test_the_site_says_of_each_block_that_is_not_run_that_it_is_not(site: Path) -> None:
    told = Counter(entry.page for entry in blocks.not_run() if entry.page.startswith("docs/"))
    for page, count in told.items():
        shown = (site / Path(page).relative_to("docs").with_suffix(".html")).read_text("utf-8")
        assert shown.count("The tests do not run this: ") == count


@pytest.mark.acceptance
@pytest.mark.timeout(300)
def test_each_operation_of_the_site_has_an_example_and_those_without_a_name_work_as_they_are(
    kedge: RunningHost, site: Path
) -> None:
    page = html.unescape(re.sub("<[^>]+>", "", (site / "reference" / "rest.html").read_text("utf-8")))
    examples = re.findall(r"^curl .*$", page, re.MULTILINE)
    assert len(examples) == len(re.findall(r"^Answer: ", page, re.MULTILINE)) > 60
    told = json.loads(kedge.cli("status", "--output", "json", check=True).stdout)
    environ = {**kedge.environ, "API": f"{told['http']}/apis/v2beta1", "TOKEN": told["token"]}
    whole = [one for one in examples if not re.search(r"--request|:preview|/[A-Z]", one)]
    assert len(whole) > 5
    for one in whole:
        script = one.replace("curl ", "curl --silent --fail-with-body ", 1)
        done = subprocess.run(["bash", "-c", script], env=environ, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (one, done.stdout, done.stderr)


# ---- messages


class Sentences(ast.NodeVisitor):
    """Every text of a source, with ``…`` for what is filled in."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.found.add(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.found.add("".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values))
        self.generic_visit(node)


def test_every_message_that_troubleshooting_quotes_is_one_of_kedges() -> None:
    sentences = Sentences()
    for file in (blocks.ROOT / "src" / "kedge").rglob("*.py"):
        sentences.visit(ast.parse(file.read_text("utf-8")))
    said = "\n".join(sentences.found)
    quoted = re.findall(r"^### `(.+)`$", (blocks.ROOT / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    assert len(quoted) > 30
    assert [message for message in quoted if message.strip("… ") not in said] == []


class Codes(ast.NodeVisitor):
    """The codes of failures that a source gives out: of those that it makes, and of those that it takes over from a node."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func).rpartition(".")[2]
        place = {"Failure": 1, "Refusal": 0, "StepError": 0}.get(name, len(node.args))
        if len(node.args) > place and isinstance(code := node.args[place], ast.Constant) and isinstance(code.value, str):
            self.found.add(code.value)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) in {"_INFRA_POD", "_INFRA_CONTAINER", "_HOPELESS", "_TRIED_AGAIN", "_INFRA_ERRORS"}:
            self.found |= {str(each.value) for each in ast.walk(node.value) if isinstance(each, ast.Constant)}


def test_every_code_of_a_failure_is_explained() -> None:
    codes = Codes()
    for file in (blocks.ROOT / "src" / "kedge").rglob("*.py"):
        codes.visit(ast.parse(file.read_text("utf-8")))
    rows = ROW.findall((DOCS / "failures.md").read_text("utf-8"))
    wanted = {code for code in codes.found if CODE.fullmatch(code)} | {
        code for row in rows for code in CODE.findall(" ".join(row))
    }
    assert len(wanted) > 50
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    explained = {
        code for cell in re.findall(r"^\| (`[A-Z][^|]*) \|", page, re.MULTILINE) for code in CODE.findall(cell.replace("`", ""))
    }
    assert sorted(wanted - explained) == []


@pytest.mark.acceptance
@pytest.mark.timeout(300)
def test_what_commands_said_is_among_the_messages_of_the_site(kedge: RunningHost, site: Path, folder: Path) -> None:
    (folder / "earlier.py").write_text(EARLIER)
    (folder / "broken.py").write_text("from kedge import dsl\n\n@dsl.pipeline\ndef broken():\n    dsl.OneOf(1)\n")
    page = (site / "reference" / "messages.html").read_text("utf-8")
    known = [html.unescape(message) for message in re.findall(r"<li><code>(.*?)</code></li>", page)]
    patterns = [".*".join(re.escape(part) for part in message.split("…")) for message in known if len(message.strip("… ")) > 10]
    for words in REFUSED:
        done = kedge.cli(*[str(folder / word) if word.endswith(".py") else word for word in words])
        assert done.returncode in {1, 2}, (words, done.stdout)
        said = re.sub(r"\s+", " ", re.split("kedge: |Error: ", done.stderr)[-1]).strip()
        assert any(re.search(pattern, said) for pattern in patterns), (words, said)
