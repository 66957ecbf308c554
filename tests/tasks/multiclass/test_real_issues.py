"""Label issues of real tables equal cleanlab's, row by row.

cleanlab sorts with an argsort that is not stable, so that rows of equal scores or margins at a cut
are taken by the processor's choice. It is called with a stable one here: the first rows, which are
those of the lowest ids, as ours.
"""

import numpy as np
import pyarrow.parquet as pq
import pytest
from oracle import cleanlabs_flags

from lq_spark import multiclass
from lq_spark.core.label_issues.rules import FILTERS, PRUNING

COUNTS = {
    "mnist_test": {"prune_by_noise_rate": 15},
    "cifar10_test": {
        "prune_by_noise_rate": 284,
        "prune_by_class": 284,
        "both": 226,
        "confident_learning": 244,
        "predicted_neq_given": 706,
    },
    "cifar10_train_noisy": {},
}
"""What cleanlab 2.9.0 is known to find."""


@pytest.fixture
def assert_equals_cleanlabs(spark, shared_data, quietly):
    """Assert that the ids flagged in a file are those that cleanlab flags; return how many."""

    def check(name, **options):
        path = str(shared_data / f"{name}.parquet")
        file = pq.read_table(path, columns=["id", "label", "pred_probs"]).sort_by("id")
        pred_probs = np.stack(file["pred_probs"].to_numpy()).astype(np.float64)
        expected = cleanlabs_flags(file["label"].to_numpy(), pred_probs, **options)
        found = quietly(multiclass.find_issues, spark.read.parquet(path), **options)
        ids = sorted(row["id"] for row in found.where("is_label_issue").select("id").collect())
        assert ids == file["id"].to_numpy()[expected].tolist()
        return len(ids)

    return check


@pytest.mark.parametrize("filter_by", FILTERS)
@pytest.mark.parametrize("name", COUNTS)
def test_flagged_ids_equal_cleanlabs(assert_equals_cleanlabs, name, filter_by):
    found = assert_equals_cleanlabs(name, filter_by=filter_by)
    assert found == COUNTS[name].get(filter_by, found)


@pytest.mark.parametrize(
    "filter_by",
    [
        pytest.param(rule, marks=[pytest.mark.spark] * (rule == "prune_by_noise_rate"))
        for rule in PRUNING
    ],
)
def test_flagged_ids_equal_cleanlabs_where_fewer_are_pruned(assert_equals_cleanlabs, filter_by):
    options = {"frac_noise": 0.5, "min_examples_per_class": 10}
    assert assert_equals_cleanlabs("cifar10_test", filter_by=filter_by, **options) > 0
