"""Finds the processes of a host: the supervisor outlives the hub and is no child of it."""

import psutil

from kedge.testing.host import RunningHost


def hub_and_supervisor(kedge: RunningHost) -> list[psutil.Process]:
    """The hub and its supervisor.

    Raises:
        LookupError: There is not exactly one supervisor: a figure without it would be too good.
    """
    supervisors: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        if arguments[-2:] == ["--dir", str(kedge.home / "node")] and "kedge.supervisor" in " ".join(arguments):
            supervisors.append(process)
    # What runs for it (a kept view, warm interpreters) is forked from it and has its arguments.
    pids = {process.pid for process in supervisors}
    found = [process for process in supervisors if process.ppid() not in pids]
    if len(found) != 1:
        raise LookupError(f"{len(found)} supervisors of {kedge.home} were found, not one. Is the host running?")
    return [psutil.Process(kedge.host.pid), *found]
