"""``kedge doctor``."""

from dataclasses import asdict

import click

from kedge.cli.machine import examine
from kedge.cli.options import output_option, print_json
from kedge.config import Settings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("doctor")
@output_option
def command(*, output: str) -> int:
    """Say what this machine can and cannot do.

    Exit status 1 when something is found that keeps Kedge from working.
    """
    findings = []
    for finding in examine(Settings.from_environment()):
        findings.append(finding)
        if output == "text":
            mark = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
            click.echo(f"{mark}  {finding.name:<15} {finding.what}")
            if finding.fix and finding.level != "ok":
                click.echo(f"{'':<22}→ {finding.fix}")
    if output == "json":
        print_json([asdict(finding) for finding in findings])
    return int(any(finding.level == "fail" for finding in findings))
