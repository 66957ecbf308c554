"""The job of many annotators: its configuration, by spark-submit, and with rows set aside."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of, parsed

from lq_spark.core.multiannotator.annotations import checked_annotations
from lq_spark.core.multiannotator.items import Dataset
from lq_spark.errors import OptionError

PLACES = {"input": "./items", "annotations": "./annotations", "output": "./out"}
CLASSES = ["ant", "bee", "cat"]


load = partial(config_of, "multiannotator")


def crowd(n_items=120, n_annotators=8, seed=0):
    """Return items, annotators and labels of each annotation, and the probabilities."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n_items)
    item = np.repeat(np.arange(n_items), 3)
    who = np.concatenate([np.sort(rng.permutation(n_annotators)[:3]) for _ in range(n_items)])
    right = rng.random(len(item)) < np.linspace(0.3, 0.95, n_annotators)[who]
    labels = np.where(right, truth[item], rng.integers(3, size=len(item)))
    probs = rng.dirichlet(np.ones(3), n_items) + np.eye(3)[truth]
    return item, who, labels, probs / probs.sum(axis=1, keepdims=True)


def write_tables(folder, item, who, labels, probs, **columns):
    """Write both tables; annotations in random order."""
    order = np.random.default_rng(1).permutation(len(item))
    annotations = {
        "item": pa.array([f"i{i:03d}" for i in item[order]]),
        "annotator": pa.array([f"a{a}" for a in who[order]]),
        "label": pa.array(np.array(CLASSES)[labels[order]].tolist()),
    }
    items = {"item": [f"i{i:03d}" for i in range(len(probs))], "p": list(probs), **columns}
    pq.write_table(pa.table(annotations), folder / "annotations.parquet")
    pq.write_table(pa.table(items), folder / "items.parquet")
    return {
        "input": str(folder / "items.parquet"),
        "annotations": str(folder / "annotations.parquet"),
        "output": str(folder / "out"),
        "pred_probs": ["p"],
        "classes": CLASSES,
    }


def flags_of(options):
    for name, value in options.items():
        yield f"--{name.replace('_', '-')}"
        yield ",".join(value) if isinstance(value, list) else value


def test_every_key_is_a_flag_and_the_tables_have_places_of_their_own():
    config = load(**PLACES)
    assert (config.models, config.row_id) == (["pred_probs"], "item")
    assert (config.method, config.quality_method) == ("self_confidence", "crowdlab")
    assert config.place("annotation_output") == "./out_annotations"
    assert config.place("annotator_output") == "./out_annotators"
    assert config.place("annotation_quarantine") == "./out_quarantine_annotations"
    line = [*flags_of(PLACES), "--task", "multiannotator", "--pred-probs", "p,q"]
    line += ["--calibrate-probs", "--fail-if", "mean_annotator_agreement < 0.5"]
    config = load(**parsed("multiannotator", *line))
    assert (config.models, config.calibrate_probs) == (["p", "q"], True)
    for place in ("./annotations", "./out/annotations", "./out_annotators", "./out_metrics"):
        with pytest.raises(OptionError, match="must be different places, none inside another"):
            load(**PLACES, annotation_output=place)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"annotations": None}, "annotations: "),
        ({"consensus_method": "best"}, "consensus_method must be one of 'best_quality', "),
        ({"quality_method": "agree"}, "quality_method must be one of 'crowdlab', 'agreement'"),
        ({"method": "margin"}, "method must be one of "),
        ({"pred_probs": []}, "pred_probs must name columns, each once, got"),
        ({"annotation_quarantine": "./q"}, "annotation_quarantine is given, so on_invalid must"),
        ({"fitted": "a.json", "save_fitted": "b.json"}, "fitted is given, so save_fitted does"),
        ({"fail_if": ["label_issues > 1"]}, "fail_if: a metric must be one of 'rows', "),
        ({"find_issues": True}, "unknown config key 'find_issues'"),
    ],
    ids=str,
)
def test_a_value_that_is_not_allowed_is_refused(flags, message):
    with pytest.raises(OptionError) as error:
        load(**{**PLACES, **flags})
    assert message in str(error.value)


