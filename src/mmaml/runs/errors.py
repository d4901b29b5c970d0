"""The ways a command can fail, each shown as one message and without a traceback; and what is worth a word."""

import shlex
from pathlib import Path


def command(name: str, run: Path) -> str:
    """A command on a run in words, as it can be pasted into a shell."""
    return f"`{shlex.join(['mmaml', name, str(run)])}`"


def shortened(text: str, most: int) -> str:
    """The text in `most` characters, the last of which is an ellipsis where some are left out."""
    return text if len(text) <= most else text[: most - 1] + "…"


class UserError(Exception):
    """The user can mend it: a bad option, a missing or broken file. Exit code 2."""

    title = "Error:"
    exit_code = 2


class DataError(UserError):
    """The data asked for is not here, or does not suffice; what needs other data can go on."""


class RunFailed(Exception):
    """The run itself failed, through no fault of the command line. Exit code 1."""

    title = "Failed:"
    exit_code = 1


class Note(UserWarning):
    """Something a person should know that does not keep the program from going on."""


class Interrupted(Exception):
    """The user stopped a command; what it had saved is whole. Exit code 130, as shells have it."""

    title = "Stopped:"
    exit_code = 130
