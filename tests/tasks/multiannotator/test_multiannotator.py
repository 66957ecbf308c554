"""Consensus, quality of items, annotations and annotators of Spark tables, against core."""

import numpy as np
import pandas as pd
import pytest
from pyspark.ml.linalg import DenseVector, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from lq_spark import MultiannotatorModel, multiannotator
from lq_spark.core.multiannotator import get_label_quality_multiannotator
from lq_spark.core.multiannotator.annotations import checked_annotations
from lq_spark.core.multiannotator.items import Dataset
from lq_spark.errors import DataError

CLASSES = ["ant", "bee", "", "größe 3"]
ITEM = ["consensus_label", "consensus_quality_score", "annotator_agreement", "num_annotations"]
ANNOTATOR = [
    "annotator_quality",
    "agreement_with_consensus",
    "worst_class",
    "num_examples_labeled",
    "annotator_weight",
]


def long_of(wide, n_classes=4):
    items, annotators = np.nonzero(~np.isnan(wide))
    labels = wide[items, annotators].astype(np.int64)
    sizes = {"n_annotators": wide.shape[1], "n_classes": n_classes}
    return checked_annotations(items, annotators, labels, **sizes)


def tables_of(scores, by="item"):
    """Return the three tables as pandas, in the order of their keys."""
    scores.rated.persist()
    keys = {"items": [by], "annotations": [by, "annotator"], "annotators": ["annotator"]}
    found = {
        name: getattr(scores, name).toPandas().sort_values(key, ignore_index=True)
        for name, key in keys.items()
    }
    scores.rated.unpersist()
    return found


def expected_tables(wide, models, ids, names, classes=None, **options):
    """Return what core says of the same crowd: ids and names in ascending order."""
    annotations = long_of(wide)
    whole = Dataset.of(annotations, models, calibrate=options.get("calibrate_probs", False))
    rated = whole.rated(
        whole.best_consensus(),
        method=options.get("method", "self_confidence"),
        adjust_pred_probs=options.get("adjust_pred_probs", False),
    )
    table = whole.annotator_table(rated)
    label = np.arange(4) if classes is None else np.array(classes, dtype=object)
    columns = [label[rated.consensus], rated.quality, rated.agreement, annotations.sizes]
    items = pd.DataFrame({"item": ids, **dict(zip(ITEM, columns, strict=True))})
    of_labels = pd.DataFrame(
        {
            "item": np.array(ids)[annotations.items],
            "annotator": np.array(names)[annotations.annotators],
            "label": label[annotations.labels],
            "label_quality": rated.label_quality,
        }
    )
    columns = [table.quality, table.agreement, label[table.worst_class], table.num_labels]
    columns.append(rated.weights.annotators)
    annotators = pd.DataFrame({"annotator": names, **dict(zip(ANNOTATOR, columns, strict=True))})
    return {"items": items, "annotations": of_labels, "annotators": annotators}, rated.weights


