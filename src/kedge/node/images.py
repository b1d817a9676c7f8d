"""What an image's name means where containers are processes: a table from names to Python versions or to plain Linux.

``python:3.12`` is a promise about the interpreter, kept by running under that very version. ``debian``, ``alpine``… are taken
for "some Linux with a shell", and get this machine's root as a read-only private view. Everything else is a container
runtime's to run, where there is one, and otherwise refused by name: running it as something that it is not would fail later and
less clearly.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kedge.errors import KedgeError
from kedge.node.refusals import CONTAINER, PROCESS, Refusal

_REGISTRIES = ("docker.io/library/", "index.docker.io/library/", "registry-1.docker.io/library/", "docker.io/", "library/")
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-.*)?")
_PLAIN_LINUX = ("debian", "ubuntu", "alpine", "busybox", "bash", "fedora", "almalinux", "rockylinux", "buildpack-deps")


@dataclass(frozen=True, slots=True)
class Image:
    """What a container runs in.

    Attributes:
        name: As the Pod has it.
        python: Version of the interpreter it runs under (``3``, ``3.12`` or ``3.12.1``); empty for plain Linux.
        contained: Whether it is run as a container of a runtime; otherwise as a process.
    """

    name: str
    python: str = ""
    contained: bool = False


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Which names mean what.

    Attributes:
        python: Names of Python images; the value is the version, or empty where the tag says it.
        linux: Names of plain Linux images.
        file: Where a person adds to the table; named in messages.
        runtime: The container runtime that is here, such as ``podman``; empty where there is none.
        always: Whether it runs every image, those of the table too.
    """

    python: Mapping[str, str] = field(default_factory=lambda: {"python": ""})
    linux: frozenset[str] = frozenset(_PLAIN_LINUX)
    file: str = "images.json"
    runtime: str = ""
    always: bool = False

    def resolve(self, image: str, path: str, wanted: str = "") -> Image:
        """Say what an image means.

        Args:
            image: The image's name.
            path: Where it stands in the Pod, such as ``spec.containers[0].image``.
            wanted: The Pod's ``runtimeClassName``: ``process``, ``container``, or empty for whichever can run it.

        Raises:
            Refusal: It is not in the table, and there is no container runtime.
        """
        if self.runtime and (wanted == CONTAINER or (self.always and wanted != PROCESS)):
            return Image(image, contained=True)
        if wanted == CONTAINER:
            text = "spec.runtimeClassName: there is no container runtime on this host (`kedge doctor` says what it looked for)"
            raise Refusal("UnsupportedField", f"{text}. Install podman and start the host again, or remove the field.")
        name, tag = _split(image)
        # An entry with a tag is more exact than one without.
        for key in (f"{name}:{tag}", name):
            if key in self.python:
                version = self.python[key] or _version_of(tag)
                if version is None:
                    break
                return Image(image, version)
            if key in self.linux:
                return Image(image)
        if self.runtime and wanted != PROCESS:
            return Image(image, contained=True)
        known = ", ".join(["python:X.Y", *sorted(self.linux)])
        why = "is to run its Pods as processes" if wanted or self.runtime else "has no container runtime"
        raise Refusal(
            "ImageNotSupported",
            f"{path}: image {image!r} cannot be run: this host {why}, and knows only {known}. "
            "Use one of these (for a Python step with packages_to_install), install podman (see `kedge doctor`), "
            f'say in {self.file} what it is (such as {{"python": {{"{name}": "3.12"}}}}), or run it on a Kubernetes cluster.',
        )


def read(file: Path) -> ImageTable:
    """The table, with what a person has added to it.

    Args:
        file: JSON, ``{"python": {NAME: VERSION}, "linux": [NAME…]}``; need not be there.

    Raises:
        KedgeError: The file cannot be understood.
    """
    base = ImageTable(file=str(file))
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return base
    fix = 'It holds {"python": {"NAME": "3.12"}, "linux": ["NAME"]}; correct it, or remove it.'
    try:
        found = json.loads(text)
        python, linux = dict(found.get("python", {})), list(found.get("linux", []))
    except (ValueError, TypeError, AttributeError) as error:
        raise KedgeError(f"{file}: cannot be read as a table of images: {error}. {fix}") from error
    for name, version in python.items():
        if not isinstance(version, str) or (version and not _VERSION.fullmatch(version)):
            raise KedgeError(f"{file}: python.{name}: must be a version such as 3.12, got {version!r}. {fix}")
    return ImageTable({**base.python, **python}, base.linux | {str(name) for name in linux}, str(file))


def _split(image: str) -> tuple[str, str]:
    """Name and tag, without the registry that everybody means and without a digest."""
    name = image.partition("@")[0]
    for prefix in _REGISTRIES:
        if name.startswith(prefix):
            name = name[len(prefix) :]
            break
    last = name.rpartition("/")[2]
    if ":" in last:
        name, _, tag = name.rpartition(":")
        return name, tag
    return name, "latest"


def _version_of(tag: str) -> str | None:
    """The version that a tag of the ``python`` image means; ``None`` when it means none.

    Examples:
        >>> [_version_of(tag) for tag in ("3.12", "3.12.1-slim-bookworm", "3", "slim", "latest", "windowsservercore")]
        ['3.12', '3.12.1', '3', '3', '3', None]
    """
    match = _VERSION.fullmatch(tag)
    if match:
        return ".".join(part for part in match.groups() if part)
    return "3" if tag.partition("-")[0] in {"latest", "slim", "alpine", "bookworm", "bullseye", "trixie"} else None
