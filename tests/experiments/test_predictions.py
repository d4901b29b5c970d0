"""Predictions as files and as JSON."""

import csv
import json

from mmaml.experiments.predictions import Predictions, Score


def test_predictions_can_be_read_back():
    """Also those of classes with the names of other columns."""
    rows = [[1.0, "a, b", 0.1], [2.5, 'c "d"', 1e-9]]
    made = Predictions([{"x": x, "label": label, "shares": {"label": y}} for x, label, y in rows], {"m": 1.0})
    header, *read = csv.reader(made.to_csv().splitlines())
    assert header == ["x", "label", "shares.label"] and [[float(x), label, float(y)] for x, label, y in read] == rows
    said = json.loads(json.dumps(made.to_dict()))
    assert said == {"predictions": made.rows, "score": None, "mode_neighbours": {"m": 1.0}}
    judged = json.loads(json.dumps(made._replace(score=Score("accuracy", 0.5, 2)).to_dict()))
    assert judged == said | {"score": {"name": "accuracy", "value": 0.5, "queries": 2}}
