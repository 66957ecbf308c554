"""Whole runs over tokens in the tests' own session, on both shapes, against core."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.core import tokens as core
from lq_spark.core.confident import calibrate_confident_joint, compute_confident_joint
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.label_issues import find_label_issues
from lq_spark.errors import InvalidRowsError
from lq_spark.job.config_file import load_config

CLASSES = ["O", "B-LOC", "I-LOC"]
LONG = {"token_index": "token_index", "token": "token"}
NESTED = {"tokens": "tokens"}
NAMES = {"nested": NESTED, "long": LONG}
BROKEN = "token_index is not 0, 1, 2, … each once"


def corpus_of(n_sentences=30, seed=0, classes=None):
    """Return sentences by id, and both tables of them in random order."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, n_sentences)
    starts, n = np.cumsum(lengths)[:-1], lengths.sum()
    pred_probs = rng.multinomial(8, rng.dirichlet(np.ones(3), n)) / 8
    right = rng.random(n) < 0.6
    labels = np.where(right, pred_probs.argmax(axis=1), rng.integers(0, 3, n))
    words = [f"w{k}" for k in rng.integers(0, 9, n)]
    names = labels if classes is None else np.array(classes)[labels]
    parts = [part.tolist() for part in np.split(names, starts)]
    kind = pa.int32() if classes is None else pa.string()
    places = [(s, t) for s, length in enumerate(lengths.tolist()) for t in range(length)]
    nested = pa.table(
        {
            "sentence_id": np.arange(n_sentences),
            "labels": pa.array(parts, pa.list_(kind)),
            "pred_probs": [part.tolist() for part in np.split(pred_probs, starts)],
            "tokens": [part.tolist() for part in np.split(np.array(words), starts)],
        }
    )
    long = pa.table(
        {
            "sentence_id": [s for s, _ in places],
            "token_index": pa.array([t for _, t in places], pa.int32()),
            "label": pa.array(names.tolist(), kind),
            "pred_probs": list(pred_probs),
            "token": words,
        }
    )
    return SimpleNamespace(
        labels=labels,
        pred_probs=pred_probs,
        split=(np.split(labels, starts), np.split(pred_probs, starts)),
        places=places,
        words=words,
        names=names.tolist(),
        nested=nested.take(rng.permutation(nested.num_rows)),
        long=long.take(rng.permutation(long.num_rows)),
    )


def run_in(spark, folder, source, **flags):
    """Run the job's own code, without its process, on a table written to a folder."""

    from lq_spark.job.run import execute

    pq.write_table(source, folder / "input.parquet")
    places = {"input": str(folder / "input.parquet"), "output": str(folder / "scores")}
    config = load_config(None, {**places, **flags}, "tokens")
    report = execute(spark, config).report
    return SimpleNamespace(
        config=config,
        report=report,
        folder=folder,
        sentences=pq.read_table(config.output).sort_by("sentence_id"),
        tokens=pq.read_table(config.place("token_output")).sort_by(
            [("sentence_id", "ascending"), ("token_index", "ascending")]
        ),
        metrics={(name, detail): value for name, detail, value in report.metrics()},
    )


@pytest.fixture
def run(spark, tmp_path):
    return lambda source, **flags: run_in(spark, tmp_path, source, **flags)


@pytest.fixture(scope="module")
def two_runs(_spark_session, tmp_path_factory):
    """A run on sentences that saves what it fits, and one on new tokens by that, in one place."""
    folder = tmp_path_factory.mktemp("two_runs")
    old, new = corpus_of(classes=CLASSES), corpus_of(n_sentences=20, seed=1)
    flags = {"find_issues": True, "issue_rank": True, "classes": CLASSES}
    saved = str(folder / "fitted.json")
    old.done = run_in(_spark_session, folder, old.nested, **NESTED, **flags, save_fitted=saved)
    flags.pop("classes")  # the fitted object knows them
    softmin = {"sentence_score_method": "softmin", "temperature": 0.2}
    new.done = run_in(_spark_session, folder, new.long, **LONG, **flags, **softmin, fitted=saved)
    return SimpleNamespace(folder=folder, old=old, new=new, fitted=NoiseModel.load(saved))


