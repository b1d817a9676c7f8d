"""Bring Plotly's one JavaScript file, which the dashboard draws plots with, out of its PyPI package when Kedge is built.

A wheel gets it, with its licence, from the environment of the build. A checkout that is installed to be edited gets a copy in its
folder, which Git ignores. A source archive has none: the wheel that is built of it brings its own.
"""

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = "kedge/dashboard/static"
# In the folder of pages' files; what it is called in Plotly's package.
BROUGHT = {"plotly.min.js": "package_data/plotly.min.js", "plotly.LICENSE.txt": "licenses/LICENSE.txt"}


class PlotlyHook(BuildHookInterface[Any]):
    """Puts the files into wheels, and into checkouts."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files before the wheel is made.

        Args:
            version: What is built: ``standard``, or ``editable``.
            build_data: What the build is told; gets the files.

        Raises:
            FileNotFoundError: There is no Plotly, or it has no such file.
        """
        for name, path in found().items():
            if version == "editable":
                copied(path, Path(self.root, "src", STATIC, name))
            else:
                build_data["force_include"][str(path)] = f"{STATIC}/{name}"


def found() -> dict[str, Path]:
    """The files in the installed package of Plotly, which is not imported, by what they are called here."""
    try:
        plotly = distribution("plotly")
    except PackageNotFoundError as error:
        how = "`plotly` stands in build-system.requires; without build isolation, install it first: make setup-dev"
        raise FileNotFoundError(f"Plotly is not installed where Kedge is built, and its plots need it. {how}") from error
    files = {name: next((each for each in plotly.files or () if str(each).endswith(end)), None) for name, end in BROUGHT.items()}
    missing = [BROUGHT[name] for name, path in files.items() if path is None]
    if missing:
        raise FileNotFoundError(
            f"Plotly {plotly.version} has no {' and no '.join(missing)} in its package. Another may: see build-system.requires"
        )
    return {name: Path(str(path.locate())) for name, path in files.items() if path is not None}


def copied(source: Path, target: Path) -> None:
    """Put a file where it is read, whole at each moment: others may build at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, scratch)
    scratch.replace(target)
