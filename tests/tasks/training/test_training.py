"""Out-of-sample probabilities of tables: those of scikit-learn on the same folds, to the bit."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from lq_spark import training
from lq_spark.core.training import assign_folds
from lq_spark.errors import ColumnError, DataError, EngineError, InvalidRowsError, OptionError
from lq_spark.tasks.training import passes

N = 400
NAMES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def data():
    """Features, and labels that are not always right; ids in no order."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, N, p=[0.5, 0.4, 0.1])
    features = np.eye(3)[labels] + rng.normal(size=(N, 3))
    ids = rng.permutation(10 * N)[:N]
    return ids, labels, features


@pytest.fixture
def table(spark, data):
    """Make a table of the rows, which are in no order."""

    def make(id="bigint", id_of=int, label=int, kind="int", features=list, array="array<double>"):
        columns = (values.tolist() for values in data)
        rows = [
            (id_of(i), label(k), features(x), f"g{i % 11}")
            for i, k, x in zip(*columns, strict=True)
        ]
        return spark.createDataFrame(rows, f"id {id}, label {kind}, features {array}, site string")

    return make


def found(df, *columns):
    """Return columns of a result as arrays, in the order of the ids."""
    rows = df.select("id", "pred_probs", "fold", *columns).orderBy("id").collect()
    return [np.array([row[n] for row in rows]) for n in ("pred_probs", "fold", *columns)]


def by_scikit_learn(estimator, features, labels, folds):
    return cross_val_predict(
        estimator, features, labels, cv=PredefinedSplit(folds), method="predict_proba"
    )


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        RandomForestClassifier(n_estimators=20, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
    ],
    ids=["regression", "forest", "boosting"],
)
def test_probabilities_of_digits_are_those_of_scikit_learn_on_the_same_folds(
    spark, estimator, assert_same_bits
):
    digits = load_digits()
    rows = [
        (i, int(k), x)
        for i, (k, x) in enumerate(zip(digits.target, digits.data.tolist(), strict=True))
    ]
    df = spark.createDataFrame(rows, "id int, label int, features array<double>")
    scored = training.cross_val_predict(df.repartition(3), estimator)
    assert scored.dtypes == [*df.dtypes, ("pred_probs", "array<double>"), ("fold", "int")]
    probs, folds = found(scored)
    expected = by_scikit_learn(estimator, digits.data, digits.target, folds)
    assert_same_bits(probs, expected)
    assert (probs.argmax(axis=1) == digits.target).mean() > 0.9
    counts = np.zeros((5, 10), dtype=int)
    np.add.at(counts, (folds, digits.target), 1)
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.spark
def test_results_are_the_same_on_any_partitions(table, data, assert_same_bits):
    ids, labels, features = data
    order, forest = ids.argsort(), RandomForestClassifier(5)
    options = {"n_folds": 3, "seed": 7}
    for n_partitions in (1, 2, 7):
        df = table().repartition(n_partitions, F.rand(n_partitions))
        probs, folds = found(training.cross_val_predict(df, forest, **options))
        np.testing.assert_array_equal(folds, assign_folds(ids, labels, **options)[order])
        # A random_state that is None is the seed.
        same = RandomForestClassifier(5, random_state=7)
        expected = by_scikit_learn(same, features[order], labels[order], folds)
        assert_same_bits(probs, expected)
    assert forest.random_state is None
    assert not hasattr(forest, "classes_")


@pytest.mark.parametrize(
    "options",
    [
        {"stratified": False},
        pytest.param({"groups": "site"}, marks=pytest.mark.spark),
        {"seed": 5, "n_folds": 4},
    ],
)
def test_folds_are_those_of_core(table, data, options):
    ids, labels, _ = data
    if "groups" not in options:
        folds = found(training.cross_val_predict(table(), GaussianNB(), **options))[1]
        np.testing.assert_array_equal(folds, assign_folds(ids, labels, **options)[ids.argsort()])
        return
    numbered = table().withColumn("site", F.expr("cast(substr(site, 2) AS int)"))
    folds, sites = found(training.cross_val_predict(numbered, GaussianNB(), **options), "site")[1:]
    expected = assign_folds(ids, labels, groups=ids % 11)[ids.argsort()]
    np.testing.assert_array_equal(folds, expected)
    # Of strings, by a hash: whole and in turn too.
    for df in (table(), table().repartition(4)):
        folds, sites = found(training.cross_val_predict(df, GaussianNB(), **options), "site")[1:]
        of_sites = [set(folds[sites == site]) for site in set(sites)]
        assert {len(found) for found in of_sites} == {1}
        assert sorted(np.bincount([found.pop() for found in of_sites])) == [2, 2, 2, 2, 3]


