"""The job of training: what it writes is what the functions find, and what it is not to run."""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of, left_in, parsed
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

from lq_spark import multiclass, training
from lq_spark.errors import OptionError

N = 700
PLACES = {"input": "./in", "output": "./out"}
ALLOWED = {"allowed_estimators": ["sklearn.", "pyspark.ml."]}
BAYES = {"estimator": "sklearn.naive_bayes.GaussianNB", **ALLOWED}


@pytest.fixture(scope="module")
def digits():
    """Rows of digits, of which every twentieth has the label of the next class; ids in no order."""
    data = load_digits()
    labels = data.target[:N].copy()
    labels[::20] = (labels[::20] + 1) % 10
    ids = np.random.default_rng(0).permutation(N) + 5000
    return pa.table(
        {
            "id": ids,
            "label": labels,
            "features": list(data.data[:N]),
            "site": [f"site {n % 13}" for n in range(N)],
            "when": pa.array(np.arange(N), pa.timestamp("us")),
        }
    )


def columns_of(df, *names):
    """Return columns as lists, in the order of the ids."""
    rows = df.select("id", *names).orderBy("id").collect()
    return {name: [row[name] for row in rows] for name in ("id", *names)}


def bits(values):
    return [list(map(repr, np.ravel(value))) for value in values]


def test_a_run_finds_what_the_functions_find(run, spark, tmp_path, digits, by_id):
    places = {"cleaned_output": str(tmp_path / "clean"), "save_fitted": str(tmp_path / "f.json")}
    keys = {**BAYES, "estimator_params": {"var_smoothing": 1e-3}, "n_folds": 4, "seed": 3}
    done = run(digits, "train", **keys, **places, keep_columns=["site"], issue_rank=True)
    names = ["pred_probs", "fold", "predicted_label", "label_quality", "is_label_issue"]
    assert done.scores.column_names == ["id", "label", "site", *names, "issue_rank"]

    df = spark.read.parquet(done.keys["input"])
    estimator = GaussianNB(var_smoothing=1e-3)
    scored = training.cross_val_predict(df, estimator, n_folds=4, seed=3)
    found = multiclass.find_issues(scored, min_examples_per_class=10, issue_rank=True)
    expected = columns_of(found, *names, "issue_rank")
    given = done.scores.sort_by("id")
    for name, values in expected.items():
        assert bits(given[name].to_pylist()) == bits(values), name
    flags = np.array(expected["is_label_issue"])
    assert 20 < flags.sum() < 120

    clean = pq.read_table(tmp_path / "clean")
    assert clean.schema.names == digits.schema.names
    ids = [key for key, flag in zip(expected["id"], flags, strict=True) if not flag]
    kept = by_id(clean, pa.chunked_array([ids]))
    assert (
        kept.to_pylist()
        == by_id(
            digits.filter(pa.compute.is_in(digits["id"], pa.array(ids))), kept["id"]
        ).to_pylist()
    )

    right = given["label"].to_numpy() == given["predicted_label"].to_numpy()
    metrics, sizes = done.metrics, np.bincount(expected["fold"])
    assert metrics["out_of_fold_accuracy", None] == right.mean() > 0.7
    assert metrics["folds", None] == 4
    assert metrics["rows_trained", None] == N - sizes.min()
    assert metrics["label_issues", None] == flags.sum()
    assert (
        f"out-of-fold accuracy {right.mean():.4f}: GaussianNB in 4 folds, each trained with "
        f"{N - sizes.min()} rows at most\n"
    ) in done.printed
    assert f"cleaned_output  {tmp_path}/clean\n" in done.printed
    counts = multiclass.NoiseModel.load(places["save_fitted"]).class_counts
    np.testing.assert_array_equal(counts, np.bincount(digits["label"]))


def test_by_default_it_is_logistic_regression_of_string_labels_by_groups(run, spark, digits):
    names = [f"digit {k}" for k in range(10)]
    table = digits.slice(0, 300).set_column(
        1, "label", pa.array([names[k] for k in digits["label"].to_pylist()[:300]])
    )
    done = run(table, "train", classes=names, groups="site", estimator_params={"max_iter": 3000})
    sites = dict(zip(table["id"].to_pylist(), table["site"].to_pylist(), strict=True))
    folds = {}
    for key, fold in zip(*map(done.scores.to_pydict().get, ("id", "fold")), strict=True):
        folds.setdefault(sites[key], set()).add(fold)
    assert {len(of_site) for of_site in folds.values()} == {1}
    assert "LogisticRegression in 5 folds" in done.printed
    assert set(done.scores["predicted_label"].to_pylist()) <= set(names)
    assert set(done.metrics_named("class_rows")) == set(names)


