"""The program: its commands, and how their errors are told. The one place that knows an exit status."""

import io
import logging
import os
import sys
from collections.abc import Sequence

import click

from cli.commands.doctor import doctor
from cli.commands.failures import failures
from cli.commands.list import list_operations
from cli.commands.redrive import redrive, redrive_messages
from cli.commands.status import status
from cli.commands.submit import submit
from cli.commands.track import track
from cli.commands.watch import watch
from cli.errors import ExitStatus, TrackerError
from cli.output import Output
from shared import library_logs
from shared.redaction import redact, redacted_line

ISSUES = "a defect of tracker itself, or a machine that fails it"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="adx-ingestion-tracker", prog_name="tracker")
def tracker() -> None:
    """Watch queued ingestions of Azure Data Explorer: submit, look, ask what failed, have it tried again.

    It asks the tracker's API (--url, TRACKER_URL), or straight its storage (the app's settings). Exit status: 0 done,
    1 something failed, 2 it can't be done as asked for, 3 no answer, or none in time.
    """


for command in (submit, track, status, list_operations, watch, failures, redrive, redrive_messages, doctor):
    tracker.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: Its words; those of the process if None.

    Returns:
        The exit status; the reason is on standard error.
    """
    # What libraries and the app's code log is for the app: here an error says all, in a line.
    logging.getLogger().addHandler(logging.NullHandler())
    library_logs.tame()
    output = Output()
    try:
        words = None if arguments is None else list(arguments)
        status = tracker.main(args=words, prog_name="tracker", standalone_mode=False)
    except click.ClickException as error:
        # It quotes what was typed.
        told = io.StringIO()
        error.show(told)
        click.echo(redact(told.getvalue()), err=True, nl=False)
        return ExitStatus.REFUSED
    except TrackerError as error:
        output.say(f"tracker: {error}", "red")
        return error.exit_status
    except (click.Abort, KeyboardInterrupt):
        output.say("tracker: interrupted")
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # Who reads has read enough. Python would tell of what it could not write at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.DONE
    except Exception as error:  # noqa: BLE001, a traceback may quote a secret, and says nothing to a person
        output.say(f"tracker: {type(error).__name__}: {redacted_line(error)} ({ISSUES})", "red")
        return ExitStatus.UNREACHABLE
    # What a command ends itself with, by click's Exit.
    return status if isinstance(status, int) else ExitStatus.DONE