def assert_equal_tables(found, expected):
    for name, table in expected.items():
        assert list(found[name].columns) == list(table.columns)
        pd.testing.assert_frame_equal(found[name], table, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("n_partitions", [7, 64])
def test_all_tables_are_cores_to_the_bit(crowd, annotation_tables, n_partitions):
    wide, models = crowd(n_models=2)
    ids = np.sort(np.random.default_rng(1).choice(10**9, 200, replace=False)).tolist()
    names = [f"ann {a:03d}" for a in range(9)]
    annotations, items = (
        table.repartition(n_partitions) for table in annotation_tables(wide, models, ids, names)
    )
    options = dict.fromkeys(["calibrate_probs", "adjust_pred_probs"], n_partitions == 7)
    scores = multiannotator.score(
        annotations, items, pred_probs=["p0", "p1"], n_classes=4, **options
    )
    expected, weights = expected_tables(wide, models, ids, names, **options)
    assert_equal_tables(tables_of(scores), expected)
    assert scores.model.weights.models.tolist() == weights.models.tolist()
    assert scores.items.schema["item"].dataType == LongType()


@pytest.mark.parametrize("compatible", [True, False])
def test_a_tie_goes_to_the_class_that_is_rarest_where_one_is_absent(annotation_tables, compatible):
    wide, models = np.array([[1, 2], [1, 1], [2, 2], [2, 2.0]]), np.array([[[0.2, 0.4, 0.4]] * 4])
    tables = annotation_tables(wide, models)
    options = {"consensus_method": "majority_vote", "cleanlab_compatible": compatible}
    scores = multiannotator.score(*tables, pred_probs="p0", n_classes=3, **options)
    assert tables_of(scores)["items"]["consensus_label"].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("compatible", [True, False])
def test_probabilities_of_0_are_calibrated_as_by_core(annotation_tables, compatible):
    wide, models = np.array([[0, 1], [0, np.nan]]), np.array([[[0, 1], [0.75, 0.25]]])
    options = {"calibrate_probs": True, "cleanlab_compatible": compatible}
    tables = annotation_tables(wide, models)
    scores = multiannotator.score(*tables, pred_probs="p0", n_classes=2, **options)
    found = tables_of(scores)["items"]["consensus_quality_score"].tolist()
    core = get_label_quality_multiannotator(wide, models[0], verbose=False, **options)
    assert found == core["label_quality"]["consensus_quality_score"].tolist()
    assert found == pytest.approx([1, 1], abs=1e-4) or not compatible


def test_names_of_all_kinds(spark, crowd, annotation_tables):
    wide, models = crowd(seed=3)
    ids, names = [f"i`t.{i:03d}" for i in range(200)], [-5, 0, 3, 8, 10, 11, 12, 40, 2**40]
    annotations, items = annotation_tables(wide, models, ids, names, CLASSES, item="string")
    schema = StructType([items.schema["item"], StructField("prob ability", VectorUDT())])
    rows = [(row.item, DenseVector(row.p0)) for row in items.collect()]
    vectors = spark.createDataFrame(rows, schema).withColumnRenamed("item", "i.d")
    scores = multiannotator.score(
        annotations.withColumnsRenamed({"item": "i.d"}),
        vectors,
        item="i.d",
        pred_probs="prob ability",
        classes=CLASSES,
        method="normalized_margin",
    )
    found = tables_of(scores, by="i.d")
    expected, _ = expected_tables(wide, models, ids, names, CLASSES, method="normalized_margin")
    assert_equal_tables(
        {name: table.rename(columns={"i.d": "item"}) for name, table in found.items()}, expected
    )


def test_what_is_fitted_is_saved_and_applied_to_other_items(crowd, annotation_tables, tmp_path):
    wide, models = crowd(300)
    annotations, items = annotation_tables(wide, models)
    first = F.col("item") < 200
    columns = {"pred_probs": "p0"}
    fitted = multiannotator.fit(annotations.where(first), items.where(first), **columns)
    fitted.save(tmp_path / "crowd.json")
    loaded = MultiannotatorModel.load(tmp_path / "crowd.json")
    assert loaded.to_json() == fitted.to_json()
    scores = multiannotator.score(
        annotations.where(~first), items.where(~first), fitted=loaded, **columns
    )
    others = fitted.items_of(long_of(wide[200:]), models[:, 200:])
    consensus = fitted.consensus(others)
    rated = others.rated(consensus, fitted.weights)
    found = tables_of(scores)
    assert found["items"]["consensus_quality_score"].tolist() == rated.quality.tolist()
    assert found["annotations"]["label_quality"].tolist() == rated.label_quality.tolist()


def test_data_that_says_nothing_of_annotators_is_refused(crowd, annotation_tables):
    wide, models = crowd(20, sizes=(1, 1))
    annotations, items = annotation_tables(wide, models)
    with pytest.raises(DataError, match="each item has one label, so annotators cannot be"):
        multiannotator.fit(annotations, items, pred_probs="p0")
    none = annotations.where("item < 0"), items.where("item < 0")
    with pytest.raises(DataError, match="there are no items; at least 1 is needed"):
        multiannotator.fit(*none, pred_probs="p0")
