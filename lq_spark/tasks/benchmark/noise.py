"""Labels that are made wrong at known rates, to see what of it a method finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyspark.sql import functions as F

from lq_spark.core.benchmark.flips import flip_counts, require_learnable
from lq_spark.core.shared.display import names_at
from lq_spark.core.shared.noise_matrices import checked_noise_matrix
from lq_spark.engine.draws import drawn, row_hash, with_part
from lq_spark.engine.inputs import column, column_type, require_key, require_new_columns
from lq_spark.errors import DataError, OptionError, listed, require_whole_number
from lq_spark.tasks.shared.class_counts import Labels, checked_labels, class_counts
from lq_spark.tasks.shared.keys import require_to_validate, require_unique, with_key_reasons
from lq_spark.tasks.shared.labels import label_of
from lq_spark.tasks.shared.names import INVALID_REASON
from lq_spark.tasks.shared.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PART: Final = "__lq_noisy"
_MOST_SEED: Final = (1 << 63) - 1


def noisy_labels(
    df: DataFrame,
    noise_matrix: ArrayLike,
    *,
    id: str = "id",
    label: str = "label",
    classes: Sequence[str] | None = None,
    seed: int = 0,
    noisy_label: str = "noisy_label",
) -> DataFrame:
    """Return the table with labels of which known numbers are wrong.

    Adds ``noisy_label`` (of the type of the label): of the rows of class k, the part
    ``noise_matrix[g, k]``, rounded down, gets the label of each other class g, and the others keep
    theirs. Which rows get which is drawn by a hash of the seed and the id, so it is the same on any
    partitions and engine. Ids and labels are read now; the result is lazy.

    The numbers are those of :func:`lq_spark.core.benchmark.generate_noisy_labels`; a matrix can be
    made by :func:`lq_spark.core.benchmark.generate_noise_matrix_from_trace`.

    Parameters
    ----------
    df : DataFrame
    noise_matrix : array-like of float, shape (K, K)
        P(given = g | true = k) in row g and column k: numbers from 0 to 1, each column of sum 1.
    id : str
        Column that tells the rows apart.
    label : str
        Column of the true label: a whole number 0..K-1 (in a float, double or decimal(p,0) too), a
        boolean, or one of ``classes``.
    classes : sequence of str, optional
        The class names in the order of the matrix; needed for string labels.
    seed : int
        At least 0: another one draws other rows.
    noisy_label : str
        The name of the new column.

    Returns
    -------
    DataFrame

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, the matrix too: before a Spark job starts.
    DataError
        If a class has no row, or the matrix is not valid: a class is given as itself no more often
        than by chance, see :func:`lq_spark.core.benchmark.noise_matrix_is_valid`.
    InvalidRowsError
        If an id is null or occurs twice, or a label is no class.

    Notes
    -----
    Class-conditional noise as in Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021).

    Examples
    --------
    >>> import pandas as pd
    >>> from lq_spark import benchmark, local
    >>> rows = pd.DataFrame({"id": range(10), "label": [0] * 6 + [1] * 4})
    >>> df = local.session().createDataFrame(rows)
    >>> noisy = benchmark.noisy_labels(df, [[0.5, 0.25], [0.5, 0.75]])
    >>> noisy.groupBy("label", "noisy_label").count().orderBy("label", "noisy_label").toPandas()
       label  noisy_label  count
    0      0            0      3
    1      0            1      3
    2      1            0      1
    3      1            1      3
    """
    refuse_stream(df, "benchmark.noisy_labels")
    matrix = checked_noise_matrix(noise_matrix)
    require_seed(seed)
    if not isinstance(noisy_label, str) or not noisy_label:
        raise OptionError(f"noisy_label must be the name of a column, got {noisy_label!r}")
    key_type = require_key(df, "id", id)
    labels = checked_labels(df, label, classes, len(matrix))
    require_new_columns(df, [noisy_label])
    require_unique(df, id, validate="benchmark.validate")
    counts = class_counts(df, labels, fail=True, validate="benchmark.validate")
    flips = _flips(matrix, counts, labels)
    own_hash = row_hash(column(id), key_type, seed)
    rows = df.select(labels.index.alias("group"), own_hash.alias("hash"), column(id).alias("key"))
    draw = drawn(rows, {k: _others(flips, k) for k in range(len(flips))})
    parts = with_part(df, draw, _PART, group=labels.index, hash=own_hash, key=id)
    named = label_of(F.col(_PART), column_type(df, label), labels.classes)
    given = F.when(F.col(_PART).isNull(), column(label)).otherwise(named)
    return parts.withColumn(noisy_label, given).drop(_PART)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str = "label",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a label is no class, null if it is one. Lazy.

    Parameters
    ----------
    df, label, classes
        As for :func:`noisy_labels`.
    id : str, optional
        Column that must tell the rows apart.
    n_classes : int, optional
        K. Where neither it nor classes is given, a label may be any whole number of at least 0.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    labels = checked_labels(df, label, classes, n_classes)
    require_to_validate(df, id, "benchmark.validate")
    checked = df.withColumn(INVALID_REASON, labels.named_reason)
    return with_key_reasons(checked, df, id)


def require_seed(seed: object) -> None:
    """Raise OptionError unless it is a whole number from 0 that a bigint holds."""
    require_whole_number("seed", seed, 0)
    if seed > _MOST_SEED:  # type: ignore[operator]
        raise OptionError(f"seed must be at most {_MOST_SEED}, got {seed!r}")


def _flips(
    matrix: NDArray[np.float64], counts: NDArray[np.int64], labels: Labels
) -> NDArray[np.int64]:
    """Return how many rows of each class get which label; raise DataError if that cannot be."""
    absent = np.flatnonzero(counts == 0).tolist()
    if absent:
        raise DataError(
            f"noise_matrix is of K = {len(matrix)} classes, and no row is of class "
            f"{listed(names_at(labels.classes, absent))}"
        )
    require_learnable(matrix, counts / counts.sum())
    return flip_counts(matrix, counts)


def _others(flips: NDArray[np.int64], k: int) -> dict[int, int]:
    """Return the other labels that rows of a class get, and how many rows get each."""
    return {given: int(flips[given, k]) for given in range(len(flips)) if given != k}
