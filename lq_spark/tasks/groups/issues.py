"""The group of rows whose labels a model knows least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.groups.performance import MIN_CLUSTER_SAMPLES, THRESHOLD
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.errors import (
    OptionError,
    require_number,
    require_one_of,
    require_unused,
    require_whole_number,
)
from lq_spark.tasks import multiclass, neighbors
from lq_spark.tasks.groups.passes import (
    CLUSTER,
    IS_ISSUE,
    SCORE,
    Found,
    Labelled,
    require_clusters,
    with_found_clusters,
    with_given_clusters,
)
from lq_spark.tasks.neighbors.columns import Features, feature_table
from lq_spark.tasks.neighbors.knn import graph_options
from lq_spark.tasks.shared.keys import require_to_validate, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.reasons import with_further_reasons
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.table import labelled_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EPS, MIN_SAMPLES = 0.5, 5

NO_CLUSTER = "null cluster"


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    clusters: str | None = None,
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    eps: float | None = None,
    min_samples: int | None = None,
    threshold: float = THRESHOLD,
    min_cluster_samples: int = MIN_CLUSTER_SAMPLES,
) -> DataFrame:
    """Return the table with the group whose labels the model knows least; computed now, held.

    Adds ``is_underperforming_group_issue`` (boolean), ``underperforming_group_score`` (double: the
    mean self-confidence of a row's cluster as a part of that of all rows in clusters, where it is
    below; 0 bad, 1 not below, or in no cluster) and, unless clusters are given, ``cluster``
    (bigint, -1 of rows in none). The rule is that of cleanlab's Datalab
    (:func:`lq_spark.core.groups.find_underperforming_group`), and nothing depends, to the bit, on
    how the table is partitioned.

    Parameters
    ----------
    df : DataFrame
    id : str
        Column that tells the rows apart.
    label, pred_probs, classes, n_classes
        As for :func:`lq_spark.multiclass.score`.
    clusters : str, optional
        Column of whole numbers: the cluster of each row, -1 of rows in none. Where not given,
        clusters are found by DBSCAN among the nearest neighbours.
    features, n_features, k, metric, recall, seed
        Which rows are near to each other, as for :func:`lq_spark.neighbors.graph`; the column
        "features" where neither these, nor a graph or clusters are given.
    graph : DataFrame, optional
        Or the neighbours themselves: the edges of a graph, as many for each row, in the columns
        that :func:`lq_spark.neighbors.graph` gives.
    eps : float, optional
        Of DBSCAN: up to which distance neighbours are near; by default 0.5.
    min_samples : int, optional
        Of DBSCAN: how many near rows, itself among them, a row in the midst of a cluster has; by
        default 5.
    threshold : float
        From 0 to 1: the worst cluster is an issue if its score is below.
    min_cluster_samples : int
        Clusters of fewer rows are left out.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    DataError
        If no cluster has enough rows, there are more than a million, or a graph is not one of these
        rows.
    InvalidRowsError
        If an id is null or occurs twice, or a row cannot be scored.
    """
    refuse_stream(df, "groups.find_issues")
    options = Options(
        id=id,
        labelled=Labelled(label, pred_probs, classes, n_classes),
        clusters=clusters,
        features=features,
        graph=graph,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
        eps=eps,
        min_samples=min_samples,
        threshold=threshold,
        min_cluster_samples=min_cluster_samples,
    )
    return options.found(df).rows


def score(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    clusters: str | None = None,
    features: Features | None = None,
    graph: DataFrame | None = None,
    n_features: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    recall: float | None = None,
    seed: int = 0,
    eps: float | None = None,
    min_samples: int | None = None,
    min_cluster_samples: int = MIN_CLUSTER_SAMPLES,
    on_invalid: str = "fail",
) -> DataFrame:
    """Return the table with ``underperforming_group_score`` (double): 0 bad, 1 not below the mean.

    Computed when :func:`find_issues` does it.

    Parameters
    ----------
    df, id, label, pred_probs, classes, n_classes, clusters, features, graph, n_features, k, metric
        As for :func:`find_issues`.
    recall, seed, eps, min_samples, min_cluster_samples
        As for :func:`find_issues`.
    on_invalid : {"fail", "null"}
        What to do with a row that cannot be scored: fail, or leave its score null and compare the
        others alone. A graph is one of all rows: there such a row fails.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    require_one_of("on_invalid", on_invalid, ("fail", "null"))
    refuse_stream(df, "groups.score")
    options = Options(
        id=id,
        labelled=Labelled(label, pred_probs, classes, n_classes),
        clusters=clusters,
        features=features,
        graph=graph,
        n_features=n_features,
        k=k,
        metric=metric,
        recall=recall,
        seed=seed,
        eps=eps,
        min_samples=min_samples,
        threshold=THRESHOLD,
        min_cluster_samples=min_cluster_samples,
    )
    found = options.found(df, fail=on_invalid == "fail" or graph is not None).rows
    return found.select(*map(column, df.columns), SCORE)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    clusters: str | None = None,
    features: Features | None = None,
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a row cannot be scored, null if it can. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    df, label, pred_probs, classes, n_classes, clusters, n_features
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.
    features : str or sequence of str, optional
        As for :func:`find_issues`; they are looked at where they are given.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    labelled_table(df, label=label, pred_probs=pred_probs, classes=classes)
    if clusters is not None:
        require_clusters(df, clusters)
    if features is not None:
        feature_table(df, features)
    elif n_features is not None:
        raise OptionError("n_features is given, and features are not")
    require_to_validate(df, id, "groups.validate")
    checked = multiclass.validate(
        df, label=label, pred_probs=pred_probs, classes=classes, n_classes=n_classes
    )
    if clusters is not None:
        reason = F.when(column(clusters).isNull(), NO_CLUSTER)
        checked = checked.withColumn(INVALID_REASON, F.coalesce(INVALID_REASON, reason))
    if features is not None:
        options: dict[str, Any] = {"features": features, "n_features": n_features}
        checked = with_further_reasons(checked, neighbors.validate, **options)
    return with_key_reasons(checked, df, id)