def test_fewer_rows_are_trained_with_than_there_are(run, digits):
    with pytest.warns(UserWarning, match="max_train_rows is 200: a model is trained with at most"):
        done = run(digits, "train", **BAYES, max_train_rows=200)
    assert 150 < done.metrics["rows_trained", None] <= 200


def test_rows_that_cannot_be_trained_with_are_set_aside(run, digits, by_id, tmp_path):
    features = digits["features"].to_pylist()
    labels = [f"digit {k}" for k in digits["label"].to_pylist()]
    names = [f"digit {k}" for k in range(10)]
    features[3], features[7], labels[11] = None, [np.nan] * 64, "digit X"
    table = digits.set_column(2, "features", pa.array(features))
    table = table.set_column(1, "label", pa.array(labels))
    places = {"cleaned_output": str(tmp_path / "clean"), "on_invalid": "quarantine"}
    done = run(table, "train", **BAYES, **places, classes=names)
    reasons = {"null features": 1, "feature not finite": 1, "label 'digit X' not in classes": 1}
    assert sum(done.reasons.values()) == 3
    assert set(reasons) - {"label 'digit X' not in classes"} < set(done.reasons)
    good = [n for n in range(N) if n not in (3, 7, 11)]
    alone = run(table.take(good), "train", **BAYES, classes=names, output=str(tmp_path / "alone"))
    assert by_id(done.scores, alone.scores["id"]).equals(alone.scores)
    clean = pq.read_table(tmp_path / "clean")
    assert clean.num_rows == len(good) - done.metrics["label_issues", None]
    assert not set(clean["id"].to_pylist()) & set(done.quarantine["id"].to_pylist())


