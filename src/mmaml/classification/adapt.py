"""`mmaml adapt` of a classification model: folders of images in, labels with probabilities out."""

from pathlib import Path

from mmaml.classification.datasets.folder import ENDINGS, class_folders, pictures
from mmaml.classification.model import ClassificationModel
from mmaml.experiments.predictions import Predictions, Score
from mmaml.runs.errors import UserError


def adapt_files(
    model: ClassificationModel, support: Path, query: Path, *, steps: int | None, mode: str | None
) -> Predictions:
    """Adapt `model` to the images in the class folders of `support`, and classify those in the folder `query`.

    `query` may be a single picture too. A row has the picture's name, its label, and the probability of every class.
    If `query` has folders named like those of `support`, the pictures in them are classified, and their labels judged.
    Raises `UserError` for folders without images and pictures that cannot be read.
    """
    folders = class_folders(support) if support.is_dir() else []
    if not folders:
        raise UserError(f"{support} has no class folders with images. It takes a folder for each class, named by it.")
    labelled = {path: folder.name for folder in folders for path in pictures(folder)}
    if empty := [folder for folder in folders if folder.name not in labelled.values()]:
        raise UserError(f"{empty[0]} has no images ({', '.join(ENDINGS)}). Add some, or remove the folder.")
    known = _labelled(query, {folder.name for folder in folders}) if query.is_dir() else {}
    queries = list(known) or (pictures(query) if query.is_dir() else [query])
    if not queries:
        raise UserError(
            f"{query} has no images ({', '.join(ENDINGS)}). It takes a picture, a folder of pictures, or of folders "
            f"named like those in {support}."
        )
    try:
        adapted = model.adapt(list(labelled), list(labelled.values()), steps=steps, mode=mode)
        probabilities = adapted.predict_proba(queries)
    except ValueError as error:
        raise UserError(str(error)) from error
    classes = [str(name) for name in adapted.classes_]
    rows = [
        {
            "image": path.relative_to(query).as_posix() if known else path.name,
            "label": classes[row.argmax()],
            **({"given": known[path]} if known else {}),
            "probabilities": {name: round(float(p), 4) for name, p in zip(classes, row, strict=True)},
        }
        for path, row in zip(queries, probabilities, strict=True)
    ]
    if not known:
        return Predictions(rows, adapted.mode_neighbours)
    right = [row["label"] == row["given"] for row in rows]
    return Predictions(rows, adapted.mode_neighbours, Score("accuracy", sum(right) / len(right), len(right)))


def _labelled(folder: Path, classes: set[str]) -> dict[Path, str]:
    """The pictures in class folders of `folder`, with their classes; none if no folder is named like a class."""
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    if not found & classes:
        return {}
    inner = class_folders(folder)
    if others := [path for path in inner if path.name not in classes]:
        raise UserError(
            f"{others[0]} is named like no class of the support set ({', '.join(sorted(classes))}), as others in "
            f"{folder} are. Take it away, or give a folder of pictures without folders in it."
        )
    return {picture: path.name for path in inner for picture in pictures(path)}
