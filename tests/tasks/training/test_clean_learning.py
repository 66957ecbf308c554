"""CleanLearning on tables: what cleanlab's class finds and trains, given the same folds."""

import json
import warnings

import numpy as np
import pytest
from cleanlab.classification import CleanLearning as Oracle
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lq_spark import Thresholds, multiclass, training
from lq_spark.core.training.folds import seeded_codes
from lq_spark.errors import (
    ColumnError,
    DataError,
    EngineError,
    InvalidRowsError,
    OptionError,
    TableError,
)
from lq_spark.tasks.training import saved

N = 400
NAMES = ("ant", "bee", "cat")


def noisy(k, seed=0):
    """Return features, and labels a fifth of which are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.choice(k, N, p=np.arange(k, 0, -1) / np.arange(1, k + 1).sum())
    features = 1.5 * np.eye(k)[true] + rng.normal(size=(N, k))
    given = np.where(rng.random(N) < 0.2, rng.choice(k, N), true)
    return features, given


@pytest.fixture
def table(spark):
    """Make a table of features and labels, with ids in order; rows in no order."""

    def make(features, labels, kind="int", more="", values=()):
        columns = (features.tolist(), labels.tolist(), *values)
        rows = [(i, *row) for i, row in enumerate(zip(*columns, strict=True))]
        order = np.random.default_rng(1).permutation(len(rows))
        schema = f"id int, features array<double>, label {kind}{more}"
        return spark.createDataFrame([rows[i] for i in order], schema)

    return make


def in_order(df, *names):
    rows = df.orderBy("id").select(*names).collect()
    return [np.array([row[n] for row in rows]) for n in names]


def noise_matrix(k, seed):
    rng = np.random.default_rng(seed)
    return 0.3 * rng.dirichlet(np.ones(k), k).T + 0.7 * np.eye(k)


def of_cleanlab(ours, df, clf, features, labels, **options):
    """Return cleanlab's object, trained with the probabilities of our folds, and our issues."""
    made = {
        name: getattr(ours, name)
        for name in (
            *("pulearning", "converge_latent_estimates"),
            *("find_label_issues_kwargs", "label_quality_scores_kwargs"),
        )
    }
    ours.fit(df, **{n: v.copy() if hasattr(v, "copy") else v for n, v in options.items()})
    (probs,) = in_order(ours.get_label_issues(), "pred_probs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that it does not need
        return Oracle(clf, seed=0, **made).fit(features, labels, pred_probs=probs, **options)


CASES = {
    "as it comes": (3, {}, {}),
    "two classes": (2, {}, {}),
    "class 0 is sure": (2, {"pulearning": 0}, {}),
    "class 1 is sure": (2, {"pulearning": 1}, {}),
    "class 1 is sure, converged": (
        2,
        {"pulearning": 1, "converge_latent_estimates": True},
        {"noise_matrix": noise_matrix(2, 5)},
    ),
    "converged": (3, {"converge_latent_estimates": True}, {}),
    "thresholds": (3, {}, {"thresholds": np.array([0.3, 0.9, 0.5])}),
    "noise matrix": (3, {}, {"noise_matrix": noise_matrix(3, 1)}),
    "inverse noise matrix": (3, {}, {"inverse_noise_matrix": noise_matrix(3, 2)}),
    "both matrices": (
        3,
        {},
        {"noise_matrix": noise_matrix(3, 1), "inverse_noise_matrix": noise_matrix(3, 2)},
    ),
    **{
        rule: (
            3,
            {
                "find_label_issues_kwargs": {"filter_by": rule, "frac_noise": share},
                "label_quality_scores_kwargs": {"method": method, "adjust_pred_probs": adjusted},
            },
            {"thresholds": np.array([0.3, 0.9, 0.5])},
        )
        for rule, share, method, adjusted in (
            ("prune_by_class", 0.5, "normalized_margin", False),
            ("both", 1.0, "confidence_weighted_entropy", False),
            ("confident_learning", 1.0, "self_confidence", True),
            ("predicted_neq_given", 1.0, "self_confidence", False),
            ("low_self_confidence", 1.0, "normalized_margin", True),
            ("low_normalized_margin", 1.0, "self_confidence", False),
        )
    },
    "few of each class are pruned": (
        3,
        {
            "find_label_issues_kwargs": {
                "num_to_remove_per_class": [3, 2, 1],
                "min_examples_per_class": 1,
            }
        },
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_issues_noise_and_the_last_model_are_those_of_cleanlab(table, name):
    k, options, given = CASES[name]
    features, labels = noisy(k)
    clf = RandomForestClassifier(10, min_samples_leaf=8, random_state=3)
    ours = training.CleanLearning(clf, **options)
    df = table(features, labels)
    oracle = of_cleanlab(ours, df, clf, features, labels, **given)
    found, quality, predicted = in_order(
        ours.get_label_issues(), "is_label_issue", "label_quality", "predicted_label"
    )
    expected = oracle.get_label_issues()
    np.testing.assert_array_equal(found, expected.is_label_issue)
    assert 0 < found.sum() < N / 2
    np.testing.assert_allclose(quality, expected.label_quality, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(predicted, expected.predicted_label)
    for figure in ("noise_matrix", "inverse_noise_matrix"):
        np.testing.assert_allclose(getattr(ours, figure), getattr(oracle, figure), atol=1e-12)
    if oracle.py is not None:
        np.testing.assert_allclose(ours.py, oracle.py, atol=1e-12)
    # The last model is trained with weights: those of cleanlab would be another model's otherwise.
    assert expected.sample_weight.nunique() > 2
    probs, labels_of = in_order(ours.transform(df), "pred_probs", "predicted_label")
    np.testing.assert_array_equal(probs, oracle.predict_proba(features))
    np.testing.assert_array_equal(labels_of, oracle.predict(features))
    assert ours.score(df) == oracle.score(features, labels)


def test_a_class_has_the_confident_joint_of_cleanlab(table):
    features, labels = noisy(3)
    ours = training.CleanLearning(GaussianNB())
    oracle = of_cleanlab(ours, table(features, labels), GaussianNB(), features, labels)
    np.testing.assert_array_equal(ours.confident_joint, oracle.confident_joint)
    assert ours.noise_model.n_rows == N


def test_one_that_takes_no_weights_is_trained_without(table):
    features, labels = noisy(3)
    clf = KNeighborsClassifier(15, weights="distance")  # no two rows have the same probability
    ours, df = training.CleanLearning(clf), table(features, labels)
    oracle = of_cleanlab(ours, df, clf, features, labels)
    (probs,) = in_order(ours.predict_proba(df), "pred_probs")
    np.testing.assert_array_equal(probs, oracle.predict_proba(features))
    said = "sample_weight is given, and KNeighborsClassifier takes no weights, or has set its own"
    with pytest.raises(OptionError, match=said):
        ours.fit(df, sample_weight="id")
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert training.CleanLearning(pipeline).fit(df).score(df) > 0.6


def test_weights_of_the_rows_go_before_those_of_the_classes(table):
    features, labels = noisy(3)
    weights = np.random.default_rng(2).random(N)
    df = table(features, labels, more=", w float", values=[weights.tolist()])
    clf = LogisticRegression()
    ours = training.CleanLearning(clf).fit(df, sample_weight="w")
    (found, w) = in_order(ours.get_label_issues(), "is_label_issue", "w")
    plain = LogisticRegression(random_state=0).fit(
        features[~found], labels[~found], sample_weight=w[~found].astype(float)
    )
    (probs,) = in_order(ours.predict_proba(df.drop("label")), "pred_probs")
    np.testing.assert_array_equal(probs, plain.predict_proba(features))


def test_issues_that_are_known_are_left_out_and_none_sought(table):
    features, labels = noisy(3)
    known = np.random.default_rng(3).random(N) < 0.3
    df = table(features, labels, more=", known boolean", values=[known.tolist()])
    plain = LogisticRegression().fit(features[~known], labels[~known])
    of_table = df.select("id", df.known.alias("is_label_issue"))
    for given in ("known", of_table):
        ours = training.CleanLearning(LogisticRegression()).fit(df, label_issues=given)
        (probs,) = in_order(ours.predict_proba(df), "pred_probs")
        np.testing.assert_array_equal(probs, plain.predict_proba(features))
        assert ours.noise_matrix is None
        with pytest.warns(UserWarning, match="label issues have not been found yet"):
            assert ours.get_label_issues() is None
    unknown = of_table.where("id > 2")
    with pytest.raises(InvalidRowsError, match="label_issues does not say of 3 rows whether"):
        ours.fit(df, label_issues=unknown)
    with pytest.raises(OptionError, match="thresholds is given, which does not go with label_iss"):
        ours.fit(df, label_issues="known", thresholds=[0.5, 0.5, 0.5])
    with pytest.raises(ColumnError, match="column 'id' is int; allowed is boolean"):
        ours.fit(df, label_issues="id")
    with pytest.raises(OptionError, match="label_issues must be the name of a column or a DataF"):
        ours.fit(df, label_issues=known)


def test_the_weights_go_with_the_issues_that_they_were_found_with(table):
    features, labels = noisy(3)
    df = table(features, labels)
    ours = training.CleanLearning(LogisticRegression())
    (weighed,) = in_order(ours.fit(df).predict_proba(df), "pred_probs")
    issues = ours.get_label_issues()
    for fitted in (
        ours.fit(df, label_issues=issues),
        ours.fit(issues, label_issues="is_label_issue"),
    ):
        made = fitted.predict_proba(df)
        np.testing.assert_array_equal(in_order(made, "pred_probs")[0], weighed)
    # Of another table: the noise of the first says nothing of it.
    (found,) = in_order(issues, "is_label_issue")
    other = ours.fit(df, label_issues=issues.select("id", "is_label_issue"))
    plain = LogisticRegression(random_state=0).fit(features[~found], labels[~found])
    (probs,) = in_order(other.predict_proba(df), "pred_probs")
    np.testing.assert_array_equal(probs, plain.predict_proba(features))
    assert np.abs(probs - weighed).max() > 1e-6


def test_nothing_of_an_earlier_call_changes_a_later_one(table):
    kwargs = {"filter_by": "prune_by_class"}
    ours = training.CleanLearning(GaussianNB(), find_label_issues_kwargs=kwargs)
    first, second = (table(*noisy(3, seed)) for seed in (0, 1))
    ours.fit(first)
    again = in_order(ours.find_label_issues(second), "is_label_issue", "label_quality")
    fresh = training.CleanLearning(GaussianNB(), find_label_issues_kwargs=kwargs)
    alone = in_order(fresh.find_label_issues(second), "is_label_issue", "label_quality")
    for found, expected in zip(again, alone, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert kwargs == {"filter_by": "prune_by_class"}
    assert not hasattr(ours.clf, "classes_")
    # A call that fails leaves nothing of the one before.
    with pytest.raises(ColumnError):
        ours.fit(first.drop("label"))
    assert ours.noise_matrix is None
    assert ours.model is None


def test_results_are_the_same_on_any_partitions(table, assert_same_bits):
    features, labels = noisy(3)
    made = []
    for n_partitions in (1, 2, 7):
        df = table(features, labels).repartition(n_partitions)
        ours = training.CleanLearning(RandomForestClassifier(5)).fit(df)
        scored = ours.transform(df.select("id", "features"))
        assert scored.columns == ["id", "features", "predicted_label", "pred_probs"]
        made.append(
            in_order(scored, "pred_probs") + in_order(ours.get_label_issues(), "label_quality")
        )
    for others in made[1:]:
        for a, b in zip(made[0], others, strict=True):
            assert_same_bits(a, b)


def test_labels_that_are_names_stay_names_and_columns_stay(table):
    features, labels = noisy(3)
    named = np.array(NAMES)[labels]
    df = table(features, named, "string", ", note string", [["x"] * N])
    ours = training.CleanLearning(GaussianNB(), classes=NAMES)
    issues = ours.fit(df).get_label_issues()
    added = [("is_label_issue", "boolean"), ("predicted_label", "string")]
    scores = [("pred_probs", "array<double>"), ("fold", "int")]
    assert issues.dtypes == [*df.dtypes, *scores, *added, ("label_quality", "double")]
    assert ours.predict(df).dtypes == [*df.dtypes, ("predicted_label", "string")]
    numbers = training.CleanLearning(GaussianNB()).fit(table(features, labels))
    indices, (names,) = (
        in_order(numbers.predict(table(features, labels)), "predicted_label"),
        in_order(ours.predict(df), "predicted_label"),
    )
    np.testing.assert_array_equal(np.array(NAMES)[indices[0]], names)
    assert ours.score(df) == numbers.score(table(features, labels))


def test_probabilities_from_elsewhere_need_no_features_nor_training(table):
    features, labels = noisy(3)
    probs = GaussianNB().fit(features, labels).predict_proba(features)
    df = table(features, labels, more=", p array<double>", values=[probs.tolist()])
    ours = training.CleanLearning(Refuses(), find_label_issues_kwargs={"min_examples_per_class": 1})
    found = ours.find_label_issues(df.drop("features"), pred_probs="p")
    expected = multiclass.find_issues(df.drop("features"), pred_probs="p")
    assert found.columns == expected.columns
    assert found.orderBy("id").collect() == expected.orderBy("id").collect()


def test_no_more_rows_are_trained_with_than_allowed(table):
    features, labels = noisy(3)
    df = table(features, labels)
    ours = training.CleanLearning(Counts(), max_train_rows=100)
    with pytest.warns(UserWarning) as caught:
        ours.fit(df, label_issues=df.selectExpr("id", "id < 20 AS is_label_issue"))
    said = "max_train_rows is 100: a model is trained with at most "
    assert [str(warning.message)[: len(said)] for warning in caught] == [said]
    assert caught[0].filename == __file__
    assert 95 <= ours.model.n_rows_ <= 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = training.CleanLearning(Counts(), max_train_rows=400)
        whole.fit(df, label_issues=df.selectExpr("id", "id < 20 AS is_label_issue"))
    assert whole.model.n_rows_ == 380


@pytest.mark.parametrize("weights", [None, "w"])
def test_all_rows_are_trained_with_by_batches(table, weights):
    features, labels = noisy(3)
    values = np.random.default_rng(2).random(N)
    df = table(features, labels, more=", w double", values=[values.tolist()])
    clf = SGDClassifier(loss="log_loss", random_state=5)
    ours = training.CleanLearning(clf, batch_rows=64, seed=1).fit(df, sample_weight=weights)
    probs, found = in_order(ours.get_label_issues(), "pred_probs", "is_label_issue")
    alone = training.cross_val_predict(df, clf, seed=1, batch_rows=64)
    np.testing.assert_array_equal(probs, in_order(alone, "pred_probs")[0])
    order = seeded_codes(np.arange(N), 1).argsort()
    order = order[~found[order]]
    if weights is None:
        values = (1 / np.diag(ours.noise_matrix))[labels]
    plain = clone(clf)
    for rows in np.split(order, range(64, len(order), 64)):
        plain.partial_fit(features[rows], labels[rows], np.arange(3), values[rows])
    (probs,) = in_order(ours.predict_proba(df), "pred_probs")
    np.testing.assert_array_equal(probs, plain.predict_proba(features))
    with pytest.raises(OptionError, match="clf_kwargs is given, which does not go with batch_row"):
        ours.fit(df, clf_kwargs={"x": 1})
    with pytest.raises(OptionError, match="max_train_rows is given, which does not go with batc"):
        training.CleanLearning(clf, batch_rows=64, max_train_rows=9)
    with pytest.raises(OptionError, match="estimator LogisticRegression has no partial_fit"):
        training.CleanLearning(LogisticRegression(), batch_rows=64)


def test_what_fit_takes_besides_is_handed_on(table):
    features, labels = noisy(3)
    df = table(features, labels)
    ours = training.CleanLearning(Counts()).fit(
        df, clf_kwargs={"lowest": 0.25, "more": 1}, clf_final_kwargs={"lowest": 0.5}
    )
    assert ours.model.given_ == (0.5, 1)
    (probs,) = in_order(ours.get_label_issues(), "pred_probs")
    assert probs.min() == 0.25
    with pytest.raises(OptionError, match="clf_kwargs has 'sample_weight', but rows are weighed"):
        ours.fit(df, clf_kwargs={"sample_weight": 1})
    with pytest.raises(OptionError, match="clf_final_kwargs must be a mapping of names to values"):
        ours.fit(df, clf_final_kwargs=[1])


class Counts(ClassifierMixin, BaseEstimator):
    """Remembers how many rows it was trained with, and what else it was given."""

    def fit(self, X, y, lowest=0.125, more=0):
        self.classes_ = np.unique(y)
        self.n_rows_, self.given_ = len(X), (lowest, more)
        return self

    def predict_proba(self, X):
        probs = np.full((len(X), len(self.classes_)), self.given_[0])
        probs[:, 0] = 1 - self.given_[0] * (len(self.classes_) - 1)
        return probs

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


class Refuses(Counts):
    """Cannot be trained."""

    def fit(self, X, y):
        raise ValueError("no training today")


def test_probabilities_of_new_rows_do_not_depend_on_the_partitions(table, assert_same_bits):
    digits = load_digits()
    ours = training.CleanLearning(LogisticRegression(max_iter=500))
    df = table(digits.data / 16, digits.target)
    ours.fit(df, label_issues=df.selectExpr("id", "false AS is_label_issue"))
    made = [
        in_order(ours.predict_proba(df.repartition(n)), "pred_probs")[0] for n in (1, 2, 7, 300)
    ]
    for probs in made[1:]:
        assert_same_bits(probs, made[0])


def test_a_class_without_rows_has_no_probability(table):
    features, labels = noisy(3)
    df = table(features, np.array(NAMES)[labels], "string")
    for classes in (("yak", *NAMES), (*NAMES, "yak")):
        ours = training.CleanLearning(GaussianNB(), classes=classes).fit(df)
        (probs,) = in_order(ours.get_label_issues(), "pred_probs")
        assert probs.shape == (N, 4)
        assert (probs[:, classes.index("yak")] == 0).all()
        assert ours.score(df) > 0.6


def test_a_stream_is_refused(table, spark, tmp_path):
    table(*noisy(3)).write.parquet(f"file://{tmp_path}/rows")
    rows = spark.readStream.schema("id int, features array<double>, label int")
    stream = rows.parquet(f"file://{tmp_path}/rows")
    ours = training.CleanLearning(GaussianNB())
    for method in ("find_label_issues", "fit", "score"):
        with pytest.raises(OptionError, match=f"CleanLearning.{method} .*stream"):
            getattr(ours, method)(stream)


def test_one_that_fails_in_the_last_training_says_so(table):
    df = table(*noisy(3))
    said = "estimator Refuses failed in the last training: ValueError: no training today"
    with pytest.raises(DataError, match=f"^{said}$"):
        training.CleanLearning(Refuses()).fit(
            df, label_issues=df.selectExpr("id", "false AS is_label_issue")
        )


class NoLabels(BaseEstimator):
    """Gives probabilities alone."""

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.ones((len(X), 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pulearning": 2}, "pulearning must be 0, 1 or None, got 2"),
        ({"pulearning": True}, "pulearning must be 0, 1 or None, got True"),
        ({"cv_n_folds": 1}, "cv_n_folds must be a whole number of at least 2, got 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"clf": object()}, "estimator object gives no probabilities of classes"),
        ({"clf": GaussianNB}, "is the class GaussianNB, not an object of it"),
        (
            {"clf": NoLabels()},
            "estimator NoLabels has no predict, by which it says the ",
        ),
        ({"find_label_issues_kwargs": {"filter_by": "x"}}, "filter_by must be one of"),
        ({"label_quality_scores_kwargs": {"method": "x"}}, "method must be one of"),
        (
            {"find_label_issues_kwargs": {"multi_label": True}},
            "a name in find_label_issues_kwargs must be one of 'filter_by', 'frac_noise'",
        ),
        (
            {"find_label_issues_kwargs": ["both"]},
            "find_label_issues_kwargs must be a mapping of options, got",
        ),
        (
            {"label_quality_scores_kwargs": {"methods": "x"}},
            "a name in label_quality_scores_kwargs must be one of 'method', 'adjust_pred_probs', "
            "got 'methods'; did you mean 'method'?",
        ),
    ],
)
def test_a_wrong_option_is_refused_when_it_is_given(options, said):
    with pytest.raises(OptionError) as error:
        training.CleanLearning(**options)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"noise_matrix": [[0.5, 0.5], [0.5, 0.5]]}, "the trace of noise_matrix is 1, and must be"),
        ({"noise_matrix": np.eye(3)[:2]}, "K at least 2, got shape (2, 3)"),
        ({"noise_matrix": [["a"]]}, "noise_matrix must be a K by K array of numbers, K at least 2"),
        ({"inverse_noise_matrix": 2 * np.eye(3)}, "inverse_noise_matrix must have numbers from 0 "),
        ({"noise_matrix": 0.5 * np.eye(3)}, "each column of noise_matrix must sum to 1, that of "),
        (
            {"pred_probs": "label", "clf_kwargs": {"a": 1}},
            "clf_kwargs is given, which does not ",
        ),
    ],
)
def test_a_wrong_matrix_is_refused_before_a_job(unread, options, said):
    df = unread(id="int", label="int", features="array<double>")
    with pytest.raises(OptionError) as error:
        training.CleanLearning().find_label_issues(df, **options)
    assert said in str(error.value)


def test_what_does_not_go_with_the_classes_is_refused(table):
    features, labels = noisy(3)
    df = table(features, labels)
    ours = training.CleanLearning(Refuses())  # before any training
    with pytest.raises(OptionError, match="noise_matrix is of 2 classes, and there are K = 3"):
        ours.find_label_issues(df, noise_matrix=np.eye(2))
    with pytest.raises(OptionError, match="thresholds must be 3 numbers from 0 to 1, one a class"):
        ours.find_label_issues(df, thresholds=[0.5, 0.5])
    with pytest.raises(OptionError, match="thresholds must be 3 numbers from 0 to 1, one a class"):
        ours.find_label_issues(df, thresholds=[0.5, 0.5, np.nan])
    with pytest.raises(OptionError, match="thresholds has K = 2 classes, the table has K = 3"):
        ours.find_label_issues(df, thresholds=Thresholds((0.5, 0.5), (1, 1)))
    with pytest.raises(OptionError, match="pulearning is given, and there are K = 3 classes"):
        training.CleanLearning(Refuses(), pulearning=1).find_label_issues(df)
    ours = training.CleanLearning(GaussianNB())
    singular = np.array([[0.6, 0.6, 0.2], [0.2, 0.2, 0.2], [0.2, 0.2, 0.6]])
    with pytest.raises(DataError, match="noise_matrix cannot be inverted"):
        ours.find_label_issues(df, noise_matrix=singular)
    alone = df.selectExpr("id", "label <> 1 AS is_label_issue")
    said = "the rows that are no label issues are of 1 class; a classifier needs at least 2"
    with pytest.raises(DataError, match=said):
        ours.fit(df, label_issues=alone)
    none = df.selectExpr("id", "true AS is_label_issue")
    with pytest.raises(DataError, match="the rows that are no label issues are of no class"):
        ours.fit(df, label_issues=none)


@pytest.mark.parametrize("bad", [None, float("nan"), -1.0, float("inf")])
def test_a_weight_that_is_none_is_refused(table, bad):
    features, labels = noisy(3)
    weights = [bad, *[1.0] * (N - 1)]
    df = table(features, labels, more=", w double", values=[weights])
    with pytest.raises(InvalidRowsError, match="1 rows have a w that is no weight"):
        training.CleanLearning(GaussianNB()).fit(df, sample_weight="w")
    with pytest.raises(ColumnError, match="sample_weight: column 'features' is array<double>"):
        training.CleanLearning(GaussianNB()).fit(df, sample_weight="features")


def test_nothing_can_be_predicted_before_training_nor_of_rows_without_features(table, spark):
    ours = training.CleanLearning(GaussianNB())
    df = table(*noisy(3))
    for method in ("predict", "predict_proba", "transform", "score"):
        with pytest.raises(OptionError, match="nothing has been trained yet: call fit"):
            getattr(ours, method)(df)
    with pytest.raises(OptionError, match="nothing has been trained yet: call fit"):
        ours.save("nowhere")
    ours.fit(df)
    with pytest.raises(ColumnError, match="predicted_label"):
        ours.predict(ours.predict(df))
    broken = spark.createDataFrame(
        [(1, [0.0, None, 0.0], 1)], "id int, features array<double>, label int"
    )
    said = "1 rows with null feature. training.validate names them all"
    with pytest.raises(Exception, match=said):
        ours.predict(broken).collect()
    predicted = ours.predict(df)
    assert ours.score(predicted) == ours.score(df)  # though there is such a column already
    with pytest.raises(InvalidRowsError, match="1 of 400 rows have no class to compare with"):
        ours.score(df.selectExpr("id", "features", "CASE WHEN id > 0 THEN label END AS label"))
    with pytest.raises(DataError, match="the table is empty; its accuracy needs at least 1 row"):
        ours.score(df.where("id < 0"))


@pytest.mark.parametrize("file_format", ["skops", "joblib"])
def test_what_is_saved_predicts_the_same(table, tmp_path, file_format, assert_same_bits):
    features, labels = noisy(3)
    named = np.array(NAMES)[labels]
    df = table(features, named, "string")
    clf = make_pipeline(StandardScaler(), LogisticRegression(C=2.0))
    ours = training.CleanLearning(
        clf, classes=NAMES, seed=4, find_label_issues_kwargs={"filter_by": "both"}
    ).fit(df)
    folder = tmp_path / "a model"
    ours.save(folder, format=file_format)
    ours.save(folder, format=file_format)  # over an earlier one
    again = training.CleanLearning.load(folder, trusted=True)
    made, expected = (in_order(one.transform(df), "pred_probs") for one in (again, ours))
    assert_same_bits(made[0], expected[0])
    assert again.predict(df).dtypes[-1] == ("predicted_label", "string")
    assert again.find_label_issues_kwargs == {"filter_by": "both"}
    assert (again.seed, again.classes, again.clf[-1].C) == (4, NAMES, 2.0)
    assert again.fit(df).score(df) == ours.score(df)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a model"]


def test_a_killed_save_leaves_the_earlier_model(table, tmp_path, monkeypatch):
    df = table(*noisy(3))
    removed = {"num_to_remove_per_class": np.array([3, 2, 1])}
    ours = training.CleanLearning(GaussianNB(), seed=np.int64(3), find_label_issues_kwargs=removed)
    ours.fit(df).save(tmp_path / "a")
    (tmp_path / "a").replace(tmp_path / ".a.earlier")  # as a process leaves it between two moves
    with monkeypatch.context() as patched:
        patched.setattr(saved, "_write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(TableError, match="disk full"):
            ours.save(tmp_path / "a")
    again = training.CleanLearning.load(tmp_path / "a")
    assert again.score(df) == ours.score(df)
    assert again.find_label_issues_kwargs == {"num_to_remove_per_class": [3, 2, 1]}
    assert again.seed == 3
    ours.save(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_not_trusted_is_not_read(table, tmp_path, monkeypatch):
    df = table(*noisy(3))
    ours = training.CleanLearning(HistGradientBoostingClassifier(max_iter=2)).fit(df)
    ours.save(tmp_path / "a")
    kind = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
    with pytest.raises(OptionError, match=f"holds objects of '{kind}', which a file from a"):
        training.CleanLearning.load(tmp_path / "a")
    assert training.CleanLearning.load(tmp_path / "a", trusted=[kind]).score(df) == ours.score(df)
    ours.save(tmp_path / "a", format="joblib")
    said = "was saved by joblib, and to read it runs what code it holds; give trusted=True if"
    for trusted in ((), [kind]):
        with pytest.raises(OptionError, match=said):
            training.CleanLearning.load(tmp_path / "a", trusted=trusted)
    with pytest.raises(OptionError, match="format must be one of 'skops', 'joblib', got 'pickle'"):
        ours.save(tmp_path / "b", format="pickle")
    monkeypatch.setitem(__import__("sys").modules, "skops.io", None)
    with pytest.raises(EngineError, match="pip install skops, or give format='joblib'"):
        ours.save(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_folder_that_is_none_of_ours_is_left_alone(table, tmp_path):
    df = table(*noisy(2))
    ours = training.CleanLearning(GaussianNB()).fit(df)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(TableError, match="is there already, and no saved model"):
        ours.save(tmp_path / "mine")
    with pytest.raises(OptionError, match="cannot read"):
        training.CleanLearning.load(tmp_path / "mine")
    ours.save(tmp_path / "one")
    saved = tmp_path / "one" / "clean_learning.json"
    content = json.loads(saved.read_text())
    for changed, said in (
        ({"format_version": 2}, "format version 2, this package reads 1"),
        ({"format": "x"}, "has no 'format': 'lq_spark.clean_learning'"),
        (
            {"file_format": "spark", "classes_of_spark": {"model": "os.system"}},
            "'os.system', whose saved object is to be read, is no class of pyspark.ml",
        ),
        ({"labels": "numbers"}, "is of labels that are numbers, not classes"),
    ):
        saved.write_text(json.dumps({**content, **changed}))
        with pytest.raises(OptionError, match=said):
            training.CleanLearning.load(tmp_path / "one")


@pytest.mark.spark_only
def test_a_model_of_spark_ml_predicts_and_is_saved(table, tmp_path):
    from pyspark.ml.classification import LogisticRegression as SparkRegression

    features, labels = noisy(3)
    df = table(features, labels)
    ours = training.CleanLearning(SparkRegression(maxIter=5), cv_n_folds=2).fit(df)
    ours.save(tmp_path / "model")
    again = training.CleanLearning.load(tmp_path / "model")
    probs, predicted = in_order(ours.transform(df), "pred_probs", "predicted_label")
    np.testing.assert_array_equal(in_order(again.predict_proba(df), "pred_probs")[0], probs)
    np.testing.assert_array_equal(np.array(probs).argmax(axis=1), predicted)
    assert again.score(df) == np.mean(np.array(predicted) == labels) > 0.5
    with pytest.raises(OptionError, match=r"^estimator LogisticRegressionModel gives no probabili"):
        training.CleanLearning(ours.model)
