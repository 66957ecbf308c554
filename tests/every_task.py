"""A small table for each shape that a task takes, and calls of all its functions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

N, K = 24, 3
KINDS = {name: pa.float64() for name in ("x1", "y1", "x2", "y2")}
BOX = pa.struct({**KINDS, "label": pa.int32()})
FOUND_BOX = pa.struct({**KINDS, "label": pa.int32(), "prob": pa.float64()})


@dataclass(frozen=True)
class Call:
    """A call of a task's function: which options name columns, and the others."""

    function: str
    columns: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A shape of table of a task.

    ``tables`` are the positional arguments; ``columns`` says which columns an option names, as
    a text or a list of them.
    """

    task: str
    tables: tuple[pa.Table, ...]
    columns: dict[str, Any]
    calls: tuple[Call, ...]

    def table_of(self, option: str) -> list[int]:
        """Return the places of the tables that have an option's columns."""
        names = self.columns[option]
        first = names if isinstance(names, str) else names[0]
        return [i for i, table in enumerate(self.tables) if first in table.column_names]


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
    return _of_tokens(table, ("sentence_id", "labels", "pred_probs"), "tokens")


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
    return _of_tokens(table, ("sentence_id", "token_index", "label", "pred_probs"), "token")


def _of_tokens(table: pa.Table, names: tuple[str, ...], text: str) -> Case:
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
    )


def _boxes(rng, n, found):
    made = []
    for x, y in rng.integers(0, 5, (n, 2)) * 10.0:
        box = {"x1": x, "y1": y, "x2": x + 20.0, "y2": y + 20.0, "label": int(rng.integers(0, K))}
        made.append(box | ({"prob": float(rng.random())} if found else {}))
    return made


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
    return Case(task, (annotations, table), columns, tuple(calls))


def active() -> Case:
    return crowd("activelab")


CASES = {
    made.__name__: made
    for made in (
        *(multiclass, sentences, tokens, multilabel, regression, detection, boxes),
        *(segmentation, nested_images, crowd, active),
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
    import lq_spark

    columns = columns or case.columns
    named = {option: columns[option] for option in call.columns}
    return getattr(getattr(lq_spark, case.task), call.function)(*tables, **named, **call.options)


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
