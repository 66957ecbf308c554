"""The job of every task gives on Sail what it gives on Apache Spark: tables, metrics, verdicts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import TASKS, run_job

from lq_spark.tables.formats import read_table
from lq_spark.tables.spec import TableSpec

pytestmark = pytest.mark.spark_only

N, K = 60, 3
CLASSES = ["cat", "dog", "sea horse"]
BOX = pa.struct(
    [(name, pa.float64()) for name in ("x1", "y1", "x2", "y2")] + [("label", pa.int32())]
)
FOUND_BOX = pa.struct([*BOX, ("prob", pa.float64())])


def rounded(rng, *shape):
    """Return probabilities of few values, so that many are equal."""
    return rng.dirichlet(np.ones(K), shape).round(1).clip(0.0, 1.0)


def of_one_class(rng):
    probs = rng.dirichlet(np.ones(K), N)
    probs[: N // 3] = np.eye(K)[rng.integers(0, K, N // 3)]
    labels = np.array(CLASSES)[rng.integers(0, K, N)].tolist()
    return {"label": labels, "pred_probs": list(probs)}


def of_tokens(rng):
    sizes = rng.integers(0, 6, N)
    labels = [rng.integers(0, K, size).tolist() for size in sizes]
    probs = [rng.dirichlet(np.ones(K), size).tolist() for size in sizes]
    words = [[f"w{i}" for i in range(size)] for size in sizes]
    return {"labels": labels, "pred_probs": probs, "tokens": words}


def of_label_sets(rng):
    labels = [np.flatnonzero(row).tolist() for row in rng.random((N, K)) < 0.4]
    return {"labels": pa.array(labels, pa.list_(pa.int32())), "pred_probs": list(rounded(rng, N))}


def of_numbers(rng):
    labels = rng.integers(0, 9, N) / 2.0
    return {"label": labels, "prediction": labels + rng.choice([-0.0, 0.0, 0.5, 7.0], N)}


def of_boxes(rng):
    def boxes(n, **more):
        corners = rng.integers(0, 5, (n, 2)) * 10.0
        return [
            {"x1": x, "y1": y, "x2": x + 20.0, "y2": y + 20.0, "label": int(rng.integers(0, K))}
            | {name: float(draw()) for name, draw in more.items()}
            for x, y in corners
        ]

    probs = {"prob": lambda: rng.integers(1, 10) / 10}
    return {
        "labels": pa.array([boxes(n) for n in rng.integers(0, 4, N)], pa.list_(BOX)),
        "predictions": pa.array(
            [boxes(n, **probs) for n in rng.integers(0, 6, N)], pa.list_(FOUND_BOX)
        ),
    }


def of_pixels(rng):
    masks = rng.integers(0, K, (N, 4, 5))
    probs = np.moveaxis(rng.dirichlet(np.ones(K), (N, 4, 5)), 3, 1)
    return {
        "label_mask": pa.array(masks.tolist(), pa.list_(pa.list_(pa.int32()))),
        "pred_probs": pa.array(probs.tolist(), pa.list_(pa.list_(pa.list_(pa.float64())))),
    }


def with_nulls(rng):
    values = [None if rng.random() < 0.4 else value for value in rng.random(N)]
    return {"a": values, "b": [np.nan if rng.random() < 0.4 else n for n in range(N)]}


def of_groups(rng):
    probs = {"label": rng.integers(0, K, N), "pred_probs": list(rng.dirichlet(np.ones(K), N))}
    return {**of_features(rng), **probs, "kind": rng.integers(0, 2, N)}


def of_items(rng):
    return {"pred_probs": list(rng.dirichlet(np.ones(K), N))}


def of_features(rng):
    features = rng.integers(-2, 3, (N, 4)) / 2.0  # many equal, and as far from each other
    features[:9] *= 7.5
    return {"features": list(np.where(features == 0.0, rng.choice([-0.0, 0.0], (N, 4)), features))}


def of_labelled_features(rng):
    return {"label": np.array(CLASSES)[rng.integers(0, K, N)].tolist(), **of_features(rng)}


def of_ordered_features(rng):
    return {"time": rng.permutation(N) * 1_500_000_000, **of_features(rng)}


def annotations(rng):
    pairs = [(item, who) for item in range(N) for who in range(5) if rng.random() < 0.5 or not who]
    items, annotators = zip(*pairs, strict=True)
    labels = rng.integers(0, K, len(pairs))
    return {"item": items, "annotator": [f"ann {who}" for who in annotators], "label": labels}


CASES = {
    "multiclass": (
        of_one_class,
        {
            "classes": CLASSES,
            "find_issues": True,
            "adjust_pred_probs": True,
            "issue_rank": True,
            "fail_if": ["issue_rate > 0.01"],
        },
    ),
    "tokens": (of_tokens, {"sentence_id": "id", "tokens": "tokens", "find_issues": True}),
    "multilabel": (of_label_sets, {"n_classes": K, "issue_rank": True}),
    "regression": (of_numbers, {"frac_issues": 0.2, "threshold": None, "issue_rank": True}),
    "detection": (of_boxes, {"n_classes": K, "issue_rank": True}),
    "segmentation": (of_pixels, {}),
    "outliers": (of_features, {"k": 3, "metric": "euclidean"}),
    "duplicates": (of_features, {"k": 3, "metric": "euclidean", "threshold": 1.1}),
    "valuation": (of_labelled_features, {"k": 3, "metric": "euclidean"}),
    "noniid": (
        of_ordered_features,
        {"order": "time", "k": 3, "metric": "euclidean", "significance_threshold": 1.0},
    ),
    "imbalance": (of_one_class, {"classes": CLASSES, "threshold": 1.0}),
    "nulls": (with_nulls, {"columns": ["a", "b"]}),
    "groups": (
        of_groups,
        {
            "features": "features",
            "metric": "euclidean",
            "k": 4,
            "eps": 0.6,
            "min_samples": 2,
            "n_classes": K,
            "by": ["kind"],
            "threshold": 1.0,
        },
    ),
    "audit": (
        of_groups,
        {
            "label": "label",
            "pred_probs": "pred_probs",
            "features": "features",
            "metric": "euclidean",
            "k": 4,
            "n_classes": K,
            "checks": ["null", "label", "outlier", "exact_duplicate", "underperforming_group"],
            "check_options": {
                "label": {"min_examples_per_class": 0},
                "underperforming_group": {"eps": 0.6, "min_samples": 2},
            },
        },
    ),
    "train": (
        of_labelled_features,
        {
            "classes": CLASSES,
            "estimator": "sklearn.naive_bayes.GaussianNB",
            "allowed_estimators": ["sklearn."],
            "n_folds": 3,
            "min_examples_per_class": 1,
            "issue_rank": True,
        },
    ),
    "multiannotator": (of_items, {"item": "id", "annotations": "annotations"}),
}


def rows_of(session, name, table_format):
    """Return the rows of a table in one order: equal texts of doubles are equal bits."""
    df = read_table(session, TableSpec(str(name), format=table_format)).df
    return [str(field) for field in df.schema], sorted(map(repr, df.collect()))


def told(session, task, folder, output_format):
    """Run the job of a task: what its tables and metrics say, and which conditions are met."""
    _, flags = CASES[task]
    here = Path(folder) / type(session).__module__ / output_format
    here.mkdir(parents=True)
    flags = flags | {"output": f"{here}/out", "output_format": output_format}
    if "annotations" in flags:
        flags |= {"annotations": f"{folder}/annotations.parquet"}
    flags = {name: value for name, value in flags.items() if value is not None}
    ends = 3 if "fail_if" in flags else 0
    run_job(session, here, f"{folder}/input.parquet", task, ends, **flags)
    names = sorted(path for path in here.iterdir() if path.name.startswith("out"))
    tables = [
        rows_of(session, name, output_format) for name in names if "_metrics" not in name.name
    ]
    metrics = read_table(session, TableSpec(f"{here}/out_metrics", format=output_format)).df
    numbers = sorted(
        repr((row["metric"], row["class"], row["value"], row["status"]))
        for row in metrics.collect()
        if row["metric"] != "seconds"
    )
    return tables, numbers


@pytest.mark.parametrize("task", TASKS)
def test_tables_and_metrics_are_the_same_in_both_formats(task, spark, on_embedded, tmp_path):
    make, flags = CASES[task]
    rng = np.random.default_rng(5)
    pq.write_table(pa.table({"id": np.arange(N) + 100, **make(rng)}), tmp_path / "input.parquet")
    if "annotations" in flags:
        given = annotations(rng)
        table = pa.table(given | {"id": np.add(given["item"], 100)}).drop_columns("item")
        pq.write_table(table, tmp_path / "annotations.parquet")
    beside = [
        on_embedded(__file__, "told", task, str(tmp_path), name) for name in ("parquet", "delta")
    ]
    of_spark = "delta" if task == "segmentation" else "parquet"  # a commit takes Spark long
    on_spark = told(spark, task, str(tmp_path), of_spark)
    of_parquet, of_delta = (future.result() for future in beside)
    assert of_parquet[1:] == of_delta[1:] == on_spark[1:]
    assert len(on_spark[1]) > 5
    assert sum(len(rows) for _, rows in on_spark[0]) >= N
    for kept, merged, expected in zip(of_parquet[0], of_delta[0], on_spark[0], strict=True):
        assert kept[1] == merged[1] == expected[1]
        assert merged[0] == expected[0]
