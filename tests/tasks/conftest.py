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
def as_vectors(spark):
    """Return a table with its array column ``pred_probs`` as Spark ML vectors, in partitions."""
    from pyspark.ml.linalg import Vectors, VectorUDT
    from pyspark.sql.types import StructField, StructType

    def make(table, n_partitions):
        kept = [field for field in table.schema if field.name != "pred_probs"]
        schema = StructType([*kept, StructField("pred_probs", VectorUDT())])
        rows = [
            (*(row[field.name] for field in kept), Vectors.dense(row["pred_probs"]))
            for row in table.collect()
        ]
        return spark.createDataFrame(rows, schema).repartition(n_partitions)

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


@pytest.fixture(scope="session")
def crowd():
    """Make wide labels (n, A) with NaN where there is none, and M models' pred_probs (M, n, K)."""

    def make(n_items=200, n_models=1, sizes=(1, 5), n_classes=4, n_annotators=9, seed=0):
        rng = np.random.default_rng(seed)
        truth = rng.integers(n_classes, size=n_items)
        labels = np.full((n_items, n_annotators), np.nan)
        for i in range(n_items):
            n_labels = rng.integers(*sizes, endpoint=True)
            who = rng.choice(n_annotators, size=n_labels, replace=False)
            drawn = rng.integers(n_classes, size=n_labels)
            labels[i, who] = np.where(rng.random(n_labels) < 0.6, truth[i], drawn)
        models = rng.dirichlet(np.ones(n_classes), size=(n_models, n_items))
        models += 0.3 * np.eye(n_classes)[truth]
        return labels, models / models.sum(axis=2, keepdims=True)

    return make


@pytest.fixture
def annotation_tables(spark):
    """Make the tables of a crowd: annotations (item, annotator, label) and items (item, p0, …)."""

    def make(labels, models, ids=None, names=None, classes=None, item="bigint"):
        n_items, n_annotators = labels.shape
        ids = list(range(n_items)) if ids is None else ids
        names = [f"ann {a:03d}" for a in range(n_annotators)] if names is None else names
        rows = [
            (ids[i], names[a], int(labels[i, a]) if classes is None else classes[int(labels[i, a])])
            for i, a in zip(*np.nonzero(~np.isnan(labels)), strict=True)
        ]
        kinds = ["bigint" if isinstance(names[0], int) else "string"]
        kinds.append("int" if classes is None else "string")
        order = np.random.default_rng(0).permutation(len(rows))
        annotations = spark.createDataFrame(
            [rows[i] for i in order], f"item {item}, annotator {kinds[0]}, label {kinds[1]}"
        )
        columns = ", ".join(f"p{m} array<double>" for m in range(len(models)))
        items = spark.createDataFrame(
            [(ids[i], *(model[i].tolist() for model in models)) for i in range(n_items)],
            f"item {item}, {columns}",
        )
        return annotations, items

    return make
