"""Estimators of Spark ML: what the functions give, in pipelines, tuned, saved and loaded."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB

from lq_spark import ml, multiclass, training
from lq_spark.errors import ColumnError, EngineError, OptionError

N = 90


@pytest.fixture(scope="module")
def rows():
    """Three clusters of features, with labels a sixth of which are wrong, and probabilities."""
    rng = np.random.default_rng(0)
    true = np.arange(N) % 3
    features = 3.0 * np.eye(3)[true] + rng.normal(size=(N, 3))
    given = np.where(rng.random(N) < 0.25, rng.choice(3, N), true)
    probs = np.exp(features) / np.exp(features).sum(axis=1, keepdims=True)
    return [(i, float(given[i]), features[i].tolist(), probs[i].tolist()) for i in range(N)]


@pytest.fixture
def table(spark, rows):
    schema = "id int, label double, features array<double>, probability array<double>"
    return spark.createDataFrame(rows, schema)


@pytest.fixture
def given(table):
    """The table without probabilities, of one partition: Spark adds up as its partitions are."""
    return table.drop("probability").coalesce(1)


def in_order(df, *names):
    found = df.orderBy("id").select(*names).collect()
    return [
        np.array([list(v) if np.ndim(v) or hasattr(v, "toArray") else v for v in row])
        for row in zip(*found, strict=True)
    ]


def vectors(df, *names):
    from pyspark.ml.functions import array_to_vector

    for name in names:
        df = df.withColumn(name, array_to_vector(name))
    return df


def logistic(**options):
    from pyspark.ml.classification import LogisticRegression

    return LogisticRegression(**{"maxIter": 2, "regParam": 0.01, **options})


def f1():
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator

    return MulticlassClassificationEvaluator()


def assert_same(made, expected, names, assert_same_bits):
    for name, ours, theirs in zip(
        names, in_order(made, *names), in_order(expected, *names), strict=True
    ):
        if ours.dtype == np.float64:
            assert_same_bits(ours, theirs, name)
        else:
            np.testing.assert_array_equal(ours, theirs, name)


@pytest.mark.parametrize(
    "adjust", [False, pytest.param(True, marks=[pytest.mark.spark, pytest.mark.connect])]
)
def test_label_quality_is_that_of_the_functions(table, adjust, assert_same_bits):
    new = table.where("id % 4 < 3")
    model = ml.LabelQuality(method="normalized_margin", adjustPredProbs=adjust).fit(table)
    fitted = multiclass.fit(table, pred_probs="probability")
    assert model.noiseModel.to_json() == fitted.to_json()
    made = model.transform(new)
    added = [("labelQuality", "double"), ("isLabelIssue", "boolean"), ("predictedLabel", "double")]
    assert made.dtypes == [*new.dtypes, *added]
    expected = multiclass.score(
        new,
        pred_probs="probability",
        method="normalized_margin",
        adjust_pred_probs=adjust,
        thresholds=fitted.thresholds if adjust else None,
        predicted_label=True,
    )
    ours, theirs = (
        in_order(made, "labelQuality", "predictedLabel"),
        in_order(expected, "label_quality", "predicted_label"),
    )
    for one, other in zip(ours, theirs, strict=True):
        assert_same_bits(one, other)
    for rule in ("confident_learning", "prune_by_class"):
        issues = multiclass.find_issues(
            new, pred_probs="probability", filter_by=rule, fitted=fitted
        )
        made = model.transform(new, {model.filterBy: rule})
        np.testing.assert_array_equal(
            in_order(made, "isLabelIssue"), in_order(issues, "is_label_issue")
        )
        assert in_order(made, "isLabelIssue")[0].any()


@pytest.mark.spark
@pytest.mark.connect
def test_label_quality_is_saved_and_loaded(table, tmp_path):
    path = str(tmp_path / "it")
    estimator = ml.LabelQuality(labelQualityCol="quality", predictedLabelCol="")
    for _ in range(2):
        estimator.write().overwrite().save(path)
    loaded = ml.LabelQuality.load(path)
    assert loaded.uid == estimator.uid
    assert loaded.getLabelQualityCol() == "quality"
    assert loaded.getMethod() == "self_confidence"
    model = estimator.fit(table)
    model.save(str(tmp_path / "model"))
    again = ml.LabelQualityModel.load(str(tmp_path / "model"))
    assert again.noiseModel.to_json() == model.noiseModel.to_json()
    made = again.transform(table)
    assert made.columns[4:] == ["quality", "isLabelIssue"]
    assert made.orderBy("id").collect() == model.transform(table).orderBy("id").collect()
    with pytest.raises(OptionError, match="holds a LabelQualityModel, not a CleanLearningModel"):
        ml.CleanLearningModel.load(str(tmp_path / "model"))


def boosting():
    return HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2)


def xgboost():
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=3, max_depth=2, n_jobs=1)


@pytest.mark.parametrize(
    "make", [boosting, pytest.param(xgboost, marks=[pytest.mark.spark, pytest.mark.connect])]
)
def test_clean_learning_is_that_of_training(given, make, assert_same_bits, tmp_path):
    options = {"numFolds": 2, "seed": 4, "filterBy": "both", "fracNoise": 0.9}
    estimator = ml.CleanLearning(estimator=make(), **options)
    model = estimator.fit(given)
    issues = {"filter_by": "both", "frac_noise": 0.9}
    ours = training.CleanLearning(
        make(), cv_n_folds=2, seed=4, find_label_issues_kwargs=issues
    ).fit(given)
    expected = ours.transform(given)
    made = model.transform(given)
    assert made.columns == [*given.columns, "probability", "prediction"]
    assert dict(made.dtypes)["prediction"] == "double"
    (probs, predicted), others = (
        in_order(made, "probability", "prediction"),
        in_order(expected, "pred_probs", "predicted_label"),
    )
    assert_same_bits(probs, others[0])
    assert_same_bits(predicted, others[1])
    names = ["is_label_issue", "label_quality", "pred_probs"]
    assert_same(model.labelIssues, ours.get_label_issues(), names, assert_same_bits)
    assert model.noiseModel.to_json() == ours.noise_model.to_json()
    for kept in (estimator, model):
        with pytest.raises(OptionError, match=r"is not of Spark ML, .* training\.CleanLearning "):
            kept.save(str(tmp_path / "it"))
    assert not list(tmp_path.iterdir())


def test_a_copy_leaves_the_original_alone():
    estimator = ml.CleanLearning(estimator=GaussianNB(), numFolds=3)
    other = estimator.copy({estimator.numFolds: 4, estimator.estimator: boosting()})
    assert (estimator.getNumFolds(), other.getNumFolds()) == (3, 4)
    assert type(estimator.getEstimator()) is GaussianNB
    assert type(other.getEstimator()) is HistGradientBoostingClassifier
    other.setFilterBy("both").setSeed(7)
    assert (estimator.getFilterBy(), estimator.getSeed()) == ("prune_by_noise_rate", 0)


def test_each_param_has_a_way_to_get_and_to_set_it():
    values = {str: "x", int: 1, float: 0.5, bool: True, object: GaussianNB()}
    kinds = {"numFolds": int, "seed": int, "pulearning": int, "maxTrainRows": int, "batchRows": int}
    kinds |= {"fracNoise": float, "adjustPredProbs": bool, "estimator": object}
    for make in (ml.LabelQuality, ml.CleanLearning):
        estimator = make()
        for param in estimator.params:
            value = values[kinds.get(param.name, str)]
            name = param.name[0].upper() + param.name[1:]
            assert getattr(estimator, f"set{name}")(value) is estimator
            assert getattr(estimator, f"get{name}")() == value
        given = {param.name: estimator.getOrDefault(param) for param in estimator.params}
        again = make(**given)
        assert {p.name: v for p, v in again.extractParamMap().items()} == given


def test_what_is_wrong_is_said_before_a_job_starts(table, given):
    named = given.selectExpr("id", "cast(label AS string) AS label", "features")
    nb = GaussianNB()
    cases = [
        (ml.CleanLearning(), given, OptionError, r"^estimator is not set; give a classifier"),
        (ml.CleanLearning(estimator=RidgeClassifier()), given, OptionError, r"^estimator RidgeC"),
        (
            ml.CleanLearning(estimator=nb),
            given.drop("id"),
            ColumnError,
            r"^idCol: no column 'id' .*; set idCol to a column that tells the rows apart: they say",
        ),
        (ml.CleanLearning(estimator=nb), given.drop("label"), ColumnError, r"^labelCol: no column"),
        (ml.CleanLearning(estimator=nb), given.drop("features"), ColumnError, r"^features: no col"),
        (
            ml.CleanLearning(estimator=nb),
            named,
            ColumnError,
            r"^labelCol: column 'label' is string",
        ),
        (
            ml.CleanLearning(estimator=nb, filterBy="some"),
            given,
            OptionError,
            r"^filter_by must be",
        ),
        (ml.CleanLearning(estimator=nb, numFolds=1), given, OptionError, r"^cv_n_folds must be"),
        (ml.LabelQuality(method="some"), table, OptionError, r"^method must be one of"),
        (ml.LabelQuality(filterBy="some"), table, OptionError, r"^filter_by must be one of"),
        (ml.LabelQuality(), given, ColumnError, r"^pred_probs: no column 'probability'"),
        (ml.LabelQuality(), table.drop("label"), ColumnError, r"^labelCol: no column 'label'"),
        (
            ml.LabelQuality(filterBy="both", idCol="key"),
            table,
            ColumnError,
            r"^idCol: no column 'key' .*: filterBy 'both' compares rows",
        ),
    ]
    for estimator, df, error, message in cases:
        with pytest.raises(error, match=message):
            estimator.fit(df)
    with pytest.raises(ColumnError, match="already has 'isLabelIssue'"):
        ml.LabelQuality().fit(table).transform(table.selectExpr("*", "1 AS isLabelIssue"))


def test_a_pipeline_without_a_classifier_of_spark_ml_runs_on_any_engine(given, tmp_path):
    from pyspark.ml import Pipeline, PipelineModel

    cleaned = ml.CleanLearning(estimator=GaussianNB(), numFolds=2)
    made = Pipeline(stages=[cleaned, ml.LabelQuality(adjustPredProbs=True)]).fit(given)
    scored = made.transform(given)
    assert 0.0 < in_order(scored, "labelQuality")[0].min() < 0.2
    model = Pipeline(stages=[ml.LabelQuality()]).fit(scored.drop(*scored.columns[-3:]))
    model.save(str(tmp_path / "model"))
    [stage] = PipelineModel.load(str(tmp_path / "model")).stages
    assert stage.noiseModel.to_json() == made.stages[1].noiseModel.to_json()


def test_the_embedded_engine_refuses_a_classifier_of_spark_ml(given):
    with pytest.raises(EngineError, match=r"^an estimator of pyspark\.ml needs Apache Spark"):
        ml.CleanLearning(estimator=logistic()).fit(given)


@pytest.mark.spark_only
@pytest.mark.connect
def test_a_pipeline_is_fitted_evaluated_saved_and_loaded(given, tmp_path, assert_same_bits):
    from pyspark.ml import Pipeline, PipelineModel
    from pyspark.ml.feature import VectorAssembler

    columns = given.selectExpr("id", "label", *(f"features[{i}] AS f{i}" for i in range(3)))
    assembler = VectorAssembler(inputCols=["f0", "f1", "f2"], outputCol="features")
    regression = logistic()
    cleaned = ml.CleanLearning(estimator=regression, numFolds=2)
    quality = ml.LabelQuality(method="normalized_margin")
    pipeline = Pipeline(stages=[assembler, cleaned, quality])
    model = pipeline.fit(columns)
    made = model.transform(columns)
    new = ["features", "probability", "prediction", "labelQuality", "isLabelIssue"]
    assert made.columns == [*columns.columns, *new, "predictedLabel"]
    assert dict(made.dtypes)["probability"] == "vector"
    assert f1().evaluate(made) > 0.5
    copy = pipeline.copy({regression.maxIter: 3, cleaned.numFolds: 4}).getStages()[1]
    assert (copy.getNumFolds(), copy.getEstimator().getMaxIter()) == (4, 3)
    assert (cleaned.getNumFolds(), regression.getMaxIter()) == (2, 2)
    by_model = model.stages[1].model.transform(assembler.transform(columns))
    assert_same(made, by_model, ["probability", "prediction"], assert_same_bits)
    by_function = multiclass.fit(made, pred_probs="probability")
    assert model.stages[2].noiseModel.to_json() == by_function.to_json()

    path = str(tmp_path / "model")
    model.write().overwrite().save(path)
    loaded = PipelineModel.load(path)
    assert_same(loaded.transform(columns), made, new, assert_same_bits)
    assert loaded.stages[1].labelIssues is None
    assert loaded.stages[1].noiseModel.to_json() == model.stages[1].noiseModel.to_json()
    pipeline.write().overwrite().save(str(tmp_path / "pipeline"))
    again = Pipeline.load(str(tmp_path / "pipeline")).getStages()[1]
    assert (again.uid, again.getNumFolds()) == (cleaned.uid, 2)
    assert again.getEstimator().uid == regression.uid
    assert again.getEstimator().getRegParam() == 0.01


@pytest.mark.spark_only
def test_a_search_tunes_the_estimator_and_the_classifier_within(given):
    from pyspark.ml.tuning import CrossValidator

    regression = logistic()
    cleaned = ml.CleanLearning(estimator=regression, numFolds=2)
    grid = [
        {cleaned.filterBy: "prune_by_class", regression.regParam: 1.0},
        {cleaned.filterBy: "confident_learning", regression.regParam: 0.01},
    ]
    search = CrossValidator(
        estimator=cleaned, estimatorParamMaps=grid, evaluator=f1(), numFolds=2, seed=1
    )
    found = search.fit(vectors(given, "features"))
    assert len(set(found.avgMetrics)) == 2
    best, chosen = found.bestModel, grid[int(np.argmax(found.avgMetrics))]
    assert best.getFilterBy() == chosen[cleaned.filterBy]
    assert best.model.getRegParam() == chosen[regression.regParam]
    assert cleaned.getFilterBy() == "prune_by_noise_rate"
    assert cleaned.getEstimator() is regression
    assert regression.getRegParam() == 0.01


@pytest.mark.spark_only
def test_a_forest_within_is_trained_saved_and_loaded(given, tmp_path, assert_same_bits):
    from pyspark.ml.classification import RandomForestClassifier

    forest = RandomForestClassifier(numTrees=2, maxDepth=2)
    estimator = ml.CleanLearning(estimator=forest, numFolds=2, probabilityCol="p", predictionCol="")
    estimator.write().overwrite().save(str(tmp_path / "estimator"))
    model = ml.CleanLearning.load(str(tmp_path / "estimator")).fit(given)
    assert model.labelIssues.where("is_label_issue").count() > 0
    model.write().save(str(tmp_path / "model"))
    loaded = ml.CleanLearningModel.load(str(tmp_path / "model"))
    made = loaded.transform(given)
    assert made.columns == [*given.columns, "p"]
    assert_same(made, model.transform(given), ["p"], assert_same_bits)
