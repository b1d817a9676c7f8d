"""The ``kedge`` command: the table of commands, and what becomes of errors.

``kedge --help`` is read from the table below and loads no command: it answers at once. A test holds the table and the commands
together.

Exit status: 0 done; 1 it failed, and standard error says what, where, why and how to fix it; 2 the command line itself is wrong;
130 interrupted.
"""

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import cast

import click

from kedge.config import colors
from kedge.errors import KedgeError

# Name -> one line of help. The command `x` is the object `command` of the module `kedge.cli.x`.
COMMANDS = {
    "up": "Start the host, in the foreground or detached.",
    "down": "Stop the host and every step it runs.",
    "open": "Open the dashboard in a browser.",
    "status": "Say whether a host runs, and where.",
    "demo": "Run a real machine-learning pipeline here, twice.",
    "doctor": "Say what this machine can and cannot do.",
    "compile": "Compile a pipeline file to YAML.",
    "run": "Run a pipeline and follow it.",
    "runs": "List, show, compare, retry, resume, archive and delete runs.",
    "logs": "Print what the steps of a run wrote.",
    "cancel": "Cancel a run.",
    "pipelines": "List, show, upload and delete pipelines.",
    "artifacts": "List, show and get artifacts, and tell their lineage.",
    "cache": "List, show and clear results of steps that may be used again.",
    "schedules": "Run pipelines again and again: by cron or every so often.",
    "invite": "Make a token with which another machine joins this host.",
    "join": "Run Pods of another machine's host, or of a cluster, here.",
    "install": "Install Kedge into a namespace of a cluster.",
    "upgrade": "Bring an installed Kedge to this version.",
    "uninstall": "Take Kedge out of a cluster.",
    "hub": "Run the hub of this cluster, in one of its Pods.",
    "backup": "Copy the data directory into one file, while its host works.",
    "restore": "Put a backup back into a data directory.",
    "debug": "Run one step of a run again here, under a debugger.",
    "version": "Print the version.",
}
# Those that speak to a host, and so to the hub of a cluster as well: they take ``--context``.
OF_A_HOST = {"down", "open", "status", "run", "runs", "logs", "cancel", "pipelines", "artifacts", "cache", "schedules", "debug"}


# What the machine says of a file or folder that the user named -> what to do.
_FIXES = {
    errno.ENOENT: "Make the folder first, or name another.",
    errno.ENOTDIR: "A part of it is a file: name another.",
    errno.EISDIR: "Name a file in it.",
    errno.EACCES: "Name another that you may use, or change its permissions.",
    errno.EPERM: "Name another that you may use, or change its permissions.",
    errno.EROFS: "Name another that can be written.",
    errno.ENAMETOOLONG: "Name it shorter.",
    errno.ENOSPC: "Make room on its disk, or write elsewhere.",
    errno.EDQUOT: "Make room on its disk, or write elsewhere.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"kedge.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101  # a defect of ours, not of the input
        if cmd_name in OF_A_HOST:
            importlib.import_module("kedge.cli.options").add_context(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's order
    if wanted:
        importlib.import_module("kedge.cli.version").command.main([], prog_name="kedge version", standalone_mode=False)
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Everything lies in one directory, which KEDGE_HOME moves. `kedge COMMAND --help` tells more.",
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version.")
def cli() -> None:
    """Kubeflow's APIs in one Python package, from a phone to a fleet."""


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed (`>&-`): nobody reads it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123  # for as long as the process lives
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # a terminal that has no ✓ shows a question mark


def _not_text(error: UnicodeEncodeError) -> str:
    return f"{error.object!r:.80} is not text in this locale. Set LC_ALL to one of UTF-8, such as C.UTF-8."


def _tell(error: OSError) -> int:
    if error.filename is None:
        sys.stdout = None  # it may be what could not be written: there is no use in trying again with what is left
    click.echo(f"kedge: {error.filename or 'the output'}: {error.strerror}. {_FIXES[error.errno or 0]}", err=True)
    return 1


def _spare_httpx_its_program() -> None:
    """Keep httpx from loading its own command line with rich and pygments: 4 MB of every host, which nothing here uses."""
    modules: dict[str, ModuleType | None] = cast("dict[str, ModuleType | None]", sys.modules)
    modules.setdefault("httpx._main", None)  # whoever imports what stands here as None is told that it is not installed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Instead of the process's own.

    Returns:
        The exit status.
    """
    _prepare_streams()
    _spare_httpx_its_program()
    try:
        words = None if arguments is None else list(arguments)
        result = cli.main(args=words, prog_name="kedge", standalone_mode=False, color=colors())
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("kedge: interrupted", err=True)
        return 130
    except (KedgeError, UnicodeEncodeError) as error:
        click.echo(f"kedge: {_not_text(error) if isinstance(error, UnicodeEncodeError) else error}", err=True)
        return 1
    except BrokenPipeError:
        # The reader (`| head`) has gone: nothing is wrong, and nobody is there to be told.
        sys.stdout = None
        return 0
    except OSError as error:
        if error.errno not in _FIXES:
            raise
        result = _tell(error)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # A defect; or the answer of a host that runs other code.
        from kedge.cli.session import other_code  # noqa: PLC0415

        if not (text := other_code()):
            raise
        click.echo(f"kedge: {text} ({type(error).__name__}: {error})", err=True)
        return 1
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
