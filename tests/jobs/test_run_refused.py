"""What a run refuses before it reads a row, or writes one."""

import json

import pyarrow as pa
import pytest

from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.errors import ColumnError, DataError, OptionError

SIMPLE = {
    "id": [3, 1, 2],
    "label": pa.array([0, 1, 2], pa.int32()),
    "pred_probs": [[0.75, 0.125, 0.125], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25]],
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("label", pa.date32()),
        ("label", pa.timestamp("us")),
        ("label", pa.decimal128(5, 2)),
        ("id", pa.float64()),
        ("id", pa.list_(pa.int64())),
        ("pred_probs", pa.string()),
        ("pred_probs", pa.int64()),
        ("pred_probs", pa.list_(pa.int32())),
        ("pred_probs", pa.list_(pa.string())),
        ("pred_probs", pa.list_(pa.list_(pa.float64()))),
        ("pred_probs", pa.map_(pa.int32(), pa.float64())),
        ("pred_probs", pa.struct([("a", pa.string())])),
    ],
    ids=str,
)
def test_a_column_of_another_type_is_refused_before_any_row_is_read(name, kind, run):
    table = pa.table({**SIMPLE, name: pa.nulls(3, kind)})
    with pytest.raises(ColumnError, match=f"{name}: column '{name}' is .*; allowed are "):
        run(table)


def test_a_single_class_is_refused(run):
    with pytest.raises(DataError, match="at least 2 classes, got K = 1"):
        run(pa.table({"id": [1, 2], "label": [0, 0], "pred_probs": [[1.0], [1.0]]}))


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("label_quality", {}),
        ("predicted_label", {}),
        ("label_quality", {"keep_columns": ["label_quality"]}),
        ("invalid_reason", {"on_invalid": "quarantine"}),
        ("LABEL_QUALITY", {}),  # Spark ignores case
    ],
)
def test_a_column_of_the_name_of_a_new_one_is_refused(name, flags, run):
    table = pa.table({**SIMPLE, name: [0.5] * 3})
    with pytest.raises(ColumnError, match=f"(?i)the table already has '{name}'"):
        run(table, **flags)


def test_a_missing_kept_column_is_refused_by_name(run):
    with pytest.raises(ColumnError, match=r"keep_columns.*'labl'.*did you mean 'label'"):
        run(pa.table(SIMPLE), keep_columns=["id", "labl"])


def test_a_file_of_another_kind_is_refused(run, tmp_path):
    (tmp_path / "text").write_text("id,label\n")
    with pytest.raises(OptionError):
        run(str(tmp_path / "text"))


@pytest.fixture
def saved_thresholds(tmp_path):
    """Write a thresholds file; return its path."""

    def save(content):
        path = tmp_path / "given.json"
        if isinstance(content, Thresholds):
            content.save(path)
        else:
            path.write_text(content)
        return str(path)

    return save


NAMED = Thresholds((0.5, 0.5, 0.5), (1, 1, 1), ("a", "b", "c"))
HEAD = {"format": "lq_spark.thresholds", "format_version": 1, "class_counts": [1, 1, 1]}


@pytest.mark.parametrize(
    ("flags", "thresholds", "message"),
    [
        ({"n_classes": 4, "classes": ["a", "b", "c"]}, None, "classes has 3 names, K is 4"),
        ({"n_classes": 4}, NAMED, "thresholds has K = 3 classes, n_classes is 4"),
        ({"n_classes": 2}, Thresholds((0.5,) * 3, (1,) * 3), "thresholds has K = 3 cl"),
        ({"classes": ["a", "c", "b"]}, NAMED, r"classes \['a', 'b', 'c'\], classes is \['a', 'c'"),
        ({"classes": ["a", "b"]}, Thresholds((0.5,) * 3, (1,) * 3), "classes has 2 names, K is 3"),
        ({"classes": ["a"]}, None, "classes must have at least 2 names"),
        ({"classes": ["a", "b", "a"]}, None, "classes must not have a name twice, got 'a'"),
    ],
    ids=str,
)
def test_what_is_said_of_the_classes_must_agree(flags, thresholds, message, run, saved_thresholds):
    if thresholds is not None:
        flags = {**flags, "thresholds": saved_thresholds(thresholds), "adjust_pred_probs": True}
    with pytest.raises(OptionError, match=message):
        run(pa.table(SIMPLE), **flags)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format": "another"}',
        json.dumps({**HEAD, "format_version": 99, "thresholds": [1, 1, 1], "classes": None}),
        json.dumps({**HEAD, "classes": None}),
        json.dumps({**HEAD, "thresholds": [0.5, 0.5], "classes": None}),
        *(
            json.dumps({**HEAD, "thresholds": values, "classes": None})
            for values in ([None, 0.5, 0.5], [float("nan"), 0.5, 0.5], [9.5, 0.5, 0.5], 3)
        ),
    ],
)
def test_a_file_of_other_than_thresholds_is_refused(content, run, saved_thresholds):
    with pytest.raises((DataError, OptionError), match=r"^thresholds"):
        run(pa.table(SIMPLE), thresholds=saved_thresholds(content), adjust_pred_probs=True)


def test_thresholds_that_are_not_there_are_refused(run, tmp_path):
    with pytest.raises(OptionError, match="thresholds: cannot read"):
        run(pa.table(SIMPLE), thresholds=str(tmp_path / "no.json"), adjust_pred_probs=True)