@dataclass(frozen=True)
class Options:
    """The options of :func:`find_issues`, see there."""

    id: str
    labelled: Labelled
    clusters: str | None
    features: Features | None
    graph: DataFrame | None
    n_features: int | None
    k: int | None
    metric: str | None
    recall: float | None
    seed: int
    eps: float | None
    min_samples: int | None
    threshold: float
    min_cluster_samples: int

    def found(self, df: DataFrame, *, fail: bool = True) -> Found:
        """Return the table with its groups."""
        require_key(df, "id", self.id)
        limit = require_number("threshold", self.threshold, 0.0, 1.0)
        require_whole_number("min_cluster_samples", self.min_cluster_samples, 1)
        labelled = self.labelled
        labelled_table(
            df, label=labelled.label, pred_probs=labelled.pred_probs, classes=labelled.classes
        )
        least = self.min_cluster_samples
        if self.clusters is not None:
            require_unused(
                "clusters",
                features=self.features,
                graph=self.graph,
                n_features=self.n_features,
                k=self.k,
                metric=self.metric,
                recall=self.recall,
                eps=self.eps,
                min_samples=self.min_samples,
            )
            require_clusters(df, self.clusters)
            require_new_columns(df, [IS_ISSUE, SCORE])
            return with_given_clusters(
                df, self.id, self.clusters, labelled, limit, least, fail=fail
            )
        eps = require_number("eps", EPS if self.eps is None else self.eps, 0.0)
        min_samples = MIN_SAMPLES if self.min_samples is None else self.min_samples
        require_whole_number("min_samples", min_samples, 1)
        added = [IS_ISSUE, SCORE, CLUSTER]
        options = self.id, self.features, self.k, self.metric, self.n_features, added
        graph = graph_options(df, *options, graph=self.graph, recall=self.recall, seed=self.seed)
        return with_found_clusters(df, graph, labelled, limit, least, eps, min_samples, fail=fail)
