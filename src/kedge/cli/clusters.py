"""What the commands share that act on a cluster: options, the way there, progress."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from kedge import clusters
from kedge.cli.options import TimeSpan
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.config import Settings
from kedge.installation.installer import Installer
from kedge.installation.removal import Removal
from kedge.kube.clock import SystemClock
from kedge.kube.kinds import Kind

Command = TypeVar("Command", bound=Callable[..., Any])


class Variables(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``; also a label of a node."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Take it apart."""
        name, equals, text = str(value).partition("=")
        if not name or not equals:
            self.fail(f"{value!r} must be NAME=VALUE.", param, ctx)
        return name, text


def cluster_options(command: Command) -> Command:
    """Add the options that say which cluster, which namespace, and how long to wait."""
    for option in (
        click.option("--timeout", type=TimeSpan(), default="5m", show_default=True, help="How long to wait for each thing."),
        click.option("-n", "--namespace", help="The hub's namespace.  [default: the context's]"),
        click.option("--context", help="Context of the kubeconfig.  [default: the current one]"),
        click.option(
            "--kubeconfig", type=click.Path(dir_okay=False, path_type=Path), help="The kubeconfig.  [default: KUBECONFIG]"
        ),
    ):
        command = option(command)
    return command


def installation_options(command: Command) -> Command:
    """Add the options that say what is installed, where ``None`` stays as it was, and whether to wait for it."""
    for option in (
        click.option("--wait/--no-wait", default=True, help="Wait until the hub is ready.  [default: wait]"),
        click.option(
            "--alias/--no-alias", default=None, help="A Service ml-pipeline too, where Kubeflow's clients look.  [default: yes]"
        ),
        click.option("--storage-class", help="Class of the claim for SQLite's file.  [default: the cluster's]"),
        click.option("--storage", help="Size of that claim.  [default: 2Gi]"),
        click.option(
            "--set-env",
            "env",
            type=Variables(),
            multiple=True,
            callback=_mapping,
            help="A variable for the hub, besides those of before; repeat it. NAME= takes one away.",
        ),
        click.option(
            "--toleration",
            "tolerations",
            multiple=True,
            callback=_several,
            help="What the hub tolerates of nodes, as KEY[=VALUE][:EFFECT]; repeat it. '' takes all away.",
        ),
        click.option(
            "--node-selector",
            metavar="KEY=VALUE",
            multiple=True,
            callback=_labels,
            help="A label KEY=VALUE of the nodes that may have the hub; repeat it. '' takes all away.",
        ),
        click.option(
            "--image-pull-secret",
            "pull_secrets",
            multiple=True,
            callback=_several,
            help="A Secret with which nodes pull the image; repeat it. '' takes all away.",
        ),
        click.option("--service-account", help="Run the hub as this one, which is there.  [default: one of its own]"),
        click.option("--all-namespaces", is_flag=True, help="Look at the Runs of all namespaces: takes a ClusterRole."),
        click.option(
            "--namespaces", callback=_names, help="Look at the Runs of these, with commas between.  [default: the hub's]"
        ),
        click.option("--artifacts-secret", help="A Secret whose keys, such as AWS_ACCESS_KEY_ID, the hub gets as variables."),
        click.option("--artifacts", help="Where artifacts go: s3://bucket/prefix, gs://… or az://…."),
        click.option("--database-secret", help="A Secret whose key url is PostgreSQL's address.  [default: SQLite on a claim]"),
        click.option("--replicas", type=int, help="Hubs: one works, the others stand by.  [default: 1]"),
        click.option("--image", help="Kedge's image, as nodes pull it."),
    ):
        command = option(command)
    return command


def _names(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(filter(None, (each.strip() for each in value.split(","))))


def _several(_ctx: click.Context, _parameter: click.Parameter, value: Sequence[str]) -> tuple[str, ...] | None:
    return tuple(filter(None, value)) if value else None


def _labels(context: click.Context, parameter: click.Parameter, value: Sequence[str]) -> dict[str, str] | None:
    return dict(Variables().convert(each, parameter, context) for each in value if each) if value else None


def _mapping(_ctx: click.Context, _parameter: click.Parameter, value: Sequence[tuple[str, str]]) -> dict[str, str] | None:
    return dict(value) or None


@dataclass(slots=True)
class Cluster:
    """A cluster that a command acts on, and its user's way in.

    Attributes:
        access: How it is reached.
        seconds: How long to wait for each thing.
    """

    access: Access
    seconds: float
    _client: HttpClient | None = None

    @property
    def namespace(self) -> str:
        """The context's."""
        return self.access.namespace

    def installer(self, served: Sequence[Kind]) -> Installer:
        """Installs; inside `do`."""
        return Installer(self._speaking(), served, clock=SystemClock(), say=say, seconds=self.seconds)

    def removal(self, served: Sequence[Kind]) -> Removal:
        """Uninstalls; inside `do`."""
        return Removal(self._speaking(), served, clock=SystemClock(), say=say, seconds=self.seconds)

    def do(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` while there is a connection."""

        async def connected() -> None:
            async with HttpClient(self.access) as self._client:
                await work()

        asyncio.run(connected())

    def _speaking(self) -> HttpClient:
        assert self._client is not None  # noqa: S101  # `do` has made it
        return self._client


def chosen(kubeconfig: Path | None, context: str | None, seconds: float) -> Cluster:
    """The cluster that the options mean."""
    return Cluster(access(kubeconfig, context), seconds)


def access(kubeconfig: Path | None, context: str | None) -> Access:
    """How the cluster is reached that the options mean: as for kubectl, whatever a hub on this machine was last used with."""
    settings = Settings.from_environment()
    file = kubeconfig or Path(settings.environ.get("KUBECONFIG") or "~/.kube/config")
    return clusters.choose(settings, file, context).access()


def say(text: str) -> None:
    """Tell of progress."""
    click.echo(text)


def rolled_out(namespace: str, version: str, *, wait: bool) -> None:
    """Tell of the end, and what to do next."""
    if wait:
        click.echo(f"Kedge {version} runs in namespace {namespace}.")
    else:
        click.echo(f"Kedge {version} is installed in {namespace}; kubectl -n {namespace} rollout status deployment/kedge waits.")
