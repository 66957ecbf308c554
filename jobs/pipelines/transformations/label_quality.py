"""Labels as they come, their quality, the label issues, and a gate that fails the pipeline."""

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lq_spark import NoiseModel, declared, multiclass

spark = SparkSession.active()
INPUT = spark.conf.get("label_quality.input")
FITTED = NoiseModel.load(spark.conf.get("label_quality.fitted"))
MAX_ISSUE_RATE = float(spark.conf.get("label_quality.max_issue_rate"))

# Spark tells the columns of a table that is there already, but not in the functions below.
source = spark.read.parquet(INPUT) if "/" in INPUT else spark.read.table(INPUT)
LABELS = source.schema
CHECKED = StructType([*LABELS.fields]).add("invalid_reason", "string")


@dp.materialized_view(comment="Labels and predicted probabilities as they come")
def labels() -> DataFrame:
    """Return the source."""
    return source


@dp.temporary_view
def checked_labels() -> DataFrame:
    """Return the labels with the reason why a row cannot be scored, ids that occur twice too."""
    given = declared(spark.read.table("labels"), LABELS)
    return multiclass.validate(given, id="id", n_classes=FITTED.n_classes, classes=FITTED.classes)


@dp.materialized_view(comment="Label quality of each row: 1 clean, 0 suspect, null with a reason")
def label_scores() -> DataFrame:
    """Return the rows with label quality and predicted label, or why they have none."""
    checked = declared(spark.read.table("checked_labels"), CHECKED)
    scored = multiclass.score(
        checked,
        thresholds=FITTED.thresholds,
        adjust_pred_probs=True,
        predicted_label=True,
        on_invalid="null",
    )
    return scored.select("id", "label", "predicted_label", "label_quality", "invalid_reason")


@dp.materialized_view(comment="Which labels are issues, by thresholds that were fitted before")
def label_issues() -> DataFrame:
    """Return the rows that can be scored, with whether their label is an issue."""
    usable = spark.read.table("checked_labels").where("invalid_reason is null")
    found = multiclass.find_issues(
        declared(usable, CHECKED),
        fitted=FITTED,
        filter_by="confident_learning",
        adjust_pred_probs=True,
    )
    return found.select("id", "label", "predicted_label", "label_quality", "is_label_issue")


@dp.materialized_view(comment="The issue rate; its query fails if it is too high")
def label_gate() -> DataFrame:
    """Return how many labels are issues, or fail."""
    counts = spark.read.table("label_issues").agg(
        F.count(F.lit(1)).alias("rows"), F.count_if("is_label_issue").alias("issues")
    )
    rate = F.try_divide("issues", "rows")  # null where there are no rows
    failure = F.format_string(
        f"gate failed: %d of %d labels are issues, allowed is a rate of {MAX_ISSUE_RATE}",
        "issues",
        "rows",
    )
    too_high = F.when(rate > MAX_ISSUE_RATE, F.raise_error(failure).cast("double"))
    return counts.select("rows", "issues", F.coalesce(too_high, rate).alias("issue_rate"))
