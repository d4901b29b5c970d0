"""`mmaml adapt` of a classification model: folders of images in, labels with probabilities out."""

import csv
import io
from pathlib import Path

import numpy as np

from mmaml.classification.datasets.folder import ENDINGS
from mmaml.classification.datasets.pictures import decode
from mmaml.classification.model import ClassificationModel
from mmaml.runs.errors import UserError
from mmaml.runs.files import write_atomically
from mmaml.supervised.use import AdaptedTask


def adapt_files(
    model: ClassificationModel, support: Path, query: Path, out: Path | None, *, steps: int | None, mode: str | None
) -> AdaptedTask:
    """Adapt `model` to the images in the class folders of `support`, and classify those in the folder `query`.

    Writes CSV: image, label, and the probability of every class. Returns the adapted model. Raises `UserError` for
    folders without images.
    """
    labelled = {path: folder.name for folder in _folders(support) for path in _pictures(folder)}
    unlabelled = [query] if query.is_file() else _pictures(query)
    if not labelled:
        raise UserError(f"{support} has no class folders with images. It takes a folder for each class, named by it.")
    if not unlabelled:
        raise UserError(f"{query} has no images. It takes a picture or a folder of pictures ({', '.join(ENDINGS)}).")
    try:
        adapted = model.adapt(_read(list(labelled), model), list(labelled.values()), steps=steps, mode=mode)
    except ValueError as error:
        raise UserError(str(error)) from error
    probabilities = adapted.predict_proba(_read(unlabelled, model))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", *adapted.classes_])
    for path, row in zip(unlabelled, probabilities, strict=True):
        writer.writerow([path.name, adapted.classes_[row.argmax()], *(f"{p:.4f}" for p in row)])
    if out is None:
        print(text.getvalue(), end="")
    else:
        write_atomically(out, text.getvalue())
    return adapted


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")) if path.is_dir() else []


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS) if folder.is_dir() else []


def _read(paths: list[Path], model: ClassificationModel) -> np.ndarray:
    return np.stack([decode(path.read_bytes(), model.config.side, model.channels, str(path)) for path in paths])
