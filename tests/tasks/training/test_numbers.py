"""Out-of-sample predictions of numbers: those of scikit-learn on the same folds, to the bit."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from lq_spark import training
from lq_spark.core.training import assign_folds
from lq_spark.core.training.folds import dealt_folds, reseeded, seeded_codes
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.training import passes

N = 83


@pytest.fixture(scope="module")
def data():
    """Features, and labels of which some are far off; ids in no order."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(N, 3))
    labels = features @ [1.0, 2.0, 3.0] + 0.3 * rng.normal(size=N)
    labels[:6] += rng.choice([-9.0, 9.0], 6)
    return rng.permutation(10 * N)[:N], labels, features


@pytest.fixture
def table(spark, data):
    """Make a table of the rows, which are in no order."""

    def make(label=float, kind="double"):
        columns = (values.tolist() for values in data)
        rows = [(i, label(y), x, i % 11) for i, y, x in zip(*columns, strict=True)]
        schema = f"id bigint, label {kind}, features array<double>, site int"
        return spark.createDataFrame(rows, schema)

    return make


def found(df, *names):
    """Return columns of a result as arrays, in the order of the ids."""
    rows = df.select("id", *names).orderBy("id").collect()
    return [np.array([row[name] for row in rows]) for name in names]


def in_order(data):
    """Return ids, labels and features in the order of the ids."""
    order = data[0].argsort()
    return [values[order] for values in data]


def folds_of_round(ids, number, n_folds, seed=0):
    """Return the folds of a round: rows are dealt out in the order of its codes."""
    ranks = reseeded(seeded_codes(ids, seed), number).argsort().argsort()
    return dealt_folds(ranks, n_folds)


def by_scikit_learn(estimator, features, labels, folds):
    return cross_val_predict(estimator, features, labels, cv=PredefinedSplit(folds))


ALONE = {"n_boot": 0, "include_aleatoric_uncertainty": False}


@pytest.mark.spark
def test_predictions_are_those_of_scikit_learn_on_any_partitions(table, data, assert_same_bits):
    ids, labels, features = in_order(data)
    forest = RandomForestRegressor(3)
    folds = assign_folds(ids, n_folds=3, seed=7)
    assert np.ptp(np.bincount(folds)) == 1
    same = RandomForestRegressor(3, random_state=7)
    expected = by_scikit_learn(same, features, labels, folds)
    for n_partitions in (1, 2, 7):
        df = table().repartition(n_partitions, F.rand(n_partitions))
        scored = training.cross_val_predict_numbers(df, forest, n_folds=3, seed=7, **ALONE)
        kinds = [("prediction", "double"), ("fold", "int"), ("uncertainty", "double")]
        assert scored.dtypes == [*df.dtypes, *kinds]
        made = found(scored, "prediction", "fold", "uncertainty")
        np.testing.assert_array_equal(made[1], folds)
        assert_same_bits(made[0], expected)
        assert not made[2].any()
    assert forest.random_state is None


def test_uncertainty_is_the_spread_of_predictions_and_that_of_predicted_residuals(
    table, data, assert_same_bits
):
    ids, labels, features = in_order(data)
    linear = LinearRegression()
    first = by_scikit_learn(linear, features, labels, folds_of_round(ids, 0, 5))
    halves = [
        by_scikit_learn(linear, features, labels, folds_of_round(ids, number, 2))
        for number in (1, 2, 3)
    ]
    assert len({half.tobytes() for half in halves}) == 3
    epistemic = np.std(np.stack([*halves, first], axis=1), axis=1)
    residuals = by_scikit_learn(linear, features, first - labels, folds_of_round(ids, 4, 5))
    made = []
    for n_partitions in (1, 2, 7):
        df = table().repartition(n_partitions)
        scored = training.cross_val_predict_numbers(df, n_boot=3)
        made.append(found(scored, "prediction", "uncertainty"))
        assert_same_bits(made[-1][0], first)
        assert_same_bits(made[-1][1], made[0][1])
    np.testing.assert_allclose(made[0][1], epistemic + np.std(residuals), rtol=1e-12)
    scored = training.cross_val_predict_numbers(
        table(), n_boot=3, include_aleatoric_uncertainty=False
    )
    assert_same_bits(found(scored, "uncertainty")[0], epistemic)


def test_rows_of_a_group_are_held_out_together(table, data, assert_same_bits):
    ids, labels, features = in_order(data)
    df = table().repartition(3)
    scored = training.cross_val_predict_numbers(df, groups="site", n_boot=1)
    prediction, folds = found(scored, "prediction", "fold")
    np.testing.assert_array_equal(folds, assign_folds(ids, groups=ids % 11))
    expected = by_scikit_learn(LinearRegression(), features, labels, folds)
    assert_same_bits(prediction, expected)


def test_whole_numbers_are_labels(table, data, assert_same_bits):
    _, labels, features = in_order(data)
    scored = training.cross_val_predict_numbers(table(int, "int"), Ridge(), **ALONE)
    prediction, folds = found(scored, "prediction", "fold")
    whole = labels.astype(int).astype(float)
    assert_same_bits(prediction, by_scikit_learn(Ridge(), features, whole, folds))


class Logged(RandomForestRegressor):
    """Writes a line to a file whenever a model is trained."""

    def __init__(self, file=None, n_estimators=3, random_state=0):
        super().__init__(n_estimators, random_state=random_state)
        self.file = file

    def fit(self, X, y):
        with Path(self.file).open("a") as file:
            file.write("trained\n")
        return super().fit(X, y)


