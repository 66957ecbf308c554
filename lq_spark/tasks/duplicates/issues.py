"""Near duplicates of a table: which rows, of which others, and which one to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column
from lq_spark.errors import require_one_of, require_unused
from lq_spark.tasks import neighbors
from lq_spark.tasks.duplicates.batches import IS_EXACT, NEAREST, SCORE, SET
from lq_spark.tasks.duplicates.options import (
    DuplicateOptions,
    duplicate_options,
    require_quality,
)
from lq_spark.tasks.duplicates.passes import (
    GROUP,
    IS_NEAR,
    Found,
    near_duplicate_texts,
    near_duplicates,
    nearest_scores,
    text_scores,
)
from lq_spark.tasks.duplicates.texts import ByText, validate_texts
from lq_spark.tasks.neighbors.batches import ROW
from lq_spark.tasks.neighbors.columns import Features
from lq_spark.tasks.neighbors.knn import joined
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

KEEP = "keep"

ADDED = (IS_NEAR, IS_EXACT, SCORE, NEAREST, SET, GROUP, KEEP)
"""The columns that are added."""


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    text: str | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    threshold: float | None = None,
    shingles: str | None = None,
    n: int | None = None,
    similarity: float | None = None,
    seed: int = 0,
    label_quality: str | None = None,
) -> DataFrame:
    """Return the table with its near duplicates; computed now, and held as long as the result.

    Adds ``is_near_duplicate_issue`` and ``is_exact_duplicate_issue`` (boolean),
    ``near_duplicate_score`` (double, 0 there twice, 1 far from all others),
    ``distance_to_nearest_neighbor`` (double), ``near_duplicate_set`` (array of ids),
    ``duplicate_group`` (the lowest id that a chain of near duplicates leads to) and ``keep``
    (boolean: one row of each group). Nothing depends on how the table is partitioned.

    By features the rule is that of cleanlab's Datalab, and a row's set has its own nearest first,
    then those whose neighbour it is. By text, near duplicates are texts of which a share of the
    shingles, runs of words or characters, is the same (their Jaccard similarity), found by MinHash
    and each compared exactly: a pair just as similar as asked for is found with a probability of
    0.99, a more similar one with a higher one, equal texts always. The distance is then 1 -
    similarity to the most similar text, null where none is near; the score is that distance, or 1;
    a set has the most similar first. Of equal texts the one of lowest id is paired with other
    texts, and each later one with that one alone.

    Parameters
    ----------
    df, id, features, n_features, k, metric, recall
        As for :func:`lq_spark.neighbors.graph`: each row names at most as many duplicates, nearest
        first, as it has neighbours there. The column "features" where neither these nor a text nor
        a graph are given.
    text : str, optional
        Or a column of texts, compared as they are: in case, too.
    graph : DataFrame, optional
        Or the edges of a graph, as many for each row, in the columns that
        :func:`lq_spark.neighbors.graph` gives.
    threshold : float, optional
        Of distances, at least 0: rows are near duplicates whose distance is below this share (0.13)
        of the median row's distance to its nearest neighbour, that being at least 1e-6.
    shingles : {"word", "character"}, optional
        Of texts: what their shingles are runs of; words by default.
    n : int, optional
        How long a shingle is; 2 words or 5 characters by default.
    similarity : float, optional
        Above 0, at most 1: texts are near duplicates that are so similar (0.8), or more.
    seed : int
        At least 0: of the hash functions of texts, or of an approximate search by features.
    label_quality : str, optional
        Column of numbers, 1 clean, 0 suspect: the row of each group with the highest is to be kept.
        Of equal ones, and where it is not given, that of the lowest id.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or is given beside others that it does not go with: before a
        Spark job starts; or k is too high.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features or no text.
    DataError
        If a graph is not one of these rows.
    """
    refuse_stream(df, "duplicates.find_issues")
    require_quality(df, label_quality)
    by = id, features, text, graph, n_features, k, metric, recall, threshold
    options = duplicate_options(df, *by, shingles, n, similarity, seed, ADDED)
    return with_duplicates(df, options, label_quality).rows


def with_duplicates(df: DataFrame, options: DuplicateOptions, label_quality: str | None) -> Found:
    """Return the table with :data:`ADDED`, held with the result."""
    with Held() as held:
        if isinstance(options, ByText):
            found = near_duplicate_texts(df, options, held)
        else:
            found = near_duplicates(df, options.graph, options.threshold, held)
        best = [] if label_quality is None else [column(label_quality).desc_nulls_last()]
        first = Window.partitionBy(GROUP).orderBy(*best, column(options.id))
        rows = df.join(found.rows, column(options.id) == column(ROW)).withColumn(
            KEEP, F.row_number().over(first) == 1
        )
        rows = held.until_gone(rows.select(*map(column, df.columns), *ADDED))
        return Found(rows, found.recall)


def score(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features | None = None,
    text: str | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    shingles: str | None = None,
    n: int | None = None,
    similarity: float | None = None,
    seed: int = 0,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with ``near_duplicate_score`` (double): 0 there twice, 1 far from all.

    Computed now, and held as long as the result.

    Parameters
    ----------
    df, id, features, text, graph, n_features, k, metric, recall
        As for :func:`find_issues`.
    shingles, n, similarity, seed
        As for :func:`find_issues`.
    on_invalid : {"fail", "null"}
        What to do with a row that cannot be scored: fail, or leave its score null and compare the
        others with each other alone.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    refuse_stream(df, "duplicates.score")
    by = id, features, text, graph, n_features, k, metric, recall, None
    options = duplicate_options(df, *by, shingles, n, similarity, seed, [SCORE])
    fail = on_invalid == "fail"
    with Held() as held:
        if isinstance(options, ByText):
            found = text_scores(df, options, held, fail=fail)
        else:
            found = nearest_scores(df, options.graph, held, fail=fail)
        return joined(df, id, found, held)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    features: Features | None = None,
    text: str | None = None,
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be compared, or null. Lazy.

    Parameters
    ----------
    df, features, text, n_features
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    if id is not None:
        refuse_stream(df, "duplicates.validate with id")
    if text is not None:
        require_unused("text", features=features, n_features=n_features)
        return validate_texts(df, id, text)
    features = "features" if features is None else features
    return neighbors.validate(df, id=id, features=features, n_features=n_features)
