"""Python environments: built once, shared, and failing in the resolver's words. `uv` is real; the index is a folder."""

import asyncio
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kedge.config import Settings
from kedge.kube.clock import SystemClock
from kedge.node import images
from kedge.node.environments import Environments, Wanted, wanted
from kedge.node.interpreters import Interpreters
from kedge.node.refusals import Refusal
from kedge.node.uv import Answer, Uv, find
from kedge.testing.clock import FakeClock

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


class CountingUv(Uv):
    """The real program, and a list of what was asked of it."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(environ)
        self.calls: list[tuple[str, ...]] = []

    async def __call__(self, *arguments: str) -> Answer:
        self.calls.append(arguments)
        return await super().__call__(*arguments)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder with one package that has a module and a program."""
    place = tmp_path / "index"
    place.mkdir()
    info = "kedge_thing-1.0.dist-info"
    with zipfile.ZipFile(place / "kedge_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("kedge_thing.py", "def main():\n    print('thing runs')\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: kedge-thing\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nkedge-thing = kedge_thing:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return place


@pytest.fixture
def uv(index: Path) -> CountingUv:
    given = dict(Settings.from_environment().environ)
    return CountingUv(given | {"PIP_FIND_LINKS": str(index), "PIP_NO_INDEX": "1"})


def make(tmp_path: Path, uv: Uv) -> Environments:
    return Environments(tmp_path / "environments", uv, Interpreters(uv, {"HOME": str(tmp_path)}), SystemClock())


async def test_packages_and_their_programs_are_there(tmp_path: Path, uv: CountingUv) -> None:
    path = await make(tmp_path, uv).get(Wanted(VERSION, ("kedge-thing",)))
    done = await asyncio.to_thread(subprocess.run, [path / "bin" / "kedge-thing"], capture_output=True, text=True, check=True)
    assert done.stdout == "thing runs\n"


async def test_who_asks_at_the_same_time_waits_for_one_build(tmp_path: Path, uv: CountingUv) -> None:
    made = make(tmp_path, uv)
    paths = await asyncio.gather(*(made.get(Wanted(VERSION)) for _ in range(20)))
    assert len(set(paths)) == 1
    assert [call[0] for call in uv.calls].count("venv") == 1


async def test_the_second_run_installs_nothing(tmp_path: Path, uv: CountingUv) -> None:
    spec = Wanted(VERSION, ("kedge-thing",))
    first = await make(tmp_path, uv).get(spec)
    uv.calls.clear()
    again = make(tmp_path, uv)
    assert again.ready(spec) == first
    assert await again.get(spec) == first
    assert uv.calls == []


async def test_two_hosts_on_one_machine_build_once(tmp_path: Path, uv: CountingUv) -> None:
    spec = Wanted(VERSION)
    await asyncio.gather(make(tmp_path, uv).get(spec), make(tmp_path, uv).get(spec))
    assert [call[0] for call in uv.calls].count("venv") == 1


async def test_what_a_killed_build_has_left_is_no_obstacle(tmp_path: Path, uv: CountingUv) -> None:
    spec = Wanted(VERSION)
    made = make(tmp_path, uv)
    place = made._path(spec, made._interpreters.known(VERSION) or "")
    (place / "bin").mkdir(parents=True)
    place.with_name(place.name + ".new").mkdir()
    assert (await made.get(spec) / "pyvenv.cfg").exists()


async def test_a_package_that_does_not_exist_fails_in_the_resolvers_words_once(tmp_path: Path, uv: CountingUv) -> None:
    made = make(tmp_path, uv)
    for _ in range(3):
        with pytest.raises(Refusal) as caught:
            await made.get(Wanted(VERSION, ("no-such-package-at-all",)))
        assert caught.value.reason == "EnvironmentFailed"
        assert "Because no-such-package-at-all was not found" in caught.value.message
        assert "Traceback" not in caught.value.message
    assert [call[:2] for call in uv.calls].count(("pip", "install")) == 2  # pip itself, and the one attempt
    assert list((tmp_path / "environments").glob("*.new")) == []


async def test_a_failure_is_tried_again_after_a_while(tmp_path: Path, uv: CountingUv) -> None:
    clock = FakeClock()
    made = Environments(tmp_path / "environments", uv, Interpreters(uv, {}), clock)
    spec = Wanted(VERSION, ("kedge-later",))
    with pytest.raises(Refusal):
        await made.get(spec)
    calls = len(uv.calls)
    await clock.advance(31)
    with pytest.raises(Refusal):
        await made.get(spec)
    assert len(uv.calls) > calls


async def test_who_gives_up_does_not_stop_the_build_for_others(tmp_path: Path, uv: CountingUv) -> None:
    made = make(tmp_path, uv)
    one, other = asyncio.create_task(made.get(Wanted(VERSION))), asyncio.create_task(made.get(Wanted(VERSION)))
    await asyncio.sleep(0)
    one.cancel()
    assert (await other / "bin" / "python").exists()


async def test_the_environment_is_of_the_version_and_sees_nothing_of_the_users(tmp_path: Path, uv: CountingUv) -> None:
    path = await make(tmp_path, uv).get(Wanted(VERSION))
    program = "import site, sys; print('%d.%d' % sys.version_info[:2], site.ENABLE_USER_SITE, sys.prefix != sys.base_prefix)"
    command = [path / "bin" / "python", "-c", program]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [VERSION, "False", "True"]


@pytest.mark.parametrize("text", ["{", "[]", '{"packages": "pandas"}', '{"indexUrls": [1]}'])
def test_an_annotation_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match=r"metadata\.annotations\[kedge\.dev/python\]: cannot be read"):
        wanted("3.11", {"metadata": {"annotations": {"kedge.dev/python": text}}})


