"""What was fitted on the labels of several annotators: applied to any items, saved, read back."""

import json

import numpy as np
import pytest

from lq_spark.core.multiannotator.items import Dataset
from lq_spark.core.multiannotator.model import MultiannotatorModel
from lq_spark.core.multiannotator.tables import wide_labels
from lq_spark.errors import OptionError


def model_of(labels, pred_probs, **methods):
    """Return the model of a whole data set, and the data set."""
    annotations = wide_labels(labels).annotations(pred_probs.shape[1])
    whole = Dataset.of(annotations, [pred_probs], calibrate=True)
    weights = whole.weights_under(whole.best_consensus())
    model = MultiannotatorModel(
        annotators=tuple(f"größe {a}" for a in range(labels.shape[1])),
        n_classes=pred_probs.shape[1],
        classes=None,
        consensus_method=methods.get("consensus_method", "best_quality"),
        quality_method="crowdlab",
        temperatures=tuple(member.temperature for member in whole.items.models),
        votes=whole.summary,
        majority_weights=whole.weights_under(whole.items.majority),
        weights=weights,
    )
    return model, whole


@pytest.fixture
def fitted():
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((30, 5)) < 0.6, rng.integers(0, 3, (30, 5)), np.nan)
    labels[np.isnan(labels).all(axis=1), 0] = 1
    return model_of(labels, rng.dirichlet(np.ones(3), 30))


def test_a_saved_model_says_the_same_of_any_items(fitted, tmp_path, assert_same_bits):
    model, whole = fitted
    model.save(tmp_path / "crowd.json")
    loaded = MultiannotatorModel.load(tmp_path / "crowd.json")
    assert loaded.to_json() == model.to_json()
    # As files from before the class had its name say.
    assert json.loads(model.to_json())["format"] == "lq_spark.crowd_model"
    assert (loaded.annotators, loaded.n_models) == (model.annotators, 1)
    rated = whole.rated(whole.best_consensus())
    part = whole.items.annotations.between(10, 20)
    items = loaded.items_of(part, [whole.items.models[0].pred_probs[10:20]], np.arange(10, 20))
    consensus = loaded.consensus(items)
    assert consensus.tolist() == rated.consensus[10:20].tolist()
    assert_same_bits(items.rated(consensus, loaded.weights).quality, rated.quality[10:20])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"votes": None}, "the JSON is no fitted model"),
        ({"weights": {"models": []}}, "the JSON is no fitted model"),
        ({"n_classes": "many"}, "the JSON is no fitted model"),
        ({"annotators": ["a"]}, r"numbers of annotators \[1, 5\]"),
        ({"annotators": "a"}, "'annotators' must be a list of str"),
        ({"n_classes": 7}, r"of classes \[3, 7\] differ"),
    ],
    ids=str,
)
def test_a_file_that_is_no_fitted_model_is_refused(fitted, tmp_path, change, message):
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({**json.loads(fitted[0].to_json()), **change}))
    with pytest.raises(OptionError, match=message):
        MultiannotatorModel.load(path)
