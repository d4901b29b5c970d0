"""`mmaml adapt` of a classification model: folders of images in, labels with probabilities out."""

from pathlib import Path

from mmaml.classification.datasets.folder import ENDINGS, class_folders, pictures
from mmaml.classification.model import ClassificationModel
from mmaml.runs.errors import UserError
from mmaml.supervised.predictions import Predictions


def adapt_files(
    model: ClassificationModel, support: Path, query: Path, *, steps: int | None, mode: str | None
) -> Predictions:
    """Adapt `model` to the images in the class folders of `support`, and classify those in the folder `query`.

    `query` may be a single picture too. A row has the picture's name, its label, and the probability of every class.
    Raises `UserError` for folders without images and pictures that cannot be read.
    """
    folders = class_folders(support) if support.is_dir() else []
    if not folders:
        raise UserError(f"{support} has no class folders with images. It takes a folder for each class, named by it.")
    labelled = {path: folder.name for folder in folders for path in pictures(folder)}
    if empty := [folder for folder in folders if folder.name not in labelled.values()]:
        raise UserError(f"{empty[0]} has no images ({', '.join(ENDINGS)}). Add some, or remove the folder.")
    unlabelled = pictures(query) if query.is_dir() else [query]
    if not unlabelled:
        raise UserError(f"{query} has no images. It takes a picture, or a folder of pictures ({', '.join(ENDINGS)}).")
    try:
        adapted = model.adapt(list(labelled), list(labelled.values()), steps=steps, mode=mode)
        probabilities = adapted.predict_proba(unlabelled)
    except ValueError as error:
        raise UserError(str(error)) from error
    classes = [str(name) for name in adapted.classes_]
    rows = [
        {
            "image": path.name,
            "label": classes[row.argmax()],
            "probabilities": {name: round(float(p), 4) for name, p in zip(classes, row, strict=True)},
        }
        for path, row in zip(unlabelled, probabilities, strict=True)
    ]
    return Predictions(rows, adapted)
