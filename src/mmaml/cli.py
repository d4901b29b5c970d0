"""The command line: parse, call, print."""

import io
import json as json_format
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmaml import api
from mmaml.cli_data import data
from mmaml.domains import DOMAINS, PRESETS, TABLES
from mmaml.experiments.config import Budget
from mmaml.experiments.experiment import AbstractExperiment
from mmaml.experiments.paper_tables.terminal import for_terminal
from mmaml.experiments.reproduce import reproduce_table
from mmaml.report.read import Run as RunRead
from mmaml.report.read import read_runs
from mmaml.report.tables import results_for_terminal
from mmaml.runs.config import to_dict
from mmaml.runs.console import OutputConsole, discard, progress_console
from mmaml.runs.devices import prepare_jax
from mmaml.runs.errors import Interrupted, Note, RunFailed, UserError
from mmaml.runs.files import refuse_to_replace, write_atomically
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import Result


ABOUT = (
    "Meta-learning from many small tasks of several kinds. `--version` alone says which mmaml this is; `--debug` with "
    "any command shows where in the code an error comes from."
)

app = tyro.extras.SubcommandApp()
app.command(data, name="data", help="Image data sets: list, fetch, import and inspect them.")

Run = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
Runs = Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN …")]
File = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
# A preset is a subcommand whose options are the fields of its configuration.
Preset = tyro.extras.subcommand_type_from_defaults(
    PRESETS,
    {n: f"{domain.title}: {config.description}" for domain in DOMAINS.values() for n, config in domain.presets.items()},
    prefix_names=False,
)
PaperTable = Literal[tuple(TABLES)]


@app.command
def train(
    config: Preset,  # pyright: ignore[reportInvalidTypeForm]
    out: Path | None = None,
    overwrite: bool = False,
    tensorboard: bool = False,
    json: bool = False,
) -> None:
    """Meta-train a learner, evaluate it and write its report.

    Args:
        config: The published setting to start from.
        out: Folder of the run; default: runs/<setting>-<learner>-<budget>.
        overwrite: Replace the run that is there.
        tensorboard: Also write TensorBoard event files, to <run>/tensorboard.
        json: Print the result as JSON, progress on standard error.
    """
    _complete(*api.begin(config, out, overwrite), tensorboard, json)


@app.command
def resume(run: Run, tensorboard: bool = False, json: bool = False) -> None:
    """Go on with a run that was interrupted, as if it had not been.

    Args:
        run: Folder of the run.
        tensorboard: Also write TensorBoard event files, to <run>/tensorboard.
        json: Print the result as JSON, progress on standard error.
    """
    _complete(*api.reopen(run), tensorboard, json)


@app.command
def evaluate(run: Run, tasks: int | None = None, steps: int | None = None, json: bool = False) -> None:
    """Evaluate a run on fresh tasks, the same for every learner.

    If other tasks or steps are asked for, nothing is written: so a run can be looked at while it trains.

    Args:
        run: Folder of the run; its result.json and report are written anew, and the model of one that was stopped.
        tasks: Number of tasks; default: that of the run's budget.
        steps: Gradient steps on each; default: as in meta-training.
        json: Print the result as JSON.
    """
    with _console(json).status("evaluating"):
        result = api.evaluate(run, tasks=tasks, steps=steps)
    runs = read_runs([RunFolder.open(run)])
    _show_results([replace(evaluated, result=result) for evaluated in runs], result if json else None)


@app.command
def report(runs: Runs, out: Path | None = None, overwrite: bool = False, json: bool = False) -> None:
    """Write one HTML page about one run or several beside each other.

    Args:
        runs: Folders of the runs.
        out: The page; default: report.html in the run's folder, or, of several runs, comparison.html here.
        overwrite: Replace a file that is there at `--out`.
        json: Print the page's path as JSON.
    """
    if not runs:
        raise UserError("a report needs at least one run.")
    folders = [RunFolder.open(run) for run in runs]
    out = out or (Path("comparison.html") if len(runs) > 1 else None)
    refuse_to_replace(out, overwrite)
    page = out or folders[0].report_path
    api.report(folders, page)
    if not json:
        _show_results(read_runs(folders), None)
    _show_made("report", page, json)


