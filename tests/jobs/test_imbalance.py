"""The job of class imbalance: a run by spark-submit, a gate, rows set aside."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.errors import OptionError

LABELS = ["ant"] * 60 + ["bee"] * 58 + ["cat"] * 2


def table_of(labels):
    return pa.table({"id": range(len(labels)), "label": pa.array(labels), "n": range(len(labels))})


def test_a_good_run_says_which_class_is_too_rare(
    submit, write_folder, tmp_path, by_id, read_metrics
):
    write_folder(table_of(LABELS), tmp_path / "in")
    done = submit(
        *("--task", "imbalance", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *("--classes", "ant,bee,cat,dog", "--keep-columns", "n", "--fail-if", "absent_classes > 0"),
    )
    assert done.code == 3, done.stderr
    found = by_id(pq.read_table(tmp_path / "out"), pa.array(range(120)))
    assert found.column_names == [
        *("id", "label", "n", "is_class_imbalance_issue", "class_imbalance_score")
    ]
    assert found["is_class_imbalance_issue"].to_pylist() == [label == "cat" for label in LABELS]
    scores = [2 / 120 if label == "cat" else 1.0 for label in LABELS]
    assert found["class_imbalance_score"].to_pylist() == scores
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["rarest_class_share", None] == 2 / 120
    assert metrics["imbalance_issues", None] == 2
    assert metrics["absent_classes", None] == 1
    assert {name: metrics["class_rows", name] for name in ("ant", "bee", "cat", "dog")} == {
        "ant": 60,
        "bee": 58,
        "cat": 2,
        "dog": 0,
    }
    assert "rarest class cat, 1.6667% of 120 rows: too rare (below 2.5000% is)" in done.stdout
    assert "classes without a row: 1" in done.stdout


def test_rows_without_a_class_are_set_aside_and_not_counted(run):
    names = ["ant", "bee", "cat"]
    done = run(table_of([*LABELS, None, "cow"]), "imbalance", classes=names, ends=1)
    assert "2 of 122 rows cannot be scored: label not in classes: 1 ('cow'; id 121)" in done.error
    done = run(
        *(table_of([*LABELS, None, "cow"]), "imbalance"),
        classes=names,
        on_invalid="quarantine",
    )
    assert done.quarantine["invalid_reason"].to_pylist() == [
        *("null label", "label not in classes: 'cow'")
    ]
    assert done.metrics["rarest_class_share", None] == 2 / 120
    assert done.scores.num_rows == 120


def test_whole_numbers_say_how_many_classes_there_are(run):
    done = run(table_of([0] * 9 + [2]), "imbalance")
    assert done.metrics["absent_classes", None] == 1
    assert "rarest class 2, 10.0000% of 10 rows: not too rare (below 3.3333% is)" in done.printed


@pytest.mark.parametrize("keys", [{"threshold": 1.5}, {"n_classes": 1}, {"label": ""}], ids=str)
def test_a_wrong_key_is_refused(keys):
    [key] = keys
    with pytest.raises(OptionError, match=key):
        config_of("imbalance", input="./in", output="./out", **keys)
