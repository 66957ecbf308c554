"""Scores of real tables equal cleanlab's, row by row."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from cleanlab.count import get_confident_thresholds
from cleanlab.rank import get_label_quality_scores

from lq_spark import multiclass

FILES = [
    pytest.param("mnist_test", marks=pytest.mark.spark),
    "cifar10_test",
    "cifar10_train_noisy",
]
SCORES = {
    "self_confidence": {"method": "self_confidence"},
    "normalized_margin": {"method": "normalized_margin"},
    "confidence_weighted_entropy": {"method": "confidence_weighted_entropy"},
    "adjusted_self_confidence": {"method": "self_confidence", "adjust_pred_probs": True},
    "adjusted_normalized_margin": {"method": "normalized_margin", "adjust_pred_probs": True},
}
# cleanlab computes in the type of its input, we in float64.
ELEMENTS = [
    pytest.param("double", np.float64, 1e-9, id="double"),
    pytest.param("float", np.float32, 1e-6, id="float"),
]


@pytest.fixture(scope="module", params=FILES)
def path(shared_data, request):
    return str(shared_data / f"{request.param}.parquet")


@pytest.fixture(scope="module")
def arrays(path):
    """The ids, labels and pred_probs of the file, read without Spark."""
    file = pq.read_table(path, columns=["id", "label", "pred_probs"])
    pred_probs = np.stack(file["pred_probs"].to_numpy())
    return file["id"].to_numpy(), file["label"].to_numpy(), pred_probs


@pytest.mark.parametrize(("element", "dtype", "atol"), ELEMENTS)
def test_all_scores_equal_cleanlabs(spark, quietly, path, arrays, element, dtype, atol):
    ids, labels, pred_probs = arrays
    pred_probs = pred_probs.astype(dtype)
    scored = spark.read.parquet(path).selectExpr(
        "id", "label", f"cast(pred_probs as array<{element}>) as pred_probs"
    )
    for name, score in SCORES.items():
        scored = multiclass.score(scored, **score).withColumnRenamed("label_quality", name)
    scored = scored.select("id", *SCORES).repartition(3).toPandas().set_index("id").loc[ids]
    for name, score in SCORES.items():
        expected = quietly(get_label_quality_scores, labels, pred_probs, **score)
        np.testing.assert_allclose(scored[name], expected, rtol=0, atol=atol, err_msg=name)


def test_thresholds_equal_cleanlabs(spark, quietly, path, arrays):
    _, labels, pred_probs = arrays
    fitted = multiclass.fit_thresholds(spark.read.parquet(path))
    expected = quietly(get_confident_thresholds, labels, pred_probs)
    np.testing.assert_allclose(fitted.as_array(), expected, rtol=0, atol=1e-12)
    assert fitted.n_rows == len(labels)


def test_every_row_is_fit_for_scoring(spark, path):
    checked = multiclass.validate(spark.read.parquet(path), id="id")
    assert checked.where("invalid_reason is not null").count() == 0