def test_the_type_of_ids_labels_and_features_does_not_matter(table, data, assert_same_bits):
    ids, labels, features = data
    expected = found(training.cross_val_predict(table(), GaussianNB()))
    of_strings = training.cross_val_predict(
        table(label=lambda k: NAMES[k], kind="string"), GaussianNB(), classes=NAMES
    )
    of_columns = training.cross_val_predict(
        table().selectExpr("id", "label", *(f"features[{n}] AS f{n}" for n in range(3))),
        GaussianNB(),
        features=["f0", "f1", "f2"],
    )
    of_doubles = training.cross_val_predict(table(label=float, kind="double"), GaussianNB())
    for scored in (of_strings, of_columns, of_doubles):
        probs, folds = found(scored)
        assert_same_bits(probs, expected[0])
        np.testing.assert_array_equal(folds, expected[1])
    # In another order of the classes.
    other = training.cross_val_predict(
        table(label=lambda k: NAMES[k], kind="string"), GaussianNB(), classes=NAMES[::-1]
    )
    probs, folds = found(other)
    order = ids.argsort()
    expected = by_scikit_learn(GaussianNB(), features[order], 2 - labels[order], folds)
    assert_same_bits(probs, expected)


def test_single_precision_stays_so_and_strings_are_ids(table, data, assert_same_bits):
    ids, labels, features = data
    df = table(id="string", id_of=lambda i: f"row {i}", array="array<float>")
    probs, folds = found(training.cross_val_predict(df, GaussianNB()))
    order = np.array([f"row {i}" for i in ids]).argsort()
    single = features[order].astype(np.float32)
    assert_same_bits(
        probs, by_scikit_learn(GaussianNB(), single, labels[order], folds).astype(np.float64)
    )
    assert np.bincount(folds).tolist() == [80] * 5


class Logged(GaussianNB):
    """Writes a line to a file whenever a model is trained."""

    def __init__(self, file=None):
        super().__init__()
        self.file = file

    def fit(self, X, y):
        with Path(self.file).open("a") as file:
            file.write("trained\n")
        return super().fit(X, y)


@pytest.mark.spark
@pytest.mark.parametrize("options", [{}, {"max_train_rows": 200}], ids=["all", "drawn"])
def test_many_rows_of_a_fold_are_predicted_in_several_tasks_by_one_model(
    table, monkeypatch, tmp_path, assert_same_bits, options
):
    with warnings.catch_warnings(action="ignore"):
        expected = found(training.cross_val_predict(table(), GaussianNB(), **options))
        monkeypatch.setattr(passes, "PART_BYTES", 30 * 8 * 3)
        for n_partitions in (1, 5):
            log = tmp_path / f"{n_partitions}.txt"
            df = table().repartition(n_partitions, F.rand(n_partitions))
            scored = training.cross_val_predict(df, Logged(str(log)), **options)
            assert scored.dtypes == [*df.dtypes, ("pred_probs", "array<double>"), ("fold", "int")]
            probs, folds = found(scored)
            assert_same_bits(probs, expected[0])
            np.testing.assert_array_equal(folds, expected[1])
            assert log.read_text() == "trained\n" * 5


class Large(GaussianNB):
    """Has as many bytes as no message from a worker may have."""

    def fit(self, X, y):
        self.ballast_ = np.zeros(32 << 20, dtype=np.uint8)
        return super().fit(X, y)


def test_models_that_predict_many_rows_may_be_large(table, monkeypatch, assert_same_bits):
    expected = found(training.cross_val_predict(table(), GaussianNB()))[0]
    monkeypatch.setattr(passes, "PART_BYTES", 30 * 8 * 3)
    assert_same_bits(found(training.cross_val_predict(table(), Large()))[0], expected)


class Remembers(ClassifierMixin, BaseEstimator):
    """Predicts how many rows it was trained with, and how many of them were of each class."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.counts_ = np.bincount(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.counts_.astype(float), (len(X), 1))


def test_no_more_rows_are_trained_with_than_allowed_and_a_warning_says_so(table, data):
    _, labels, _ = data
    said = (
        "max_train_rows is 100: a model is trained with at most 96 of 320 rows, "
        "drawn by a hash of the id in each class"
    )
    made = []
    for n_partitions in (1, 5):
        with pytest.warns(UserWarning) as caught:
            df = table().repartition(n_partitions)
            scored = training.cross_val_predict(df, Remembers(), max_train_rows=100)
        assert [str(warning.message) for warning in caught] == [said]
        assert caught[0].filename == __file__
        made.append(found(scored)[0])
    np.testing.assert_array_equal(*made)
    n_rows = made[0].sum(axis=1)
    assert set(n_rows) <= {92.0, 93.0, 94.0, 95.0, 96.0}
    shares = made[0] / n_rows[:, np.newaxis]
    assert np.abs(shares - np.bincount(labels) / N).max() < 0.05
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        all_rows = found(training.cross_val_predict(table(), Remembers(), max_train_rows=320))[0]
    assert set(all_rows.sum(axis=1)) == {320.0}


class Fails(ClassifierMixin, BaseEstimator):
    """Predicts what is no probability."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)

    def predict_proba(self, X):
        return np.full((len(X), 3), np.nan)