@pytest.mark.parametrize("groups", [None, pytest.param("site", marks=pytest.mark.spark)])
def test_many_rows_of_a_fold_are_predicted_in_several_tasks_by_one_model(
    table, engine, monkeypatch, tmp_path, assert_same_bits, groups
):
    names, options = ("prediction", "fold", "uncertainty"), {"n_boot": 2, "groups": groups}
    forest = RandomForestRegressor(3, random_state=0)
    expected = found(training.cross_val_predict_numbers(table(), forest, **options), *names)
    monkeypatch.setattr(passes, "PART_BYTES", 8 * 3 * 8)
    for n_partitions in (1, 5) if engine == "embedded" else (5,):
        log = tmp_path / f"{n_partitions}.txt"
        df = table().repartition(n_partitions, F.rand(n_partitions))
        scored = training.cross_val_predict_numbers(df, Logged(str(log)), **options)
        for made, value in zip(found(scored, *names), expected, strict=True):
            assert_same_bits(made, value)
        # Of predictions, two rounds of halves, and residuals.
        assert len(log.read_text().split()) == 5 + 2 * 2 + 5


class Counts(RegressorMixin, BaseEstimator):
    """Predicts how many rows it was trained with."""

    def fit(self, X, y):
        self.n_ = len(y)
        return self

    def predict(self, X):
        return np.full((len(X), 1), float(self.n_))


def test_no_more_rows_are_trained_with_than_allowed_and_one_warning_says_so(table):
    said = (
        "max_train_rows is 40: a model is trained with at most 39 of 67 rows, drawn by a hash of "
        "the id"
    )
    with pytest.warns(UserWarning) as caught:
        scored = training.cross_val_predict_numbers(table(), Counts(), max_train_rows=40, n_boot=1)
    assert [str(warning.message) for warning in caught] == [said]
    assert caught[0].filename == __file__
    [prediction] = found(scored, "prediction")
    assert set(prediction) <= {37.0, 38.0, 39.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored = training.cross_val_predict_numbers(table(), Counts(), max_train_rows=67, **ALONE)
    assert set(found(scored, "prediction")[0]) == {66.0, 67.0}


class Fails(RegressorMixin, BaseEstimator):
    """Predicts what it is told."""

    def __init__(self, what=np.nan):
        self.what = what

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.array([self.what] * len(X))


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (Ridge(alpha="x"), "Ridge failed in fold [0-4]: InvalidParameterError: The 'alpha' param"),
        (Fails(), "Fails failed in fold [0-4]: predict gave numbers that are NaN or beyond"),
        (
            Fails([1, 2]),
            r"Fails failed in fold [0-4]: predict gave shape \(1[67], 2\), not \(",
        ),
        (Fails("a"), "Fails failed in fold [0-4]: predict gave <U1, not numbers"),
    ],
)
def test_an_estimator_that_fails_says_why_and_in_which_fold(table, estimator, said):
    with pytest.raises(Exception, match=f"estimator {said}"):
        training.cross_val_predict_numbers(table(), estimator, n_boot=1)


class NoModel:
    """Trains, and predicts nothing."""

    def fit(self, X, y):
        return self


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"estimator": NoModel()}, "estimator NoModel is not taken; allowed is an object with fit"),
        ({"estimator": Ridge}, r"estimator is the class Ridge, not an object of it: Ridge\(…\)"),
        ({"n_folds": 1}, "n_folds must be a whole number of at least 2, got 1"),
        ({"n_boot": -1}, "n_boot must be a whole number of at least 0, got -1"),
        ({"max_train_rows": 4}, "max_train_rows must be a whole number of at least 5, got 4"),
        ({"include_aleatoric_uncertainty": 1}, "include_aleatoric_uncertainty must be True or Fal"),
        (
            {"label": "features"},
            r"label: column 'features' is array<double>; allowed are whole",
        ),
        ({"groups": "sight"}, "groups: no column 'sight' in the table"),
    ],
)
def test_wrong_options_are_refused_before_the_table_is_read(unread, options, said):
    df = unread(id="int", label="double", features="array<double>")
    with pytest.raises((OptionError, ColumnError), match=f"^{said}"):
        training.cross_val_predict_numbers(df, **options)


def test_too_few_rows_or_groups_are_refused(table):
    df = table()
    with pytest.raises(DataError, match=r"^the table has 4 rows, fewer than n_folds, 5$"):
        training.cross_val_predict_numbers(df.limit(4))
    said = r"^groups: column 'site' has too few values for n_folds = 5: 4 folds hold none out"
    with pytest.raises(DataError, match=said):
        training.cross_val_predict_numbers(df.withColumn("site", F.lit(1)), groups="site")


def test_rows_that_cannot_be_used_are_counted_and_named(spark, table):
    bad = [(-1, 1.0, [0.0, None, 1.0], 0), (-2, float("nan"), [0.0, 1.0, 2.0], 0)]
    bad += [(-3, 0.0, [0.0, 1.0, 2.0], None), (-4, None, [0.0, 1.0, 2.0], 1)]
    df = table().union(spark.createDataFrame(bad, table().schema))
    checked = training.validate(df, id="id", groups="site", numbers=True)
    faults = checked.where("invalid_reason IS NOT NULL").select("id", "invalid_reason")
    assert dict(map(tuple, faults.collect())) == {
        -1: "null feature",
        -2: "label not finite",
        -3: "null group",
        -4: "null label",
    }
    with pytest.raises(InvalidRowsError) as error:
        training.cross_val_predict_numbers(df, groups="site")
    assert str(error.value) == (
        "4 of 87 rows cannot be scored, for want of usable features, a finite label or a group; "
        "training.validate says which and why"
    )
    with pytest.raises(OptionError, match=r"^classes is given, which does not go with numbers$"):
        training.validate(df, numbers=True, classes=["a", "b"])
    with pytest.raises(InvalidRowsError, match=r"^id: column 'id' has nulls or values that occur"):
        training.cross_val_predict_numbers(table().union(table()))
