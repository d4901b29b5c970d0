"""Where data sets are found, by name or path, and which of them are here."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from mmaml.classification.datasets.archive import is_archive
from mmaml.classification.datasets.digits import read_digits
from mmaml.classification.datasets.folder import read_images
from mmaml.classification.datasets.known import DIGITS, OFFICIAL, RESEARCH
from mmaml.classification.datasets.pack import SUFFIX, ImageSet
from mmaml.classification.datasets.pictures import FEWEST_BITS
from mmaml.classification.datasets.research import read_research_pack
from mmaml.classification.datasets.splits import SPLITS, Split
from mmaml.runs.errors import DataError, Note, UserError


def data_folder() -> Path:
    """Where data sets are kept: `$MMAML_DATA`, or else `~/.cache/mmaml/data`. Raises `UserError` without a home."""
    try:
        return Path(os.environ.get("MMAML_DATA") or Path.home() / ".cache" / "mmaml" / "data")
    except RuntimeError as error:
        raise UserError(f"no place for data sets: {error} Set MMAML_DATA to a folder for them.") from error


def pack_path(name: str) -> Path:
    """Where the pack of a data set is kept, whether it is there or not."""
    return data_folder() / f"{name}{SUFFIX}"


def is_here(name: str) -> bool:
    """Whether `find` will find a data set of that name."""
    research = RESEARCH.get(name)
    return name in DIGITS or _has_pack(name) or bool(research and (data_folder() / research.file).is_file())


def stand_in_for(mode: str) -> str:
    """The name of the data set that serves a mode of the paper here: the official one, or else its research pack.

    A research pack goes by a name of its own, so that nobody takes it for the official set; Omniglot's has all of
    Omniglot and keeps its name.

    Raises `UserError` if there is neither.
    """
    if is_here(mode):
        return mode
    for name, research in RESEARCH.items():
        if research.instead_of == mode and is_here(name):
            return name
    raise _not_here(mode)


def find(name: str) -> ImageSet:
    """A data set by name: the official or imported pack in the data folder, or else the research pack there.

    Raises `UserError` if there is none, or it is damaged.
    """
    if _has_pack(name):
        return ImageSet.load(pack_path(name))
    if name in RESEARCH and is_here(name):
        return read_research_pack(data_folder() / RESEARCH[name].file, name, RESEARCH[name].split)
    if name in DIGITS:
        return read_digits(name)
    if name in OFFICIAL or name in RESEARCH:
        raise _not_here(name)
    raise UserError(
        f"{name} is not a data set; these are {', '.join(dict.fromkeys([*OFFICIAL, *RESEARCH, *DIGITS]))}. "
        "`mmaml data list` says which are here, and `mmaml data import` adds your own. A file or folder that is named "
        "instead, with --data or to `mmaml data inspect`, must exist."
    )


def tell_apart(path: Path, taken: str) -> None:
    """Say (`Note`) which is taken where both a file and a data set are called so, and how to get the other."""
    warnings.warn(
        f"both {path.resolve()} and a data set are called {path}: {taken} is taken. Name the one that is meant by its "
        f"whole path; the data set's is {pack_path(path.name)}.",
        Note,
        stacklevel=2,
    )


def read_path(path: Path, side: int, bits: int = FEWEST_BITS) -> ImageSet:
    """A data set from a pack file, or from a folder or archive of class folders, whose images get `side`.

    Gray pictures with more than 8 bits are taken to have `bits` or more.

    Raises `UserError` if nothing is there, or it is damaged or something else.
    """
    if path.is_dir() or is_archive(path):
        return read_images(path, side, bits=bits)
    return read_research_pack(path) if path.suffix == ".npz" else ImageSet.load(path)


def make_official(name: str, source: Path, side: int) -> ImageSet:
    """A published data set, made of its authors' archives at `source`, with images of `side` × `side` pixels.

    Raises `UserError` if something is missing, or cannot be read.
    """
    official = OFFICIAL[name]
    image_set = official.read(source, side)
    if len(image_set.images) != official.images:
        raise UserError(
            f"{source} has {len(image_set.images)} images, but {name} has {official.images}: it is incomplete, or not "
            "the official data set. Download it again, or import it under a name of your own."
        )
    return image_set


@dataclass(frozen=True)
class Listed:
    """What a list of data sets says of one: whether it is here, or here but damaged, and what it is.

    `classes` are those of each split; of a damaged set they and the images' `size` are not known.
    """

    name: str
    here: bool
    damaged: bool
    classes: dict[Split, int] | None
    size: str
    what: str
    terms: str


def listing() -> list[Listed]:
    """The data sets that have a name here, then a person's own in the data folder."""
    about_digits = "8×8×1", "scikit-learn's digits, turned four ways", "CC BY 4.0"
    digits = [Listed(name, True, False, _by_split((16, 12, 12)), *about_digits) for name in DIGITS]
    packs = [path for path in sorted(data_folder().glob(f"*{SUFFIX}")) if not path.name.startswith(".")]
    own = [_packed(path, "your own images", "yours") for path in packs if path.stem not in OFFICIAL]
    return [*map(_published, dict.fromkeys([*OFFICIAL, *RESEARCH])), *digits, *own]


def _published(name: str) -> Listed:
    here = is_here(name)
    if name in OFFICIAL and _has_pack(name):
        return _packed(pack_path(name), OFFICIAL[name].title, OFFICIAL[name].terms)
    about = RESEARCH[name] if name not in OFFICIAL or here else OFFICIAL[name]
    return Listed(name, here, False, _by_split(about.classes), about.size, about.title, about.terms)


def _packed(path: Path, what: str, terms: str) -> Listed:
    try:
        found = ImageSet.load(path)
    except UserError:
        return Listed(path.stem, True, True, None, "?", what, terms)
    size = "×".join(map(str, found.images.shape[1:]))
    return Listed(path.stem, True, False, _by_split(found.classes_per_split), size, what, terms)


def _by_split(classes: tuple[int, int, int]) -> dict[Split, int]:
    return dict(zip(SPLITS, classes, strict=True))


def _has_pack(name: str) -> bool:
    # A path is not a name, though the pack beside it may be called so.
    return Path(name).name == name and pack_path(name).is_file()


def _not_here(name: str) -> DataError:
    if name not in OFFICIAL:
        return DataError(
            f"{name} is not here: {data_folder()} has no {RESEARCH[name].file}. It is a research pack and cannot be "
            "fetched; set MMAML_DATA to the folder that has it."
        )
    advice = OFFICIAL[name].how or f"Get it with `mmaml data fetch {name}` or `mmaml data import {name} PATH`."
    return DataError(f"{name} is not here: {data_folder()} has no {name}{SUFFIX}. {advice}")