def test_the_order_of_packages_does_not_matter(tmp_path: Path, uv: CountingUv) -> None:
    made = make(tmp_path, uv)
    assert made._path(Wanted("3", ("a", "b")), "/p") == made._path(Wanted("3", ("b", "a", "a")), "/p")
    assert made._path(Wanted("3", ("a",)), "/p") != made._path(Wanted("3", ("b",)), "/p")
    assert made._path(Wanted("3", ("a",)), "/p") != made._path(Wanted("3", ("a",), ("https://index",)), "/p")


async def test_a_machine_without_uv_refuses_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError("uv")

    monkeypatch.setattr("uv.find_uv_bin", missing)
    find.cache_clear()
    with pytest.raises(Refusal, match=r"uv is not there: .* pip install uv"):
        await Uv({})("--version")


async def test_an_exact_version_is_kept_exactly_and_who_lacks_it_is_told_what_is_here(tmp_path: Path) -> None:
    uv = Uv(dict(Settings.from_environment().environ) | {"UV_PYTHON_DOWNLOADS": "never", "UV_OFFLINE": "1"})
    interpreters = Interpreters(uv, {"HOME": str(tmp_path)})
    assert interpreters.known(VERSION) is not None
    with pytest.raises(Refusal) as caught:
        await interpreters.find(f"{VERSION}.99")
    first, *_, last = caught.value.message.splitlines()
    assert first.startswith(f"Python {VERSION}.99 is not on this machine and could not be installed: ")
    table = tmp_path / "images.json"
    (answer,) = re.findall(r"if you write (\{.*\}) to images.json in the data directory and start the host again\.", last)
    table.write_text(answer)
    assert images.read(table).resolve(f"python:{VERSION}.99", "image").python == VERSION
    assert f"Another Python {VERSION} is here" in last


async def test_of_a_version_that_is_not_here_at_all_it_is_said_how_to_install_it(tmp_path: Path) -> None:
    uv = Uv(dict(Settings.from_environment().environ) | {"UV_PYTHON_DOWNLOADS": "never", "UV_OFFLINE": "1"})
    with pytest.raises(Refusal, match=r"Install it \(pyenv install 3.2.1") as caught:
        await Interpreters(uv, {"HOME": str(tmp_path)}).find("3.2.1")
    assert "Another" not in caught.value.message
