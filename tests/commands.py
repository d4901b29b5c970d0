"""The command line as a test meets it."""

from typing import NamedTuple

from mmaml.cli import main


class Said(NamedTuple):
    """Exit code, standard output, and standard error on one line, without the boxes drawn around messages."""

    code: int
    out: str
    err: str


def mmaml_command(capsys, command, *paths):
    """What a command does and says; `{}` in it stand for paths."""
    filled = iter(paths)
    try:
        code = main([str(next(filled)) if word == "{}" else word for word in command.split()])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return Said(code, captured.out, " ".join(captured.err.replace("│", " ").split()))
