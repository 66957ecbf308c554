"""How the objects that calls return show themselves: in one line, and in a notebook."""

import importlib
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import lq_spark
from lq_spark import (
    DetectionModel,
    MultiannotatorModel,
    MultilabelModel,
    NoiseModel,
    SegmentationModel,
    Thresholds,
    audit,
    ml,
)
from lq_spark.core.confident.joint import sparse
from lq_spark.core.health.tables import dataset_health
from lq_spark.core.multiannotator.crowdlab import CrowdlabWeights
from lq_spark.core.multiannotator.majority import VoteSummary
from lq_spark.core.multilabel.health import multilabel_health
from lq_spark.tables.formats import Source
from lq_spark.tasks.activelab import ActiveScores, MultiannotatorChecks
from lq_spark.tasks.audit import Audit
from lq_spark.tasks.detection import DetectionSummary
from lq_spark.tasks.duplicates import DuplicateHealth
from lq_spark.tasks.groups import GroupHealth
from lq_spark.tasks.identifiers import IdentifierHealth
from lq_spark.tasks.imbalance.health import ImbalanceHealth, imbalance_health
from lq_spark.tasks.multiannotator import MultiannotatorScores
from lq_spark.tasks.multiannotator.columns import AnnotationTables
from lq_spark.tasks.noniid import OrderHealth
from lq_spark.tasks.nulls import NullHealth
from lq_spark.tasks.outliers import FittedOutliers, OutlierHealth
from lq_spark.tasks.outliers.fitted import ReferenceDistances
from lq_spark.tasks.regression import RegressionHealth
from lq_spark.tasks.segmentation.health import segmentation_health
from lq_spark.tasks.spurious import SpuriousHealth
from lq_spark.tasks.tokens import TokenHealth
from lq_spark.tasks.valuation import ValuationHealth

TASKS = [name for name in lq_spark.__all__ if name[0].islower()]


def names_of(k):
    return ("<script>alert(1)</script>", *(f"class {i}" for i in range(1, k)))[:k]


def audited(k):
    summary = pd.DataFrame(
        [("label", 0.5, k), ("null", 1.0, 0)], columns=["check", "score", "num_issues"]
    )
    facts = {"num_rows": 100 * k, "health_score": 0.75}
    return Audit("id", None, summary, {"outlier": names_of(k)[0]}, facts, {})


def reference_distances(k):
    return ReferenceDistances("cosine", 2, 3, "double", 100 * k, 90 * k, 0.25, 0.125, 0.5)


def thresholds(k):
    counts = [10 * i + 3 for i in range(k)]
    if k > 2:
        counts[1] = 0
    return Thresholds(tuple(0.5 if n else 2.0 for n in counts), tuple(counts), names_of(k))


def noise_model(k):
    matrix = np.diag(np.arange(1, k + 1) * 7)
    matrix[1:, 0] = np.arange(k - 1)
    return NoiseModel(thresholds(k), sparse(matrix), k - 1)


def multilabel_model(k):
    counts = np.tile([[[5, 2], [1, 3]]], (k, 1, 1))
    rows = counts.sum(axis=2)
    return MultilabelModel(np.full((k, 2), 0.5), rows, counts, 3, names_of(k))


def detection_model(k):
    return DetectionModel(0.01, (0.25,) * k, (3,) * k, (50,) * k, 1200, names_of(k))


def weights(k):
    return CrowdlabWeights(np.linspace(0, 1, k), np.array([0.5]), 0.75, 2.5)


def crowd_model(k):
    votes = VoteSummary(np.arange(k), np.linspace(0, 1, k), np.linspace(0, 1, k), 2.5)
    how = {"consensus_method": "best_quality", "quality_method": "crowdlab"}
    parts = {"temperatures": (None,), "votes": votes, "majority_weights": None}
    return MultiannotatorModel(names_of(k), k, names_of(k), **how, **parts, weights=weights(k))


def images(k):
    pairs = sparse(np.triu(np.ones((k, k), dtype=int), 1))
    return segmentation_health(40, np.full(k, 4000), pairs, names_of(k))