def test_a_good_run_writes_what_core_says_and_shows_the_worst(submit, read_metrics, tmp_path):
    item, who, labels, probs = crowd()
    options = write_tables(tmp_path, item, who, labels, probs, day=np.arange(120) % 7)
    done = submit(
        *("--task", "multiannotator", *flags_of(options), "--keep-columns", "day"),
        *("--calibrate-probs", "--save-fitted", tmp_path / "fitted.json"),
        *("--fail-if", "mean_annotator_agreement < 0.2"),
    )
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stderr
    annotations = checked_annotations(item, who, labels, n_classes=3)
    whole = Dataset.of(annotations, [probs], calibrate=True)
    rated = whole.rated(whole.best_consensus())
    table = whole.annotator_table(rated)
    names = np.array(CLASSES)

    found = pq.read_table(tmp_path / "out").sort_by("item").to_pydict()
    assert list(found) == [
        *("item", "day", "consensus_label", "consensus_quality_score"),
        *("annotator_agreement", "num_annotations"),
    ]
    assert found["day"] == (np.arange(120) % 7).tolist()
    assert found["consensus_label"] == names[rated.consensus].tolist()
    assert found["consensus_quality_score"] == rated.quality.tolist()
    keys = [("item", "ascending"), ("annotator", "ascending")]
    rows = pq.read_table(tmp_path / "out_annotations").sort_by(keys).to_pydict()
    assert rows["label"] == names[labels].tolist()
    assert rows["label_quality"] == rated.label_quality.tolist()
    rows = pq.read_table(tmp_path / "out_annotators").sort_by("annotator").to_pydict()
    assert rows["annotator_quality"] == table.quality.tolist()
    assert rows["worst_class"] == names[table.worst_class].tolist()

    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert (metrics["rows_scored", None], metrics["annotations_scored", None]) == (120, 360)
    assert metrics["annotators", None] == 8
    assert metrics["mean_consensus_quality", None] == pytest.approx(rated.quality.mean())
    assert metrics["model_weight", "p"] == rated.weights.models[0]
    assert metrics["class_rows", "bee"] == (rated.consensus == 1).sum()
    assert "\n120 of 120 items scored" in done.stdout
    worst = int(np.argmin(table.quality))
    lines = done.stdout.splitlines()
    at = lines.index("least reliable annotators (1 good, 0 bad):")
    assert lines[at + 2].split()[0] == f"a{worst}"
    assert lines[at + 2].split()[-1] == f"{table.quality[worst]:.6f}"
    at = lines.index("least certain items (1 clean, 0 suspect):")
    least = int(np.argmin(rated.quality))
    assert lines[at + 2].split()[0] == f"i{least:03d}"


@pytest.fixture
def run(run_in):
    """Run the job on tables that are there: what it prints."""
    return lambda folder, **keys: run_in(folder, keys["input"], "multiannotator", **keys).printed


def test_rows_set_aside_leave_what_the_others_say(run, tmp_path):
    for name in ("all", "fit"):
        (tmp_path / name).mkdir()
    item, who, labels, probs = crowd(40)
    fit = item != 7
    fit[30] = False  # of item 10
    spoilt = probs.copy()
    spoilt[7] = np.nan
    options = write_tables(tmp_path / "all", item, who, labels, spoilt)
    table = pq.read_table(options["annotations"])
    is_bad = [
        (i.as_py(), a.as_py()) == (f"i{item[30]:03d}", f"a{who[30]}")
        for i, a in zip(table["item"], table["annotator"], strict=True)
    ]
    given = np.where(is_bad, "dog", table["label"].to_numpy(zero_copy_only=False))
    pq.write_table(table.set_column(2, "label", [given.tolist()]), options["annotations"])
    text = run(
        tmp_path, **options, on_invalid="quarantine", save_fitted=str(tmp_path / "fitted.json")
    )
    assert "39 of 40 items scored" in text
    assert "(4 annotations: item that cannot be scored: 3; label not in classes: 1)" in text
    out = tmp_path / "all"
    assert pq.read_table(out / "out_quarantine")["item"].to_pylist() == ["i007"]
    aside = pq.read_table(out / "out_quarantine_annotations").to_pylist()
    assert sorted(row["invalid_reason"] for row in aside) == [
        *["item that cannot be scored"] * 3,
        "label not in classes: 'dog'",
    ]

    others = write_tables(tmp_path / "fit", item[fit], who[fit], labels[fit], probs)
    table = pq.read_table(others["input"])
    pq.write_table(table.filter(np.arange(40) != 7), others["input"])
    run(tmp_path, **others)
    for name in ("out", "out_annotations", "out_annotators"):
        found, expected = (
            sorted(map(str, pq.read_table(tmp_path / place / name).to_pylist()))
            for place in ("all", "fit")
        )
        assert found == expected
    # What was fitted gives the same numbers again.
    others["output"] = str(tmp_path / "again")
    run(tmp_path, **others, fitted=str(tmp_path / "fitted.json"))
    assert (
        pq.read_table(tmp_path / "again")
        .sort_by("item")
        .equals(pq.read_table(tmp_path / "fit" / "out").sort_by("item"))
    )