def test_rows_of_another_length_stop_a_run(run, digits):
    features = digits["features"].to_pylist()
    features[9] = features[9][:5]
    table = digits.set_column(2, "features", pa.array(features))
    done = run(table, "train", **BAYES, on_invalid="quarantine", ends=1)
    assert "features of wrong length: 1" in done.error
    assert "; 64 features were read off the first row, leave out the rows that have" in done.error


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"estimator": "os.system", **ALLOWED},
            "estimator: 'os.system' is none that may be imported; allowed_estimators are "
            "'sklearn.', 'pyspark.ml.'",
        ),
        (
            {"estimator": "sklearn_evil.X", **ALLOWED},
            "estimator: 'sklearn_evil.X' is none that may be",
        ),
        (
            {"estimator": "sklearn_evil.X", "allowed_estimators": ["sklearn"]},
            "estimator: 'sklearn_evil.X' is none that may be imported; allowed_estimators are "
            "'sklearn'",
        ),
        (
            {"estimator": "pyspark.mllib.X", **ALLOWED},
            "estimator: 'pyspark.mllib.X' is none that may be",
        ),
        ({"estimator": "LogisticRegression"}, "estimator must be the path of a class, as 'skl"),
        ({"estimator": "sklearn..X"}, "estimator must be the path of a class, as 'sklearn.lin"),
        ({"estimator": "sklearn.os;x"}, "estimator must be the path of a class, as 'sklearn.l"),
        (
            {"estimator": "os.system", "allowed_estimators": ["."]},
            "allowed_estimators: '' must be the name of a package or module, as 'sklearn.' is",
        ),
        (
            {"estimator": "sklearn.naive_bayes.GaussianNB"},
            "estimator: 'sklearn.naive_bayes.GaussianNB' is none that may be imported; "
            "allowed_estimators is empty: name its package there",
        ),
        (
            {"cleaned_output": "./c", "write_mode": "merge"},
            "cleaned_output does not go with write_mode 'merge': a row that has become a label ",
        ),
        ({"cleaned_output": "./out"}, "input, output, metrics and quarantine must be different"),
        ({"fitted": "f.json", "save_fitted": "g.json"}, "fitted is given, so save_fitted does "),
        ({"fitted": "f.json", "save_model": "./m"}, "fitted is given, so save_model does not "),
        ({"save_model": "./out/m"}, "save_model must be a place of its own, outside of the tabl"),
        ({"model_format": "joblib"}, "model_format is given, so save_model must be given"),
        ({"save_model": "./m", "model_format": "pickle"}, "model_format: "),
        ({"batch_rows": 9, "max_train_rows": 9}, "max_train_rows is given, which does not go wi"),
        ({"pred_probs": "p"}, "unknown config key 'pred_probs'"),
        ({"filter_by": "prune"}, "filter_by must be one of"),
        ({"method": "entropy"}, "method must be one of"),
        ({"max_train_rows": 1}, "max_train_rows: "),
        ({"n_folds": 1}, "n_folds: "),
        ({"seed": -1}, "seed: "),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused_and_nothing_is_imported(keys, said):
    before = set(sys.modules)
    with pytest.raises(OptionError) as error:
        config_of("train", **PLACES, **keys)
    assert said in str(error.value)
    assert not {name for name in set(sys.modules) - before if "evil" in name or "mllib" in name}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package that may be imported, with a note each time that one of its parts is."""
    folder = tmp_path / "modules"
    (folder / "lq_models").mkdir(parents=True)
    (folder / "lq_models" / "__init__.py").write_text("")
    (folder / "lq_models" / "broken.py").write_text("raise RuntimeError('no\\nway')")
    (folder / "lq_models" / "noted.py").write_text(
        "class Fails:\n"
        "    def __init__(self, a=1): self.a = a\n"
        "    def get_params(self, deep=False): return {'a': self.a}\n"
        "    def fit(self, X, y): raise ValueError('too\\nbad')\n"
        "    def predict_proba(self, X): return X\n"
        "def function(): raise SystemExit('run')\n"
        "made = Fails()\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "lq_models"]:
        del sys.modules[name]


NO_CLASS = "is no class with fit and predict_proba, and no classifier of pyspark.ml"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"estimator": "sklearn.naive_bayes.GaussianNb", **ALLOWED},
            "estimator: sklearn.naive_bayes has no 'GaussianNb'; did you mean 'GaussianNB'?; "
            "classifiers in it are 'BernoulliNB', 'CategoricalNB', ",
        ),
        (
            {"estimator": "sklearn.naive_base.GaussianNB", **ALLOWED},
            "estimator: there is no module 'naive_base' in sklearn; did you mean 'naive_bayes'?; "
            "it has 'base', ",
        ),
        (
            {"estimator": "sklearn.base.os.system", **ALLOWED},
            "estimator: there is no module 'os' in sklearn.base; it holds no modules",
        ),
        (
            {"estimator": "sklearn.base.clone", **ALLOWED},
            f"estimator: 'sklearn.base.clone' {NO_CLASS}",
        ),
        (
            {"estimator": "sklearn.linear_model.LinearRegression", **ALLOWED},
            f"estimator: 'sklearn.linear_model.LinearRegression' {NO_CLASS}",
        ),
        (
            {"estimator": "lq_models.noted.function", "allowed_estimators": ["lq_models"]},
            f"estimator: 'lq_models.noted.function' {NO_CLASS}",
        ),
        (
            {"estimator": "lq_models.noted.made", "allowed_estimators": ["lq_models"]},
            f"estimator: 'lq_models.noted.made' {NO_CLASS}",
        ),
        (
            {"estimator": "lq_models.broken.X", "allowed_estimators": ["lq_models.broken.X"]},
            "estimator: lq_models.broken cannot be imported: no",
        ),
        (
            {"estimator": "lq_nothing.X", "allowed_estimators": ["lq_nothing."]},
            "estimator: lq_nothing cannot be imported: No module named 'lq_nothing'",
        ),
        (
            {**BAYES, "estimator_params": {"smooth": 1}},
            "estimator_params: sklearn.naive_bayes.GaussianNB does not take them: GaussianNB.__init"
            "__() got an unexpected keyword argument 'smooth'",
        ),
        (
            {"estimator_params": {"C": -1}},
            "estimator_params: sklearn.linear_model.LogisticRegression does not take them: The 'C' "
            "parameter of LogisticRegression must be",
        ),
        (
            {"estimator": "sklearn.linear_model.SGDClassifier", **ALLOWED},
            "estimator SGDClassifier gives no probabilities of classes; allowed are",
        ),
        (
            {"estimator": "sklearn.ensemble.VotingClassifier", **ALLOWED},
            "estimator_params: sklearn.ensemble.VotingClassifier does not take them: VotingCl",
        ),
        (
            {"num_to_remove_per_class": [1, 2], "classes": ["a", "b", "c"]},
            "num_to_remove_per_class must be 3 numbers, each between 0 and the rows of its class",
        ),
        ({"features": []}, "features"),
    ],
    ids=str,
)
def test_a_wrong_estimator_is_refused_before_anything_is_written(
    run, digits, package, tmp_path, keys, said
):
    for dry_run in (True, False):
        done = run(digits, "train", ends=2, dry_run=dry_run, **keys)
        assert done.error.startswith(said)
    assert left_in(tmp_path) - {"modules"} == {"input.parquet", "scores_metrics"}


def test_a_classifier_of_spark_needs_spark(run, digits, engine):
    if engine != "embedded":
        pytest.skip("is Spark")
    keys = {"estimator": "pyspark.ml.classification.LogisticRegression", **ALLOWED}
    done = run(digits, "train", ends=2, **keys)
    assert done.error.startswith("an estimator of pyspark.ml needs Apache Spark, and this session")


def test_a_failing_estimator_says_why_and_leaves_the_earlier_tables(
    run, digits, package, snapshot, tmp_path, failed_runs, monkeypatch
):
    places = {"cleaned_output": str(tmp_path / "clean")}
    run(digits, "train", **BAYES, **places)
    before = snapshot(tmp_path)
    fails = {"estimator": "lq_models.noted.Fails", "allowed_estimators": ["lq_models."]}
    done = run(digits, "train", **fails, **places, ends=1)
    assert done.error.startswith("estimator Fails failed in fold ")
    assert done.error.endswith(": ValueError: too")
    now = snapshot(tmp_path)
    changed = {name for name, content in now.items() if before.get(name) != content}
    assert all("scores_metrics/" in name or "modules/" in name for name in changed)
    assert set(before) <= set(now)
    assert failed_runs(tmp_path / "scores_metrics") == ["DataError"]


def test_a_class_of_too_few_rows_is_named(run, digits):
    labels = digits["label"].to_numpy().copy()
    labels[:2] = 10
    table = digits.set_column(1, "label", pa.array(labels))
    done = run(table, "train", **BAYES, ends=1)
    assert done.error.startswith("class 10 has 2 rows, fewer than n_folds, 5; take fewer folds")


def test_a_dry_run_tells_of_all_tables_and_trains_nothing(run, digits, tmp_path):
    keys = {"cleaned_output": str(tmp_path / "clean"), "num_to_remove_per_class": [1] * 10}
    done = run(digits, "train", dry_run=True, **BAYES, **keys)
    lines = done.printed.splitlines()
    at = lines.index(f"cleaned_output {tmp_path}/clean (parquet, overwrite)")
    names = [line.split()[0] for line in lines[at + 1 : at + 6]]
    assert names == digits.schema.names
    assert "classes     as many as the labels say" in lines
    assert left_in(tmp_path) == {"input.parquet"}
    done = run(digits, "train", dry_run=True, classes=[f"digit {k}" for k in range(10)])
    assert "classes     10: 'digit 0', 'digit 1', " in done.printed


def test_a_cleaned_table_is_added_to_as_the_output_is(run, digits, tmp_path):
    place = str(tmp_path / "clean")
    first = run(digits.slice(0, 350), "train", **BAYES, cleaned_output=place)
    n_clean = pq.read_table(place).num_rows
    second = run(digits.slice(350), "train", **BAYES, cleaned_output=place, write_mode="append")
    n_issues = first.metrics["label_issues", None] + second.metrics["label_issues", None]
    assert n_clean < pq.read_table(place).num_rows == N - n_issues


def test_the_report_says_how_models_were_trained(run, digits, tmp_path):
    page = tmp_path / "r.html"
    done = run(digits, "train", **BAYES, report=str(page), report_columns=["site"])
    text = page.read_text(encoding="utf-8")
    accuracy = done.metrics["out_of_fold_accuracy", None]
    assert f"out-of-fold accuracy {accuracy:.4f}: GaussianNB in 5 folds" in text
    for name in ("out_of_fold_accuracy", "rows_trained", "folds", "class_issue_rate"):
        assert name in text
    assert "alibration" in text


def test_small_classes_have_no_issues_by_default_as_where_a_model_is_trained():
    assert config_of("train", **PLACES).min_examples_per_class == 10
    assert config_of("multiclass", **PLACES).min_examples_per_class == 1


def test_the_flags_of_an_estimator():
    flags = parsed(
        "train",
        *("--estimator", "a.B", "--estimator-params", '{"C": 0.5, "n": [1, 2]}'),
        *("--allowed-estimators", "a.,b", "--features", "x,y", "--cleaned-output", "./c"),
    )
    assert flags == {
        "estimator": "a.B",
        "estimator_params": {"C": 0.5, "n": [1, 2]},
        "allowed_estimators": ["a.", "b"],
        "features": ["x", "y"],
        "cleaned_output": "./c",
    }


def test_the_last_model_is_that_of_the_function(run, spark, digits, tmp_path, assert_same_bits):
    place = str(tmp_path / "model")
    keys = {**BAYES, "filter_by": "both", "adjust_pred_probs": True, "n_folds": 3, "seed": 2}
    done = run(digits, "train", **keys, save_model=place)
    assert f"save_model  {place}\n" in done.printed
    assert "model" in done.metrics_named("seconds")
    df = spark.read.parquet(done.keys["input"])
    trained = training.CleanLearning(
        GaussianNB(),
        seed=2,
        cv_n_folds=3,
        find_label_issues_kwargs={"filter_by": "both"},
        label_quality_scores_kwargs={"adjust_pred_probs": True},
    ).fit(df)
    loaded = training.CleanLearning.load(place)
    found, expected = (
        np.array(columns_of(model.predict_proba(df), "pred_probs")["pred_probs"])
        for model in (loaded, trained)
    )
    assert_same_bits(found, expected)
    all_rows = GaussianNB().fit(np.array(digits["features"].to_pylist()), digits["label"])
    assert (all_rows.theta_ != loaded.model.theta_).any()
    again = run(digits, "train", **keys, save_model=place, model_format="joblib")
    assert (tmp_path / "model" / "models.joblib").exists()
    assert_same_bits(
        training.CleanLearning.load(place, trusted=True).model.theta_, loaded.model.theta_
    )
    assert again.metrics["label_issues", None] == done.metrics["label_issues", None]


def test_no_model_is_trained_where_none_is_saved(run, digits, monkeypatch):
    monkeypatch.setattr(training.CleanLearning, "fit", None)
    done = run(digits, "train", **BAYES)
    assert "model" not in done.metrics_named("seconds")


def test_what_cannot_be_saved_is_refused_before_anything_is_trained(
    run, digits, tmp_path, monkeypatch
):
    (tmp_path / "model").mkdir()
    keys = {**BAYES, "save_model": str(tmp_path / "model"), "dry_run": True}
    done = run(digits, "train", ends=1, **keys)
    assert done.error == f"clean_learning: '{tmp_path}/model' is there already, and no saved model"
    monkeypatch.setitem(sys.modules, "skops.io", None)
    done = run(digits, "train", ends=2, **{**keys, "save_model": str(tmp_path / "other")})
    assert done.error.startswith("skops is not installed")
    joblib = {**keys, "save_model": str(tmp_path / "other"), "model_format": "joblib"}
    assert "nothing was scored or written" in run(digits, "train", **joblib).printed


def test_an_empty_table_has_no_model(run, digits, tmp_path):
    done = run(digits.slice(0, 0), "train", ends=1, save_model=str(tmp_path / "model"))
    assert done.error.startswith("save_model: the table is empty, or has nothing that can be fi")


def test_models_can_be_trained_by_batches_of_all_rows(run, spark, digits):
    done = run(digits, "train", **BAYES, batch_rows=100)
    df = spark.read.parquet(done.keys["input"])
    scored = training.cross_val_predict(df, GaussianNB(), batch_rows=100)
    found = done.scores.sort_by("id")["pred_probs"].to_pylist()
    assert bits(found) == bits(columns_of(scored, "pred_probs")["pred_probs"])
    done = run(digits, "train", batch_rows=100, ends=2)
    assert done.error.startswith("batch_rows is given, and estimator LogisticRegression has no par")


@pytest.mark.spark_only
@pytest.mark.spark
def test_a_classifier_of_spark_ml(run, digits, spark, tmp_path):
    keys = {
        "estimator": "pyspark.ml.classification.NaiveBayes",
        **ALLOWED,
        "estimator_params": {"smoothing": 0.5},
        "n_folds": 2,
    }
    done = run(digits, "train", **keys)
    assert "NaiveBayes in 2 folds" in done.printed
    assert done.metrics["out_of_fold_accuracy", None] > 0.7
    place = str(tmp_path / "model")
    run(digits, "train", **keys, save_model=place)
    df = spark.read.parquet(done.keys["input"])
    assert training.CleanLearning.load(place).score(df) > 0.7
    wrong = {**keys, "estimator_params": {"smoothing": "x"}}
    done = run(digits, "train", ends=2, **wrong)
    assert done.error.startswith("estimator_params: pyspark.ml.classification.NaiveBayes does not ")
