"""Jobs over tables with labels in floats and booleans, and with a column a class."""

import re
from decimal import Decimal

import pyarrow as pa
import pytest

LABELS = [0, 1, 1, 0, 1, 0, 0, 1]
PROBS = [
    *([0.75, 0.25], [0.25, 0.75], [0.125, 0.875], [0.875, 0.125]),
    *([0.875, 0.125], [1.0, 0.0], [0.625, 0.375], [0.375, 0.625]),
]
IDS = list(range(len(LABELS)))
TYPES = {
    "int": (int, pa.int32()),
    "double": (float, pa.float64()),
    "float": (float, pa.float32()),
    "decimal": (Decimal, pa.decimal128(3, 0)),
    "boolean": (bool, pa.bool_()),
}


def table_of(task, labels, kind, probs):
    """Return the columns of a table of a task; ``probs`` are columns of the probabilities."""
    if task == "tokens":
        places = {"sentence_id": [i // 2 for i in IDS], "token_index": [i % 2 for i in IDS]}
        return pa.table({**places, "label": pa.array(labels, kind), **probs})
    if task == "multilabel":
        sets = pa.array([[x] for x in labels], pa.list_(kind))
        return pa.table({"id": IDS, "labels": sets, **probs})
    if task == "multiannotator":
        return pa.table({"item": IDS, **probs})
    return pa.table({"id": IDS, "label": pa.array(labels, kind), **probs})


@pytest.fixture
def run_of(run_in, tmp_path):
    """Run a job on its table in a folder of its own."""

    def go(task, labels, kind, probs=None, ends=0, **options):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        probs = {"pred_probs": PROBS} if probs is None else probs
        tables = {"input": table_of(task, labels, kind, probs)}
        if task == "tokens":
            options["token_index"] = "token_index"
        if task == "multiannotator":
            given = {"item": IDS * 2, "annotator": ["ann"] * 8 + ["bob"] * 8}
            given["label"] = pa.array([*labels, labels[1], *labels[1:]], kind)
            tables["annotations"] = pa.table(given)
        return run_in(folder, tables, task, ends, **options)

    return go


def metrics_of(done):
    kept = {key: value for key, value in done.metrics.items() if key[0] != "seconds"}
    return sorted((metric, of or "", str(value)) for (metric, of), value in kept.items())


def numbers_of(done):
    table = done.scores
    names = [f.name for f in table.schema if pa.types.is_floating(f.type) and f.name != "label"]
    return sorted(
        map(
            repr,
            table.select(
                [n for n in names if "label" not in n or n == "label_quality"]
            ).to_pylist(),
        )
    )


@pytest.mark.parametrize("task", ["multiclass", "tokens", "multilabel", "multiannotator"])
@pytest.mark.parametrize("kind", [name for name in TYPES if name != "int"])
def test_a_run_tells_the_same_of_labels_of_every_type(run_of, task, kind):
    made, type_ = TYPES[kind]
    options = {"find_issues": True} if task in ("multiclass", "tokens") else {}
    wanted = run_of(task, LABELS, pa.int32(), **options)
    found = run_of(task, [made(x) for x in LABELS], type_, **options)
    assert numbers_of(found) == numbers_of(wanted)
    assert metrics_of(found) == metrics_of(wanted)
    if task == "multiclass":
        assert found.scores.schema.field("predicted_label").type == type_


@pytest.mark.parametrize(
    ("task", "form"),
    [
        *(("multiclass", form) for form in ("columns", "struct", "one number")),
        *(("tokens", form) for form in ("columns", "struct", "one number")),
        *(("multiannotator", form) for form in ("columns", "struct", "one number")),
        *(("multilabel", form) for form in ("columns", "struct")),
    ],
)
def test_a_run_reads_probabilities_in_every_form(run_of, task, form):
    names = [["cat", "dog"][x] for x in LABELS]
    columns = {"cat": [p[0] for p in PROBS], "dog": [p[1] for p in PROBS]}
    forms = {
        "columns": (columns, {"pred_probs": ["cat", "dog"]}),
        "struct": ({"pred_probs": [{"dog": b, "cat": a} for a, b in PROBS]}, {}),
        "one number": ({"pred_probs": columns["dog"]}, {"classes": ["cat", "dog"]}),
    }
    probs, options = forms[form]
    if form == "struct":  # its fields are dog, cat
        options["classes"] = ["cat", "dog"]
    if task == "multiannotator" and form == "columns":
        options = {"pred_probs": [["cat", "dog"]]}
    wanted = run_of(task, names, pa.string(), classes=["cat", "dog"])
    found = run_of(task, names, pa.string(), probs, **options)
    assert numbers_of(found) == numbers_of(wanted)
    assert [m for m in metrics_of(found) if m[0] != "model_weight"] == [
        m for m in metrics_of(wanted) if m[0] != "model_weight"
    ]


@pytest.mark.parametrize("task", ["multiclass", "tokens", "multilabel", "multiannotator"])
def test_a_run_shows_the_labels_that_are_no_classes(run_of, task):
    names = [["cat", "dog"][x] for x in LABELS]
    names[2], names[5] = "cat ", "Dog"
    done = run_of(task, names, pa.string(), ends=1, classes=["cat", "dog"])
    assert re.search(r"label not in classes: \d \('Dog', 'cat '; ", done.error)


@pytest.mark.parametrize("task", ["multiclass", "tokens", "multilabel", "multiannotator"])
def test_a_run_counts_labels_that_are_not_whole(run_of, task):
    labels = [0.5, *map(float, LABELS[1:])]
    done = run_of(task, labels, pa.float64(), ends=1)
    assert "label not a whole number: 1 (" in done.error
