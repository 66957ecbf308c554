"""Label issues of numbers, and a model without them: cleanlab's, on the same folds."""

import inspect
import warnings

import numpy as np
import pytest
from cleanlab.regression.learn import CleanLearning as Cleanlabs
from oracle import cleanlabs
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor

from lq_spark import training
from lq_spark.core.training.folds import dealt_folds, reseeded, seeded_codes
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.training import passes
from lq_spark.tasks.training.batches import LABEL, PREDICTION
from lq_spark.tasks.training.rounds import RANK, with_residual_rank

N = 97
SEED = 3


@pytest.fixture(scope="module")
def data():
    """Ids in order, labels of which a ninth are far off, and features that tell rows apart."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(N, 3))
    labels = features @ [1.0, 2.0, 3.0] + 0.3 * rng.normal(size=N)
    labels[rng.permutation(N)[:11]] += 8.0
    return np.sort(rng.permutation(10 * N)[:N]), labels, features


@pytest.fixture
def table(spark, data):
    """Make a table of the rows, in no order; ``label`` changes what is given."""

    def make(label=float, kind="double"):
        ids, labels, features = data
        order = np.random.default_rng(2).permutation(N)
        columns = (values[order].tolist() for values in (ids, labels, features))
        rows = [(i, label(y), x, i % 11) for i, y, x in zip(*columns, strict=True)]
        schema = f"id bigint, label {kind}, features array<double>, site int"
        return spark.createDataFrame(rows, schema)

    return make


NEW = ("is_label_issue", "predicted_label", "label_quality")


def found(df, *names):
    """Return columns of a result as arrays, in the order of the ids."""
    rows = df.select("id", *names).orderBy("id").collect()
    return [np.array([row[name] for row in rows]) for name in names]


@pytest.fixture
def cleanlabs_on_our_folds(data, monkeypatch):
    """Find cleanlab's issues; each of its cross-validations has the folds of ours.

    It cuts arrays of the places of rows into folds.
    """
    ids, labels, features = data
    rounds = {"boots": 0, "of residuals": False, "sizes": []}

    def split(self, X, y=None, groups=None):
        number = 0
        if self.n_splits == 2:
            rounds["boots"] += 1
            number = rounds["boots"]
        elif rounds["of residuals"]:
            number = rounds["boots"] + 1
        else:
            rounds["sizes"].append(len(X))
        ranks = reseeded(seeded_codes(ids[X], SEED), number).argsort().argsort()
        folds = dealt_folds(ranks, self.n_splits)
        for fold in range(self.n_splits):
            yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

    class Ours(Cleanlabs):
        def get_aleatoric_uncertainty(self, *args, **kwargs):
            rounds["of residuals"] = True
            return super().get_aleatoric_uncertainty(*args, **kwargs)

    def find(model, options, given=labels, **kwargs):
        rounds.update({"boots": 0, "of residuals": False, "sizes": []})
        cleaned = Ours(model, **options)
        issues = cleanlabs(cleaned.find_label_issues, features, given, **kwargs)
        return issues, rounds["sizes"]

    monkeypatch.setattr(KFold, "split", split)
    return find


def assert_as_cleanlab(made, expected):
    flags, predicted, quality = found(made, *NEW)
    np.testing.assert_array_equal(flags, expected["is_label_issue"])
    np.testing.assert_allclose(quality, expected["label_quality"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(predicted, expected["predicted_label"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "options", "search"),
    [
        (None, {}, {}),
        (KNeighborsRegressor(3), {"cv_n_folds": 4, "n_boot": 2}, {"fine_search_size": 1}),
        pytest.param(
            Ridge(),
            {"n_boot": 0},
            {"coarse_search_range": [0.3, 0.05, 0.12]},
            marks=pytest.mark.spark,
        ),
        (None, {"include_aleatoric_uncertainty": False}, {"coarse_search_range": [0.08]}),
        (
            None,
            {"n_boot": 0, "include_aleatoric_uncertainty": False},
            {"fine_search_size": 0, "coarse_search_range": [0.02, 0.5, 0.97]},
        ),
        (None, {}, {"uncertainty": 0.7}),
    ],
    ids=["default", "neighbours", "ridge", "one share", "no uncertainty", "given uncertainty"],
)
def test_issues_are_those_of_cleanlab_on_the_same_folds(
    table, cleanlabs_on_our_folds, model, options, search
):
    expected, sizes = cleanlabs_on_our_folds(model or LinearRegression(), options, **search)
    cleaned = training.RegressionCleanLearning(model, seed=SEED, **options)
    made = cleaned.find_label_issues(table(), **search)
    assert made.columns == ["id", "label", "features", "site", *NEW]
    assert sizes[0] == N
    assert 0 < expected["is_label_issue"].sum() == N - sizes[-1]
    assert_as_cleanlab(made, expected)
    assert np.ceil(cleaned.k * N) == N - sizes[-1]


def test_uncertainty_may_be_a_column(table, data, cleanlabs_on_our_folds):
    ids, _, _ = data
    expected, _ = cleanlabs_on_our_folds(LinearRegression(), {}, uncertainty=1.0 + ids % 3)
    df = table().withColumn("off by", F.expr("1 + id % 3"))
    made = training.RegressionCleanLearning(seed=SEED).find_label_issues(df, uncertainty="off by")
    assert_as_cleanlab(made, expected)


def test_labels_without_issues_have_none_and_equal_ones_too(table, data, cleanlabs_on_our_folds):
    ids, _, _ = data
    for label in (lambda i: np.sin(i * i), lambda i: np.ones(len(i))):
        given = label(ids)
        expected, sizes = cleanlabs_on_our_folds(LinearRegression(), {}, given)
        assert sizes[0] == sizes[-1] == N
        of_id = dict(zip(ids.tolist(), given.tolist(), strict=True))
        rows = [(i, of_id[i]) for i in of_id]
        labels = table().sparkSession.createDataFrame(rows, "id bigint, label double")
        cleaned = training.RegressionCleanLearning(seed=SEED)
        made = cleaned.find_label_issues(table().drop("label").join(labels, "id"))
        flags, _, quality = found(made, *NEW)
        assert not flags.any()
        assert cleaned.k == 0.0
        if np.ptp(given):
            assert_as_cleanlab(made, expected)
        else:
            assert quality.max() <= 1.0


def test_the_largest_residual_is_first_and_of_equal_ones_the_lowest_id(spark):
    rng = np.random.default_rng(0)
    away = np.round(rng.normal(size=2000), 2) + np.where(np.arange(2000) < 900, 1e-9, 0.0)
    away[0] = 500.0
    rows = list(zip(range(2000), np.zeros(2000).tolist(), away.tolist(), strict=True))
    schema = f"{ROW} bigint, {LABEL} double, {PREDICTION} double"
    df = spark.createDataFrame(rows, schema).repartition(3)
    made = with_residual_rank(df, np.abs(away).max()).select(ROW, RANK).collect()
    ranks = np.array([rank for _, rank in sorted(map(tuple, made))])
    order = np.lexsort((np.arange(2000), -np.abs(away)))
    np.testing.assert_array_equal(ranks[order], np.arange(1, 2001))


@pytest.mark.parametrize("groups", [None, "site"])
def test_issues_are_the_same_on_any_partitions(table, assert_same_bits, groups):
    made = []
    for n_partitions in (1, 2, 7):
        cleaned = training.RegressionCleanLearning(n_boot=2, groups=groups)
        df = table().repartition(n_partitions, F.rand(n_partitions))
        made.append(found(cleaned.find_label_issues(df), *NEW))
        assert 0 < made[-1][0].sum() < 20
        for values, first in zip(made[-1], made[0], strict=True):
            np.testing.assert_array_equal(values, first)
        assert_same_bits(made[-1][2], made[0][2])


def test_rows_that_rounds_leave_out_are_predicted_in_many_tasks_too(
    table, monkeypatch, assert_same_bits
):
    made = []
    for part_bytes in (passes.PART_BYTES, 8 * 3 * 8):
        monkeypatch.setattr(passes, "PART_BYTES", part_bytes)
        cleaned = training.RegressionCleanLearning(KNeighborsRegressor(3), n_boot=1)
        made.append(found(cleaned.find_label_issues(table()), *NEW))
    assert made[0][0].any()
    np.testing.assert_array_equal(made[1][0], made[0][0])
    for many, few in zip(made[1][1:], made[0][1:], strict=True):
        assert_same_bits(many, few)


def test_the_last_model_is_trained_without_the_issues(table, data):
    _, labels, features = data
    df = table()
    given = Ridge(alpha=0.5)
    cleaned = training.RegressionCleanLearning(given, seed=SEED, n_boot=1)
    assert cleaned.model is None
    assert cleaned.fit(df) is cleaned
    issues = cleaned.get_label_issues()
    assert issues.columns == [*df.columns, *NEW]
    [flags] = found(issues, "is_label_issue")
    expected = Ridge(alpha=0.5).fit(features[~flags], labels[~flags])
    assert not hasattr(given, "coef_")
    np.testing.assert_array_equal(cleaned.model.coef_, expected.coef_)
    predicted = cleaned.predict(df.drop("label"))
    assert predicted.columns == ["id", "features", "site", "predicted_label"]
    np.testing.assert_allclose(
        found(predicted, "predicted_label")[0], expected.predict(features), rtol=1e-12
    )
    assert cleaned.score(df) == pytest.approx(expected.score(features, labels), rel=1e-12)
    # Also where there is such a column already.
    assert cleaned.score(cleaned.predict(df)) == cleaned.score(df)
    # The same from what is known of the issues, by a column or a table, with weights.
    weights = 1.0 + np.arange(N) % 4
    ids = data[0].tolist()
    rows = list(zip(ids, weights.tolist(), strict=True))
    weighed = df.join(df.sparkSession.createDataFrame(rows, "id bigint, w double"), "id")
    expected.fit(features[~flags], labels[~flags], sample_weight=weights[~flags])
    other = training.RegressionCleanLearning(given)
    other.fit(weighed, label_issues=issues, sample_weight="w")
    np.testing.assert_array_equal(other.model.coef_, expected.coef_)
    flagged = issues.select("id", "label", "features", "is_label_issue")
    other.fit(flagged, label_issues="is_label_issue")
    np.testing.assert_array_equal(other.model.coef_, cleaned.model.coef_)
    # What it found itself stays, until others say what the issues are.
    cleaned.fit(df, label_issues=issues)
    assert cleaned.get_label_issues() is issues
    cleaned.fit(flagged, label_issues="is_label_issue")
    with pytest.warns(UserWarning, match=r"^label issues have not been found yet: call find_labe"):
        assert cleaned.get_label_issues() is None
    assert cleaned.k is None


def test_what_is_saved_predicts_the_same(table, tmp_path, assert_same_bits):
    df = table()
    ours = training.RegressionCleanLearning(Ridge(2.0), seed=3, n_boot=2)
    ours.fit(df, label_issues=df.selectExpr("id", "false AS is_label_issue"))
    ours.save(tmp_path / "model")
    again = training.RegressionCleanLearning.load(tmp_path / "model")
    assert_same_bits(*(found(one.predict(df), "predicted_label")[0] for one in (again, ours)))
    assert (again.seed, again.n_boot, again.model.alpha) == (3, 2, 2.0)
    said = "is of labels that are numbers, not classes"
    with pytest.raises(OptionError, match=said):
        training.CleanLearning.load(tmp_path / "model")


def test_parameters_are_those_of_cleanlab():
    ours = inspect.signature(training.RegressionCleanLearning).parameters
    theirs = inspect.signature(Cleanlabs).parameters
    assert set(theirs) - set(ours) == {"verbose"}
    for name in ("model", "cv_n_folds", "n_boot", "include_aleatoric_uncertainty"):
        assert ours[name].default == theirs[name].default
    found = [
        inspect.signature(one.find_label_issues)
        for one in (Cleanlabs, training.RegressionCleanLearning)
    ]
    for name in ("uncertainty", "coarse_search_range", "fine_search_size"):
        theirs, ours = (signature.parameters[name].default for signature in found)
        assert ours == (tuple(theirs) if isinstance(theirs, list) else theirs)


def test_each_call_begins_anew(table):
    cleaned = training.RegressionCleanLearning(n_boot=1)
    with pytest.warns(UserWarning, match=r"^label issues have not been found yet: call find_labe"):
        assert cleaned.get_label_issues() is None
    first = cleaned.find_label_issues(table())
    assert cleaned.get_label_issues() is first
    again = cleaned.find_label_issues(table())
    for one, other in zip(found(first, *NEW), found(again, *NEW), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(OptionError, match=r"^coarse_search_range: each must be above 0 and below"):
        cleaned.find_label_issues(table(), coarse_search_range=[1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cleaned.get_label_issues() is None
    assert cleaned.k is None
    with pytest.raises(OptionError, match=r"^nothing has been trained yet: call fit$"):
        cleaned.predict(table())


class Counts(RegressorMixin, BaseEstimator):
    """Predicts how many rows it was trained with."""

    def fit(self, X, y):
        self.n_ = len(y)
        return self

    def predict(self, X):
        return np.full(len(X), float(self.n_))


def test_no_more_rows_are_trained_with_than_allowed(table):
    cleaned = training.RegressionCleanLearning(Counts(), max_train_rows=40, n_boot=0)
    with pytest.warns(
        UserWarning, match=r"^max_train_rows is 40: a model is trained with at"
    ) as caught:
        cleaned.find_label_issues(table())
    assert [warning.filename for warning in caught] == [__file__]
    given = table().withColumn("bad", F.expr("id < 0"))
    with pytest.warns(UserWarning, match=r"trained with at most 40 of 97 rows, drawn by") as caught:
        cleaned.fit(given, label_issues="bad")
    assert [warning.filename for warning in caught] == [__file__]
    assert cleaned.model.n_ == 40
    with pytest.warns(UserWarning) as caught:
        cleaned.fit(table())
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": object()}, "model object is not taken; allowed is an object with fit and pred"),
        ({"cv_n_folds": 1}, "cv_n_folds must be a whole number of at least 2, got 1"),
        ({"n_boot": -1}, "n_boot must be a whole number of at least 0, got -1"),
        ({"max_train_rows": 4}, "max_train_rows must be a whole number of at least 5, got 4"),
    ],
)
def test_wrong_parameters_are_refused(options, said):
    with pytest.raises(OptionError, match=f"^{said}"):
        training.RegressionCleanLearning(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"coarse_search_range": []}, "coarse_search_range is empty; it must have at least one"),
        ({"coarse_search_range": [0.1, 0]}, "coarse_search_range: each must be above 0 and below"),
        ({"coarse_search_range": ["a"]}, "coarse_search_range: each must be a number, got 'a'"),
        ({"coarse_search_range": 0.1}, "coarse_search_range must be a list of numbers, got 0.1"),
        ({"fine_search_size": -1}, "fine_search_size must be a whole number of at least 0, got -1"),
        ({"uncertainty": -1.0}, "uncertainty must be the name of a column or a finite number"),
        ({"uncertainty": "off"}, "uncertainty: no column 'off' in the table"),
    ],
)
def test_wrong_options_are_refused_before_the_table_is_read(unread, options, said):
    df = unread(id="int", label="double", features="array<double>")
    with pytest.raises((OptionError, ColumnError), match=f"^{said}"):
        training.RegressionCleanLearning().find_label_issues(df, **options)


def test_rows_and_shares_that_cannot_be_used_are_refused(table):
    cleaned, df = training.RegressionCleanLearning(), table()
    with pytest.raises(InvalidRowsError, match=r"^1 rows have a u that is no uncertainty: it must"):
        few = df.withColumn("u", F.expr("case when site = 0 then null else 1.0 end"))
        keys = few.where("site = 0").select("id").limit(1)
        cleaned.find_label_issues(
            few.where("site > 0").union(few.join(keys, "id").select(few.columns)), uncertainty="u"
        )
    said = r"^coarse_search_range: without a share of 0\.96 of 97 rows there are fewer of them than"
    with pytest.raises(DataError, match=said):
        cleaned.find_label_issues(df, coarse_search_range=[0.96])
    with pytest.raises(DataError, match=r"^the table has 4 rows, fewer than cv_n_folds, 5$"):
        cleaned.find_label_issues(df.limit(4))
    with pytest.raises(OptionError, match=r"^fine_search_size is given, which does not go with la"):
        cleaned.fit(df, label_issues="label", fine_search_size=3)
    with pytest.raises(OptionError, match=r"^sample_weight is given, and KNeighborsRegressor take"):
        training.RegressionCleanLearning(KNeighborsRegressor()).fit(df, sample_weight="site")
    with pytest.raises(DataError, match=r"^no rows are left to train with: all are label issues$"):
        cleaned.fit(df.withColumn("bad", F.lit(True)), label_issues="bad")
    cleaned.fit(df.withColumn("bad", F.lit(False)), label_issues="bad")
    with pytest.raises(
        InvalidRowsError, match=r"^1 of 2 rows have no finite label to compare with"
    ):
        cleaned.score(
            df.limit(2).withColumn("label", F.expr("if(id = max(id) over (), 1.0, null)"))
        )
    with pytest.raises(DataError, match=r"^the table is empty; its R² needs at least 1 row$"):
        cleaned.score(df.limit(0))
    assert cleaned.score(df.withColumn("label", F.lit(1.0))) == 0.0


def test_a_stream_is_refused(table, spark, tmp_path):
    table().write.parquet(f"file://{tmp_path}/rows")
    stream = spark.readStream.schema(table().schema).parquet(f"file://{tmp_path}/rows")
    cleaned = training.RegressionCleanLearning()
    for method in ("find_label_issues", "fit", "score"):
        with pytest.raises(OptionError, match=f"RegressionCleanLearning.{method} .*stream"):
            getattr(cleaned, method)(stream)
