"""The job of tokens: what of it no other task has, on both shapes of its table, and its config."""

import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of, left_in, parsed

from lq_spark.core import tokens as core
from lq_spark.core.confident import calibrate_confident_joint, compute_confident_joint
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.label_issues import find_label_issues
from lq_spark.core.multiclass.scores import METHODS
from lq_spark.errors import OptionError

CLASSES = ["O", "B-LOC", "I-LOC"]
LONG = {"token_index": "token_index", "token": "token"}
NESTED = {"tokens": "tokens"}
NAMES = {"nested": NESTED, "long": LONG}
KEYS = [("sentence_id", "ascending"), ("token_index", "ascending")]
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


def keep_tables(corpus):
    """Keep the tables of a run that a later one replaces."""
    corpus.sentences = corpus.done.scores.sort_by("sentence_id")
    corpus.tokens = corpus.done.table("_tokens").sort_by(KEYS)


@pytest.fixture(scope="module")
def two_runs(run_in, tmp_path_factory):
    """A run on sentences that saves what it fits, and one on new tokens by that, in one place."""
    folder = tmp_path_factory.mktemp("two_runs")
    old, new = corpus_of(classes=CLASSES), corpus_of(n_sentences=20, seed=1)
    flags = {"find_issues": True, "issue_rank": True, "classes": CLASSES}
    saved = str(folder / "fitted.json")
    old.done = run_in(folder, old.nested, "tokens", **NESTED, **flags, save_fitted=saved)
    keep_tables(old)
    flags.pop("classes")  # the fitted object knows them
    softmin = {"sentence_score_method": "softmin", "temperature": 0.2}
    new.done = run_in(folder, new.long, "tokens", **LONG, **flags, **softmin, fitted=saved)
    keep_tables(new)
    return SimpleNamespace(folder=folder, old=old, new=new, fitted=NoiseModel.load(saved))


def test_classes_in_another_order_than_what_was_fitted_are_refused(two_runs, run):
    flags = {"find_issues": True, "fitted": str(two_runs.folder / "fitted.json")}
    done = run(two_runs.new.long, "tokens", ends=2, **LONG, **flags, classes=CLASSES[::-1])
    assert f"fitted has classes {CLASSES}, classes is {CLASSES[::-1]}" in done.error


@pytest.mark.parametrize("which", ["old", "new"])
def test_sentences_are_scored_as_core_does(two_runs, which, assert_same_bits):
    corpus = getattr(two_runs, which)
    found = corpus.sentences
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
            corpus.tokens,
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
        metrics = read_metrics(path)[corpus.done.run_id]
        n, n_issues = len(corpus.labels), sum(corpus.tokens["is_label_issue"].to_pylist())
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
            flags = corpus.tokens["is_label_issue"].to_numpy()[given]
            assert metrics["class_label_issues", name] == flags.sum()
            assert metrics["class_issue_rate", name] == flags.sum() / given.sum()
    old = two_runs.old
    run_id = old.done.run_id
    assert_health(path, run_id, old.labels, old.pred_probs, CLASSES)
    for table in ("classes", "overlaps"):
        runs = set(pq.read_table(f"{path}_{table}")["run_id"].to_pylist())
        assert runs == {run_id, two_runs.new.done.run_id}


def test_drift_is_told_from_the_second_run_on(two_runs, read_metrics):
    runs = read_metrics(f"{two_runs.folder}/scores_metrics")
    before, now = (runs[corpus.done.run_id] for corpus in (two_runs.old, two_runs.new))
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


def test_the_summary_says_what_was_written_where(two_runs):
    done, n = two_runs.old.done, len(two_runs.old.labels)
    text = done.printed
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


