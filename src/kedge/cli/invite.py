"""``kedge invite``."""

import asyncio
import base64
import secrets
import string
from datetime import timedelta
from pathlib import Path

import click

from kedge import host
from kedge.cli.options import TimeSpan, output_option, print_json
from kedge.config import Settings
from kedge.errors import StateError
from kedge.home import Host
from kedge.kube.clock import SystemClock, timestamp

_LETTERS = string.ascii_lowercase + string.digits


@click.command("invite")
@click.option("--ttl", type=TimeSpan(), default="24h", show_default=True, help="How long the token may be used.")
@output_option
def command(*, ttl: int, output: str) -> None:
    """Make a token with which another machine joins this host.

    It is for one machine, once. What is printed is the command for that machine: the address, the token, and the hash by which it
    knows this host. The host must serve other machines: `kedge up --listen ADDRESS`.
    """
    settings = Settings.from_environment()
    running = host.find(settings)
    if running is None:
        raise StateError("no host runs here. Start one that other machines reach: kedge up --listen ADDRESS.")
    if not running.outside:
        raise StateError("the host serves this machine alone. Start it anew so that others reach it: kedge up --listen ADDRESS.")
    token, known = asyncio.run(_make(running, ttl)), _hash(settings)
    if output == "json":
        print_json({"server": running.outside, "token": token, "caHash": known})
    else:
        click.echo(f"kedge join {running.outside} --token {token} --ca-hash {known}")


def _hash(settings: Settings) -> str:
    from kedge.server.joining import hash_of  # noqa: PLC0415  # the server's: only this command wants it

    return hash_of((settings.home / "pki" / "ca.crt").read_bytes())


async def _make(running: Host, seconds: int) -> str:
    from kedge.client import kubeconfig  # noqa: PLC0415  # likewise
    from kedge.client.http import HttpClient  # noqa: PLC0415
    from kedge.kube.core import SECRET  # noqa: PLC0415
    from kedge.server.joining import TOKEN_TYPE, TOKENS_IN  # noqa: PLC0415

    name, secret = ("".join(secrets.choice(_LETTERS) for _ in range(length)) for length in (6, 16))
    said = {
        "token-id": name,
        "token-secret": secret,
        "expiration": timestamp(SystemClock().now() + timedelta(seconds=seconds)),
        "usage-bootstrap-authentication": "true",
        "description": "Made by kedge invite, for one node.",
    }
    data = {key: base64.b64encode(value.encode()).decode() for key, value in said.items()}
    meta = {"name": f"bootstrap-token-{name}", "namespace": TOKENS_IN}
    async with HttpClient(kubeconfig.load(Path(running.kubeconfig))) as client:
        await client.create(SECRET, {"metadata": meta, "type": TOKEN_TYPE, "data": data})
    return f"{name}.{secret}"
