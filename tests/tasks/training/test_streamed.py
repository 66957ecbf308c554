"""Models trained by batches: those of a loop over the same rows, to the bit, on any partitions."""

import numpy as np
import pytest
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lq_spark import training
from lq_spark.core.training import assign_folds
from lq_spark.core.training.folds import seeded_codes
from lq_spark.errors import OptionError
from lq_spark.tasks.neighbors.batches import ROW, VECTOR
from lq_spark.tasks.training.batches import CODE, LABEL
from lq_spark.tasks.training.final import WEIGHT
from lq_spark.tasks.training.streamed import StreamedTask, streamed_model

N, BATCH = 400, 37  # which is in neither of the rows to train with, nor of those held out


@pytest.fixture(scope="module")
def data():
    """Ids, which are in no order, labels that are not always right, and features."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, N, p=[0.5, 0.4, 0.1])
    features = np.eye(3)[labels] + rng.normal(size=(N, 3))
    return rng.permutation(10 * N)[:N], labels, features


@pytest.fixture
def table(spark, data):
    """The rows, in no order."""
    rows = list(zip(*(values.tolist() for values in data), strict=True))
    return spark.createDataFrame(rows, "id bigint, label int, features array<double>")


def found(df):
    """Return the probabilities and folds of a result, in the order of the ids."""
    rows = df.select("id", "pred_probs", "fold").orderBy("id").collect()
    return np.array([row["pred_probs"] for row in rows]), np.array([row["fold"] for row in rows])


def by_loop(make, data, n_folds=5, seed=0, batch_rows=BATCH):
    """Return what a loop over the rows of each fold predicts, in the order of the ids."""
    ids, labels, features = data
    folds, codes = assign_folds(ids, labels, n_folds=n_folds, seed=seed), seeded_codes(ids, seed)
    probs = np.zeros((len(ids), 3))
    for fold in range(n_folds):
        model = make()
        order = np.argsort(codes)
        trained, held_out = order[folds[order] != fold], order[folds[order] == fold]
        for begin in range(0, len(trained), batch_rows):
            rows = trained[begin : begin + batch_rows]
            model.partial_fit(features[rows], labels[rows], classes=[0, 1, 2])
        for begin in range(0, len(held_out), batch_rows):
            rows = held_out[begin : begin + batch_rows]
            probs[rows] = model.predict_proba(features[rows])
    return probs[ids.argsort()]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (GaussianNB, {}),
        (SGDClassifier, {"loss": "log_loss"}),
        (MLPClassifier, {"hidden_layer_sizes": (5,)}),
    ],
)
def test_models_are_those_of_a_loop_over_the_same_rows(
    table, data, assert_same_bits, kind, options
):
    scored = training.cross_val_predict(table, kind(**options), batch_rows=BATCH, seed=4)
    assert scored.dtypes == [*table.dtypes, ("pred_probs", "array<double>"), ("fold", "int")]
    seeded = options if kind is GaussianNB else {**options, "random_state": 4}
    assert_same_bits(found(scored)[0], by_loop(lambda: kind(**seeded), data, seed=4))


@pytest.mark.spark
def test_neither_partitions_nor_arrow_batches_matter(table, data, batch_size, assert_same_bits):
    estimator = SGDClassifier(loss="log_loss", random_state=0)
    expected = by_loop(lambda: SGDClassifier(loss="log_loss", random_state=0), data, n_folds=3)
    for n_partitions, arrow_rows in ((1, 10_000), (2, 13), (7, 200)):
        batch_size(arrow_rows)
        df = table.repartition(n_partitions, F.rand(n_partitions))
        probs, folds = found(training.cross_val_predict(df, estimator, n_folds=3, batch_rows=BATCH))
        assert_same_bits(probs, expected)
        np.testing.assert_array_equal(folds, assign_folds(*data[:2], n_folds=3)[data[0].argsort()])


class Remembers(ClassifierMixin, BaseEstimator):
    """Predicts how many batches and rows it was trained with, and how many are predicted."""

    def __init__(self, raises=None):
        self.raises = raises

    def fit(self, X, y):
        raise AssertionError

    def partial_fit(self, X, y, classes):
        assert X.flags.owndata  # not where Arrow's batches happen to be
        if self.raises == "partial_fit":
            raise ValueError("of no use")
        self.classes_ = np.array(classes)
        self.sizes_ = [*getattr(self, "sizes_", []), len(y)]

    def predict_proba(self, X):
        if self.raises == "predict_proba":
            return np.ones((len(X), 2))
        return np.tile([len(self.sizes_), sum(self.sizes_), len(X)], (len(X), 1))


def test_all_batches_but_the_last_are_of_so_many_rows(table):
    for batch_rows, n_batches, sizes in (
        (37, 9, {37: 74, 6: 6}),
        (1, 320, {1: 80}),
        (80, 4, {80: 80}),
        (10**6, 1, {80: 80}),
    ):
        probs, folds = found(training.cross_val_predict(table, Remembers(), batch_rows=batch_rows))
        assert (probs[:, 0] == n_batches).all()
        assert (probs[:, 1] == 320).all()
        for fold in range(5):
            values, counts = np.unique(probs[folds == fold, 2], return_counts=True)
            assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == sizes


def test_all_rows_are_trained_with_though_there_are_more_than_by_default(table, monkeypatch):
    monkeypatch.setattr("lq_spark.tasks.training.estimators.MAX_TRAIN_ROWS", 100)
    probs = found(training.cross_val_predict(table, Remembers(), batch_rows=100))[0]
    assert (probs[:, 1] == 320).all()


def test_single_precision_stays_so_and_strings_are_ids(table, data, assert_same_bits):
    """They are in the order of their codes, which are not those of numbers."""
    names = table.selectExpr("concat('row ', id) AS id", "label", "CAST(features AS array<float>)")
    scored = training.cross_val_predict(names, GaussianNB(), n_folds=2, batch_rows=N)
    rows = scored.withColumn("key", F.xxhash64("id")).orderBy("id").collect()
    codes = seeded_codes(np.array([row["key"] for row in rows]), 0)
    order, folds = codes.argsort(), np.array([row["fold"] for row in rows])
    features = np.array([row["features"] for row in rows], dtype=np.float32)
    labels = np.array([row["label"] for row in rows])
    for fold in range(2):
        trained, held_out = order[folds[order] != fold], order[folds[order] == fold]
        model = GaussianNB().partial_fit(features[trained], labels[trained], classes=[0, 1, 2])
        probs = np.array([rows[n]["pred_probs"] for n in held_out])
        assert_same_bits(probs, model.predict_proba(features[held_out]).astype(np.float64))


@pytest.mark.spark
def test_an_estimator_that_fails_says_why_and_in_which_fold(table):
    said = r"estimator Remembers failed in fold \d: ValueError: of no use"
    with pytest.raises(Exception, match=said):
        training.cross_val_predict(table, Remembers("partial_fit"), batch_rows=50)


def test_probabilities_that_are_none_are_refused_with_the_fold(table):
    said = r"estimator Remembers failed in fold \d: predict_proba gave shape \(50, 2\), not \(50, 3"
    with pytest.raises(Exception, match=said):
        training.cross_val_predict(table, Remembers("predict_proba"), batch_rows=50)


@pytest.mark.spark
@pytest.mark.parametrize("is_weighed", [False, True])
def test_one_model_is_trained_by_batches_of_all_rows(table, data, assert_same_bits, is_weighed):
    ids, labels, features = data
    of_codes = dict(zip(ids.tolist(), seeded_codes(ids, 0).tolist(), strict=True))
    weights = (ids % 7 + 1) / 4 if is_weighed else None
    rows = [
        (i, of_codes[i], k, x.tobytes(), (i % 7 + 1) / 4)
        for i, k, x in zip(ids.tolist(), labels.tolist(), features, strict=True)
    ]
    names = [ROW, CODE, LABEL, VECTOR, WEIGHT]
    kinds = ("bigint", "bigint", "int", "binary", "double")
    schema = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    df = table.sparkSession.createDataFrame(rows, schema).select(names[: 4 + is_weighed])
    task = StreamedTask(GaussianNB(), 3, BATCH, 3, np.float64)
    model, expected = streamed_model(df.repartition(3), task), GaussianNB()
    order = seeded_codes(ids, 0).argsort()
    for begin in range(0, N, BATCH):
        part = order[begin : begin + BATCH]
        of_part = None if weights is None else weights[part]
        expected.partial_fit(features[part], labels[part], [0, 1, 2], sample_weight=of_part)
    assert_same_bits(model.theta_, expected.theta_)
    assert_same_bits(model.var_, expected.var_)


class OfSpark:
    """Has what an estimator of Spark ML has."""

    def fit(self, df):
        return self

    def extractParamMap(self):
        return {}

    def getProbabilityCol(self):
        return "probability"


@pytest.mark.parametrize(
    ("estimator", "options", "said"),
    [
        (None, {}, "batch_rows is given, and estimator LogisticRegression has no partial_fit; all"),
        (
            make_pipeline(StandardScaler(), GaussianNB()),
            {},
            "batch_rows is given, and estimator Pipeline has no partial_fit; allowed are those tha",
        ),
        (SGDClassifier(loss="hinge"), {}, "estimator SGDClassifier gives no probabilities of clas"),
        (
            OfSpark(),
            {},
            "batch_rows is given, and Spark itself trains estimator OfSpark of pys",
        ),
        (GaussianNB(), {"batch_rows": 0}, "batch_rows must be a whole number of at least 1, got 0"),
        (GaussianNB(), {"batch_rows": 9.5}, "batch_rows must be a whole number of at least 1, got"),
        (
            GaussianNB(),
            {"max_train_rows": 200_000},
            "max_train_rows is given, which does not go with batch_rows",
        ),
        (
            GaussianNB(),
            {"fit_kwargs": {"priors": None}},
            "fit_kwargs is given, which does not go with batch_rows",
        ),
    ],
)
def test_what_does_not_go_with_batches_is_refused(unread, estimator, options, said):
    df = unread(id="int", label="int", features="array<double>")
    with pytest.raises(OptionError) as error:
        training.cross_val_predict(df, estimator, **{"batch_rows": 10, **options})
    assert str(error.value).startswith(said)
