"""Reference rows, which new rows are compared with, and how far apart these lie themselves."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast

import numpy as np
import pyarrow as pa
from pyspark.sql.types import DoubleType, StructField, StructType

from lq_spark.core.neighbors.copies import spread_over_copies
from lq_spark.core.neighbors.search import nearest
from lq_spark.core.neighbors.vectors import METRICS
from lq_spark.core.outliers import distances as by_distance
from lq_spark.core.shared.display import Displayed
from lq_spark.core.shared.saved import Saved
from lq_spark.engine.arrow import flat_lists
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column_type, require_key, require_new_columns
from lq_spark.engine.kept import written
from lq_spark.engine.numbers import array_of
from lq_spark.engine.readings import BatchFunction, column_input
from lq_spark.engine.verbs import reduce_rows, select, with_mapped
from lq_spark.errors import DataError, OptionError
from lq_spark.tasks.neighbors.batches import (
    DISTANCES,
    IDS,
    ROW,
    VECTOR,
    read_features,
)
from lq_spark.tasks.neighbors.columns import Features, FeatureTable, feature_table
from lq_spark.tasks.neighbors.features import (
    FeatureGraph,
    distinct_rows,
    lists_of,
    rows_with_vectors,
)
from lq_spark.tasks.neighbors.knn import feature_graph, joined
from lq_spark.tasks.neighbors.reference import nearest_references
from lq_spark.tasks.neighbors.searches import Search
from lq_spark.tasks.outliers.passes import (
    FOUND,
    MEAN,
    TypicalDistances,
    distance_batch,
    judged,
    mean_distances,
    means_batch,
    typical_distances,
)
from lq_spark.tasks.outliers.place import ROWS, SavedPlace
from lq_spark.tasks.shared.batches import require_usable, spread_columns
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CARRIED_BYTES: Final = 64 << 20
"""References of up to so many bytes, as doubles, go to the tasks with the function: new rows are
then scored in a pass of their own, lazily, those of a stream too."""


@dataclass(frozen=True, slots=True, repr=False)
class ReferenceDistances(Saved):
    """How far reference rows lie from each other, and how that is measured.

    Attributes
    ----------
    metric : str
    k : int
        How many neighbours count.
    n_features : int
    feature_type : {"float", "double"}
    n_rows, n_distinct : int
        Reference rows, and those of different features.
    median, first_quartile, third_quartile : float
        Of the mean distances of the rows to their neighbours.
    """

    NOUN: ClassVar[str] = "reference distances"
    FORMAT_VERSION: ClassVar[int] = 1

    metric: str
    k: int
    n_features: int
    feature_type: str
    n_rows: int
    n_distinct: int
    median: float
    first_quartile: float
    third_quartile: float

    @property
    def search(self) -> Search:
        """Return how neighbours are sought."""
        dtype = np.float32 if self.feature_type == "float" else np.float64
        return Search(self.k, self.metric, self.n_features, dtype)

    @property
    def typical(self) -> TypicalDistances:
        """Return which mean distances are usual."""
        return TypicalDistances(self.n_rows, self.median, self.first_quartile, self.third_quartile)

    def _facts(self) -> dict[str, Any]:
        return {
            "rows": self.n_rows,
            "features": self.n_features,
            "metric": self.metric,
            "median distance": self.median,
        }

    def _content(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> ReferenceDistances:
        cls._require_keys(content, set(cls.__slots__))
        found = cls(**{name: content[name] for name in cls.__slots__})
        numbers = found.k, found.n_features, found.n_rows, found.n_distinct
        distances = found.median, found.first_quartile, found.third_quartile
        if (
            found.metric not in METRICS
            or found.feature_type not in ("float", "double")
            or not all(type(number) is int and number >= 1 for number in numbers)
            or not all(isinstance(one, (int, float)) and one >= 0.0 for one in distances)
        ):
            raise DataError(f"{cls.NOUN}: the JSON holds values that none has: {found}")
        return found


class FittedOutliers(Displayed):
    """Reference rows that the outliers among new rows are found by: see :func:`fit`.

    Attributes
    ----------
    distances : ReferenceDistances
    references : DataFrame
        The vectors of the different rows, and the ids of the rows that have them.
    """

    # Read once, by `load` already: where new rows come later, none can be read.
    _carried: pa.Table | None = None

    def __init__(self, distances: ReferenceDistances, references: DataFrame) -> None:
        self.distances, self.references = distances, references

    def _facts(self) -> dict[str, Any]:
        return self.distances._facts()

    @property
    def are_few(self) -> bool:
        """Return whether the references go to the tasks with the function."""
        return 8 * self.distances.n_distinct * self.distances.n_features <= CARRIED_BYTES

    def carried(self) -> pa.Table:
        """Return the references that go to the tasks with the function."""
        if self._carried is None:
            rows = select(self.references, IDS, VECTOR)
            self._carried = cast("pa.Table", reduce_rows(rows, _table, _both))
        return self._carried

    def save(self, path: str) -> None:
        """Write it to a folder, which drivers and workers must reach.

        What was saved there before is replaced, when all else is written.

        Raises
        ------
        OptionError
            If there is something else at this place.
        TableError
            If it cannot be written.
        """
        place = SavedPlace(path)
        place.require_free()
        name = f"{ROWS}-{uuid.uuid4().hex}"
        written(self.references, f"{place.uri}/{name}")
        content = json.dumps({ROWS: name, "distances": json.loads(self.distances.to_json())})
        place.replace(content, name)

    @classmethod
    def load(cls, spark: SparkSession, path: str) -> FittedOutliers:
        """Return what was saved in a folder; the rows are read now if they are few.

        Raises
        ------
        OptionError
            If nothing was, or something else.
        """
        place = SavedPlace(path)
        try:
            content = json.loads(place.read())
            found = ReferenceDistances.from_json(json.dumps(content["distances"]))
            rows = f"{place.uri}/{content[ROWS]}"
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
            raise OptionError(f"fitted: cannot read {path!r} ({error})") from error
        fitted = cls(found, spark.read.parquet(rows))
        if fitted.are_few:
            fitted.carried()
        return fitted


def fit(
    df: DataFrame,
    *,
    id: str = "id",
    features: Features = "features",
    k: int | None = None,
    metric: str | None = None,
    n_features: int | None = None,
    recall: float | None = None,
    seed: int = 0,
) -> FittedOutliers:
    """Return a table of rows as the reference that new rows are compared with.

    Computed now; the rows are held as long as the result. The scores of new rows
    (:func:`lq_spark.outliers.score` with ``fitted``) are those of cleanlab's ``OutOfDistribution``,
    fitted to these rows: how far a new row is from its k nearest reference rows, in units of the
    median distance of the reference rows to each other.

    Parameters
    ----------
    df, id, features, k, metric, n_features, recall, seed
        As for :func:`lq_spark.neighbors.graph`.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts; or k is too high.
    DataError
        If there are fewer than two rows.
    InvalidRowsError
        If an id is null or occurs twice, or a row has no usable features.
    """
    refuse_stream(df, "outliers.fit")
    options = feature_graph(df, id, features, k, metric, n_features, recall=recall, seed=seed)
    with Held() as of_means:
        return fitted_to(df, options, of_means).fitted


class Compared(NamedTuple):
    """Rows that were compared with each other, as a reference for others.

    Attributes
    ----------
    fitted : FittedOutliers
    means : DataFrame
        ROW and MEAN, the mean distance of each to its neighbours.
    recall : float
        The share of the nearest neighbours that was found.
    """

    fitted: FittedOutliers
    means: DataFrame
    recall: float


def fitted_to(df: DataFrame, options: FeatureGraph, of_means: Held) -> Compared:
    """Return rows as the reference, and their own mean distances, held from now on.

    Raises as :func:`fit`.
    """
    with Held() as held, ExitStack() as stack:
        distinct = distinct_rows(df, options, stack, fail=True)
        if distinct.n_rows < 2:
            raise DataError("there are fewer than 2 reference rows, which have no distances")
        with Held() as of_graph:
            kind = column_type(df, options.id)
            lists, _, recall = lists_of(distinct, options, kind, stack, of_graph)
            means = mean_distances(lists, of_means)
            typical = typical_distances(means)
        references = held.hold(distinct.sets)
        references.count()  # now, while what it is made of is kept
        distances = ReferenceDistances(
            options.metric,
            distinct.k,
            options.n_features,
            "float" if options.table.dtype == np.float32 else "double",
            distinct.n_rows,
            distinct.n_sets,
            *typical[1:],
        )
        return Compared(FittedOutliers(distances, held.until_gone(references)), means, recall)


def scored_by_reference(
    df: DataFrame,
    id: str,
    features: Features,
    fitted: FittedOutliers,
    t: float,
    threshold: float,
    *,
    fail: bool,
) -> DataFrame:
    """Return a table with :data:`FOUND` of each row. Lazy where the references are few.

    Rows without usable features fail, or have nulls.
    """
    distances = fitted.distances
    table = features_like(df, features, distances)
    require_new_columns(df, FOUND.names)
    function = distance_batch(distances.typical, distances.metric, t, threshold)
    if fitted.are_few:
        carried = _carried_batch(fitted, function, fail=fail)
        return with_mapped(df, carried, [table.input], FOUND)
    refuse_stream(df, "outliers.score with so many reference rows")
    require_key(df, "id", id)
    with Held() as held, ExitStack() as stack:
        queries, n_queries = rows_with_vectors(
            df, id, table.input, distances.n_features, stack, fail=fail
        )
        near = nearest_references(
            queries, n_queries, fitted.references, distances.n_distinct, distances.search
        )
        mean = StructType([StructField(MEAN, DoubleType())])
        means = with_mapped(near, means_batch, [column_input(DISTANCES)], mean, keep=[ROW])
        scored = held.hold(judged(means, function))
        scored.count()  # now, while what it is made of is kept
        return joined(df, id, scored, held)


def features_like(df: DataFrame, features: Features, distances: ReferenceDistances) -> FeatureTable:
    """Return the features of new rows; raise OptionError unless they are of the references'."""
    table = feature_table(df, features)
    given = "float" if table.dtype == np.float32 else "double"
    if given != distances.feature_type:
        raise OptionError(
            f"features are {given}, those of the reference rows are {distances.feature_type}: "
            "cast one of them, or rows that are the same differ by rounding"
        )
    if table.n_features not in (None, distances.n_features):
        raise OptionError(
            f"features names {table.n_features} columns, the reference rows have "
            f"{distances.n_features} features"
        )
    return table


def _carried_batch(fitted: FittedOutliers, function: BatchFunction, *, fail: bool) -> BatchFunction:
    """Return (features) -> :data:`FOUND`; the references go with the function."""
    search, references = fitted.distances.search, fitted.carried()
    vectors = search.vectors(references[VECTOR])
    # Only distances count here, so of references as near as each other any will do.
    offsets = flat_lists(references[IDS]).offsets
    ids = np.arange(offsets[-1])

    def run(features: pa.Array) -> dict[str, pa.Array]:
        matrix, reasons = read_features(features, search.n_features)
        if fail:
            require_usable(reasons, None, of="outliers")
        asked = search.prepared(matrix)
        near = nearest(asked, vectors, offsets[:-1], search.k, search.metric, same=False)
        near = spread_over_copies(near, offsets, ids, search.k)
        means = by_distance.mean_distances(near.distance.reshape(len(matrix), search.k))
        return spread_columns(function(array_of(means)), reasons)

    return run


def _table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


def _both(a: pa.Table, b: pa.Table) -> pa.Table:
    return pa.concat_tables([a, b])