@pytest.mark.parametrize(("shape", "find_issues"), [("nested", False), ("long", True)])
def test_a_bad_token_sets_its_whole_sentence_aside(run, shape, find_issues):
    corpus = corpus_of(seed=2)
    assert min(len(part) for part in corpus.split[0][3:7]) > 1  # they have good tokens too
    table, reasons = spoiled(corpus, shape)
    keys = {"on_invalid": "quarantine", "find_issues": find_issues}
    done = run(table, "tokens", **NAMES[shape], **keys)
    sentences, tokens = done.scores.sort_by("sentence_id"), done.table("_tokens").sort_by(KEYS)
    aside = done.quarantine
    expected = [
        {**row, "invalid_reason": reasons[row["sentence_id"]]}
        for row in table.to_pylist()
        if row["sentence_id"] in reasons
    ]
    assert sorted(aside.to_pylist(), key=str) == sorted(expected, key=str)
    kept = [s for s in range(30) if s not in reasons]
    assert sentences["sentence_id"].to_pylist() == kept
    places = [place for place in corpus.places if place[0] in kept]
    columns = [tokens[name].to_pylist() for name in ("sentence_id", "token_index")]
    assert list(zip(*columns, strict=True)) == places
    split = [[part[s] for s in kept] for part in corpus.split]
    quality, _ = core.get_label_quality_scores(*split)
    assert sentences["sentence_quality"].to_pylist() == quality.tolist()
    if find_issues:
        found = np.flatnonzero(tokens["is_label_issue"].to_numpy())
        issues = [(kept[s], t) for s, t in core.find_label_issues(*split)]
        assert [places[row] for row in found] == sorted(issues)
    n_aside = len(reasons) + (shape == "nested")  # both rows of an id that occurs twice
    assert done.metrics["rows_scored", None] == len(kept)
    assert done.metrics["rows_quarantined", None] == n_aside
    assert done.metrics["rows_quarantined", "a token: probabilities do not sum to 1"] == 1
    assert f"({n_aside} sentences: " in done.printed


def test_of_a_row_a_token_a_column_may_be_called_as_one_of_the_sentences(run):
    table = corpus_of(n_sentences=5).long
    plain = run(table, "tokens", **LONG).scores.sort_by("sentence_id")
    table = table.append_column("sentence_quality", pa.array(["x"] * table.num_rows))
    done = run(table, "tokens", **LONG, keep_columns=["sentence_quality"])
    assert done.scores.sort_by("sentence_id").equals(plain)
    assert set(done.table("_tokens")["sentence_quality"].to_pylist()) == {"x"}


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_only_the_columns_asked_for_are_carried(run, shape):
    table = getattr(corpus_of(n_sentences=5), shape)
    for name in ("note", "kept"):
        table = table.append_column(name, pa.array(["x"] * table.num_rows))
    done = run(table, "tokens", **NAMES[shape], keep_columns=["kept"])
    found = done.scores if shape == "nested" else done.table("_tokens")
    assert "kept" in found.column_names
    assert "note" not in found.column_names