@pytest.mark.parametrize("which", ["old", "new"])
def test_sentences_are_scored_as_core_does(two_runs, which, assert_same_bits):
    corpus = getattr(two_runs, which)
    found = corpus.done.sentences
    how = {} if which == "old" else {"sentence_score_method": "softmin"}
    how |= {"sentence_score_kwargs": {"temperature": 0.2}} if how else {}
    quality, of_tokens = core.get_label_quality_scores(*corpus.split, **how)
    assert found.column_names == [
        *("sentence_id", "sentence_quality", "token_qualities", "worst_token_index"),
        *("worst_token", "worst_given_label", "worst_predicted_label"),
    ]
    assert_same_bits(found["sentence_quality"].to_numpy(), quality)
    assert found["token_qualities"].to_pylist() == [part.tolist() for part in of_tokens]
    worst = [int(np.argmin(part)) for part in of_tokens]
    assert found["worst_token_index"].to_pylist() == worst
    flat = [corpus.places.index((s, t)) for s, t in enumerate(worst)]
    assert found["worst_token"].to_pylist() == [corpus.words[row] for row in flat]
    assert found["worst_given_label"].to_pylist() == [corpus.names[row] for row in flat]
    mean = corpus.done.metrics["mean_sentence_quality", None]
    assert mean == pytest.approx(quality.mean(), abs=1e-12)


def test_tokens_have_the_issues_that_core_finds(two_runs):
    old, new = two_runs.old, two_runs.new
    fitted = compute_confident_joint(old.labels, old.pred_probs)
    np.testing.assert_array_equal(two_runs.fitted.confident_joint, fitted)
    assert two_runs.fitted.classes == tuple(CLASSES)
    joint = compute_confident_joint(old.labels, old.pred_probs, calibrate=False)
    by_old = {"confident_joint": calibrate_confident_joint(joint, new.labels)}
    for corpus, known in ((old, {}), (new, by_old)):
        found, quality = (
            corpus.done.tokens,
            corpus.pred_probs[range(len(corpus.labels)), corpus.labels],
        )
        expected = find_label_issues(corpus.labels, corpus.pred_probs, **known)
        assert 0 < expected.sum() < len(expected)
        assert found["is_label_issue"].to_pylist() == expected.tolist()
        assert found["label_quality"].to_pylist() == quality.tolist()
        assert found["token"].to_pylist() == corpus.words
        assert found["label"].to_pylist() == corpus.names
        rows = np.flatnonzero(expected)
        ranks = dict(
            zip(rows[np.argsort(quality[rows], kind="stable")], range(1, 999), strict=False)
        )
        assert found["issue_rank"].to_pylist() == [ranks.get(n) for n in range(len(expected))]
        assert found.column_names[-4:] == [
            *("is_label_issue", "predicted_label", "label_quality", "issue_rank")
        ]
        assert "pred_probs" not in found.column_names


def test_metrics_and_health_are_those_of_the_tokens(two_runs, read_metrics, assert_health):
    path = f"{two_runs.folder}/scores_metrics"
    for corpus in (two_runs.old, two_runs.new):
        metrics = read_metrics(path)[corpus.done.report.run_id]
        n, n_issues = len(corpus.labels), sum(corpus.done.tokens["is_label_issue"].to_pylist())
        assert metrics["rows_scored", None] == corpus.nested.num_rows
        assert metrics["rows_quarantined", None] == 0
        assert metrics["tokens_scored", None] == n
        assert metrics["label_issues", None] == n_issues
        assert metrics["issue_rate", None] == n_issues / n
        phases = {detail for name, detail in metrics if name == "seconds"}
        assert {"open", "keys", "scores", "tokens", "summary", "write"} == phases
        for k, name in enumerate(CLASSES if corpus is two_runs.old else map(str, range(3))):
            given = corpus.labels == k
            name = name if ("class_tokens", name) in metrics else CLASSES[k]
            assert metrics["class_tokens", name] == given.sum()
            mean = corpus.pred_probs[given, k].mean()
            assert metrics["class_mean_label_quality", name] == pytest.approx(mean, abs=1e-12)
            otherwise = corpus.pred_probs[given].argmax(axis=1) != k
            assert metrics["class_tokens_predicted_otherwise", name] == otherwise.sum()
            flags = corpus.done.tokens["is_label_issue"].to_numpy()[given]
            assert metrics["class_label_issues", name] == flags.sum()
            assert metrics["class_issue_rate", name] == flags.sum() / given.sum()
    old = two_runs.old
    run_id = old.done.report.run_id
    assert_health(path, run_id, old.labels, old.pred_probs, CLASSES)
    for table in ("classes", "overlaps"):
        runs = set(pq.read_table(f"{path}_{table}")["run_id"].to_pylist())
        assert runs == {run_id, two_runs.new.done.report.run_id}