MANY = pytest.mark.parametrize("part_bytes", [passes.PART_BYTES, 1], ids=["few", "many"])


@pytest.mark.spark
@MANY
def test_an_estimator_that_fails_says_why_and_in_which_fold(table, monkeypatch, part_bytes):
    monkeypatch.setattr(passes, "PART_BYTES", part_bytes)
    said = r"estimator LogisticRegression failed in fold \d: InvalidParameterError: The 'solver' pa"
    with pytest.raises(DataError, match=f"^{said}"):
        training.cross_val_predict(table(), LogisticRegression(solver="x"))


@MANY
def test_probabilities_that_are_none_are_refused_with_the_fold(table, monkeypatch, part_bytes):
    monkeypatch.setattr(passes, "PART_BYTES", part_bytes)
    said = r"estimator Fails failed in fold \d: predict_proba gave probabilities that are NaN"
    with pytest.raises(DataError, match=f"^{said}"):
        training.cross_val_predict(table(), Fails())


class Plain:
    """Has what is asked for, but for scikit-learn it is no estimator."""

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X


def test_an_estimator_that_cannot_be_used_is_refused(unread):
    df = unread(id="int", label="int", features="array<double>")
    said = "estimator LinearSVC gives no probabilities of classes; allowed are an object with fit"
    with pytest.raises(OptionError, match=said):
        training.cross_val_predict(df, LinearSVC())
    with pytest.raises(OptionError, match=r"^estimator Pipeline gives no probabilities of classes"):
        training.cross_val_predict(df, make_pipeline(StandardScaler(), LinearSVC()))
    with pytest.raises(OptionError, match=r"^estimator Plain cannot be copied for each fold by sk"):
        training.cross_val_predict(df, Plain())


def test_folds_that_cannot_be_are_refused(table):
    df = table()
    few = df.where("label < 2 OR site = 'g1'").where("label > 0 OR site < 'g5'")
    n_few = few.where("label = 2").count()
    with pytest.raises(DataError, match=f"^class 2 has {n_few} rows, fewer than n_folds, 9; take"):
        training.cross_val_predict(few, GaussianNB(), n_folds=9)
    with pytest.raises(DataError, match=r"^the rows are of 1 class; a classifier needs at least 2"):
        training.cross_val_predict(df.where("label = 1"), GaussianNB())
    whole = df.withColumn("site", F.lit("all"))
    said = r"^groups: column 'site' has too few values for n_folds = 5: 4 folds hold none out"
    with pytest.raises(DataError, match=said):
        training.cross_val_predict(whole, GaussianNB(), groups="site")
    said = (
        rf"^fold \d leaves no rows of class 2 to train with, which has {n_few} in all; take other"
    )
    with pytest.raises(DataError, match=said):
        training.cross_val_predict(few, GaussianNB(), groups="site")
    with pytest.raises(ColumnError, match=r"^groups: no column 'sight' in the table; .*'site'\?$"):
        training.cross_val_predict(df, GaussianNB(), groups="sight")
    said = r"^max_train_rows is 11, too few for a row of each class of each other fold, 12$"
    with pytest.raises(OptionError, match=said):
        training.cross_val_predict(df, GaussianNB(), max_train_rows=11)


def test_rows_without_features_or_a_group_are_counted_and_named(spark, table):
    bad = [(-1, 1, [0.0, None, 1.0], "g0"), (-2, 0, [0.0, 1.0, float("nan")], "g0")]
    bad += [(-3, 0, [0.0, 1.0, 2.0], None), (-4, None, None, None)]
    df = table().union(spark.createDataFrame(bad, table().schema))
    checked = training.validate(df, id="id", groups="site").where("invalid_reason IS NOT NULL")
    assert {row["id"]: row["invalid_reason"] for row in checked.collect()} == {
        -1: "null feature",
        -2: "feature not finite",
        -3: "null group",
        -4: "null label",
    }
    with pytest.raises(InvalidRowsError) as error:
        training.cross_val_predict(df.where("id != -4"), GaussianNB(), groups="site")
    assert str(error.value) == (
        "3 of 403 rows cannot be scored, for want of usable features or a group; "
        "training.validate says which and why"
    )
    with pytest.raises(InvalidRowsError, match=r"^2 of 403 rows cannot .* features; training\.v"):
        training.cross_val_predict(df.where("id != -4"), GaussianNB())


