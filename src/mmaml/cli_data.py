"""`mmaml data`: list, fetch, import and inspect image data sets."""

import json as json_format
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from mmaml.classification.datasets import catalogue
from mmaml.classification.datasets.contact_sheet import contact_sheet
from mmaml.classification.datasets.fetch import download
from mmaml.classification.datasets.folder import read_images
from mmaml.classification.datasets.known import DIGITS, OFFICIAL, RESEARCH
from mmaml.classification.datasets.pack import ImageSet
from mmaml.classification.datasets.pictures import LARGEST_SIDE
from mmaml.classification.datasets.splits import SPLITS
from mmaml.runs.config import require
from mmaml.runs.console import OutputConsole
from mmaml.runs.errors import UserError
from mmaml.runs.files import refuse_to_replace


data = tyro.extras.SubcommandApp()

Name = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]


@data.command(name="list")
def list_sets(json: bool = False) -> None:
    """List the image data sets, and which of them are here.

    Args:
        json: Print them as JSON.
    """
    rows = catalogue.listing()
    if json:
        print(json_format.dumps([asdict(row) for row in rows]))
        return
    table = Table(box=None, caption=f"Data folder: {catalogue.data_folder()}", caption_justify="left")
    for column in ("name", "here", "classes", "images", "what", "terms"):
        table.add_column(column, no_wrap=column not in ("what", "terms"), overflow="fold")
    for row in rows:
        presence = "damaged" if row.damaged else "yes" if row.here else "no"
        classes = "/".join(map(str, row.classes.values())) if row.classes else "?"
        table.add_row(row.name, presence, classes, row.size, row.what, row.terms)
    OutputConsole().print(table)


@data.command
def fetch(name: Name, image_size: int | None = None, overwrite: bool = False, json: bool = False) -> None:
    """Download an official data set and make its pack. Interrupted, the same command goes on where it stopped.

    Args:
        name: The data set; `mmaml data list` shows them.
        image_size: Height and width to keep the images at; default: 84, and 32 for CIFAR-100, as it comes.
        overwrite: Make the pack anew if it is there already.
        json: Print what was made as JSON, progress on standard error.
    """
    if name not in OFFICIAL:
        can = ", ".join(n for n, official in OFFICIAL.items() if official.archives)
        raise UserError(f"{name} cannot be fetched; what can is {can}.")
    official = OFFICIAL[name]
    _checked(image_size, official.side)
    if not official.archives:
        raise UserError(f"{name} cannot be fetched. {official.how}")
    _refuse_to_replace(name, overwrite)
    console = Console(stderr=json)
    folder = catalogue.data_folder() / "downloads" / official.downloads
    for archive in official.archives:
        download(archive, folder, console)
    _make_official(name, folder, image_size, json)
    console.print(f"{folder} is not needed any more.", soft_wrap=True, highlight=False, markup=False)


@data.command(name="import")
def import_set(
    name: Name,
    path: tyro.conf.Positional[Path],
    image_size: int | None = None,
    seed: int = 0,
    min_images: int = 2,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Make the pack of a data set from files you have: an official one, or images of your own.

    Args:
        name: The official data set, or a new name for your own images.
        path: The official archive or folder; or your own, with one sub-folder a class, or train, val and test.
        image_size: Height and width to keep the images at; default: 84, and 32 for CIFAR-100, as it comes.
        seed: Which of your own classes are for training, validation and test is drawn with it.
        min_images: What each of your own classes must have at least.
        overwrite: Replace the data set of that name.
        json: Print what was made as JSON, progress on standard error.
    """
    _refuse_to_replace(name, overwrite)
    require(seed >= 0, "seed", seed, "0 or more")
    require(min_images > 0, "min_images", min_images, "at least 1")
    if name in OFFICIAL:
        _make_official(name, path, image_size, json)
        return
    if name in RESEARCH or name in DIGITS or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(
            f"{name!r} cannot be the name of your own images. Use letters, digits, '.', '_' and '-', and none of "
            f"{', '.join([*RESEARCH, *DIGITS])}."
        )
    with Console(stderr=True).status("reading images"):
        image_set = read_images(path, _checked(image_size, 84), name=name, seed=seed, least=min_images)
    _save(image_set, json)
    console = Console(stderr=True)
    given = catalogue.pack_path(name) if Path(name).exists() else name  # a folder that is called so would be taken
    message = f"Train on it with `mmaml train classification --data {given}`."
    console.print(message, soft_wrap=True, highlight=False, markup=False)


@data.command
def inspect(
    name: Name, out: Path | None = None, image_size: int | None = None, overwrite: bool = False, json: bool = False
) -> None:
    """Show what is in a data set: its images, classes and splits.

    Args:
        name: The data set, or a pack file, or a folder or archive with one sub-folder a class.
        out: Also write a page of sample images there, as PNG.
        image_size: Height and width that a folder's images are brought to; default: 84.
        overwrite: Replace what is there already.
        json: Print it as JSON.
    """
    if out is not None and out.suffix.lower() != ".png":
        raise UserError(f"--out is {out}, but must end in .png.")
    refuse_to_replace(out, overwrite)
    path, side = Path(name), _checked(image_size, 84)
    by_name = catalogue.is_here(name) or not path.exists()
    if by_name and path.exists():
        catalogue.tell_apart(path, "the data set")
    with Console(stderr=True).status("reading images"):
        image_set = catalogue.find(name) if by_name else catalogue.read_path(path, side)
    about = image_set.summary()
    if out is not None:
        contact_sheet(image_set, out)
        about["sheet"] = str(out)
    by_split = {
        split: [n for n, s in zip(image_set.class_names, image_set.class_split, strict=True) if s == i]
        for i, split in enumerate(SPLITS)
    }
    if json:
        print(json_format.dumps(about | {"class_names": by_split}))
        return
    _show(about)
    for split, names in by_split.items():
        print(f"{split}: {', '.join(names)}")


def _refuse_to_replace(name: str, overwrite: bool) -> None:
    path = catalogue.pack_path(name)
    if path.exists() and not overwrite:
        raise UserError(
            f"{name} is here already: {path}. Look at it with `mmaml data inspect {name}`, or replace it with "
            "--overwrite."
        )


def _make_official(name: str, source: Path, image_size: int | None, json: bool) -> None:
    side = _checked(image_size, OFFICIAL[name].side)
    with Console(stderr=True).status("reading images"):
        image_set = catalogue.make_official(name, source, side)
    _save(image_set, json)


def _checked(image_size: int | None, default: int) -> int:
    image_size = default if image_size is None else image_size
    require(0 < image_size <= LARGEST_SIDE, "image_size", image_size, f"from 1 to {LARGEST_SIDE}")
    return image_size


def _save(image_set: ImageSet, json: bool) -> None:
    path = catalogue.pack_path(image_set.name)
    image_set.save(path)
    about = image_set.summary() | {"path": str(path)}
    if json:
        print(json_format.dumps(about))
    else:
        _show(about)


def _show(about: dict[str, Any]) -> None:
    size, per_class = (
        "×".join(map(str, about["image_size"])),
        "–".join(map(str, sorted(set(about["images_per_class"])))),
    )
    classes = ", ".join(f"{n} {split}" for split, n in about["classes"].items())
    lines = [f"{about['name']}: {about['images']} images of {size}, {per_class} a class", f"Classes: {classes}"]
    lines += [f"{part.capitalize()}: {about[part]}" for part in ("path", "sheet") if part in about]
    OutputConsole().print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
