"""`kubectl` in a namespace of either host, for tests of what objects lead to on both."""

import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from images import PYTHON
from tests.acceptance.kubectl.conftest import Kubectl, program

from kedge.testing.host import running_host

SECONDS = 60
WAIT = f"--timeout={SECONDS}s"


class Place(Kubectl):
    """`kubectl` in a namespace of its own."""

    def until(self, wanted: str, *arguments: str) -> None:
        """Ask again until the answer is that."""
        self.found(lambda: self(*arguments), wanted, f"kubectl {' '.join(arguments)}")

    def found(self, look: Callable[[], Any], wanted: Any, what: str = "what is seen") -> None:
        """Look again until that is seen."""
        deadline = time.monotonic() + SECONDS
        while (seen := look()) != wanted:
            assert time.monotonic() < deadline, f"{what}: {seen!r} is not {wanted!r} yet"

    def namespace(self) -> str:
        """Where it is."""
        return self("config", "view", "--minify", "-o", "jsonpath={..namespace}")


@contextmanager
def place_on(request: pytest.FixtureRequest, home: Path, environ: dict[str, str] | None = None) -> Generator[Place]:
    """A place on the host that a fixture's parameter names, one of `hosts.HOSTS`; ``environ`` is for Kedge's own."""
    made = Place(program(), home)
    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        cluster.bring(PYTHON)
        with cluster.namespace() as namespace:
            yield _in(made, cluster.kubeconfig, namespace, cluster.context)
        return
    with running_host(environ) as kedge:
        yield _in(made, kedge.home / "kubeconfig", "default")


def _in(place: Place, kubeconfig: Path, namespace: str, context: str = "") -> Place:
    shutil.copy(kubeconfig, place.home / "kubeconfig")
    if context:
        place("config", "use-context", context)
    place("config", "set-context", "--current", f"--namespace={namespace}")
    return place
