"""What the tests of tasks share: small data sets, tables of them, results in the order of id."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def data_set():
    """Make labels and pred_probs: rows nearly one-hot to nearly uniform, classes of all sizes."""

    def make(n_rows=300, n_classes=5, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        concentration = rng.choice([0.05, 0.5, 5.0], size=(n_rows, 1))
        pred_probs = rng.gamma(np.broadcast_to(concentration, (n_rows, n_classes))) + 1e-300
        pred_probs /= pred_probs.sum(axis=1, keepdims=True)
        pred_probs[0] = np.eye(n_classes)[0]
        pred_probs[1] = 1.0 / n_classes
        right = rng.random(n_rows) < 0.7
        other = rng.choice(n_classes, size=n_rows, p=rng.dirichlet(np.ones(n_classes)))
        labels = np.where(right, pred_probs.argmax(axis=1), other)
        return labels, pred_probs.astype(dtype)

    return make


@pytest.fixture
def table_of(spark):
    """Make a table of labels and probabilities, with the row number as id."""

    def make(labels, pred_probs, label_type="int"):
        element = {"f": "float", "d": "double"}[pred_probs.dtype.char]
        rows = zip(
            range(len(labels)), np.asarray(labels).tolist(), pred_probs.tolist(), strict=True
        )
        schema = f"id bigint, label {label_type}, pred_probs array<{element}>"
        return spark.createDataFrame(list(rows), schema)

    return make


@pytest.fixture
def unread(spark):
    """Make a table from column types; a job that reads it fails: what passes starts no job."""
    from pyspark.sql import functions as F

    def make(**types):
        bomb = F.raise_error(F.lit("the table was read"))
        return spark.range(3).select(*(bomb.cast(kind).alias(name) for name, kind in types.items()))

    return make


@pytest.fixture(scope="session")
def by_id():
    """Return a column of a table as a list, in the order of its id."""

    def read(df, name, id="id"):
        return [value for _, value in sorted(df.select(id, name).collect(), key=lambda row: row[0])]

    return read
