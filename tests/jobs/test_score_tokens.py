"""The job of tokens by spark-submit, and the summary that it prints."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq_spark.core import tokens as core
from lq_spark.job.config_file import load_config

CLASSES = ["O", "B-LOC", "I-LOC"]


@pytest.fixture
def submit(submitted):
    """Run the job by spark-submit: (exit code, stdout, stderr)."""

    def run(*arguments):
        done = submitted("jobs/score_tokens.py", list(map(str, arguments)))
        return done.code, done.stdout, done.stderr

    return run


def sentences(n=25, seed=0):
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
def test_a_good_run_shows_the_ten_worst_sentences(submit, tmp_path):
    labels, probs, words = sentences()
    pq.write_table(table_of(labels, probs, words), tmp_path / "in.parquet")
    code, printed, errors = submit(
        *("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--tokens", "tokens"),
        *("--classes", ",".join(CLASSES), "--find-issues"),
    )
    assert code == 0, errors
    assert "Traceback" not in errors
    assert " ERROR " not in errors
    quality, of_tokens = core.get_label_quality_scores(labels, probs)
    head = f"25 of 25 sentences scored, {sum(map(len, labels))} tokens, token score self_confidence"
    assert printed.splitlines()[1].startswith(head)
    expected = []
    for s in np.argsort(quality, kind="stable")[:10]:
        worst = int(np.argmin(of_tokens[s]))
        text = " ".join(f"[{w}]" if t == worst else w for t, w in enumerate(words[s]))
        pair = f"{CLASSES[labels[s][worst]]} → {CLASSES[probs[s][worst].argmax()]}"
        expected.append(f"  {quality[s]:.6f}  sentence_id s{s}  {pair}  {text}")
    assert printed.rstrip().splitlines()[-10:] == expected
    scores = {row["sentence_id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert [scores[f"s{n}"]["sentence_quality"] for n in range(25)] == quality.tolist()
    rows = pq.read_table(tmp_path / "out_tokens").to_pylist()
    issues = {(row["sentence_id"], row["token_index"]) for row in rows if row["is_label_issue"]}
    # Ids are texts here: no token is equal to another, so that their order is of no account.
    assert issues == {(f"s{s}", t) for s, t in core.find_label_issues(labels, probs)}
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {
        *("in.parquet", "out", "out_tokens", "out_metrics"),
        *("out_metrics_classes", "out_metrics_overlaps"),
    }


def test_a_bad_run_says_why_in_one_line_and_writes_nothing_but_that_it_has_failed(
    submit, tmp_path, failed_runs
):
    table = table_of(*sentences(4))
    spoilt = table.set_column(3, "tokens", [[["one"]] * len(table)])
    pq.write_table(spoilt, tmp_path / "in.parquet")
    code, printed, errors = submit(
        *("--input", tmp_path / "in.parquet", "--output", tmp_path / "out", "--tokens", "tokens"),
        *("--classes", ",".join(CLASSES)),
    )
    assert code == 1, errors
    assert "Traceback" not in errors
    [line] = [line for line in (printed + errors).splitlines() if line.startswith("error: ")]
    assert line.startswith("error: 4 of 4 sentences cannot be scored: ")
    assert "labels, tokens and pred_probs differ in length" in line
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")}
    assert left == {"in.parquet", "out_metrics"}
    assert failed_runs(tmp_path / "out_metrics") == ["InvalidRowsError"]


@pytest.fixture
def excerpts(spark, tmp_path):
    """Run the job's own code on sentences of one doubtful token each: (texts, summary)."""

    from lq_spark.job.run import execute

    def run(lengths_and_places, shape, **flags):
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
        pq.write_table(table, tmp_path / "in.parquet")
        places = {"input": str(tmp_path / "in.parquet"), "output": str(tmp_path / "out")}
        config = load_config(None, {**places, **flags}, "tokens")
        report = execute(spark, config).report
        return report.found.excerpts, report.text(config)

    return run


def around(length, place, reach=8):
    """Return the words to each side of the doubtful one, with dots where there are more."""
    first, last = max(place - reach, 0), min(place + reach, length - 1)
    words = [f"[{t}]" if t == place else str(t) for t in range(first, last + 1)]
    return " ".join([*["…"] * (first > 0), *words, *["…"] * (last < length - 1)])


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_a_long_sentence_is_cut_on_both_sides_of_the_doubtful_token(excerpts, shape):
    sentences = [(40, 20), (3, 0), (1, 0), (40, 39), (30, 25)]
    found, text = excerpts(sentences, shape)
    assert found == [around(*sentence) for sentence in sentences]
    assert all(f"sentence_id {n}  0 → 1  {line}" in text for n, line in enumerate(found))


@pytest.mark.parametrize("shape", ["nested", "long"])
def test_dots_stand_only_where_words_are_left_out(excerpts, shape):
    sentences = [(14, 3), (17, 8), (40, 3)]
    found, _ = excerpts(sentences, shape)
    assert found == [around(*sentence) for sentence in sentences]


def test_a_sentence_without_tokens_shows_no_token(excerpts):
    _, text = excerpts([(2, 0), (0, 0)], "nested", tokens=None)
    assert "sentence_id 1" in text
    assert "None" not in text
