"""A small table for each shape that a task takes, and calls of all its functions."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from contract import (
    GOOD_PROBS,
    INF,
    KEYS,
    LABEL_LISTS,
    LABELS,
    NAMED_LABEL,
    NAMED_LABELS,
    NAN,
    NUMBERS,
    PROBS,
    Call,
    Case,
    Fault,
    K,
    Kinds,
    Refusal,
    label_faults,
    probability_faults,
)

from lq_spark import DetectionModel, MultilabelModel, NoiseModel, SegmentationModel, Thresholds
from lq_spark.errors import DataError

N = 24
KINDS = {name: pa.float64() for name in ("x1", "y1", "x2", "y2")}
BOX = pa.struct({**KINDS, "label": pa.int32()})
FOUND_BOX = pa.struct({**KINDS, "label": pa.int32(), "prob": pa.float64()})


NO_ROW = "the table is empty; class thresholds need at least 1 row"
BROKEN = "token_index is not 0, 1, 2, … each once"

THRESHOLDS = Thresholds((0.5, 0.6, 0.7), (1, 2, 3))
NAMED = Thresholds((0.5, 0.6), (1, 2), ("a", "b"))
NAMED_MODEL = NoiseModel(NAMED, [[1, 0], [0, 1]], 0, "highest_of_all")
SETS_MODEL = MultilabelModel(
    np.full((2, 2), 0.5), np.ones((2, 2), int), np.ones((2, 2, 2), int), 0, ("a", "b")
)
BOXES_MODEL = DetectionModel(0.5, (0.5, 0.5), (1, 1), (1, 1), 1, classes=("cat", "dog"))
PIXELS_MODEL = SegmentationModel(Thresholds((0.5, 0.5), (1, 1)), 1, 0.25, 1, 1)


def _rng():
    return np.random.default_rng(5)


def _probs(n, rng):
    return rng.dirichlet(np.ones(K), n).round(2)


def _rows(n=N):
    rng = _rng()
    probs = rng.dirichlet(np.ones(K), n)
    labels = np.where(rng.random(n) < 0.7, probs.argmax(1), rng.integers(0, K, n))
    return labels.astype(np.int32), probs


def multiclass() -> Case:
    labels, probs = _rows()
    table = pa.table({"id": np.arange(N), "label": labels, "pred_probs": list(probs)})
    pair, ided = ("label", "pred_probs"), ("id", "label", "pred_probs")
    return Case(
        "multiclass",
        (table,),
        {name: name for name in ided},
        (
            Call("score", pair, {"adjust_pred_probs": True, "predicted_label": True}),
            Call("validate", ided),
            Call("fit_thresholds", pair),
            Call("fit", pair),
            Call("find_issues", ided, {"issue_rank": True}),
            Call("summarize", pair),
        ),
        kinds={"label": LABELS, "pred_probs": PROBS},
        more_kinds=(NAMED_LABEL,),
        refusals=(
            Refusal(
                {"thresholds": THRESHOLDS},
                "thresholds are given but adjust_pred_probs is False; set it to True",
                ("score",),
            ),
            *(
                Refusal({"adjust_pred_probs": True, **options}, said)
                for options, said in (
                    (
                        {"thresholds": THRESHOLDS, "n_classes": 4},
                        "thresholds has K = 3 classes, n_classes is 4",
                    ),
                    ({"thresholds": THRESHOLDS, "classes": ["a", "b"]}, "classes has 2 names, K "),
                    (
                        {"thresholds": NAMED, "n_classes": 3},
                        "thresholds has K = 2 classes, n_classes is 3",
                    ),
                    (
                        {"thresholds": NAMED, "classes": ["b", "a"]},
                        "thresholds has classes ['a', 'b'], classes is ['b', 'a']",
                    ),
                    (
                        {"thresholds": NAMED, "classes": ["a", "b", "c"]},
                        "thresholds has classes ['a', 'b'], classes is ['a', 'b', 'c'",
                    ),
                )
            ),
        ),
        faults=(*label_faults(), *probability_faults(unseen=("fit_thresholds",))),
        empty=dict.fromkeys(("score", "fit_thresholds", "fit", "find_issues", "summarize"), NO_ROW),
    )


def sentences() -> Case:
    labels, probs = _rows(4 * N)
    table = pa.table(
        {
            "sentence_id": np.arange(N),
            "labels": list(labels.reshape(N, 4)),
            "pred_probs": probs.reshape(N, 4, K).tolist(),
            "tokens": [[f"w{i % 5}" for i in range(4)] for _ in range(N)],
        }
    )
    differ = "labels, tokens and pred_probs differ in length"
    good, few = [GOOD_PROBS] * 4, [GOOD_PROBS] * 3
    return _of_tokens(
        table,
        ("sentence_id", "labels", "pred_probs"),
        "tokens",
        kinds={
            "labels": LABEL_LISTS,
            "pred_probs": Kinds(
                ("int", "string"),
                "allowed are arrays, of what a token has: ",
                " of a table of sentences",
            ),
            "tokens": Kinds(("string", "array<int>"), "allowed is array<string> in a table of sen"),
        },
        more_kinds=(
            NAMED_LABELS,
            (
                *("pred_probs", "array<int>"),
                "pred_probs: column 'pred_probs' of a table of sentences is array<int>; allowed",
            ),
        ),
        faults=(
            Fault("null labels", {"labels": None}),
            Fault("null pred_probs", {"pred_probs": None}),
            Fault(differ, {"labels": [0, 1, 2]}),
            Fault(differ, {"pred_probs": few}),
            *(Fault(differ, {"tokens": bad}, unseen=("fit",)) for bad in (["a"], None)),
            Fault("token 0: null label", {"labels": [None, 0, 9, 0]}),
            Fault("token 2: label out of range", {"labels": [0, 0, 9, None]}),
            *(
                Fault(f"token 3: {fault.reason}", {"pred_probs": [*few, *fault.values.values()]})
                for fault in probability_faults()
            ),
            Fault("token 0: null pred_probs", {"pred_probs": [None, [NAN] * K, *good[2:]]}),
        ),
    )


def tokens() -> Case:
    labels, probs = _rows(4 * N)
    table = pa.table(
        {
            "sentence_id": np.repeat(np.arange(N), 4),
            "token_index": np.tile(np.arange(4), N),
            "label": labels,
            "pred_probs": list(probs),
            "token": [f"w{i % 5}" for i in range(4 * N)],
        }
    )
    return _of_tokens(
        table,
        ("sentence_id", "token_index", "label", "pred_probs"),
        "token",
        unit=4,
        kinds={
            "label": LABELS,
            "pred_probs": PROBS,
            "token_index": Kinds(("string", "double"), "allowed are whole numbers"),
        },
        more_kinds=(NAMED_LABEL,),
        faults=(
            *label_faults("token 1: ", row=1),
            *probability_faults("token 3: ", row=3),
            *(
                Fault(BROKEN, {"token_index": bad}, row=1, unseen=("fit",))
                for bad in (4, 0, None, -1)
            ),
        ),
        twice=BROKEN,
        not_in_order=f"token_index: column 'token_index' {BROKEN.removeprefix('token_index ')} in",
    )


def _of_tokens(table: pa.Table, names: tuple[str, ...], text: str, **contract: Any) -> Case:
    texts = (*names, text)
    return Case(
        "tokens",
        (table,),
        {name: name for name in texts},
        (
            Call("score", texts),
            Call("score", texts, {"level": "token"}),
            Call("validate", texts),
            Call("fit", names),
            Call("find_issues", texts, {"issue_rank": True}),
            Call("summarize", texts),
        ),
        key="sentence_id",
        needs_key=("find_issues", "summarize"),
        fresh=("sentence_id",),
        refusals=(
            Refusal(
                {"sentence_score_method": "mean"},
                "sentence_score_method must be one of 'min', 'softmin', got 'mean'",
            ),
            Refusal(
                {"sentence_score_kwargs": {"temperature": 1}},
                "sentence_score_kwargs for 'min' takes no argument, got 'temperature'",
            ),
            Refusal({"level": "word"}, "level must be one of 'sentence', 'token', got 'word'"),
            Refusal(
                {"fitted": NAMED_MODEL, "classes": ["b", "a"]},
                "fitted has classes ['a', 'b'], classes is ['b', 'a']",
            ),
        ),
        empty=dict.fromkeys(("fit", "find_issues", "summarize"), NO_ROW),
        **contract,
    )


def multilabel() -> Case:
    rng = _rng()
    labels = [np.flatnonzero(row).tolist() for row in rng.random((N, K)) < 0.4]
    table = pa.table(
        {
            "id": np.arange(N),
            "labels": pa.array(labels, pa.list_(pa.int32())),
            "pred_probs": list(rng.random((N, K))),
        }
    )
    pair, ided = ("labels", "pred_probs"), ("id", "labels", "pred_probs")
    return Case(
        "multilabel",
        (table,),
        {name: name for name in ided},
        (
            Call("score", pair, {"class_qualities": True, "adjust_pred_probs": True}),
            Call("validate", ided),
            Call("fit", pair),
            Call("find_issues", ided, {"issue_rank": True}),
            Call("find_issues_per_class", ided),
            Call("summarize", ided),
        ),
        kinds={"labels": LABEL_LISTS, "pred_probs": PROBS},
        more_kinds=(NAMED_LABELS,),
        refusals=(
            Refusal({"aggregator_kwargs": {"method": "max"}}, "method must be one of ", ("score",)),
            Refusal(
                {"fitted": SETS_MODEL},
                "fitted is given but adjust_pred_probs is False; set it to True",
                ("score",),
            ),
            Refusal(
                {"fitted": SETS_MODEL, "adjust_pred_probs": True, "classes": ["b", "a"]},
                "fitted has classes ['a', 'b'], classes is ['b', 'a']",
            ),
            Refusal(
                {"fitted": 1}, "fitted must be a MultilabelModel or None, got 1", ("find_issues",)
            ),
            Refusal(
                {"fitted": SETS_MODEL, "n_classes": 3},
                "fitted has K = 2 classes, ",
                ("find_issues",),
            ),
            Refusal(
                {"num_to_remove_per_class": [1], "n_classes": 2},
                "num_to_remove_per_class must be 2 numbers",
            ),
        ),
        faults=(
            Fault("null labels", {"labels": None}),
            Fault("null label", {"labels": [None]}),
            Fault("label given twice", {"labels": [0, 1, 0]}),
            Fault("label out of range", {"labels": [0, 3]}),
            Fault("label out of range", {"labels": [-1]}),
            *(
                fault
                for fault in probability_faults()
                if fault.reason != "probabilities do not sum to 1"
            ),
        ),
        needs_key=("find_issues", "find_issues_per_class", "summarize"),
        empty={"fit": NO_ROW, "summarize": "the table is empty; its health needs at least 1 row"},
    )


def regression() -> Case:
    rng = _rng()
    labels = rng.integers(0, 9, N) / 2.0
    table = pa.table(
        {
            "id": np.arange(N),
            "label": labels,
            "prediction": labels + rng.choice([0.0, 0.5, 7.0], N),
            "uncertainty": rng.random(N) + 0.5,
        }
    )
    pair = ("label", "prediction")
    three = (*pair, "uncertainty")
    return Case(
        "regression",
        (table,),
        {name: name for name in ("id", *three)},
        (
            Call("score", pair),
            Call("score", three, {"method": "uncertainty"}),
            Call("validate", ("id", *three)),
            Call("find_issues", ("id", *pair), {"issue_rank": True}),
            Call("find_issues", ("id", *three), {"method": "uncertainty", "frac_issues": 0.2}),
            Call("summarize", ("id", *pair)),
        ),
        needs_key=("find_issues", "summarize"),
        kinds={"label": NUMBERS, "prediction": NUMBERS, "uncertainty": NUMBERS},
        refusals=(
            Refusal(
                {"method": "outer"},
                "method must be one of 'outre', 'residual', 'uncertainty', got 'outer'",
            ),
            Refusal(
                {"method": "uncertainty"},
                "method 'uncertainty' needs uncertainty: a column or a number",
            ),
            Refusal(
                {"uncertainty": 1.0},
                "uncertainty is given but method is 'outre'; it is for method 'uncertainty'",
                ("score", "find_issues", "summarize"),
            ),
            *(
                Refusal(
                    {"method": "uncertainty", "uncertainty": bad, "frac_issues": 0.5},
                    "uncertainty must be the name of a column or a finite number ",
                )
                for bad in (-1, NAN, True)
            ),
            Refusal(
                {"exact_up_to": -1},
                "exact_up_to must be a whole number of rows, at least 0, got -1",
            ),
            Refusal(
                {"method": "residual"},
                "method 'residual' needs threshold or frac_issues: only the",
                ("find_issues", "summarize"),
            ),
            Refusal(
                {"threshold": 0.5, "frac_issues": 0.5},
                "threshold and frac_issues are both given; one",
            ),
            *(
                Refusal({name: bad}, f"{name} must be a number from 0 to 1, got {bad}")
                for name, bad in (("threshold", 1.5), ("threshold", NAN), ("frac_issues", 2))
            ),
        ),
        own=frozenset({"method"}),
        faults=(
            Fault("null label", {"label": None}),
            Fault("label not finite", {"label": NAN}),
            Fault("label not finite", {"label": -INF}),
            Fault("null prediction", {"prediction": None}),
            Fault("prediction not finite", {"prediction": INF}),
            Fault("prediction not finite", {"prediction": 1.1e300}),
        ),
    )


def _boxes(rng, n, found):
    made = []
    for x, y in rng.integers(0, 5, (n, 2)) * 10.0:
        box = {"x1": x, "y1": y, "x2": x + 20.0, "y2": y + 20.0, "label": int(rng.integers(0, K))}
        made.append(box | ({"prob": float(rng.random())} if found else {}))
    return made


def _box(**values: Any) -> dict[str, Any]:
    return {"x1": 0.0, "y1": 0.0, "x2": 4.0, "y2": 4.0, "label": 0} | values


def _boxes_of(label: str, prob: str = "") -> str:
    return f"array<struct<x1:double,y1:double,x2:double,y2:double,label:{label}{prob}>>"


def detection() -> Case:
    rng = _rng()
    labels = [_boxes(rng, rng.integers(0, 4), found=False) for _ in range(N)]
    found = [_boxes(rng, rng.integers(0, 4), found=True) for _ in range(N)]
    table = pa.table(
        {
            "id": np.arange(N),
            "labels": pa.array(labels, pa.list_(BOX)),
            "predictions": pa.array(found, pa.list_(FOUND_BOX)),
        }
    )
    pair, ided = ("labels", "predictions"), ("id", "labels", "predictions")
    return Case(
        "detection",
        (table,),
        {name: name for name in ided},
        (
            Call("score", pair, {"box_scores": True}),
            Call("validate", ided),
            Call("fit", ided),
            Call("find_issues", ided, {"issue_rank": True}),
            Call("summarize", ided),
        ),
        kinds={
            "labels": Kinds(
                ("int", "array<double>"),
                "allowed is an array of structs with fields 'x1', 'y1', 'x2', 'y2', 'label'; "
                "detection.from_boxes makes it of a row a box",
            ),
            "predictions": Kinds(
                ("int", "array<double>"), "allowed is an array of structs with fields 'x1', 'y1', "
            ),
        },
        more_kinds=(
            (
                *("labels", "array<struct<x1:double>>"),
                "labels: the boxes of column 'labels' have no field 'y1'; they have 'x1'",
            ),
            (
                *("labels", _boxes_of("date")),
                "labels: field 'label' of column 'labels' is date; allowed are whole numbers (in a",
            ),
            (*("labels", _boxes_of("string")), " are string and int; both must be"),
            (
                *("predictions", _boxes_of("int")),
                "predictions: the boxes of column 'predictions' have no field 'prob'; they have "
                "'x1', 'y1', 'x2', 'y2', 'label'",
            ),
            (
                *("predictions", _boxes_of("int", ",prob:string")),
                "predictions: field 'prob' of column 'predictions' is string; allowed are numbers",
            ),
        ),
        refusals=(
            Refusal(
                {"n_classes": 0},
                "label quality needs K of at least 1 classes, got K = 0",
                error=DataError,
            ),
            Refusal({"n_classes": 2.0}, "n_classes must be a whole number of at least 1, got 2.0"),
            Refusal({"classes": []}, "classes must have at least 1 names"),
            Refusal({"classes": ["a", "a"]}, "classes must not have a name twice, got 'a' twice"),
            Refusal({"classes": ["a"], "n_classes": 2}, "classes has 1 names, K is 2"),
            Refusal({"fitted": 3}, "fitted must be a DetectionModel or None, got 3"),
            Refusal(
                {"fitted": BOXES_MODEL, "classes": ["a"]},
                "fitted has classes ['cat', 'dog'], ",
            ),
            Refusal(
                {"fitted": BOXES_MODEL, "n_classes": 3}, "fitted has K = 2 classes, n_classes is 3"
            ),
            Refusal(
                {"aggregation_weights": {"swap": 1.0}},
                "aggregation_weights must be of 'overlooked', 'badloc', 'swap', got 'swap'",
            ),
        ),
        own=frozenset({"classes", "n_classes", "method"}),
        faults=tuple(
            Fault(reason, {column: boxes})
            for column, reason, boxes in (
                ("labels", "null labels", None),
                ("predictions", "null predictions", None),
                ("labels", "label box 1: x2 below x1", [_box(), _box(x2=-1.0)]),
                ("labels", "label box 0: y2 below y1", [_box(y2=-1.0)]),
                ("labels", "label box 0: coordinate null or not finite", [_box(x1=NAN)]),
                ("labels", "label box 0: coordinate null or not finite", [_box(x1=None)]),
                ("labels", "label box 0: null label", [None]),
                ("labels", "label box 1: null label", [_box(), None, _box(label=9)]),
                ("labels", "label box 0: null label", [_box(label=None)]),
                ("labels", "label box 0: label out of range", [_box(label=K)]),
                ("labels", "label box 0: label out of range", [_box(label=-1)]),
                ("predictions", "predicted box 1: null label", [_box(prob=0.5), None]),
                ("predictions", "predicted box 0: label out of range", [_box(prob=0.5, label=K)]),
                (
                    *("predictions", "predicted box 1: probability outside 0..1"),
                    [_box(prob=0.5), _box(prob=1.5)],
                ),
                (
                    *("predictions", "predicted box 0: probability outside 0..1"),
                    [_box(prob=-0.1)],
                ),
                *(
                    (
                        *("predictions", "predicted box 0: probability null or not finite"),
                        [_box(prob=bad)],
                    )
                    for bad in (None, NAN)
                ),
                (
                    *("predictions", "predicted box 0: coordinate null or not finite"),
                    [_box(prob=0.5, y1=INF)],
                ),
            )
        ),
    )


def boxes() -> Case:
    rng = _rng()

    def table(n, **more):
        rows = _boxes(rng, n, found=False)
        columns = {name: [row[name] for row in rows] for name in ("x1", "y1", "x2", "y2", "label")}
        return pa.table({"image_id": rng.integers(0, 9, n), **columns, **more})

    names = ("image_id", "box", "label", "prob", "box_id")
    columns = {name: name for name in names} | {"box": ["x1", "y1", "x2", "y2"]}
    return Case(
        "detection",
        (table(N, box_id=np.arange(N)), table(N, prob=rng.random(N))),
        columns,
        (Call("from_boxes", names),),
        key="image_id",
        kinds={"box": Kinds(("string", "array<int>"), "allowed is a number")},
        refusals=(
            Refusal({"box": ["x1", "y1"]}, "box must be one column of arrays or 4 of numbers, "),
            Refusal({"box_format": "yx"}, "box_format must be one of 'xyxy', 'xywh'"),
        ),
    )


def segmentation(form: str = "binary") -> Case:
    rng = _rng()
    probs = np.moveaxis(rng.dirichlet(np.ones(K), (N, 4, 6)), -1, 1).astype(np.float32)
    masks = np.where(rng.random((N, 4, 6)) < 0.8, probs.argmax(1), rng.integers(0, K, (N, 4, 6)))
    columns: dict[str, Any] = {"id": np.arange(N)}
    for name, arrays in (("label_mask", masks.astype(np.int32)), ("pred_probs", probs)):
        if form == "nested":
            columns[name] = arrays.tolist()
        else:
            columns[name] = [array.tobytes() for array in arrays]
            columns[f"{name}_shape"] = [array.shape for array in arrays]
            columns[f"{name}_dtype"] = [str(arrays.dtype)] * N
    pair, ided = ("label_mask", "pred_probs"), ("id", "label_mask", "pred_probs")
    return Case(
        "segmentation",
        (pa.table(columns),),
        {name: name for name in ided},
        (
            Call("score", pair),
            Call("validate", ided),
            Call("fit", pair),
            Call("find_issues", ided),
            Call("summarize", ided),
        ),
        kinds={
            "label_mask": Kinds(
                ("array<int>", "array<array<string>>", "string"),
                "allowed are nested arrays such as array<array<int>>, and binary",
            ),
            "pred_probs": Kinds(
                ("array<array<float>>", "string"),
                "allowed are nested arrays such as array<array<array<float>>>, and binary",
            ),
        },
        refusals=(
            Refusal({"method": "mean"}, "method must be one of 'softmin', 'num_pixel_issues', "),
            Refusal(
                {"method": "num_pixel_issues"},
                "fitted (see segmentation.fit) goes with method 'num_pixel_issues'",
                ("score",),
            ),
            Refusal(
                {"fitted": PIXELS_MODEL},
                "fitted (see segmentation.fit) goes with method 'num_pixel_issues'",
                ("score",),
            ),
            Refusal({"fitted": 3}, "fitted must be a SegmentationModel or None", ("find_issues",)),
            Refusal(
                {"fitted": PIXELS_MODEL, "downsample": 2},
                "fitted was made with downsample 1, got 2",
                ("find_issues", "summarize"),
            ),
            Refusal(
                {"fitted": PIXELS_MODEL, "n_classes": 3},
                "fitted has K = 2 classes, n_classes is 3",
                ("find_issues", "summarize"),
            ),
        ),
        own=frozenset({"method"}),
        needs_key=("find_issues", "summarize"),
        faults=_nested_faults() if form == "nested" else _binary_faults(),
    )


def _nested_faults() -> tuple[Fault, ...]:
    def changed(pixel: tuple[int, int], value: Any) -> list[Any]:
        return [
            [[value if k == 0 and (y, x) == pixel else p for x in range(6)] for y in range(4)]
            for k, p in enumerate(GOOD_PROBS)
        ]

    good = changed((9, 9), None)
    return tuple(
        Fault(reason, values)
        for reason, values in (
            ("null label_mask", {"label_mask": None}),
            ("null pred_probs", {"pred_probs": None}),
            ("pixel (0, 1): label out of range", {"label_mask": [[0, K, 0, 0, 0, 0]] * 4}),
            ("pixel (0, 0): label out of range", {"label_mask": [[-1, 0, 0, 0, 0, 0]] * 4}),
            ("label_mask and pred_probs differ in height or width", {"label_mask": [[0, 1]]}),
            ("pred_probs of another number of classes", {"pred_probs": [*good, good[0]]}),
            *(
                (f"pixel (1, 2): {reason}", {"pred_probs": changed((1, 2), bad)})
                for reason, bad in (
                    ("probability not finite", NAN),
                    ("probability below 0", -0.5),
                    ("probability above 1", 1.5),
                    ("probabilities do not sum to 1", 0.25),
                )
            ),
        )
    )


def _binary_faults() -> tuple[Fault, ...]:
    return (
        Fault("null label_mask", {"label_mask": None}),
        Fault("null pred_probs", {"pred_probs": None}),
        Fault("unknown label_mask_dtype", {"label_mask_dtype": "pixel"}),
        Fault("unknown label_mask_dtype", {"label_mask_dtype": "<U1"}),
        Fault("unknown label_mask_dtype", {"label_mask_dtype": "uint64"}),
        Fault("unknown label_mask_dtype", {"label_mask_dtype": ""}),
    )


def nested_images() -> Case:
    return segmentation("nested")


def crowd(task: str = "multiannotator") -> Case:
    rng = _rng()
    pairs = [(i, a) for i in range(N) for a in rng.permutation(6)[: rng.integers(1, 4)]]
    items, annotators = np.array(pairs).T
    truth, probs = _rows()
    labels = np.where(rng.random(len(items)) < 0.7, truth[items], rng.integers(0, K, len(items)))
    annotations = pa.table(
        {
            "item": items,
            "annotator": [f"ann {a}" for a in annotators],
            "label": labels.astype(np.int32),
        }
    )
    second = _probs(N, rng) * 0.0 + 1.0 / K
    table = pa.table({"item": np.arange(N), "p0": list(probs), "p1": list(second)})
    names = ("item", "annotator", "label", "pred_probs")
    calls = [Call("score", names), Call("validate", names)]
    calls += [Call("fit", names)] if task == "multiannotator" else []
    columns = {name: name for name in names} | {"pred_probs": ["p0", "p1"]}
    fit = task == "multiannotator"
    of_fit = (
        Refusal(
            {"consensus_method": "best"},
            "consensus_method must be one of 'best_quality', 'majority_vote', got 'best'",
        ),
        Refusal(
            {"quality_method": "agree"},
            "quality_method must be one of 'crowdlab', 'agreement', got 'agree'",
        ),
        Refusal({"fitted": 3}, "fitted must be a MultiannotatorModel or None, got 3", ("score",)),
    )
    return Case(
        task,
        (annotations, table),
        columns,
        tuple(calls),
        key="item",
        fresh=("annotator", "item"),
        kinds={
            "annotator": Kinds(
                ("double", "array<int>"), "allowed are tinyint, smallint, int, bigint and string"
            ),
            "label": LABELS,
            "pred_probs": PROBS,
        },
        more_kinds=(NAMED_LABEL,),
        refusals=(
            Refusal(
                {"pred_probs": []}, "pred_probs must name a column, or a column for each model, "
            ),
            Refusal({"pred_probs": ["p0", "p0"]}, "each once, got ['p0', 'p0']"),
            *(of_fit if fit else ()),
        ),
        faults=(
            *label_faults(),
            Fault("label out of range", {"label": 2**30}),
            Fault("null annotator", {"annotator": None}),
            Fault("null item", {"item": None}, said="item not in the items"),
            Fault("item not in the items", {"item": 999}),
            *probability_faults("p0: ", "p0", table=1),
            *([Fault("no annotation", {}, table=1)] if fit else []),
        ),
        needs_key=("score", "fit"),
        twice="duplicate item",
        empty=dict.fromkeys(("score", "fit"), "there are no items; at least 1 is needed"),
    )


def active() -> Case:
    return crowd("activelab")


def _features():
    rng = _rng()
    features = rng.normal(size=(N, 4)) + 2.0
    features[3:6] = features[3]
    return features


def feature_faults():
    said = "rows cannot be scored, for want of usable features"
    return (
        Fault("null features", {"features": None}, said=said),
        Fault("features of wrong length", {"features": [0.5]}, said=said),
        Fault("null feature", {"features": [0.5, None, 0.0, 1.0]}, said=said),
        Fault("feature not finite", {"features": [0.5, NAN, 0.0, 1.0]}, said=said),
        Fault("feature not finite", {"features": [0.5, INF, 0.0, 1.0]}, said=said),
    )


FEATURES = Kinds(
    ("string", "array<string>", "double"),
    "allowed are arrays of numbers and a Spark ML vector",
)
OF_GRAPH = (
    Refusal({"k": 0}, "k must be a whole number of neighbours, at least 1, got 0"),
    Refusal(
        {"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean', got 'cosin'; did you"
    ),
    Refusal({"features": []}, "features must name columns, each once, got []"),
    Refusal({"n_features": 0}, "n_features must be a whole number of at least 1, got 0"),
)


OF_SEARCH = (
    Refusal({"recall": 1.5}, "recall must be a number above 0 and at most 1, got 1.5"),
    Refusal({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
)


def neighbors() -> Case:
    table = pa.table({"id": np.arange(N), "features": list(_features())})
    columns = ("id", "features")
    return Case(
        "neighbors",
        (table,),
        {name: name for name in columns},
        (Call("graph", columns), Call("validate", columns)),
        kinds={"features": FEATURES},
        refusals=(*OF_GRAPH, *OF_SEARCH),
        faults=feature_faults(),
        needs_key=("graph",),
    )


def outliers() -> Case:
    table = pa.table({"id": np.arange(N), "features": list(_features())})
    columns = ("id", "features")
    calls = (Call("find_issues", columns), Call("score", columns), Call("summarize", columns))
    return Case(
        "outliers",
        (table,),
        {name: name for name in columns},
        (*calls, Call("fit", columns), Call("validate", columns)),
        kinds={"features": FEATURES},
        refusals=(
            *OF_GRAPH,
            *OF_SEARCH,
            Refusal({"threshold": 2.0}, "threshold must be a number from 0 to 1, got 2.0"),
            Refusal({"t": 0.0}, "t must be a number above 0, got 0.0"),
            Refusal({"n_classes": 3}, "n_classes is given, which does not go with features"),
            Refusal({"method": "ent"}, "method must be one of 'entropy', "),
            Refusal(
                {"pred_probs": "p"}, "features and pred_probs are both given; one of them decides"
            ),
        ),
        faults=feature_faults(),
        own=frozenset({"classes", "n_classes", "method"}),
        needs_key=("find_issues", "score", "summarize", "fit"),
        alone={"fit": "there are fewer than 2 reference rows, which have no distances"},
    )


def _quality():
    return _rng().random(N).round(1)


def duplicates() -> Case:
    table = pa.table({"id": np.arange(N), "features": list(_features()), "quality": _quality()})
    columns = ("id", "features")
    return Case(
        "duplicates",
        (table,),
        {"id": "id", "features": "features", "label_quality": "quality"},
        (
            Call("find_issues", (*columns, "label_quality")),
            Call("score", columns),
            Call("summarize", columns),
            Call("validate", columns),
        ),
        kinds={"features": FEATURES, "label_quality": NUMBERS},
        refusals=(
            *OF_GRAPH,
            *OF_SEARCH,
            Refusal({"threshold": -1.0}, "threshold must be a number of at least 0, got -1.0"),
            *(
                Refusal({option: value}, f"{option} is given, which does not go with features")
                for option, value in {"shingles": "word", "n": 2, "similarity": 1}.items()
            ),
        ),
        faults=feature_faults(),
        needs_key=("find_issues", "score", "summarize"),
    )


def texts() -> Case:
    rng, words = _rng(), [f"w{n}" for n in range(9)]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(N)]
    texts[3:6] = [texts[3], f"{texts[3]} more", texts[3]]
    texts[9] = ""
    table = pa.table({"id": np.arange(N), "text": texts, "quality": _quality()})
    columns, options = ("id", "text"), {"similarity": 0.5}
    return Case(
        "duplicates",
        (table,),
        {"id": "id", "text": "text", "label_quality": "quality"},
        (
            Call("find_issues", (*columns, "label_quality"), options),
            Call("score", columns, options),
            Call("summarize", columns, options),
            Call("validate", columns),
        ),
        kinds={
            "text": Kinds(("int", "binary", "array<string>"), "allowed are strings"),
            "label_quality": NUMBERS,
        },
        refusals=(
            Refusal({"shingles": "words"}, "shingles must be one of 'word', 'character', got 'wo"),
            Refusal({"n": 0}, "n must be a whole number of at least 1, got 0"),
            Refusal({"similarity": 0}, "similarity must be a number above 0 and at most 1, got 0"),
            Refusal({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
            Refusal({"threshold": 0.5}, "threshold is given, which does not go with text"),
            Refusal({"features": "f"}, "features is given, which does not go with text"),
            Refusal({"n_features": 3}, "n_features is given, which does not go with text"),
            Refusal({"k": 3}, "k is given, which does not go with text"),
            Refusal({"metric": "cosine"}, "metric is given, which does not go with text"),
        ),
        faults=(Fault("null text", {"text": None}, said="cannot be scored, for want of a text"),),
        needs_key=("find_issues", "score", "summarize"),
    )


def leakage() -> Case:
    train = pa.table({"id": np.arange(N), "features": list(_features())})
    test = train.slice(N - 9)
    columns = ("id", "features")
    return Case(
        "duplicates",
        (train, test),
        {name: name for name in columns},
        (Call("between", columns),),
        kinds={"features": FEATURES},
        refusals=(
            *OF_GRAPH[1:],
            Refusal({"threshold": -1.0}, "threshold must be a number of at least 0, got -1.0"),
            Refusal({"seed": 0}, "seed is given, which does not go with features"),
        ),
        needs_key=("between",),
        empty={"between": "train has no rows, so nothing of test can be in it"},
    )


def valuation() -> Case:
    rng = _rng()
    labels = [["cat", "dog"][n] for n in rng.integers(0, 2, N)]
    table = pa.table({"id": np.arange(N), "label": labels, "features": list(_features())})
    columns = ("id", "label", "features")
    calls = ("find_issues", "score", "summarize")
    return Case(
        "valuation",
        (table,),
        {name: name for name in columns},
        tuple(Call(name, columns) for name in (*calls, "validate")),
        kinds={"label": LABELS, "features": FEATURES},
        refusals=(
            *OF_GRAPH,
            *OF_SEARCH,
            Refusal({"threshold": 2.0}, "threshold must be a number from 0 to 1, got 2.0"),
        ),
        faults=(
            Fault("null label", {"label": None}, said="cannot be scored, for want of usable labe"),
            *feature_faults(),
        ),
        needs_key=calls,
    )


def noniid() -> Case:
    table = pa.table({"id": np.arange(N), "features": list(_features())})
    columns, calls = ("id", "features"), ("find_issues", "score", "summarize")
    return Case(
        "noniid",
        (table,),
        {name: name for name in columns},
        tuple(Call(name, columns) for name in (*calls, "validate")),
        kinds={"features": FEATURES},
        refusals=(
            *OF_GRAPH,
            *OF_SEARCH,
            Refusal(
                {"num_permutations": 1}, "num_permutations must be a whole number of at least 2"
            ),
            Refusal(
                {"significance_threshold": -1.0},
                "significance_threshold must be a number from 0 to 1, got -1.0",
            ),
        ),
        faults=feature_faults(),
        needs_key=calls,
        alone=dict.fromkeys(calls, "there are fewer than 2 rows, which are in no order"),
    )


AUDITED = {
    "label": {"min_examples_per_class": 0},
    "outlier": {},
    "near_duplicate": {},
    "class_imbalance": {},
    "data_valuation": {},
    "spurious_correlations": {},
}
"""Checks of an audit that are quick, and together need all columns."""


PROPERTY_FAULTS = (
    Fault("null property", {"light": None}),
    *(Fault("property not finite", {"light": bad}) for bad in (NAN, INF, -INF)),
    Fault("null property", {"size": None, "light": NAN}),
)


TOO_FEW = "no class has as many rows as there are folds, 5; the largest has {}"


def _properties(labels):
    """Return columns of numbers that do not tell the class, or do."""
    rng = _rng()
    return {
        "light": rng.random(N),
        "size": pa.array(labels * 2 + rng.integers(0, 2, N), pa.int32()),
    }


def spurious() -> Case:
    labels = _rng().integers(0, K, N)
    table = pa.table({"id": np.arange(N), "label": labels, **_properties(labels)})
    columns, functions = ("id", "label", "properties"), ("find_issues", "summarize")
    listed = "properties must name columns, each once, got"
    return Case(
        "spurious",
        (table,),
        {"id": "id", "label": "label", "properties": ["light", "size"]},
        tuple(Call(name, columns, {"n_classes": K}) for name in (*functions, "validate")),
        needs_key=functions,
        kinds={"label": LABELS, "properties": NUMBERS},
        more_kinds=(NAMED_LABEL,),
        refusals=(
            Refusal({"threshold": 2.0}, "threshold must be a number from 0 to 1, got 2.0"),
            Refusal({"n_folds": 1}, "n_folds must be a whole number of at least 2, got 1"),
            Refusal({"properties": []}, f"{listed} []"),
            Refusal({"properties": ["light"] * 2}, f"{listed} ['light', 'light']"),
            Refusal({"properties": "light"}, "properties must be a list of names, got 'light'"),
        ),
        faults=(*label_faults(), *PROPERTY_FAULTS),
        empty=dict.fromkeys(functions, TOO_FEW.format(0)),
        alone=dict.fromkeys(functions, TOO_FEW.format(1)),
        tells_names=functions,
        of_columns=("find_issues",),
    )


def training() -> Case:
    table = pa.table(
        {
            "id": np.arange(N),
            "label": np.arange(N) % 2,
            "features": list(_features()),
            "site": [f"site {n // 2 % 7}" for n in range(N)],
        }
    )
    columns, calls = ("id", "label", "features"), ("cross_val_predict", "validate")
    grouped = (*columns, "groups")
    few = "the rows are of {}; a classifier needs at least 2 to tell apart"
    refusals = {
        "n_folds must be a whole number of at least 2, got 1": {"n_folds": 1},
        "seed must be a whole number of at least 0, got -1": {"seed": -1},
        "max_train_rows must be a whole number of at least 2, got 1": {"max_train_rows": 1},
        "stratified must be True or False, got 1": {"stratified": 1},
        "estimator int gives no probabilities of classes; allowed are an object": {"estimator": 3},
        "estimator is the class int, not an object of it: int(": {"estimator": int},
    }
    return Case(
        "training",
        (table,),
        {**{name: name for name in columns}, "groups": "site"},
        (
            *(Call(name, columns) for name in calls),
            Call("cross_val_predict", grouped, {"max_train_rows": 1000}),
            Call("validate", grouped),
        ),
        kinds={"label": LABELS, "features": FEATURES, "groups": KEYS},
        more_kinds=(NAMED_LABEL,),
        refusals=tuple(Refusal(options, said, calls[:1]) for said, options in refusals.items()),
        faults=(
            Fault("null label", {"label": None}, said="cannot be scored, for want of a class"),
            Fault(
                "label out of range", {"label": -1}, said="cannot be scored, for want of a class"
            ),
            *feature_faults(),
        ),
        needs_key=calls[:1],
        empty={calls[0]: few.format("no class")},
        alone={calls[0]: few.format("1 class")},
    )


def training_of_numbers() -> Case:
    rows = {"id": np.arange(N), "label": np.arange(N) / 3.0, "features": list(_features())}
    columns, calls = ("id", "label", "features"), ("cross_val_predict_numbers",)
    refusals = {
        "n_folds must be a whole number of at least 2, got 1": {"n_folds": 1},
        "n_boot must be a whole number of at least 0, got -1": {"n_boot": -1},
        "estimator int is not taken; allowed is an object with fit and predict": {"estimator": 3},
    }
    few = "the table has {} rows, fewer than n_folds, 5"
    return Case(
        "training",
        (pa.table(rows),),
        {name: name for name in columns},
        (Call(calls[0], columns, {"n_boot": 1}),),
        kinds={"label": NUMBERS, "features": FEATURES},
        refusals=tuple(Refusal(options, said) for said, options in refusals.items()),
        needs_key=calls,
        empty={calls[0]: few.format(0)},
        alone={calls[0]: few.format(1)},
    )


def audit() -> Case:
    rng = _rng()
    labels, probs = rng.integers(0, K, N), rng.dirichlet(np.ones(K), N)
    features = list(_features())
    columns = {"id": np.arange(N), "label": labels, "pred_probs": list(probs)}
    table = pa.table({**columns, "features": features, **_properties(labels)})
    columns = ("id", "label", "pred_probs", "features", "properties")
    options = {"n_classes": K, "checks": AUDITED, "on_check_error": "fail"}
    return Case(
        "audit",
        (table,),
        {**{name: name for name in columns}, "properties": ["light", "size"]},
        (Call("find_issues", columns, options), Call("validate", columns, {"n_classes": K})),
        kinds={
            "label": LABELS,
            "pred_probs": PROBS,
            "features": FEATURES,
            "properties": NUMBERS,
        },
        more_kinds=(NAMED_LABEL,),
        refusals=(*OF_GRAPH, *OF_SEARCH),
        # An audit says which of its checks cannot run for them.
        faults=tuple(
            dataclasses.replace(fault, unseen=("find_issues",))
            for fault in (
                *(*label_faults(), *probability_faults(), *feature_faults()),
                *PROPERTY_FAULTS,
            )
        ),
        empty={"find_issues": NO_ROW},
        alone={"find_issues": TOO_FEW.format(1)},
        tells_names=("find_issues",),
    )


def imbalance() -> Case:
    table = pa.table({"id": np.arange(N), "label": _rng().integers(0, K, N)})
    label = ("label",)
    return Case(
        "imbalance",
        (table,),
        {"id": "id", "label": "label"},
        (
            Call("find_issues", label, {"n_classes": K}),
            Call("score", label, {"n_classes": K}),
            Call("summarize", label, {"n_classes": K}),
            Call("validate", ("id", "label"), {"n_classes": K}),
        ),
        needs_key=(),
        kinds={"label": LABELS},
        more_kinds=(NAMED_LABEL,),
        refusals=(Refusal({"threshold": 2.0}, "threshold must be a number from 0 to 1, got 2.0"),),
        faults=(*label_faults(),),
    )


def nulls() -> Case:
    rng = _rng()
    values = [None if rng.random() < 0.3 else float(n) for n in range(N)]
    texts = [None if rng.random() < 0.3 else f"t{n}" for n in range(N)]
    table = pa.table({"id": np.arange(N), "value": values, "text": texts})
    columns = ("id", "columns")
    return Case(
        "nulls",
        (table,),
        {"id": "id", "columns": ["value", "text"]},
        tuple(Call(name, columns) for name in ("find_issues", "score", "summarize", "validate")),
        needs_key=(),
        tells_names=("summarize",),
        refusals=(
            Refusal({"columns": []}, "columns must name columns, each once, got []"),
            Refusal({"columns": ["value", "value"]}, "columns must name columns, each once, got"),
        ),
    )


def groups() -> Case:
    rng = _rng()
    table = pa.table(
        {
            "id": np.arange(N),
            "label": rng.integers(0, K, N),
            "pred_probs": list(rng.dirichlet(np.ones(K), N)),
            "cluster_of": rng.integers(0, 2, N),
        }
    )
    few = {"min_cluster_samples": 1}
    columns = ("id", "label", "pred_probs", "clusters")
    return Case(
        "groups",
        (table,),
        {"id": "id", "label": "label", "pred_probs": "pred_probs", "clusters": "cluster_of"}
        | {"by": ["cluster_of"]},
        (
            *(Call(name, columns, few) for name in ("find_issues", "score", "summarize")),
            Call("slices", ("label", "pred_probs", "by")),
            Call("validate", columns),
        ),
        needs_key=("find_issues", "score", "summarize"),
        kinds={
            "label": LABELS,
            "pred_probs": PROBS,
            "clusters": Kinds(
                ("string", "double"), "allowed are whole numbers, -1 of rows in none"
            ),
        },
        more_kinds=(NAMED_LABEL,),
        refusals=(
            Refusal({"threshold": 2.0}, "threshold must be a number from 0 to 1, got 2.0"),
            Refusal({"eps": 0.5}, "eps is given, which does not go with clusters"),
            Refusal({"k": 3}, "k is given, which does not go with clusters"),
            Refusal({"min_rows": 1}, "min_rows must be a whole number of at least 2, got 1"),
            Refusal({"correction": "hol"}, "correction must be one of 'holm', "),
        ),
        faults=(*label_faults(), *probability_faults()),
        empty=dict.fromkeys(
            ("find_issues", "score", "summarize"),
            "no cluster has 1 rows: 0 clusters, the largest of 0",
        ),
        tells_names=("slices",),
    )


def identifiers() -> Case:
    ids, codes = np.arange(N), pa.array(np.arange(N) % 5, pa.int8())
    table = pa.table({"id": ids, "code": codes, "apart": ids // 2 * 2})
    calls = ("find_issues", "summarize")
    return Case(
        "identifiers",
        (table,),
        {"columns": ["id", "code", "apart"]},
        tuple(Call(name, ("columns",)) for name in calls),
        key="columns",
        kinds={
            "columns": Kinds(
                ("double", "string", "boolean", "decimal(4,0)"),
                "allowed are tinyint, smallint, int and bigint",
            )
        },
        refusals=(
            Refusal({"columns": []}, "columns must name columns, each once, got []"),
            Refusal({"columns": ["id", "id"]}, "columns must name columns, each once, got ['id',"),
            Refusal({"columns": ["id", None]}, "columns must name columns, each once, got ['id',"),
            Refusal({"columns": "id"}, "columns must be a list of names, got 'id'"),
            Refusal({"columns": {"id"}}, "got {'id'}: a set is in no certain order"),
        ),
        needs_key=(),
        tells_names=calls,
        of_columns=("find_issues",),
    )


def benchmark() -> Case:
    table = pa.table({"id": np.arange(N), "label": _rng().permutation(np.arange(N) % K)})
    noise = np.full((K, K), 0.15) + np.eye(K) * 0.55
    of_noise = {"noise_matrix": noise}
    no_rows = f"noise_matrix is of K = {K} classes, and no row is of class "
    columns = ("id", "label")
    others = [repr(str(k)) for k in range(K) if k != table["label"][0].as_py()]
    return Case(
        "benchmark",
        (table,),
        {name: name for name in columns},
        (
            Call("noisy_labels", columns, of_noise),
            Call("validate", columns, {"n_classes": K}),
        ),
        needs_key=("noisy_labels",),
        kinds={"label": LABELS},
        more_kinds=(NAMED_LABEL,),
        refusals=(
            *(
                Refusal({"noise_matrix": wrong}, f"noise_matrix must be a K by K array of {said}")
                for wrong, said in (
                    ([1.0, 0.0], "numbers, K at least 2, got shape (2,)"),
                    ([[1.0]], "numbers, K at least 2, got shape (1, 1)"),
                    ([[0.5, 0.5]], "numbers, K at least 2, got shape (1, 2)"),
                    ("noise", "numbers, K at least 2, got 'noise'"),
                )
            ),
            Refusal(
                {"noise_matrix": [[1.1, 0.0], [-0.1, 1.0]]},
                "noise_matrix must have numbers from 0 to 1, got 1.1 in row 0, column 0",
            ),
            Refusal(
                {"noise_matrix": [[0.9, NAN], [0.1, 1.0]]},
                "noise_matrix must have numbers from 0 to 1, got nan in row 0, column 1",
            ),
            Refusal(
                {"noise_matrix": [[0.9, 0.2], [0.1, 0.9]]},
                "each column of noise_matrix must sum to 1, that of class 1 sums to 1.1",
            ),
            Refusal({"noise_matrix": noise, "classes": ["a", "b"]}, "classes has 2 names, K is 3"),
            *(
                Refusal({"seed": seed}, f"seed must be a whole number of at least 0, got {seed!r}")
                for seed in (-1, 0.5, "1")
            ),
            Refusal({"seed": 1 << 63}, f"seed must be at most {(1 << 63) - 1}, got {1 << 63}"),
            *(
                Refusal({"noisy_label": name}, f"noisy_label must be the name of a {said}")
                for name, said in (("", "column, got ''"), (None, "column, got None"))
            ),
        ),
        faults=label_faults(),
        empty={"noisy_labels": f"{no_rows}{', '.join(repr(str(k)) for k in range(K))}"},
        alone={"noisy_labels": f"{no_rows}{', '.join(others)}"},
        always={"noisy_labels": of_noise},
    )


CASES = {
    made.__name__: made
    for made in (
        *(multiclass, sentences, tokens, multilabel, regression, detection, boxes),
        *(segmentation, nested_images, crowd, active, neighbors, outliers, duplicates),
        *(texts, leakage),
        *(
            imbalance,
            nulls,
            valuation,
            noniid,
            groups,
            identifiers,
            spurious,
            training,
            training_of_numbers,
            audit,
        ),
        benchmark,
    )
}


ODD = {"dots": ".n.1", "quotes": ".of `A` \"b\" 'c' É🙂"}
"""Endings of names: an engine may take dots for fields, and quotes for the end of a name."""


def odd_names(columns: dict[str, Any], end: str) -> dict[str, Any]:
    """Return the columns of options under odd names."""
    return {
        option: names + end if isinstance(names, str) else [name + end for name in names]
        for option, names in columns.items()
    }


def renamed(table: pa.Table, columns: dict[str, Any], end: str) -> pa.Table:
    """Return a table with odd names of these columns, and of those of their shapes and types."""
    flat = {n for names in columns.values() for n in ([names] if isinstance(names, str) else names)}
    made = {name: name + end for name in flat}
    made |= {name + more: name + end + more for name in flat for more in ("_shape", "_dtype")}
    return table.rename_columns([made.get(name, name) for name in table.column_names])


def spark_tables(spark, case: Case, end: str = ""):
    """Return the tables of a case as DataFrames."""
    return [spark.createDataFrame(renamed(table, case.columns, end)) for table in case.tables]


def run(case: Case, call: Call, tables, columns=None):
    """Return what a call gives of tables whose columns are named so."""
    columns = columns or case.columns
    named = {option: columns[option] for option in call.columns}
    return case.function(call.function)(*tables, **(named | call.options))


def values_of(result: Any) -> Any:
    """Return the values in what a function gives, whatever the columns are called, in an order."""
    if isinstance(result, pd.DataFrame):
        return sorted(map(repr, result.to_numpy().tolist()))
    if hasattr(result, "collect"):
        return sorted(repr(tuple(row)) for row in result.collect())
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return [values_of(part) for part in result]
    if hasattr(result, "items") and hasattr(result.items, "collect"):  # scores of a crowd
        more = ("annotations", "annotators")
        return [
            values_of(result.items),
            *(values_of(getattr(result, m)) for m in more if hasattr(result, m)),
        ]
    if hasattr(result, "to_json"):
        return result.to_json()
    if dataclasses.is_dataclass(result):
        return [values_of(getattr(result, each.name)) for each in dataclasses.fields(result)]
    return repr(result)