def test_by_default_it_is_logistic_regression(table, data, assert_same_bits):
    ids, labels, features = data
    order = ids.argsort()
    probs, folds = found(training.cross_val_predict(table()))
    expected = by_scikit_learn(LogisticRegression(), features[order], labels[order], folds)
    assert_same_bits(probs, expected)


class OfSpark:
    """Has what an estimator of Spark ML has."""

    def fit(self, df):
        return self

    def extractParamMap(self):
        return {}

    def getProbabilityCol(self):
        return "probability"


def test_the_embedded_engine_has_no_spark_ml(unread):
    df = unread(id="int", label="int", features="array<double>")
    said = r"^an estimator of pyspark\.ml needs Apache Spark, and this session is Sail .*; give one"
    with pytest.raises(EngineError, match=said):
        training.cross_val_predict(df, OfSpark())


@pytest.mark.spark_only
def test_a_classifier_of_spark_ml_is_trained_a_fold(table, data):
    from pyspark.ml.classification import LinearSVC as SparkSVC
    from pyspark.ml.classification import LogisticRegression as SparkRegression
    from pyspark.ml.functions import array_to_vector, vector_to_array

    df = table().repartition(2)
    scored = training.cross_val_predict(df, SparkRegression(regParam=0.01, maxIter=5), n_folds=2)
    assert scored.dtypes == [*df.dtypes, ("pred_probs", "array<double>"), ("fold", "int")]
    probs, folds = found(scored)
    ids, labels, _ = data
    np.testing.assert_array_equal(folds, assign_folds(ids, labels, n_folds=2)[ids.argsort()])
    vectors = scored.select("id", "label", "fold", array_to_vector("features").alias("features"))
    for fold in range(2):
        model = SparkRegression(regParam=0.01, maxIter=5).fit(vectors.where(F.col("fold") != fold))
        made = model.transform(vectors.where(F.col("fold") == fold))
        rows = made.select("id", vector_to_array("probability").alias("p")).orderBy("id").collect()
        expected = np.array([row["p"] for row in rows])
        np.testing.assert_allclose(probs[folds == fold], expected, rtol=0, atol=1e-9)
    with pytest.raises(OptionError, match=r"^estimator LinearSVC gives no probabilities of class"):
        training.cross_val_predict(df, SparkSVC())


@pytest.mark.spark_only
def test_a_pipeline_of_spark_ml_reads_any_column(table, data):
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as SparkRegression
    from pyspark.ml.classification import RandomForestClassifier as SparkForest
    from pyspark.ml.feature import VectorAssembler

    named = table(label=lambda k: NAMES[k], kind="string").selectExpr(
        "id", "label", *(f"features[{n}] AS f{n}" for n in range(3))
    )
    names = ["f0", "f1", "f2"]
    regression = SparkRegression(featuresCol="x", maxIter=3)
    stages = [VectorAssembler(inputCols=names, outputCol="x"), regression]
    scored = training.cross_val_predict(
        named, Pipeline(stages=stages), features=names, classes=NAMES, n_folds=2
    )
    assert scored.columns == ["id", "label", "f0", "f1", "f2", "pred_probs", "fold"]
    assert set(NAMES) == {row["label"] for row in scored.select("label").distinct().collect()}
    alone = training.cross_val_predict(table(), SparkRegression(maxIter=3), n_folds=2)
    np.testing.assert_allclose(found(scored)[0], found(alone)[0], rtol=0, atol=1e-9)
    # What is not seeded is by the seed, also within a pipeline, which reads vectors of its own.
    piped = Pipeline(stages=[SparkForest(numTrees=2)])
    forests = [
        training.cross_val_predict(table().coalesce(1), forest, n_folds=2, seed=4)
        for forest in (piped, SparkForest(numTrees=2, seed=4))
    ]
    np.testing.assert_allclose(found(forests[0])[0], found(forests[1])[0], rtol=0, atol=1e-9)
    failing = Pipeline(stages=[VectorAssembler(inputCols=["f9"], outputCol="x"), stages[1]])
    with pytest.raises(DataError, match=r"^estimator Pipeline failed in fold 0: .*f9"):
        training.cross_val_predict(named, failing, features=names, classes=NAMES, n_folds=2)
