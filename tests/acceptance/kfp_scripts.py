"""Programs that use kfp's own clients against a host, run under an interpreter that has kfp and not Kedge."""

import subprocess
from pathlib import Path

from environments import client_environment

from kedge.testing.host import RunningHost

KFP = "kfp==2.17.0"


def succeeds(kedge: RunningHost, script: str, folder: Path) -> None:
    """Run one to its end; it must not fail.

    Args:
        kedge: The host.
        script: Its text. Its arguments are the host's address, its token, and the folder.
        folder: For what it writes, and its home.
    """
    path = folder / "script.py"
    path.write_text(script)
    arguments = [str(client_environment("kfp", [KFP])), str(path), kedge.host.http, kedge.host.token, str(folder)]
    environ = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=110, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
