"""Python environments, by what they hold: built once by ``uv``, shared by all steps that want the same.

An environment is built beside its place and renamed into it, under a lock that other processes respect, so nobody sees half of
one and two hosts on one machine share what either has built. The second run installs nothing.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.node.interpreters import Interpreters
from kedge.node.refusals import Refusal
from kedge.node.uv import Answer, Uv, find

PYTHON_ANNOTATION = "kedge.dev/python"
# How long a failed build is remembered: a loop over a thousand items asks for it a thousand times.
_REMEMBER_SECONDS = 30.0
_LAYOUT = 1  # raise it when environments are built differently


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an environment holds.

    Attributes:
        version: Of the interpreter.
        packages: Requirements, as pip takes them.
        index_urls: Package indexes; the first replaces the default.
        trusted_hosts: Hosts whose certificates are not checked.
    """

    version: str
    packages: tuple[str, ...] = ()
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()


def wanted(version: str, pod: Obj) -> Wanted:
    """Read what a Pod's annotation asks for.

    Raises:
        Refusal: The annotation is not what it should be.
    """
    text = _annotation(pod)
    if not text:
        return Wanted(version)
    try:
        lists = [_strings(json.loads(text), key) for key in ("packages", "indexUrls", "trustedHosts")]
    except (ValueError, TypeError, AttributeError) as error:
        message = (
            f'metadata.annotations[{PYTHON_ANNOTATION}]: cannot be read: {error}. Its form is {{"packages": ["pandas==2.2"]}}.'
        )
        raise Refusal("EnvironmentFailed", message) from error
    return Wanted(version, tuple(lists[0]), tuple(lists[1]), tuple(lists[2]))


def installs(pod: Obj) -> bool:
    """Whether a step's code names an installer: what it adds is then not for the others that share its environment."""
    return '"installs":' in _annotation(pod) and json.loads(_annotation(pod)).get("installs") is True


def _annotation(pod: Obj) -> str:
    return (pod["metadata"].get("annotations") or {}).get(PYTHON_ANNOTATION) or ""


def _strings(found: Any, key: str) -> list[str]:
    values = found.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{key} must be a list of strings")
    return values


class Environments:
    """The environments of this machine.

    Args:
        directory: Where they are; several hosts may share it.
        uv: Builds them.
        interpreters: What they are built on.
        clock: For how long a failure is remembered.
    """

    def __init__(self, directory: Path, uv: Uv, interpreters: Interpreters, clock: Clock) -> None:
        self._directory = directory
        self._uv = uv
        self._interpreters = interpreters
        self._clock = clock
        self._ready: dict[Wanted, Path] = {}
        self._building: dict[Wanted, asyncio.Task[Path]] = {}
        self._failed: dict[Wanted, tuple[float, Refusal]] = {}

    def ready(self, spec: Wanted) -> Path | None:
        """The environment's directory if it is known to be there; never waits."""
        path = self._ready.get(spec)
        if path is None:
            interpreter = self._interpreters.known(spec.version)
            if interpreter is None:
                return None
            path = self._path(spec, interpreter)
        if not (path / "pyvenv.cfg").exists():
            self._ready.pop(spec, None)
            return None
        self._ready[spec] = path
        return path

    async def get(self, spec: Wanted) -> Path:
        """The environment's directory; built when it is not there. Who asks for one that is being built waits for that.

        Raises:
            Refusal: It cannot be built; the message is the resolver's.
        """
        if (path := self.ready(spec)) is not None:
            return path
        if (failure := self._failed.get(spec)) is not None:
            if self._clock.monotonic() < failure[0]:
                raise failure[1]
            del self._failed[spec]
        task = self._building.get(spec)
        if task is None:
            task = self._building[spec] = asyncio.create_task(self._build(spec))
            task.add_done_callback(lambda _: self._building.pop(spec, None))
        try:
            # Shielded: that one Pod is deleted must not fail the others that wait for the same environment.
            path = await asyncio.shield(task)
        except Refusal as error:
            self._failed[spec] = (self._clock.monotonic() + _REMEMBER_SECONDS, error)
            raise
        self._ready[spec] = path
        return path

    async def close(self) -> None:
        """Give up what is being built."""
        tasks = list(self._building.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _path(self, spec: Wanted, interpreter: str) -> Path:
        content = [_LAYOUT, interpreter, sorted(set(spec.packages)), spec.index_urls, sorted(spec.trusted_hosts)]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:20]
        return self._directory / digest

    async def _build(self, spec: Wanted) -> Path:
        interpreter = await self._interpreters.find(spec.version)
        path = self._path(spec, interpreter)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with _locked(self._directory / f"{path.name}.lock"):
            if (path / "pyvenv.cfg").exists():
                return path  # another process has built it meanwhile
            aside = self._directory / f"{path.name}.new"
            await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)
            try:
                await self._fill(spec, interpreter, aside)
                await asyncio.to_thread(_replace, aside, path)
            finally:
                await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)
        return path

    async def _fill(self, spec: Wanted, interpreter: str, aside: Path) -> None:
        made = await self._uv("venv", "--quiet", "--relocatable", "--no-project", "--python", interpreter, str(aside))
        if not made.ok:
            raise _refusal(spec, made)
        python = ("--python", str(aside / "bin" / "python"))
        await self._add_pip(interpreter, python)
        if not spec.packages:
            return
        indexes = [part for url in spec.index_urls[:1] for part in ("--default-index", url)]
        indexes += [part for url in spec.index_urls[1:] for part in ("--index", url)]
        hosts = [part for host in spec.trusted_hosts for part in ("--allow-insecure-host", host)]
        done = await self._uv("pip", "install", "--quiet", *python, *indexes, *hosts, "--", *spec.packages)
        if not done.ok:
            raise _refusal(spec, done)

    async def _add_pip(self, interpreter: str, python: Sequence[str]) -> None:
        """Install the pip that comes with the interpreter, so that steps which call it find it; without it they do not."""
        bundled = await asyncio.to_thread(_bundled, interpreter)
        if bundled is not None:
            await self._uv("pip", "install", "--quiet", *python, "--no-index", "--find-links", str(bundled), "pip")


def _bundled(interpreter: str) -> Path | None:
    return next(Path(interpreter).resolve().parent.parent.glob("lib/python3*/ensurepip/_bundled"), None)


def _replace(aside: Path, path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)  # without pyvenv.cfg: what somebody left of one
    aside.rename(path)


def _refusal(spec: Wanted, answer: Answer) -> Refusal:
    what = f"packages {', '.join(spec.packages)}" if spec.packages else "an empty environment"
    text = f"the Python {spec.version} environment with {what} could not be built:"
    if answer.is_outage:
        why = "the disk is full." if "No space left" in answer.err else "no package index answers. Is there a network?"
        return Refusal("EnvironmentUnavailable", f"{text} {why}\n{answer.err}")
    return Refusal("EnvironmentFailed", f"{text}\n{answer.err}\nCorrect packages_to_install.")


@asynccontextmanager
async def _locked(path: Path) -> AsyncGenerator[None]:
    """Hold a lock that other processes respect; waiting for it happens in a thread."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def variables(environment: Path, base: Mapping[str, str]) -> dict[str, str]:
    """What a process in an environment finds in its variables, in addition to ``base``."""
    # What a step finds out only while it runs that it needs, the launcher installs with it.
    return {
        "KEDGE_UV": find(),
        "VIRTUAL_ENV": str(environment),
        "PATH": f"{environment / 'bin'}:{base.get('PATH', os.defpath)}",
    }