def test_drift_is_told_from_the_second_run_on(two_runs, read_metrics):
    runs = read_metrics(f"{two_runs.folder}/scores_metrics")
    before, now = (runs[corpus.done.report.run_id] for corpus in (two_runs.old, two_runs.new))
    assert not [name for name, _ in before if name.startswith("drift_")]
    shares, shares_before = (
        np.bincount(corpus.labels, minlength=3) / len(corpus.labels)
        for corpus in (two_runs.new, two_runs.old)
    )
    changes = shares - shares_before
    drift = {key: value for key, value in now.items() if key[0].startswith("drift_")}
    assert 0 < drift.pop(("drift_joint", None)) < 1
    assert drift == pytest.approx(
        {
            ("drift_class_shares", None): np.abs(changes).sum() / 2,
            ("drift_issue_rate", None): now["issue_rate", None] - before["issue_rate", None],
            **{("drift_class_share", CLASSES[k]): change for k, change in enumerate(changes)},
            **{
                ("drift_class_threshold", name): now["class_threshold", name]
                - before["class_threshold", name]
                for name in CLASSES
            },
        },
        abs=1e-12,
    )


def test_nothing_is_left_beside_the_outputs(two_runs):
    left = {path.name for path in two_runs.folder.iterdir() if not path.name.endswith(".lock")}
    assert left == {
        *("input.parquet", "fitted.json", "scores", "scores_tokens", "scores_metrics"),
        *("scores_metrics_classes", "scores_metrics_overlaps"),
    }


def test_the_summary_says_what_was_written_where(two_runs):
    done, n = two_runs.old.done, len(two_runs.old.labels)
    text = done.report.text(done.config)
    assert f"30 of 30 sentences scored, {n} tokens, token score self_confidence, sentence" in text
    assert f"token_output  {two_runs.folder}/scores_tokens" in text
    n_issues = int(done.metrics["label_issues", None])
    assert f"issues        {n_issues} tokens, {n_issues / n:.2%}, by prune_by_noise_rate" in text


def spoiled(corpus, shape):
    """Return a table with bad sentences, and the reasons of the bad ones by sentence id."""
    table = getattr(corpus, shape)
    if shape == "nested":
        rows = table.to_pylist()
        by_id = {row["sentence_id"]: row for row in rows}
        by_id[3]["labels"] = None
        by_id[4]["tokens"] = [*by_id[4]["tokens"], "more"]
        by_id[5]["pred_probs"][0] = [0.5, 0.25, 0.5]
        reasons = {3: "null labels", 4: "labels, tokens and pred_probs differ in length"}
        rows.append({**by_id[6], "labels": by_id[6]["labels"]})
        reasons[6] = "duplicate sentence_id"
    else:
        rows = [
            row for row in table.to_pylist() if (row["sentence_id"], row["token_index"]) != (3, 0)
        ]
        rows += [{**row} for row in rows if (row["sentence_id"], row["token_index"]) == (4, 0)]
        for row in rows:
            if (row["sentence_id"], row["token_index"]) == (5, 0):
                row["pred_probs"] = [0.5, 0.25, 0.5]
        reasons = {3: BROKEN, 4: BROKEN}
    reasons[5] = "token 0: probabilities do not sum to 1"
    return pa.Table.from_pylist(rows, table.schema), reasons


