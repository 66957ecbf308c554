"""Every task gives the same on Sail as on Apache Spark, in every bit, type and row.

The rows are made to be awkward: most of them tie, zeros have either sign, ids are numbers or
strings, and each engine has them in another order, in other partitions and batches.
"""

from decimal import Decimal
from functools import partial

import numpy as np
import pytest
from facts import facts
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql.types import StructField, StructType
from sklearn.naive_bayes import GaussianNB

from lq_spark import (
    activelab,
    benchmark,
    detection,
    duplicates,
    identifiers,
    multiannotator,
    multiclass,
    multilabel,
    neighbors,
    noniid,
    outliers,
    regression,
    segmentation,
    spurious,
    tokens,
    training,
    valuation,
)

pytestmark = pytest.mark.spark_only

NAN, INF = float("nan"), float("inf")
CLASSES = ["plum", "", "größe 3", "a`b.c"]  # not in the order of the alphabet
WORDS = ["May", "may", "größe", "", None]


class Session:
    """A session, the number of partitions of its tables, and the order of their rows (step)."""

    def __init__(self, spark, n_partitions, step):
        self.spark, self.n_partitions, self.step = spark, n_partitions, step

    def table(self, rows, schema):
        """Make a table; of its columns only the last may be a Spark ML vector, dense or sparse."""
        has_vectors = schema.endswith(" vector")
        df = self.spark.createDataFrame(
            rows[:: self.step], schema.replace(" vector", " array<double>")
        )
        if has_vectors:
            *others, last = df.schema.fields
            kind = StructType([*others, StructField(last.name, VectorUDT())])
            rows = [(*row[:-1], vector(row[-1])) for row in rows[:: self.step]]
            df = self.spark.createDataFrame(rows, kind)
        return df.repartition(self.n_partitions)


def vector(values):
    if values is None or None in values:
        return None
    given = {place: value for place, value in enumerate(values) if value}
    dense = len(given) > len(values) / 2
    return Vectors.dense(values) if dense else Vectors.sparse(len(values), given)


def signed(rng, values):
    """Return numbers with a sign, at random, before zeros."""
    return np.where((values == 0) & (rng.random(values.shape) < 0.5), -0.0, values)


def eighths(rng, n, n_classes):
    """Return rows of probabilities of 8 levels, so that many are equal; some are 1, most are 0."""
    return signed(rng, rng.multinomial(8, rng.dirichlet(np.full(n_classes, 0.5), n)) / 8)


