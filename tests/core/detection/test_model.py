"""What a data set of boxes says, saved: what comes back, and what is refused."""

from __future__ import annotations

import json

import pytest

from lq_spark.core.detection.model import DetectionModel
from lq_spark.errors import DataError

MODEL = DetectionModel(1 / 3, (0.1, 0.7), (3, 4), (5, 6), n_images=2, classes=("a", "b"))


def test_a_model_comes_back_to_the_bit(tmp_path):
    MODEL.save(tmp_path / "model.json")
    assert DetectionModel.load(tmp_path / "model.json") == MODEL
    assert MODEL.n_classes == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_similarity": 2.0}, "must lie in 0..1"),
        ({"min_similarity": "a"}, "min_similarity is 'a'"),
        ({"average_precision": [0.1, -0.1]}, "must lie in 0..1"),
        ({"average_precision": [0.1]}, "differ in length"),
        ({"label_counts": [1, 2.5]}, "'label_counts' must be a list of int"),
        ({"classes": ["a"]}, "differ in length"),
        ({"n_images": None}, "n_images is None"),
        ({"format_version": 2}, "format version 2, this package reads 1"),
    ],
)
def test_what_is_no_model_is_refused(changes, message):
    content = {**json.loads(MODEL.to_json()), **changes}
    with pytest.raises(DataError, match=message):
        DetectionModel.from_json(json.dumps(content))
    del content[next(iter(changes))]
    with pytest.raises(DataError):
        DetectionModel.from_json(json.dumps(content))