@app.command
def reproduce(
    table: tyro.conf.Positional[PaperTable],  # pyright: ignore[reportInvalidTypeForm]
    budget: Budget = "cpu",
    out: Path = Path("results"),
    settings: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,),
    json: bool = False,
) -> None:
    """Fill a table of the paper from our own runs. Interrupted, the same command goes on where it stopped.

    Args:
        table: table1 (regression), table2 (images), table3 (policies), ablation; workshop paper: omniglot, workshop.
        budget: How much to spend on each run.
        out: Folder for the table and its runs.
        settings: Columns to fill, such as '2 modes' '5 modes'; an unknown name lists them. Default: all.
        methods: Rows to fill, such as maml mmaml-film; an unknown name lists them. Default: all.
        seeds: Runs of each cell.
        json: Print the table's cells as JSON, progress on standard error.
    """
    prepare_jax()
    cells = reproduce_table(
        TABLES[table], out, budget=budget, settings=settings, methods=methods, seeds=seeds, console=_console(json)
    )
    if json:
        print(json_format.dumps(cells))
    else:
        OutputConsole().print(for_terminal(TABLES[table], cells))
        _show_made("table", out / f"{table}.md", json)


@app.command
def adapt(
    run: Run,
    support: Path,
    query: Path,
    out: Path | None = None,
    steps: int | None = None,
    mode: str | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Learn a new task from a few labelled examples and predict others.

    Args:
        run: Folder of a run, or a file made by `mmaml export`.
        support: Labelled examples: a CSV file of x (or x1, x2, …) and y; or a folder of folders, one a class.
        query: What to predict: a CSV file, a picture or a folder of them; judged if it has y, or folders by class.
        out: CSV file for the predictions; default: standard output.
        steps: Gradient steps; default: as in meta-training.
        mode: The task's mode; only Multi-MAML needs it.
        overwrite: Replace a file that is there at `--out`.
        json: Print the predictions as JSON, and what kinds of training tasks the new one is like.
    """
    refuse_to_replace(out, overwrite)
    prepare_jax()
    model = api.load(run)
    adapt_files = DOMAINS[model.config.DOMAIN].adapt_files
    if adapt_files is None:
        raise UserError(f"{run} is a model of policies, whose tasks are environments and not files.")
    predictions = adapt_files(model, support, query, steps=steps, mode=mode)
    if out is not None:
        write_atomically(out, predictions.to_csv())
    if json:
        print(json_format.dumps(predictions.to_dict()))
        return
    if out is None:
        print(predictions.to_csv(), end="")
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    if score := predictions.score:
        known = "query" if score.queries == 1 else "queries"
        console.print(f"{score.name.capitalize()}: {score.value:.4g} over {score.queries} {known} with known answers.")
    if (neighbours := predictions.mode_neighbours) and len(model.modes) > 1:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in neighbours.items())
        console.print(f"The training tasks most like this one: {shares}.")


@app.command
def render(
    run: Run,
    out: Path | None = None,
    mode: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Film a policy that learns a task: an episode before any gradient step, and one after each.

    Args:
        run: Folder of a run, or a file made by `mmaml export`.
        out: The video, a .gif or .mp4 file; default: video.gif in the run's folder.
        mode: The task's mode; default: any.
        seed: Which task and episodes.
        overwrite: Replace a video that is there.
        json: Print the video's path as JSON.
    """
    video = out or (run / "video.gif" if run.is_dir() else run.with_suffix(".gif"))
    refuse_to_replace(video, overwrite)
    prepare_jax()
    model = api.load(run)
    film = DOMAINS[model.config.DOMAIN].film
    if film is None:
        raise UserError(f"{run} is not a model of policies: there is nothing to film.")
    with _console(json).status("filming"):
        film(model, video, mode, seed)
    _show_made("video", video, json)


@app.command
def export(run: Run, file: File, overwrite: bool = False, json: bool = False) -> None:
    """Write the trained model to one safetensors file, for `mmaml adapt` and `mmaml.load`.

    Args:
        run: Folder of the run.
        file: The file to write.
        overwrite: Replace it if it is there already.
        json: Print the file's path as JSON.
    """
    refuse_to_replace(file, overwrite)
    api.load(run).save(file)
    _show_made("model", file, json)


@app.command
def presets(json: bool = False) -> None:
    """List the published settings that `train` knows.

    Args:
        json: Print them as JSON, with all their options.
    """
    if json:
        print(json_format.dumps({name: to_dict(config) for name, config in PRESETS.items()}))
        return
    width = max(map(len, PRESETS))
    for domain in DOMAINS.values():
        listed = Table(title=domain.title, title_justify="left", title_style="bold", box=None, show_header=False)
        listed.add_column(min_width=width)
        for name, config in domain.presets.items():
            listed.add_row(name, config.description)
        OutputConsole().print(listed)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 for a failed run, 2 for the user's mistake, 130 if interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    if sys.stdout is None:  # closed from the beginning
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no `±` gets a question mark
    style = (
        tyro.conf.OmitArgPrefixes,
        tyro.conf.OmitSubcommandPrefixes,
        tyro.conf.CascadeSubcommandArgs,
        tyro.conf.FlagCreatePairsOff,
    )
    try:
        match arguments:
            case ["--version"]:
                print(f"mmaml {version('mmaml')}", flush=True)
                return 0
            case ["train", name, *_] if not name.startswith("-"):
                api.require_preset(name)  # tyro would take it for an option
        with _notes_for_people():
            app.cli(args=[a for a in arguments if a != "--debug"], prog="mmaml", description=ABOUT, config=style)
        sys.stdout.flush()
    except (UserError, RunFailed, Interrupted) as error:
        if debug:
            traceback.print_exc()
        return _tell(error)
    except KeyboardInterrupt:
        return _tell(Interrupted("the command was not finished; what was there before is unchanged."))
    except BrokenPipeError:  # who read our output has seen enough
        discard(sys.stdout)
    except OSError as error:  # such as a file or folder that may not be read
        if debug:
            traceback.print_exc()
        return _tell(UserError(f"{error.filename or 'the system'}: {error.strerror or error}."))
    return 0


def _tell(error: UserError | RunFailed | Interrupted) -> int:
    message = f"[bold red]{error.title}[/] {escape(str(error))}"
    Console(stderr=True).print(message, highlight=False, soft_wrap=True)
    return error.exit_code


@contextmanager
def _notes_for_people() -> Iterator[None]:
    """Show warnings that are meant for users without the line of code they come from."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, Note):
            Console(stderr=True).print(f"[yellow]Note:[/] {escape(str(message))}", soft_wrap=True, highlight=False)
        else:
            usual(message, category, *place)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _console(json: bool) -> Console:
    return progress_console(stderr=json)


def _complete(folder: RunFolder, experiment: AbstractExperiment, tensorboard: bool, json: bool) -> None:
    console = _console(json)
    result = api.complete(folder, experiment, console, tensorboard=tensorboard)
    _show_results(read_runs([folder]), result if json else None)
    console.print(f"Report: {folder.report_path}", soft_wrap=True, highlight=False, markup=False)


def _show_made(what: str, path: Path, json: bool) -> None:
    if json:
        print(json_format.dumps({what: str(path)}))
    else:
        OutputConsole().print(f"{what.capitalize()}: {path}", soft_wrap=True, highlight=False, markup=False)


def _show_results(runs: list[RunRead], result: Result | None) -> None:
    if result is not None:
        print(json_format.dumps(result))
    else:
        OutputConsole().print(results_for_terminal(runs))


if __name__ == "__main__":
    sys.exit(main())