def labels_of(rng, pred_probs):
    """Return labels, many of them wrong, the last class in a single row."""
    n, n_classes = pred_probs.shape
    right = rng.random(n) < 0.6
    labels = np.where(right, pred_probs.argmax(axis=1), rng.integers(0, n_classes, n))
    labels = np.where(labels == n_classes - 1, 0, labels)
    labels[n // 2] = n_classes - 1
    return labels


def named(values, classes):
    """Return class numbers as the labels of a table: numbers, or names where there are some."""
    return [int(k) if classes is None else classes[k] for k in values]


def key(n, kind):
    """Return the id of a row: a number, or a text that stands elsewhere in the order."""
    return n if kind == "bigint" else f"{'ß' * (n % 3)}{n}"


def options_of(classes):
    return {"n_classes": 4} if classes is None else {"classes": classes}


def label_type(classes):
    return "int" if classes is None else "string"


def of_multiclass(session, id, array, issues, classes=None):
    rng = np.random.default_rng(0)
    pred_probs = eighths(rng, 240, 4)
    labels = named(labels_of(rng, pred_probs), classes)
    rows = [
        (key(n, id), *row) for n, row in enumerate(zip(labels, pred_probs.tolist(), strict=True))
    ]
    schema = f"id {id}, label {label_type(classes)}, pred_probs {array}"
    df, options = session.table(rows, schema), {"classes": classes}
    fitted = multiclass.fit(df, **options)
    thresholds = multiclass.fit_thresholds(df, **options)
    faulty = [
        *rows[:9],
        (key(2, id), *rows[2][1:]),
        (None, *rows[3][1:]),
        (key(20, id), None, rows[0][2]),
        (key(21, id), labels[0], None),
        (key(22, id), labels[0], [1.0, 0.0]),
        (key(23, id), labels[0], [0.5, 0.5, -0.25, 0.25]),
        (key(24, id), labels[0], [0.5, 0.25, -0.0, 0.0]),
    ]
    bad, known = session.table(faulty, schema), options_of(classes)
    adjusted = {"adjust_pred_probs": True, "thresholds": thresholds}
    return {
        "fit": fitted,
        "thresholds": thresholds,
        "score": multiclass.score(
            df, method="normalized_margin", predicted_label=True, **adjusted, **known
        ),
        "issues": multiclass.find_issues(df, issue_rank=True, **issues, **options),
        "issues of a model": multiclass.find_issues(
            df, filter_by="low_self_confidence", fitted=fitted, **options
        ),
        "summary": multiclass.summarize(df, **options),
        "faults": multiclass.validate(bad, id="id", **known),
        "score of the good": multiclass.score(bad, on_invalid="null", **adjusted, **known),
    }


def of_tokens(session, shape, id, array, issues, classes=None):
    rng = np.random.default_rng(1)
    lengths = [0, *rng.integers(1, 7, 50).tolist(), 0]
    places = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    pred_probs = eighths(rng, sum(lengths), 4)
    labels = named(labels_of(rng, pred_probs), classes)
    words = [WORDS[n] for n in rng.integers(0, len(WORDS), len(labels))]
    pred_probs = pred_probs.tolist()
    columns = (labels, words, pred_probs)
    if shape == "nested":
        rows = [
            (key(s, id), *([column[t] for t in part] for column in columns))
            for s, part in enumerate(places)
        ]
        schema = (
            f"sentence_id {id}, labels array<{label_type(classes)}>, tokens array<string>, "
            f"pred_probs array<{array}>"
        )
        names = {"tokens": "tokens"}
        faulty = [
            *rows[:5],
            (None, *rows[1][1:]),
            (key(2, id), *rows[2][1:]),
            (key(90, id), None, ["a"], [pred_probs[0]]),
            (key(91, id), labels[:2], ["a", "b"], [pred_probs[0]]),
            (key(92, id), [labels[0], None], ["a", "b"], [pred_probs[0], None]),
            (key(93, id), labels[:1], ["a"], [[0.5, 0.25, -0.0, 0.0]]),
        ]
    else:
        rows = [
            (key(s, id), place, *(column[t] for column in columns))
            for s, part in enumerate(places)
            for place, t in enumerate(part)
        ]
        schema = (
            f"sentence_id {id}, token_index int, label {label_type(classes)}, token string, "
            f"pred_probs {array}"
        )
        names = {"token_index": "token_index", "token": "token"}
        faulty = [
            *rows[:9],
            (None, 0, *rows[0][2:]),
            (key(90, id), 1, *rows[0][2:]),
            (key(91, id), 0, None, "a", pred_probs[0]),
            (key(92, id), 0, labels[0], "a", [1.0]),
            (key(92, id), 1, labels[0], "b", pred_probs[0]),
        ]
    df, bad = session.table(rows, schema), session.table(faulty, schema)
    both = {**names, "classes": classes}
    known = {**names, **options_of(classes)}
    fit_names = {name: value for name, value in both.items() if name not in ("token", "tokens")}
    fitted = tokens.fit(df, **fit_names)
    softmin = {"sentence_score_method": "softmin", "token_score_method": "normalized_margin"}
    return {
        "fit": fitted,
        "sentences": tokens.score(df, **softmin, **known),
        "tokens": tokens.score(df, level="token", **known),
        "issues": tokens.find_issues(df, issue_rank=True, **issues, **both),
        "summary": tokens.summarize(df, top=5, **both),
        "faults": tokens.validate(bad, **known),
        "score of the good": tokens.score(bad, on_invalid="null", **known),
    }


def of_multilabel(session, id, array, classes=None):
    rng = np.random.default_rng(2)
    pred_probs = signed(rng, rng.integers(0, 9, (200, 4)) / 8)
    right = rng.random(pred_probs.shape) < 0.8
    given = np.where(right, pred_probs > 0.5, rng.random(pred_probs.shape) < 0.5)
    given[:, 3], given[:6] = False, False
    rows = [
        (key(n, id), named(np.flatnonzero(row), classes), probs)
        for n, (row, probs) in enumerate(zip(given, pred_probs.tolist(), strict=True))
    ]
    schema = f"id {id}, labels array<{label_type(classes)}>, pred_probs {array}"
    faulty = [
        *rows[:9],
        (key(2, id), *rows[2][1:]),
        (None, *rows[7][1:]),
        (key(900, id), None, rows[0][2]),
        (key(901, id), [None], rows[0][2]),
        (key(902, id), [], None),
        (key(903, id), [], [-0.5, 0.0, 0.0, 0.0]),
    ]
    df, bad, options = (
        session.table(rows, schema),
        session.table(faulty, schema),
        options_of(classes),
    )
    fitted = multilabel.fit(df, **options)
    softmin = {"method": "softmin", "temperature": 0.2}
    adjusted = {"method": "normalized_margin", "adjust_pred_probs": True}
    return {
        "fit": fitted,
        "score": multilabel.score(
            df, aggregator_kwargs=softmin, class_qualities=True, **adjusted, **options
        ),
        "issues": multilabel.find_issues(df, issue_rank=True, **options),
        "issues of a model": multilabel.find_issues(
            df, filter_by="confident_learning", fitted=fitted, **options
        ),
        "issues of cells": multilabel.find_issues_per_class(df, **options),
        "summary": multilabel.summarize(df, **options),
        "faults": multilabel.validate(bad, id="id", **options),
        "score of the good": multilabel.score(bad, on_invalid="null", **options),
    }


def of_regression(session, id, number):
    rng = np.random.default_rng(3)
    labels = signed(rng, rng.integers(-3, 4, 120).astype(float))
    predictions = signed(rng, labels + rng.integers(-2, 3, 120) / 2)
    labels[:2] *= 1000
    uncertainties = signed(rng, rng.integers(0, 3, 120) / 2)
    of_rows = zip(labels.tolist(), predictions.tolist(), uncertainties.tolist(), strict=True)
    rows = [(key(n, id), *row) for n, row in enumerate(of_rows)]
    schema = f"id {id}, label {number}, prediction {number}, u {number}"
    faulty = [
        *rows[:9],
        (key(2, id), *rows[2][1:]),
        (None, *rows[3][1:]),
        (key(900, id), None, 1.0, 1.0),
        (key(901, id), 1.0, NAN, 1.0),
        (key(902, id), -INF, 1.0, 1.0),
    ]
    df, bad = session.table(rows, schema), session.table(faulty, schema)
    uncertain = {"method": "uncertainty", "uncertainty": "u"}
    return {
        "score": regression.score(df),
        "many rows": regression.score(df, exact_up_to=100),
        "issues": regression.find_issues(df, frac_issues=0.2, issue_rank=True, **uncertain),
        "summary": regression.summarize(df),
        "faults": regression.validate(bad, id="id"),
        "score of the good": regression.score(bad, on_invalid="null"),
    }


def of_detection(session, id, number, classes=None):
    rng = np.random.default_rng(4)

    def boxes(n):
        corners = rng.integers(0, 12, (n, 4)).astype(float)
        corners[:, 2:] += corners[:, :2] + rng.integers(0, 2, (n, 1)) * 4
        return [tuple(box) for box in signed(rng, corners).tolist()]

    def shaken(box):
        return tuple(
            side + float(step) for side, step in zip(box, rng.integers(0, 2, 4), strict=True)
        )

    def probability():
        return float(rng.choice([-0.0, 0.0, 0.5, 0.875, 0.99, 1.0]))

    def label():
        return named([rng.integers(3)], classes)[0]

    images = []
    for n in range(40):
        given = [(*box, label()) for box in boxes(rng.integers(0, 4))]
        found = [(*shaken(box[:4]), box[4], probability()) for box in given if rng.random() < 0.9]
        found += [(*box, label(), probability()) for box in boxes(rng.integers(0, 3))]
        images.append((key(n, id), given, found))
    box = f"x1:{number},y1:{number},x2:{number},y2:{number},label:{label_type(classes)}"
    schema = f"id {id}, labels array<struct<{box}>>, predictions array<struct<{box},prob:{number}>>"
    good = (0.0, -0.0, 4.0, 4.0, named([0], classes)[0])
    faulty = [
        *images[:9],
        (key(2, id), *images[2][1:]),
        (None, *images[3][1:]),
        (key(900, id), None, []),
        (key(901, id), [None, good], []),
        (key(902, id), [good], [None]),
        (key(903, id), [good], [(*good, None)]),
        (key(904, id), [(4.0, *good[1:2], 0.0, *good[3:])], []),
        (key(905, id), [(NAN, *good[1:])], [(*good, 1.5)]),
    ]
    df, bad, options = (
        session.table(images, schema),
        session.table(faulty, schema),
        options_of(classes),
    )
    labels = [(image, *one) for image, given, _ in images for one in given]
    predictions = [(image, *one) for image, _, found in images for one in found]
    columns = box.replace(":", " ").replace(",", ", ")
    fitted = detection.fit(df, **options)
    return {
        "fit": fitted,
        "score": detection.score(df, box_scores=True, **options),
        "score of a model": detection.score(
            df, fitted=fitted, overlapping_label_check=False, **options
        ),
        "issues": detection.find_issues(df, issue_rank=True, **options),
        "summary": detection.summarize(df, top=3, **options),
        "faults": detection.validate(bad, id="id", **options),
        "score of the good": detection.score(bad, box_scores=True, on_invalid="null", **options),
        "images of boxes": detection.from_boxes(
            session.table(labels, f"image_id {id}, {columns}"),
            session.table(predictions, f"image_id {id}, {columns}, prob {number}"),
        ).withColumnRenamed("image_id", "id"),
    }


def of_segmentation(session, form, id, element, issues):
    rng = np.random.default_rng(5)
    shapes = [(4, 6), (2, 8), (8, 2)] * 4

    def image(n, shape):
        probs = np.moveaxis(eighths(rng, shape[0] * shape[1], 4).reshape(*shape, 4), -1, 0)
        right = rng.random(shape) < 0.8
        mask = np.where(right, probs.argmax(axis=0), rng.integers(0, 3, shape)).astype(np.uint8)
        if form == "nested":
            return (key(n, id), mask.tolist(), probs.tolist())
        both = (mask, np.ascontiguousarray(probs, dtype=element))
        written = ((part.tobytes(), list(part.shape), str(part.dtype)) for part in both)
        return (key(n, id), *(field for part in written for field in part))

    images = [image(n, shape) for n, shape in enumerate(shapes)]
    if form == "nested":
        number = {"float32": "float", "float64": "double"}[element]
        schema = f"label_mask array<array<int>>, pred_probs array<array<array<{number}>>>"
    else:
        schema = ", ".join(
            f"{name} binary, {name}_shape array<int>, {name}_dtype string"
            for name in ("label_mask", "pred_probs")
        )
    nothing = [None] * (len(images[0]) - 1)
    faulty = [
        *images[:4],
        (key(2, id), *images[2][1:]),
        (None, *images[3][1:]),
        (key(900, id), *nothing),
        (key(901, id), *images[0][1 : 1 + len(nothing) // 2], *images[1][1 + len(nothing) // 2 :]),
    ]
    df, bad = (session.table(rows, f"id {id}, {schema}") for rows in (images, faulty))
    fitted = segmentation.fit(df, n_classes=4)
    return {
        "fit": fitted,
        "score": segmentation.score(df, n_classes=4),
        "score of a model": segmentation.score(df, method="num_pixel_issues", fitted=fitted),
        "issues": segmentation.find_issues(df, n_classes=4, **issues),
        "summary": segmentation.summarize(df, n_classes=4, classes=CLASSES),
        "faults": segmentation.validate(bad, id="id", n_classes=4),
        "score of the good": segmentation.score(bad, n_classes=4, on_invalid="null"),
    }


def crowd(session, id, array, classes, unlabelled=0):
    """Return the tables of a crowd, good ones and faulty ones, and what names their columns."""
    rng = np.random.default_rng(6)
    pred_probs = eighths(rng, 60, 4)
    items = [(key(n, id), row) for n, row in enumerate(pred_probs.tolist())]
    annotations = []
    for (item, _), row in zip(items[unlabelled:], pred_probs[unlabelled:], strict=True):
        for annotator in rng.choice(6, rng.integers(1, 5), replace=False).tolist():
            right = rng.random() < 0.5
            label = row.argmax() if right else rng.integers(4)
            annotations.append((item, f"annotator {annotator}", *named([label], classes)))
    kinds = f"item {id}, annotator string, label {label_type(classes)}", f"item {id}, p {array}"
    both = [
        session.table(rows, kind) for rows, kind in zip((annotations, items), kinds, strict=True)
    ]
    label = annotations[0][-1]
    faulty = (
        [
            *annotations,
            (None, "annotator 0", label),
            (key(900, id), "annotator 0", label),
            (key(901, id), None, label),
            (key(902, id), "annotator 0", None),
            annotations[0],
        ],
        [*items, items[5], (None, items[0][1]), (key(901, id), None), (key(902, id), items[0][1])],
    )
    unique = [row for row in faulty[1] if row[0] is not None and row is not items[5]] + [items[5]]
    bad = [session.table(rows, kind) for rows, kind in zip(faulty, kinds, strict=True)]
    left_out = [bad[0], session.table(unique, kinds[1])]
    return both, bad, left_out, {"pred_probs": "p", **options_of(classes)}


def of_multiannotator(session, id, array, classes=None):
    tables, bad, left_out, options = crowd(session, id, array, classes)
    fitted = multiannotator.fit(*tables, **options)
    results = {
        "of a model": multiannotator.score(
            *tables, fitted=fitted, method="normalized_margin", adjust_pred_probs=True, **options
        ),
        "of the good": multiannotator.score(
            *left_out, calibrate_probs=True, on_invalid="null", **options
        ),
    }
    parts = ("items", "annotations", "annotators", "model")
    scores = {name: {part: getattr(one, part) for part in parts} for name, one in results.items()}
    faults = multiannotator.validate(*bad, **options)
    return {"fit": fitted, **scores, "faults": faults._asdict()}


def of_activelab(session, id, array, classes=None):
    tables, bad, left_out, options = crowd(session, id, array, classes, unlabelled=20)
    scores = activelab.score(*tables, **options)
    return {
        "score": scores.items,
        "rank": scores.ranked(),
        "batch": [tuple(row) for row in scores.batch(9).drop("p").collect()],
        "score of the good": activelab.score(*left_out, on_invalid="null", **options).items,
        "faults": activelab.validate(*bad, **options)._asdict(),
    }


def of_features(session, id, array):
    rng = np.random.default_rng(3)
    features = signed(rng, rng.integers(-2, 3, (90, 4)) / 2.0)
    features[:9] *= 7.5
    rows = [(key(n, id), row) for n, row in enumerate(features.tolist())]
    faulty = [*rows[:20], (key(2, id), rows[3][1]), (None, rows[4][1]), (key(900, id), None)]
    faulty += [(key(901, id), [1.0]), (key(902, id), [1.0, NAN, 0.0, 0.0])]
    schema = f"id {id}, features {array}"
    df, bad = session.table(rows, schema), session.table(faulty, schema)
    return {
        "graph": neighbors.graph(df, k=5, metric="euclidean"),
        "approximate graph": neighbors.graph(df, k=5, metric="euclidean", recall=0.5, seed=3),
        "outliers": outliers.find_issues(df, k=5),
        "outliers of a graph": outliers.find_issues(
            df, graph=neighbors.graph(df, k=5, metric="euclidean"), metric="euclidean"
        ),
        "outliers by others": outliers.find_issues(
            df, fitted=outliers.fit(session.table(rows[30:], schema), k=5), threshold=0.5
        ),
        "how many outliers": outliers.summarize(df, k=5, metric="euclidean"),
        "duplicates": duplicates.find_issues(df, k=4, metric="euclidean", threshold=1.1),
        "how many duplicates": duplicates.summarize(df, k=4),
        "faults": neighbors.validate(bad, id="id", n_features=4),
    }


def of_words(session, id):
    rng, words = np.random.default_rng(4), [*(f"w{n}" for n in range(40)), "é", "\U0001f600"]
    texts = [" ".join(rng.choice(words, 20)) for _ in range(40)]
    texts += [f"{texts[n]} more" for n in rng.integers(0, 40, 30)] + texts[:9] + ["", " ", ""]
    rows = [(key(n, id), text) for n, text in enumerate(texts)]
    bad = [*rows[:20], (key(2, id), "a"), (None, "b"), (key(900, id), None)]
    df, faulty = (session.table(some, f"id {id}, text string") for some in (rows, bad))
    by = {"text": "text", "shingles": "character", "similarity": 0.6, "seed": 1}
    return {
        "duplicates": duplicates.find_issues(df, text="text"),
        "scores": duplicates.score(df, **by),
        "how many duplicates": duplicates.summarize(df, **by),
        "faults": duplicates.validate(faulty, id="id", text="text"),
    }


def of_columns(session, id):
    """Columns that number the rows, and others."""
    whole = (
        np.arange(90),
        np.arange(90) % 5 + np.int64(-(2**63)),
        np.arange(90) // 2 * 2,
        [7] * 90,
    )
    rows = [(key(n, id), *map(int, row)) for n, row in enumerate(zip(*whole, strict=True))]
    rows.append((None,) * 5)
    df = session.table(rows, f"id {id}, a bigint, b bigint, c int, d smallint")
    return {
        "identifiers": identifiers.find_issues(df),
        "which are": identifiers.summarize(df, columns=["d", "b"]),
    }


def of_properties(session, id):
    """Columns of numbers that tell the class, or do not, or cannot be looked at."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, len(CLASSES), 90)
    light, noise = labels + rng.normal(size=90) * 0.2, signed(rng, rng.normal(size=90))
    columns = named(labels, CLASSES), light.tolist(), noise.tolist(), rng.integers(0, 9, 90)
    rows = [
        (key(n, id), label, light, noise, int(size), Decimal(int(size)) / 4)
        for n, (label, light, noise, size) in enumerate(zip(*columns, strict=True))
    ]
    schema = f"id {id}, label string, light double, noise float, size int, cost decimal(6,2)"
    df = session.table(rows, schema)
    options = {"properties": ["light", "noise", "size", "cost"], "classes": CLASSES}
    faults = [(*rows[0][:2], bad, *rows[0][3:]) for bad in (None, NAN, INF)]
    return {
        "properties": spurious.find_issues(df, **options, n_folds=4),
        "in short": spurious.summarize(df, **options),
        "faults": spurious.validate(session.table(rows[1:] + faults, schema), **options),
    }


def of_noise(session, id):
    """Labels that are made wrong."""
    labels = np.random.default_rng(4).permutation(np.arange(200) % len(CLASSES))
    rows = [(key(n, id), label) for n, label in enumerate(named(labels, CLASSES))]
    schema = f"id {id}, label string"
    df = session.table(rows, schema)
    noise = np.full((4, 4), 0.13) + np.eye(4) * 0.48
    faulty = session.table([*rows[:9], rows[3], (None, ""), (key(900, id), "cat")], schema)
    return {
        "labels": benchmark.noisy_labels(df, noise, classes=CLASSES, seed=7),
        "faults": benchmark.validate(faulty, id="id", classes=CLASSES),
    }


def of_near_rows(session, id, array):
    """Rows with labels and times, near to each other in both."""
    rng = np.random.default_rng(4)
    times = rng.permutation(90)
    features = signed(rng, np.round(times[:, np.newaxis] / 30 + rng.normal(size=(90, 4))))
    labels = named(times // 30, CLASSES)
    columns = (times.tolist(), labels, features.tolist())
    rows = [(key(n, id), *row) for n, row in enumerate(zip(*columns, strict=True))]
    faulty = [*rows[:20], (key(900, id), None, "cat", rows[0][3])]
    faulty += [(key(901, id), 3, None, rows[1][3]), (None, 95, "cat", None)]
    schema = f"id {id}, time int, label string, features {array}"
    df, bad = session.table(rows, schema), session.table(faulty, schema)
    graph = neighbors.graph(df, k=4, metric="euclidean")
    trained = partial(training.cross_val_predict, df, GaussianNB(), classes=CLASSES[:3])
    return {
        "probabilities": trained(seed=3),
        "probabilities by some rows": trained(stratified=False, max_train_rows=40),
        "probabilities of groups": trained(groups="time", n_folds=3),
        "faults of training": training.validate(bad, id="id", classes=CLASSES, groups="time"),
        "valuation": valuation.find_issues(df, k=5),
        "valuation by a graph": valuation.find_issues(df, graph=graph, k=3, threshold=0.501),
        "how many harm": valuation.summarize(df, metric="euclidean"),
        "faults": valuation.validate(bad, id="id", n_features=4),
        "order": noniid.find_issues(df, order="time", k=5),
        "order by a graph": noniid.find_issues(df, graph=graph),
        "how the order is": noniid.summarize(df, order="time", num_permutations=9, seed=2),
        "faults of the order": noniid.validate(bad, id="id", order="time", n_features=4),
    }


NUMBERS = {"id": "bigint", "array": "array<double>"}
TEXTS = {"id": "string", "array": "array<float>", "classes": CLASSES}
VECTORS = {"id": "string", "array": "vector", "classes": CLASSES}
PRUNED = {"filter_by": "prune_by_noise_rate"}
BOTH = {"filter_by": "both"}
COARSE = {"downsample": 2, "method": "num_pixel_issues"}
CASES = {
    "words": partial(of_words, id="bigint"),
    "words under names": partial(of_words, id="string"),
    "multiclass": partial(of_multiclass, **NUMBERS, issues=PRUNED),
    "multiclass of names": partial(of_multiclass, **TEXTS, issues=BOTH),
    "nested tokens": partial(of_tokens, shape="nested", **TEXTS, issues=PRUNED),
    "long tokens": partial(of_tokens, shape="long", **VECTORS, issues=BOTH),
    "multilabel": partial(of_multilabel, **VECTORS),
    "regression": partial(of_regression, id="string", number="double"),
    "detection": partial(of_detection, id="string", number="float", classes=CLASSES),
    "segmentation": partial(
        of_segmentation, form="nested", id="bigint", element="float64", issues={}
    ),
    "segmentation of bytes": partial(
        of_segmentation, form="binary", id="string", element="float32", issues=COARSE
    ),
    "multiannotator": partial(of_multiannotator, **VECTORS),
    "activelab": partial(of_activelab, **NUMBERS),
    "features": partial(of_features, id="string", array="array<double>"),
    "columns": partial(of_columns, id="string"),
    "properties": partial(of_properties, id="string"),
    "noise": partial(of_noise, id="string"),
    "noise of numbers": partial(of_noise, id="bigint"),
    "near rows": partial(of_near_rows, id="string", array="array<float>"),
}


def told(spark, case, n_partitions, step):
    """Return all that the functions of a case say: {where it stands: what is there}."""
    setting = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(setting)
    spark.conf.set(setting, "7")
    found = dict(facts(CASES[case](Session(spark, n_partitions, step)), case))
    spark.conf.set(setting, before)
    return found


@pytest.mark.parametrize("case", CASES)
def test_both_engines_say_the_same(spark, on_embedded, quietly, case):
    beside = on_embedded(__file__, "told", case, 3, 1)
    of_spark = quietly(told, spark, case, 2, -1)
    of_sail = beside.result()
    assert of_sail.keys() == of_spark.keys()
    other = [
        f"{' · '.join(map(str, at))}: {of_sail[at]} on Sail, {value} on Spark"
        for at, value in of_spark.items()
        if of_sail[at] != value
    ]
    assert not other, "\n".join(other[:20])
