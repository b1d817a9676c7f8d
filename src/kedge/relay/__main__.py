"""The relay's program: ``python3 relay.pyz --pods 8080 --tunnel 8081 --secret FILE``."""

import argparse
import asyncio
import signal
import sys

from .server import Server


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="kedge relay")
    parser.add_argument("--pods", type=int, default=8080, help="port for Pods; 0 for any")
    parser.add_argument("--tunnel", type=int, default=8081, help="port for the hub; 0 for any")
    parser.add_argument("--secret", required=True, help="file with what the hub must know")
    parser.add_argument("--address", default=None, help="where to listen; everywhere by default")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(options.secret)
    pods, tunnel = await server.start(options.address, options.pods, options.tunnel)
    print(f"kedge relay: listens for Pods on port {pods}, for the hub on port {tunnel}", file=sys.stderr, flush=True)
    await stopping.wait()
    await server.stop()


if __name__ == "__main__":
    main()