def sentences_of(n=25, seed=0):
    """Return labels, pred_probs and words of short sentences."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 7, n)
    probs = [rng.dirichlet(np.ones(3), length).clip(0, 1) for length in lengths]
    labels = [
        np.where(rng.random(len(part)) < 0.7, part.argmax(axis=1), rng.integers(0, 3, len(part)))
        for part in probs
    ]
    words = [[f"w{s}.{t}" for t in range(length)] for s, length in enumerate(lengths)]
    return labels, probs, words


def table_of(labels, probs, words):
    return pa.table(
        {
            "sentence_id": [f"s{n}" for n in range(len(labels))],
            "labels": [[CLASSES[k] for k in part] for part in labels],
            "pred_probs": [part.tolist() for part in probs],
            "tokens": words,
        }
    )


@pytest.mark.spark
def test_a_good_run_shows_the_ten_worst_sentences(submitted, tmp_path):
    labels, probs, words = sentences_of()
    pq.write_table(table_of(labels, probs, words), tmp_path / "in.parquet")
    done = submitted(
        "jobs/score_tokens.py",
        *("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--tokens", "tokens"),
        *("--classes", ",".join(CLASSES), "--find-issues"),
    )
    assert done.code == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert " ERROR " not in done.stderr
    printed = done.stdout
    quality, of_tokens = core.get_label_quality_scores(labels, probs)
    head = f"25 of 25 sentences scored, {sum(map(len, labels))} tokens, token score self_confidence"
    assert printed.splitlines()[1].startswith(head)
    expected = []
    for s in np.argsort(quality, kind="stable")[:10]:
        worst = int(np.argmin(of_tokens[s]))
        text = " ".join(f"[{w}]" if t == worst else w for t, w in enumerate(words[s]))
        pair = f"{CLASSES[labels[s][worst]]} → {CLASSES[probs[s][worst].argmax()]}"
        expected.append(f"s{s} {quality[s]:.6f} {pair} {text}")
    assert [" ".join(line.split()) for line in printed.rstrip().splitlines()[-10:]] == expected
    scores = {row["sentence_id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert [scores[f"s{n}"]["sentence_quality"] for n in range(25)] == quality.tolist()
    rows = pq.read_table(tmp_path / "out_tokens").to_pylist()
    issues = {(row["sentence_id"], row["token_index"]) for row in rows if row["is_label_issue"]}
    # Ids are texts here: no token is equal to another, so that their order is of no account.
    assert issues == {(f"s{s}", t) for s, t in core.find_label_issues(labels, probs)}
    assert left_in(tmp_path) == {
        *("in.parquet", "out", "out_tokens", "out_metrics"),
        *("out_metrics_classes", "out_metrics_overlaps"),
    }


@pytest.fixture
def excerpts(run):
    """Run the job on sentences of one doubtful token each: what it prints of each, by its id."""

    def shown(lengths_and_places, shape, **flags):
        rows = [
            (s, t, 0, [0.25, 0.75] if t == place else [0.75, 0.25], str(t))
            for s, (length, place) in enumerate(lengths_and_places)
            for t in range(length)
        ]
        if shape == "long":
            names = ["sentence_id", "token_index", "label", "pred_probs", "token"]
            table = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
            flags |= {"token_index": "token_index", "token": "token"}
        else:
            n = range(len(lengths_and_places))
            of = [[row for row in rows if row[0] == s] for s in n]
            kinds = [pa.int32(), pa.list_(pa.float64()), pa.string()]
            columns = [
                pa.array([[row[k] for row in part] for part in of], pa.list_(kind))
                for k, kind in zip((2, 3, 4), kinds, strict=True)
            ]
            names = ["sentence_id", "labels", "pred_probs", "tokens"]
            table = pa.table(dict(zip(names, [list(n), *columns], strict=True)))
            flags = {"tokens": "tokens", **flags}
        lines = run(table, "tokens", **flags).printed.splitlines()
        told = (re.match(r" +(\d+)  [\d.]+ *(?:0 → 1)?(?:  (.*))?$", line) for line in lines)
        return {int(line[1]): line[2] or "" for line in told if line}

    return shown


def around(length, place, reach=8):
    """Return the words to each side of the doubtful one, with dots where there are more."""
    first, last = max(place - reach, 0), min(place + reach, length - 1)
    words = [f"[{t}]" if t == place else str(t) for t in range(first, last + 1)]
    return " ".join([*["…"] * (first > 0), *words, *["…"] * (last < length - 1)])


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_a_long_sentence_is_cut_on_both_sides_of_the_doubtful_token(excerpts, shape):
    sentences = [(40, 20), (3, 0), (1, 0), (40, 39), (30, 25)]
    found = excerpts(sentences, shape)
    assert found == {n: around(*sentence) for n, sentence in enumerate(sentences)}


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_dots_stand_only_where_words_are_left_out(excerpts, shape):
    sentences = [(14, 3), (17, 8), (40, 3)]
    found = excerpts(sentences, shape)
    assert found == {n: around(*sentence) for n, sentence in enumerate(sentences)}


def test_a_sentence_without_tokens_shows_no_token(excerpts):
    assert excerpts([(2, 0), (0, 0)], "nested", tokens=None) == {0: "[token 0]", 1: ""}


PLACES = {"input": "./in", "output": "./out"}


load = partial(config_of, "tokens")


def test_without_further_keys_a_row_is_a_sentence_scored_by_its_minimum():
    config = load(**PLACES)
    assert (config.sentence_id, config.labels, config.pred_probs) == (
        *("sentence_id", "labels", "pred_probs"),
    )
    assert (config.tokens, config.token_index, config.token) == (None, None, None)
    assert (config.token_score_method, config.sentence_score_method) == ("self_confidence", "min")
    assert config.sentence_score_kwargs == {}
    assert config.place("token_output") == "./out_tokens"
    assert (config.place("metrics"), config.place("quarantine")) == (
        "./out_metrics",
        "./out_quarantine",
    )
    assert load(**PLACES, token_output="./words").place("token_output") == "./words"


@pytest.mark.parametrize(
    "places",
    [
        {"token_output": "./out"},
        {"token_output": "out/"},
        {"token_output": "./in"},
        {"token_output": "./out/tokens"},
        {"token_output": "./out_metrics"},
        {"token_output": "./out_quarantine"},
        {"token_output": "./t", "metrics": "./t"},
        {"input": "./out_tokens"},
        {"metrics": "./out_tokens"},
        {"quarantine": "./out_tokens", "on_invalid": "quarantine"},
        {"token_output": "./out_metrics_classes", "find_issues": True},
        {"token_output": "./out_metrics_overlaps", "find_issues": True},
    ],
    ids=str,
)
def test_sentences_and_tokens_go_to_places_of_their_own(places):
    with pytest.raises(OptionError, match="must be different places, none inside another"):
        load(**{**PLACES, **places})


@pytest.mark.parametrize("temperature", [0.05, 0.0, 0, 1, float("inf")])
def test_softmin_takes_a_temperature(temperature):
    config = load(**PLACES, sentence_score_method="softmin", temperature=temperature)
    assert config.sentence_score_kwargs == {"temperature": temperature}


@pytest.mark.parametrize("temperature", [0.05, 0.0])
def test_the_minimum_takes_no_temperature(temperature):
    for flags in ({}, {"sentence_score_method": "min"}):
        with pytest.raises(OptionError, match="for 'min' takes no argument, got 'temperature'"):
            load(**PLACES, **flags, temperature=temperature)


@pytest.mark.parametrize("temperature", [-0.1, float("nan")])
def test_a_temperature_below_0_is_refused(temperature):
    with pytest.raises(OptionError, match="temperature must be a number of at least 0, got "):
        load(**PLACES, sentence_score_method="softmin", temperature=temperature)


@pytest.mark.parametrize(
    ("key", "closest"),
    [
        ("sentence_score_methods", "sentence_score_method"),
        ("token_scoremethod", "token_score_method"),
        ("token_idx", "token_index"),
        ("temprature", "temperature"),
        ("tokens_output", "token_output"),
        ("filter-by", "filter_by"),
    ],
)
def test_an_unknown_key_is_refused_with_the_closest_named(key, closest):
    with pytest.raises(OptionError) as error:
        load(**PLACES, **{key: "x"})
    assert str(error.value) == f"unknown config key {key!r}; did you mean {closest!r}?"


@pytest.mark.parametrize("key", ["adjust_pred_probs", "method", "id", "thresholds"])
def test_keys_of_the_job_of_rows_are_unknown(key):
    with pytest.raises(OptionError, match=f"unknown config key '{key}'"):
        load(**PLACES, **{key: "x"})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"token_score_method": "self_confidenc"}, "method must be one of .*'self_confidence'"),
        ({"sentence_score_method": "softmax"}, "sentence_score_method must be one of .*'softmin'"),
        ({"filter_by": "prune_by_noise"}, "filter_by must be one of .*'prune_by_noise_rate'"),
        ({"issue_rank": True}, "issue_rank is given, so find_issues must be true"),
        ({"on_invalid": "null"}, "on_invalid: .*'fail' or 'quarantine'"),
        ({"find_issues": True, "fitted": "a", "save_fitted": "b"}, "fitted is given, so save_fit"),
        ({"find_issues": True, "fitted": "hdfs://a/b"}, "fitted: must be a path on this machine"),
        ({"temperature": "warm", "sentence_score_method": "softmin"}, "temperature: .*'warm'"),
        ({"token_index": ""}, "token_index: "),
        ({"n_classes": 1}, "n_classes: "),
        ({"write_mode": "replace"}, "write_mode: .*'overwrite', 'append' or 'merge'"),
        ({"output_format": "csv"}, "output_format: .*'parquet', 'delta' or 'iceberg'"),
        ({"input_format": "parquet", "input_version": 3}, "^input: Parquet has no versions; "),
        ({"fail_if": ["row < 1"]}, "^fail_if: a metric must be one of 'rows', "),
        ({"warn_if": ["class_rows < 1"]}, "^warn_if: a metric must be one of 'rows', "),
        ({"fail_if": ["issue_rate > 0.1"]}, "^fail_if: .* is about 'issue_rate', so find_issues"),
        ({"reference": ""}, "reference: "),
    ],
    ids=str,
)
def test_a_value_that_is_not_allowed_is_refused(flags, message):
    with pytest.raises(OptionError) as error:
        load(**{**PLACES, **flags})
    assert re.search(message, str(error.value))


def test_a_wrong_token_score_is_named_by_its_key():
    with pytest.raises(OptionError, match=r"^token_score_method must be one of "):
        load(**PLACES, token_score_method="margin")


@pytest.mark.parametrize("flags", [{"token": "word"}, {"tokens": "w", "token_index": "i"}], ids=str)
def test_a_text_of_the_other_shape_is_refused(flags):
    with pytest.raises(OptionError, match="token"):
        load(**PLACES, **flags)


def test_flags_go_over_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "input: ./in\noutput: ./out\ntokens: words\nsentence_score_method: softmin\n"
        "temperature: 0.2\nclasses: [O, B-LOC]\n"
    )
    config = load(str(path), temperature=0.5, tokens="texts")
    assert config.sentence_score_kwargs == {"temperature": 0.5}
    assert (config.tokens, config.classes) == ("texts", ["O", "B-LOC"])
    assert config.fingerprint != load(str(path)).fingerprint


def test_flags_give_the_keys():
    line = [
        *("--input", "a/b", "--output", "c/d", "--token-index", "place", "--token", "word"),
        *("--sentence-score-method", "softmin", "--temperature", "inf", "--find-issues"),
        *(
            "--token-score-method",
            list(METHODS)[1],
            "--classes",
            "O,B-LOC",
            "--num-to-remove-per-class",
        ),
        "3,0",
        *("--input-format", "delta", "--input-version", "7", "--output-format", "delta"),
        *("--write-mode", "merge", "--partition-by", "day", "--reference", "0123abcd"),
        *("--fail-if", "tokens_scored < 9", "--fail-if", "class_tokens['B-LOC'] < 1"),
        *("--warn-if", "issue_rate > 0.5"),
    ]
    config = load(**parsed("tokens", *line))
    assert (config.token_index, config.token, config.temperature) == ("place", "word", float("inf"))
    assert (config.token_score_method, config.classes) == (list(METHODS)[1], ["O", "B-LOC"])
    assert config.num_to_remove_per_class == [3, 0]
    assert (config.input_format, config.input_version, config.output_format) == (
        "delta",
        7,
        "delta",
    )
    assert (config.write_mode, config.partition_by, config.reference) == (
        *("merge", ["day"], "0123abcd"),
    )
    assert config.fail_if == ["tokens_scored < 9", "class_tokens['B-LOC'] < 1"]
    assert config.warn_if == ["issue_rate > 0.5"]
