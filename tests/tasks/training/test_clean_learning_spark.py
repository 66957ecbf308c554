"""CleanLearning on classifiers of Spark ML: what Spark itself trains with the same clean rows."""

import numpy as np
import pytest
from pyspark.sql import functions as F

from lq_spark import training
from lq_spark.errors import OptionError
from lq_spark.tasks.training.spark_ml import _seeds

pytestmark = pytest.mark.spark_only

N = 90
NAMES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def rows():
    """Three clusters of features, with labels a sixth of which are wrong, and weights."""
    rng = np.random.default_rng(0)
    true = np.arange(N) % 3
    features = 3.0 * np.eye(3)[true] + rng.normal(size=(N, 3))
    given = np.where(rng.random(N) < 0.25, rng.choice(3, N), true)
    return [(i, features[i].tolist(), int(given[i]), 1.0 + i % 3) for i in range(N)]


@pytest.fixture
def table(spark, rows):
    """A table of one partition: Spark adds up as its partitions are."""
    schema = "id int, features array<double>, label int, w double"
    return spark.createDataFrame(rows, schema).coalesce(1)


def logistic(**options):
    from pyspark.ml.classification import LogisticRegression

    return LogisticRegression(**{"maxIter": 3, "regParam": 0.01, **options})


def forest(**options):
    """Return a forest that draws nothing, so that the order of the rows does not matter."""
    from pyspark.ml.classification import RandomForestClassifier

    none = {"bootstrap": False, "featureSubsetStrategy": "all"}
    return RandomForestClassifier(numTrees=1, maxDepth=2, **none, **options)


def piped(**options):
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import StandardScaler

    scaler = StandardScaler(inputCol="features", outputCol="scaled")
    return Pipeline(stages=[scaler, logistic(featuresCol="scaled", **options)])


def in_order(df, *names):
    found = df.orderBy("id").select(*names).collect()
    return [np.array([row[name] for row in found]) for name in names]


def by_spark(ours, estimator, table, weight):
    """Return what Spark trains with the rows that are no label issues, and what that predicts."""
    from pyspark.ml.functions import array_to_vector, vector_to_array

    def vectors(df):
        return df.withColumn("features", array_to_vector("features"))

    clean = ours.get_label_issues().where("NOT is_label_issue").withColumn("weight", weight)
    model = estimator.fit(vectors(clean.select("features", "label", "weight")).coalesce(1))
    made = model.transform(vectors(table)).select("id", vector_to_array("probability").alias("p"))
    return model, in_order(made, "p")[0]


@pytest.mark.parametrize("make", [logistic, forest, piped])
def test_the_model_is_that_of_spark_of_the_clean_rows_weighed_by_class(table, make):
    estimator = make()
    ours = training.CleanLearning(estimator, cv_n_folds=2).fit(table)
    weights = 1 / np.diag(ours.noise_matrix)
    assert len(set(weights)) == 3
    of_label = F.get(F.lit(weights.tolist()), F.col("label"))
    model, expected = by_spark(ours, make(weightCol="weight"), table, of_label)
    assert type(ours.model) is type(model)
    made = ours.transform(table)
    new = [("predicted_label", "int"), ("pred_probs", "array<double>")]
    assert made.dtypes == [*table.dtypes, *new]
    predicted, probs = in_order(made, "predicted_label", "pred_probs")
    np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(predicted, expected.argmax(axis=1))
    # The estimator is as it was.
    classifier = estimator.getStages()[-1] if make is piped else estimator
    assert not classifier.isSet("weightCol")


def test_weights_of_rows_are_those_of_the_call_or_of_the_classifier(table):
    of_call = training.CleanLearning(forest(), cv_n_folds=2).fit(table, sample_weight="w")
    _, expected = by_spark(of_call, forest(weightCol="weight"), table, F.col("w"))
    (probs,) = in_order(of_call.predict_proba(table), "pred_probs")
    np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-9)
    # In the cross-validation too.
    own = training.CleanLearning(forest(weightCol="w"), cv_n_folds=2).fit(table)
    _, expected = by_spark(own, forest(weightCol="weight"), table, F.col("w"))
    (probs,) = in_order(own.predict_proba(table), "pred_probs")
    np.testing.assert_allclose(probs, expected, rtol=0, atol=1e-9)
    others, same = (in_order(made.get_label_issues(), "pred_probs")[0] for made in (of_call, own))
    assert np.abs(others - same).max() > 1e-3
    with pytest.raises(OptionError, match="RandomForestClassifier takes no weights, or has set"):
        training.CleanLearning(forest(weightCol="w")).fit(table, sample_weight="w")


def test_columns_stay_what_they_were(table):
    from pyspark.ml.functions import array_to_vector

    name = F.get(F.lit(list(NAMES)), F.col("label"))
    named = table.withColumn("label", name).withColumn("features", array_to_vector("features"))
    ours = training.CleanLearning(piped(), classes=NAMES, cv_n_folds=2)
    kinds = dict(named.dtypes)
    assert kinds["features"] == "vector"
    found = ours.find_label_issues(named)
    assert found.dtypes[:4] == named.dtypes
    issues = [name for name, _ in found.dtypes[4:]]
    assert issues == ["pred_probs", "fold", "is_label_issue", "predicted_label", "label_quality"]
    ours.fit(named, label_issues=found.select("id", "is_label_issue"))
    predicted = ours.predict(named)
    assert predicted.dtypes == [*named.dtypes, ("predicted_label", "string")]
    labels, guesses = in_order(predicted, "label", "predicted_label")
    assert ours.score(named) == (labels == guesses).mean() > 0.5
    both = in_order(predicted, "features"), in_order(named, "features")
    np.testing.assert_array_equal(*both)


def test_no_more_rows_are_trained_with_than_allowed(table):
    ours = training.CleanLearning(forest(), max_train_rows=30)
    with pytest.warns(UserWarning, match="max_train_rows is 30: a model is trained with at most"):
        ours.fit(table, label_issues=table.selectExpr("id", "false AS is_label_issue"))
    # A bag of all rows: at the root there are as many as it was trained with.
    counts = ours.model.trees[0]._call_java("rootNode").impurityStats().stats()
    assert 25 <= sum(counts) <= 30


def test_an_estimator_within_a_search_has_the_seed(table):
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    within = forest()
    search = CrossValidator(
        estimator=within,
        estimatorParamMaps=ParamGridBuilder().build(),
        evaluator=MulticlassClassificationEvaluator(),
    )
    assert _seeds(search, 5) == {search.seed: 5, within.seed: 5}
    within.setSeed(1)
    assert _seeds(search, 5) == {search.seed: 5}


def test_a_class_without_rows_has_no_probability(table):
    name = F.get(F.lit(list(NAMES)), F.col("label"))
    ours = training.CleanLearning(logistic(), classes=(*NAMES, "yak"), cv_n_folds=2)
    ours.fit(table.withColumn("label", name))
    for made in (ours.get_label_issues(), ours.predict_proba(table)):
        (probs,) = in_order(made, "pred_probs")
        assert probs.shape == (N, 4)
        assert (probs[:, 3] == 0).all()


def test_what_is_no_estimator_is_refused(table):
    model = logistic().fit(table.selectExpr("label", "features").transform(_with_vectors))
    for given in (model, _scaler()):
        with pytest.raises(OptionError, match=rf"^estimator {type(given).__name__} gives no prob"):
            training.CleanLearning(given)


def _with_vectors(df):
    from pyspark.ml.functions import array_to_vector

    return df.withColumn("features", array_to_vector("features"))


def _scaler():
    from pyspark.ml.feature import StandardScaler

    return StandardScaler()