@pytest.mark.parametrize("find_issues", [False, True])
@pytest.mark.parametrize("shape", ["nested", "long"])
def test_a_bad_token_sets_its_whole_sentence_aside(run, shape, find_issues):
    corpus = corpus_of(seed=2)
    assert min(len(part) for part in corpus.split[0][3:7]) > 1  # they have good tokens too
    table, reasons = spoiled(corpus, shape)
    done = run(table, **NAMES[shape], on_invalid="quarantine", find_issues=find_issues)
    aside = pq.read_table(done.config.place("quarantine"))
    expected = [
        {**row, "invalid_reason": reasons[row["sentence_id"]]}
        for row in table.to_pylist()
        if row["sentence_id"] in reasons
    ]
    assert sorted(aside.to_pylist(), key=str) == sorted(expected, key=str)
    kept = [s for s in range(30) if s not in reasons]
    assert done.sentences["sentence_id"].to_pylist() == kept
    places = [place for place in corpus.places if place[0] in kept]
    columns = [done.tokens[name].to_pylist() for name in ("sentence_id", "token_index")]
    assert list(zip(*columns, strict=True)) == places
    split = [[part[s] for s in kept] for part in corpus.split]
    quality, _ = core.get_label_quality_scores(*split)
    assert done.sentences["sentence_quality"].to_pylist() == quality.tolist()
    if find_issues:
        found = np.flatnonzero(done.tokens["is_label_issue"].to_numpy())
        issues = [(kept[s], t) for s, t in core.find_label_issues(*split)]
        assert [places[row] for row in found] == sorted(issues)
    n_aside = len(reasons) + (shape == "nested")  # both rows of an id that occurs twice
    assert done.metrics["rows_scored", None] == len(kept)
    assert done.metrics["rows_quarantined", None] == n_aside
    assert done.metrics["rows_quarantined", "a token: probabilities do not sum to 1"] == 1
    assert f"({n_aside} sentences: " in done.report.text(done.config)


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_a_run_that_fails_writes_nothing_but_that_it_has_failed(
    run, tmp_path, snapshot, failed_runs, shape
):
    corpus = corpus_of(n_sentences=8, seed=2)
    names = NAMES[shape]
    run(getattr(corpus, shape), **names)
    (tmp_path / "input.parquet").unlink()
    before = snapshot(tmp_path)
    table, reasons = spoiled(corpus, shape)
    with pytest.raises(InvalidRowsError) as error:
        run(table, **names, find_issues=True, save_fitted=str(tmp_path / "fitted.json"))
    n_bad = len(reasons) + (shape == "nested")
    assert str(error.value).startswith(
        f"{n_bad} of {len(corpus.nested) + (shape == 'nested')} sentences cannot be scored: "
    )
    assert "a token: probabilities do not sum to 1" in str(error.value)
    (tmp_path / "input.parquet").unlink()
    left = snapshot(tmp_path)
    assert before.items() <= left.items()
    added = [name for name in left.keys() - before.keys() if not name.endswith(".crc")]
    assert [name.partition("/")[0] for name in added] == ["scores_metrics"]
    assert failed_runs(tmp_path / "scores_metrics") == ["InvalidRowsError"]


@pytest.mark.parametrize("find_issues", [False, True])
@pytest.mark.parametrize("shape", ["nested", "long"])
def test_an_empty_table_gives_empty_tables(run, read_metrics, shape, find_issues):
    names = NAMES[shape]
    done = run(
        getattr(corpus_of(), shape).slice(0, 0), **names, find_issues=find_issues, n_classes=3
    )
    assert (done.sentences.num_rows, done.tokens.num_rows) == (0, 0)
    assert "sentence_quality" in done.sentences.column_names
    assert "label_quality" in done.tokens.column_names
    assert ("is_label_issue" in done.tokens.column_names) == find_issues
    classes = ["0", "1", "2"]
    expected = {
        **{
            (name, None): 0 for name in ("rows", "rows_scored", "rows_quarantined", "tokens_scored")
        },
        ("mean_sentence_quality", None): None,
        **{("class_tokens", name): 0 for name in classes},
        **{("class_mean_label_quality", name): None for name in classes},
        **{("class_tokens_predicted_otherwise", name): 0 for name in classes},
    }
    if find_issues:
        expected |= {
            **{("class_label_issues", name): 0 for name in classes},
            **{("class_issue_rate", name): None for name in classes},
            ("label_issues", None): 0,
            ("issue_rate", None): None,
            ("label_health_score", None): None,
        }
    found = {key: value for key, value in done.metrics.items() if key[0] != "seconds"}
    assert found == expected
    assert read_metrics(done.config.place("metrics")) == {done.report.run_id: done.metrics}
    assert "0 of 0 sentences scored, 0 tokens" in done.report.text(done.config)


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_only_the_columns_asked_for_are_carried(run, shape):
    table = getattr(corpus_of(n_sentences=5), shape)
    for name in ("note", "kept"):
        table = table.append_column(name, pa.array(["x"] * table.num_rows))
    done = run(table, **NAMES[shape], keep_columns=["kept"])
    found = done.sentences if shape == "nested" else done.tokens
    assert "kept" in found.column_names
    assert "note" not in found.column_names
