"""``kedge join``."""

import socket
from pathlib import Path

import click

from kedge.config import Settings
from kedge.kube.kinds import Obj

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@click.command("join")
@click.argument("server", metavar="[URL]", default="")
@click.option("--token", default="", help="The token that `kedge invite` printed, or kubeadm's; wanted once.")
@click.option(
    "--ca-hash",
    "--discovery-token-ca-cert-hash",
    "ca_hash",
    default="",
    metavar="sha256:HEX",
    help="The hash of the authority, which comes with the token.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Instead of a token: of a cluster's administrator, or of who may ask for certificates there; wanted once, and not kept.",
)
@click.option("--context", default="", help="Which of its contexts; its current one when not given.")
@click.option("--node-name", default="", help="The name of the node; this machine's own when not given.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the node; may be given several times.")
@click.option("--taint", "taints", multiple=True, metavar="KEY[=VALUE]:EFFECT", help="A taint that it begins with, likewise.")
def command(
    *,
    server: str,
    token: str,
    ca_hash: str,
    kubeconfig: Path | None,
    context: str,
    node_name: str,
    labels: tuple[str, ...],
    taints: tuple[str, ...],
) -> None:
    """Run Pods of another machine's host, or of a cluster, here.

    The machine becomes a node of the API at URL and runs the Pods that are given to it, in the foreground, until Ctrl-C; its Pods
    run on, and are taken over by the next `kedge join`. It connects to URL alone, and nothing has to reach it.

    The first time it needs a token and the authority's hash: `kedge invite` on a host (which `kedge up --listen` has made
    reachable), or kubeadm token create --print-join-command on a cluster. Of a cluster a kubeconfig does too, which has the URL.
    From then on its certificate lies in its data directory (KEDGE_HOME), and `kedge join` is enough.

    As a node of a cluster it has the label kedge.dev/joined=true and the taint kedge.dev/joined:NoSchedule, so that it gets the
    Pods that tolerate that alone.
    """
    if server and "://" not in server:
        server = f"https://{server}"  # as kubeadm has it
    if server and not server.startswith("https://"):
        raise click.UsageError(f"{server}: must begin with https://, such as https://192.168.1.20:6443.")
    if kubeconfig is not None and (token or ca_hash):
        raise click.UsageError("--kubeconfig is instead of --token and --ca-hash. Leave out one of them.")
    if context and kubeconfig is None:
        raise click.UsageError("--context: is one of a kubeconfig's. Name the file with --kubeconfig.")
    from kedge import joined  # noqa: PLC0415  # the agent: only the process that runs Pods loads it

    name = node_name or socket.gethostname().lower()
    invitation = joined.Invitation(
        server.rstrip("/"),
        token,
        ca_hash,
        name,
        _labels(labels),
        tuple(map(_taint, taints)),
        kubeconfig=kubeconfig,
        context=context,
    )

    def tell(address: str) -> None:
        click.echo(f"Joined {address} as node {name}.", err=True)

    joined.serve(Settings.from_environment(), invitation, tell)


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise click.UsageError(f"--label {pair}: must be KEY=VALUE, such as disk=ssd.")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def _taint(text: str) -> Obj:
    what, colon, effect = text.rpartition(":")
    key, _, value = what.partition("=")
    if not colon or not key or effect not in _EFFECTS:
        raise click.UsageError(f"--taint {text}: must be KEY:EFFECT or KEY=VALUE:EFFECT, EFFECT one of {', '.join(_EFFECTS)}.")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}
