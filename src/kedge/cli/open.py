"""``kedge open``."""

import shlex
import webbrowser

import click
import httpx

from kedge.cli.session import connect, settings
from kedge.errors import KedgeError, Unavailable
from kedge.home import Host


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the link alone; open nothing.")
def command(*, only_print: bool) -> None:
    """Open the dashboard in a browser.

    The link signs one browser in, once, within ten minutes; the browser stays signed in for two weeks. Whoever has the link can
    do with the host what you can: do not pass it on. A hub that is installed in a cluster makes no links: how its pages are
    reached is said.
    """
    found = connect(start=not only_print)
    if found.http is not None:
        raise KedgeError(way_to_pages(found.host.http, settings().context))
    link = sign_in_link(found.host)
    click.echo(link)
    if not only_print and not webbrowser.open(link):
        click.echo("No browser could be opened from here: open the link yourself.", err=True)


def way_to_pages(address: str, context: str) -> str:
    """How a browser gets to the pages of an installed hub, which the API server's proxy of Services does not serve to browsers.

    Args:
        address: Of the hub, through the API server.
        context: Of the kubeconfig.

    Examples:
        >>> print(way_to_pages("https://10.0.0.1:6443/api/v1/namespaces/ml/services/http:kedge:http/proxy", "prod"))
        the hub is installed in the cluster, in namespace ml: it knows people by the cluster's own tokens and makes no links. Run
          kubectl --context prod --namespace ml port-forward service/kedge 8080:http
        open http://localhost:8080, and sign in with what this prints, run for your own namespace:
          kubectl --context prod create token kedge-user --audience pipelines.kubeflow.org
    """
    namespace, service = address.split("/namespaces/")[1].split("/", maxsplit=1)[0], address.split("/services/")[1].split(":")[1]
    kubectl = f"kubectl --context {shlex.quote(context)}" if context else "kubectl"
    return (
        f"the hub is installed in the cluster, in namespace {namespace}: it knows people by the cluster's own tokens and makes "
        f"no links. Run\n  {kubectl} --namespace {namespace} port-forward service/{service} 8080:http\n"
        "open http://localhost:8080, and sign in with what this prints, run for your own namespace:\n"
        f"  {kubectl} create token kedge-user --audience pipelines.kubeflow.org"
    )


def sign_in_link(host: Host) -> str:
    """A one-time link to the pages of a host.

    Raises:
        Unavailable: The host does not answer.
        KedgeError: It has no pages to sign in to.
    """
    try:
        answer = httpx.post(
            f"{host.http}/sign-in-links", headers={"Authorization": f"Bearer {host.token}"}, timeout=10, trust_env=False
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"{host.http}: the host does not answer: {error}. `kedge status` says more.") from error
    if answer.status_code != 201:
        raise KedgeError(
            f"{host.http}: the host made no link (HTTP {answer.status_code}). `kedge down`, then `kedge up`, may help."
        )
    return f"{host.http}{answer.json()['path']}"