def boxes(k):
    counts = {"num_labels": 3, "num_predictions": 50, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    classes = pd.DataFrame({"class": names_of(k), **counts})
    sizes = pd.DataFrame({"num_boxes": [3], "num_images_by_labels": [k]})
    most = pd.DataFrame({"id": names_of(k), "num_boxes": range(k)})
    return DetectionSummary(classes, sizes, sizes, most, most)


def tokens(k):
    rows = {"token": names_of(k), "num_label_issues": range(k)}
    labels = {"given_label": names_of(k), "predicted_label": names_of(k)}
    health = dataset_health(noise_model(k))
    return TokenHealth(health, pd.DataFrame(rows), pd.DataFrame({**rows, **labels}))


def numbers(k):
    return RegressionHealth(100 * k, k, 0.75, 0.5, -1.25, 12345.6, {0.01: -10.0, 0.99: 10.0})


def annotation_tables(k):
    names = names_of(k)
    return AnnotationTables(
        None, None, "item", "annotator", "label", ("p",), None, None, None, names
    )


OBJECTS = {
    Thresholds: (thresholds, "5 classes, 102 rows"),
    NoiseModel: (noise_model, "5 classes, 102 rows, 4 label issues, health score 0.9608"),
    MultilabelModel: (multilabel_model, "5 classes, 11 rows, 3 with a label issue"),
    DetectionModel: (detection_model, "5 classes, 1,200 images, 15 labelled boxes"),
    SegmentationModel: (
        lambda k: SegmentationModel(thresholds(k), 4, 0.25, 2, 1),
        "5 classes, 102 pixels, 4 candidate issues",
    ),
    MultiannotatorModel: (crowd_model, "5 classes, 5 annotators, 1 model, labels per item 2.5"),
    type(dataset_health(noise_model(3))): (
        lambda k: dataset_health(noise_model(k)),
        "5 classes, 6 estimated issues, 3 overlapping pairs, health score 0.9608",
    ),
    type(multilabel_health(np.ones((2, 2), dtype=int), 9, 1)): (
        lambda k: multilabel_health(np.ones((k, 2), dtype=int), 90, 3, names_of(k)),
        "5 classes, 5 wrong labels, 5 missing labels, health score 0.9667",
    ),
    TokenHealth: (tokens, "5 classes, 6 estimated issues"),
    type(images(2)): (images, "5 classes, 40 images, 20,000 pixels, 10 pixel issues"),
    DuplicateHealth: (
        lambda k: DuplicateHealth(100 * k, 2 * k, k, k, k),
        "500 rows, 10 near duplicates, 5 exact duplicates, 5 groups",
    ),
    FittedOutliers: (
        lambda k: FittedOutliers(reference_distances(k), None),
        "500 rows, 3 features, metric cosine, median distance 0.25",
    ),
    ReferenceDistances: (reference_distances, "500 rows, 3 features, metric cosine"),
    ImbalanceHealth: (
        lambda k: imbalance_health(np.arange(1, k + 1), 0.5, names_of(k)),
        "5 classes, 15 rows, 1 imbalance issue, share of the rarest class 0.06667",
    ),
    SpuriousHealth: (
        lambda k: SpuriousHealth(
            100 * k, 0.5, names_of(k), (0.75,) * k, (0.5,) * k, names_of(k)[:1], names_of(k)[:1]
        ),
        "500 rows, 5 properties, 1 spurious correlation, baseline 0.5, 1 small class",
    ),
    IdentifierHealth: (
        lambda k: IdentifierHealth(100 * k, (*names_of(k), "n"), names_of(k)),
        "500 rows, 6 columns, 5 identifiers",
    ),
    NullHealth: (
        lambda k: NullHealth(
            100 * k, k, 0.75, dict(zip(names_of(k), range(k), strict=True)), (), 0
        ),
        "500 rows, 5 columns, 5 rows without values, share of values there 0.75",
    ),
    Audit: (audited, "500 rows, 2 checks, 1 failed, 5 issues, health score 0.75"),
    GroupHealth: (
        lambda k: GroupHealth(100 * k, k, tuple(range(k)), (0.5,) * k, 0, 0.25),
        "500 rows, 5 clusters, 5 rows of an underperforming group, score 0.25",
    ),
    OutlierHealth: (lambda k: OutlierHealth(100 * k, k, 0.75), "500 rows, 5 outliers, mean outl"),
    ValuationHealth: (
        lambda k: ValuationHealth(100 * k, k, 0.75),
        "500 rows, 5 data valuation issues, mean data valuation score 0.75",
    ),
    OrderHealth: (
        lambda k: OrderHealth(100 * k, 1.0 / k, 0.25 / k, k > 1),
        "500 rows, statistic 0.2, p-value 0.05, order not random",
    ),
    RegressionHealth: (numbers, "500 rows, 5 label issues, mean label quality 0.75"),
    DetectionSummary: (boxes, "5 classes, 5 images, 15 labelled boxes"),
    MultiannotatorScores: (
        lambda k: MultiannotatorScores(None, crowd_model(k), None, names_of(k)),
        "5 classes, 5 annotators, 1 model, lazy tables items, annotations, annotators",
    ),
    ActiveScores: (lambda k: ActiveScores(None, "item", weights(k)), "5 annotators, 1 model"),
    MultiannotatorChecks: (
        lambda k: MultiannotatorChecks(None, None),
        "annotations and items with invalid_reason",
    ),
    # What is an attribute of these.
    type(sparse(np.eye(2))): (lambda k: sparse(np.eye(k)), "5 classes, 5 entries, sum 5"),
    VoteSummary: (lambda k: crowd_model(k).votes, "5 classes, 5 annotators"),
    CrowdlabWeights: (weights, "5 annotators, 1 model, agreement 0.75"),
    AnnotationTables: (annotation_tables, "5 classes, 1 model, columns item, annotator, label"),
    Source: (lambda k: Source(None, "delta", k), "format='delta', version=5"),
}

each = pytest.mark.parametrize("kind", OBJECTS, ids=lambda kind: kind.__name__)
shown = pytest.mark.parametrize(
    "kind",
    [kind for kind in OBJECTS if hasattr(kind, "_repr_html_")],
    ids=lambda kind: kind.__name__,
)


class Page(HTMLParser):
    """The tags of a page, which are closed in the order in which they were opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], set(), ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@each
def test_an_object_is_one_short_line_with_its_key_figures(kind):
    make, figures = OBJECTS[kind]
    assert figures in repr(make(5))
    for k in (1, 2, 5, 1000):
        text = repr(make(k))
        assert kind.__name__ in text
        assert len(text.splitlines()) == 1
        assert len(text) <= 120


@shown
def test_a_notebook_shows_small_tables_whatever_the_names_and_their_number(kind):
    make, _ = OBJECTS[kind]
    for k in (1, 2, 1000):
        text = make(k)._repr_html_()
        assert len(text) < 10_000
        assert Page(text).tags <= {
            "div",
            "b",
            "table",
            "caption",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        }
        assert kind.__name__ in Page(text).text


@pytest.mark.parametrize(
    "kind",
    [
        Thresholds,
        NoiseModel,
        MultilabelModel,
        DetectionModel,
        MultiannotatorModel,
        TokenHealth,
        MultiannotatorScores,
    ],
)
def test_names_are_escaped(kind):
    make, _ = OBJECTS[kind]
    text = make(2)._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_health_summary_shows_the_worst_classes_and_the_most_confused_pairs():
    page = Page(dataset_health(noise_model(8))._repr_html_())
    for text in ("overall", "health score", "worst classes", "most confused pairs", "class 7"):
        assert text in page.text
    bars = re.findall(r"rgba\([^)]*\) (\d+)%", dataset_health(noise_model(8))._repr_html_())
    assert all(0 <= int(bar) <= 100 for bar in bars)
    assert bars.count("100") >= 1


def test_an_audit_shows_checks_with_bars_why_one_failed_and_how_neighbours_were_found():
    summary = pd.DataFrame(
        [("label", 0.5, 8), ("null", 1.0, 0), ("outlier", 0.25, 2)],
        columns=["check", "score", "num_issues"],
    )
    why = "column 'embedding' has <b>vectors</b> of unequal lengths: 3 in row 7, 2 in row 12, " * 2
    facts = {"num_rows": 100, "health_score": 0.75, "num_classes": 3, "knn_metric": "cosine"}
    found = Audit("id", None, summary, {"near_duplicate": why}, {**facts, "knn_k": 10}, {})
    text = found._repr_html_()
    bars = re.findall(r"rgba\([^)]*\) (\d+)%", text)
    assert bars == ["50", "100", "100", "0", "25", "25"]
    page = Page(text)
    assert why.strip() in page.text
    assert "b" in page.tags and "<b>vectors" not in text
    for part in (
        "checks (1 good, 0 bad)",
        "near_duplicate",
        "statistics",
        "metric",
        "cosine",
        "10",
    ):
        assert part in page.text
    nothing = summary.assign(num_issues=0)
    assert "rgba" in Audit("id", None, nothing, {}, facts, {})._repr_html_()
    very_long = Audit("id", None, summary, {"label": "word " * 1000}, facts, {})._repr_html_()
    assert len(very_long) < 10_000 and "…" in very_long


def test_the_head_of_a_column_stands_on_the_side_of_its_values():
    text = audited(2)._repr_html_()
    assert '<th style="text-align:left">check</th>' in text
    assert '<th style="text-align:right">score</th>' in text


def test_objects_without_rows_are_shown_too():
    empty = NoiseModel(Thresholds((2.0, 2.0), (0, 0)), sparse(np.zeros((2, 2), dtype=int)), 0)
    assert repr(empty) == "<NoiseModel: 2 classes, 0 rows, 0 label issues>"
    assert Page(empty._repr_html_()).tags == {"div", "b"}
    no_rows = RegressionHealth(0, 0, None, None, None, None, {})
    assert repr(no_rows) == "<RegressionHealth: 0 rows, 0 label issues>"
    assert no_rows._repr_html_()


def test_each_class_that_the_tasks_name_is_tested_here():
    named = {getattr(lq_spark, name) for name in lq_spark.__all__}
    for task in set(TASKS) - {"declared", "files", "incremental"}:
        module = importlib.import_module(f"lq_spark.tasks.{task}")
        named |= {getattr(module, name) for name in getattr(module, "__all__", ())}
    classes = {kind for kind in named if inspect.isclass(kind)}
    given = {kind for kind in classes if issubclass(kind, (audit.Check, audit.Checked))}
    given |= {kind for kind in classes if hasattr(kind, "find_label_issues")}
    given |= {getattr(ml, name) for name in ml.__all__}  # by its uid, as in Spark ML
    assert classes - given - {audit.AuditTable} <= set(OBJECTS)


def test_nothing_heavy_is_imported_for_it():
    code = (
        "import sys; from lq_spark import Thresholds; t = Thresholds((0.5,), (3,)); "
        "repr(t), t._repr_html_(); print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "pyarrow", "pyspark", "IPython"} & set(run.stdout.split())
