"""How well a model knows the labels of the clusters of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.groups.performance import MIN_CLUSTER_SAMPLES, THRESHOLD
from lq_spark.core.shared.display import N_SHOWN, Displayed, SmallTable
from lq_spark.engine.inputs import columns_alone
from lq_spark.tasks.groups.issues import Options
from lq_spark.tasks.groups.passes import IS_ISSUE, Found, Labelled
from lq_spark.tasks.neighbors.columns import Features, named_features
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, repr=False)
class GroupHealth(Displayed):
    """How well a model knows the labels of the clusters of a table.

    Attributes
    ----------
    n_rows, n_issues : int
        All rows; those of the worst cluster, if it is an issue.
    clusters : tuple of int
        Those with enough rows, ascending.
    performance : tuple of float
        Mean self-confidence of each: 0 bad, 1 good.
    worst : int or None
        The cluster that is an issue, if one is.
    score : float
        That of the worst cluster: 0 bad, 1 if none is below the mean.
    """

    n_rows: int
    n_issues: int
    clusters: tuple[int, ...]
    performance: tuple[float, ...]
    worst: int | None
    score: float

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "clusters": len(self.clusters),
            "rows of an underperforming group": self.n_issues,
            "score": self.score,
        }

    def _tables(self) -> list[SmallTable]:
        places = range(len(self.clusters))
        order = sorted(places, key=lambda place: (self.performance[place], place))[:N_SHOWN]
        columns: dict[str, list[Any]] = {
            "cluster": [self.clusters[place] for place in order],
            "mean self-confidence": [self.performance[place] for place in order],
        }
        return [SmallTable("lowest clusters", columns, {"mean self-confidence": 1.0})]


def summarize(
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
) -> GroupHealth:
    """Return how well the model knows the labels of each cluster.

    Parameters
    ----------
    df, id, label, pred_probs, classes, n_classes, clusters, features, graph, n_features, k, metric
        As for :func:`find_issues`.
    recall, seed, eps, min_samples, threshold, min_cluster_samples
        As for :func:`find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`find_issues`.
    """
    refuse_stream(df, "groups.summarize")
    names = [id, label, *probability_names(pred_probs)]
    names += [clusters] if clusters else named_features(features, graph)
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
    return group_health(options.found(columns_alone(df, names)))


def group_health(found: Found) -> GroupHealth:
    """Return it of a table with its groups."""
    [(n_rows, n_issues)] = found.rows.agg(F.count(F.lit(1)), F.count_if(F.col(IS_ISSUE))).collect()
    groups = found.groups
    clusters, performance = tuple(groups.clusters.tolist()), tuple(groups.performance.tolist())
    return GroupHealth(n_rows, n_issues, clusters, performance, groups.worst, groups.score)
