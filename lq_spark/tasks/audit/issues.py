"""Every check over one table, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F

from lq_spark.core.audit.checks import ON_REQUEST
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, require_columns
from lq_spark.engine.reductions import reduce_all
from lq_spark.engine.verbs import select
from lq_spark.errors import (
    DataError,
    LqError,
    OptionError,
    closest,
    listed,
    require_one_of,
    require_whole_number,
)
from lq_spark.progress import step
from lq_spark.tasks import (
    imbalance,
    multiclass,
    multilabel,
    neighbors,
    outliers,
    regression,
    spurious,
)
from lq_spark.tasks.audit.by_neighbors import (
    DataValuation,
    ExactDuplicate,
    NearDuplicate,
    NonIid,
    Outlier,
    UnderperformingGroup,
)
from lq_spark.tasks.audit.check import Check, Checked
from lq_spark.tasks.audit.labels import ClassImbalance, LabelIssue, LabelSetIssue, NumberIssue
from lq_spark.tasks.audit.result import Audit
from lq_spark.tasks.audit.table import AuditTable, rows_of
from lq_spark.tasks.audit.values import IdentifierColumn, Null, SpuriousCorrelations
from lq_spark.tasks.neighbors.columns import Features, feature_table
from lq_spark.tasks.shared.columns import n_true, require_named
from lq_spark.tasks.shared.keys import require_to_validate, require_unique, with_key_reasons
from lq_spark.tasks.shared.names import INVALID_REASON, NUM_ISSUES
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.reasons import with_further_reasons
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.sums import ScoreSums, score_sums
from lq_spark.tasks.spurious.columns import checked_properties

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CHECKS: Mapping[str, tuple[type[Check], ...]] = {
    "classification": (
        *(Null, LabelIssue, Outlier, NearDuplicate, ExactDuplicate, NonIid, ClassImbalance),
        *(UnderperformingGroup, DataValuation, IdentifierColumn, SpuriousCorrelations),
    ),
    "regression": (
        *(Null, NumberIssue, Outlier, NearDuplicate, ExactDuplicate, NonIid, IdentifierColumn),
    ),
    "multilabel": (
        *(Null, LabelSetIssue, Outlier, NearDuplicate, ExactDuplicate, NonIid, IdentifierColumn),
    ),
}
"""The checks of each task, in the order in which they run."""

Checks = Sequence[str | Check] | Mapping[str, Mapping[str, Any]]


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    label: str | None = None,
    pred_probs: PredProbs | None = None,
    features: Features | None = None,
    graph: DataFrame | None = None,
    properties: Sequence[str] | None = None,
    task: str = "classification",
    checks: Checks | None = None,
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    k: int | None = None,
    metric: str | None = None,
    n_features: int | None = None,
    recall: float | None = None,
    seed: int = 0,
    on_check_error: str = "report",
) -> Audit:
    """Return everything that the checks find wrong with a table; computed now, held with it.

    The checks, their order, their defaults and their numbers are those of cleanlab's Datalab, and
    do not depend, to the bit, on how the table is partitioned. Neighbours are looked for once for
    all checks.

    Parameters
    ----------
    df : DataFrame
    id : str
        Column that tells the rows apart.
    label : str, optional
        Column of the given labels; of task "multilabel" of arrays of them.
    pred_probs : str or sequence of str, optional
        Of out-of-sample predicted probabilities, as for :func:`lq_spark.multiclass.score`; of task
        "regression" the column of predictions.
    features, k, metric, n_features, recall, seed
        What is near, as for :func:`lq_spark.neighbors.graph`; the seed is also that of random
        orders.
    graph : DataFrame, optional
        Or the neighbours themselves: the edges of a graph, as many for each row, in the columns
        that :func:`lq_spark.neighbors.graph` gives.
    properties : sequence of str, optional
        Columns of numbers that should not tell the class, such as the brightness of an image, as
        for :func:`lq_spark.spurious.find_issues`.
    task : {"classification", "regression", "multilabel"}
        What the labels are.
    checks : sequence or mapping, optional
        Which checks run: their names, with a mapping the options of each by its name (as of the
        functions of the same check), or objects: those of the classes here or your own
        (:class:`Check`). By default all for which the table has what they need, of "null", "label",
        "outlier", "near_duplicate", "non_iid", "class_imbalance", "underperforming_group" and
        "spurious_correlations"; on request "exact_duplicate", "data_valuation" and
        "identifier_column", too.
    classes, n_classes
        As for :func:`lq_spark.multiclass.score`.
    on_check_error : {"report", "fail"}
        Where a check fails: say so in the result, or raise its error.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or a check is named for which something is missing.
    InvalidRowsError
        If an id is null or occurs twice.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from lq_spark import audit, local
    >>> spark = local.session()
    >>> numbers = np.random.default_rng(0).normal(size=(30, 2))
    >>> numbers[3] = numbers[4]
    >>> rows = {"id": range(30), "x": numbers[:, 0], "y": numbers[:, 1]}
    >>> found = audit.find_issues(spark.createDataFrame(pd.DataFrame(rows)), features=["x", "y"])
    >>> found.worst("near_duplicate")["id"].tolist()
    [3, 4]
    """
    refuse_stream(df, "audit.find_issues")
    require_one_of("on_check_error", on_check_error, ("report", "fail"))
    with Held() as held:
        table = AuditTable(
            df=df,
            id=id,
            label=label,
            pred_probs=pred_probs,
            features=features,
            graph=graph,
            properties=properties,
            task=task,
            classes=classes,
            n_classes=n_classes,
            k=k,
            metric=metric,
            n_features=n_features,
            recall=recall,
            seed=seed,
            held=held,
        )
        chosen = checks_of(table, checks)
        require_unique(table.columns(), id, validate="audit.validate")
        return audited(table, chosen, (Exception,) if on_check_error == "fail" else ())


def checks_of(
    table: AuditTable, checks: Checks | None, options: Mapping[str, Mapping[str, Any]] = {}
) -> list[Check]:
    """Return the checks of a table; raise ColumnError or OptionError if one cannot run.

    ``options`` are of those that run by default.
    """
    require_one_of("task", table.task, CHECKS)
    table.require()
    known = {kind.name: kind for kind in CHECKS[table.task]}
    if checks is None:
        made = [
            _made(kind, options.get(name, {}))
            for name, kind in known.items()
            if name not in ON_REQUEST or name in options
        ]
        chosen = [check for check in made if not check.missing(table)]
    else:
        named = list(checks)
        if not named:
            raise OptionError(f"checks: none is named; allowed are {listed(known)} and your own")
        of_ours = {name: _options(checks, name) for name in named if isinstance(name, str)}
        for name in of_ours:
            if name not in known:
                raise OptionError(
                    f"checks: {name!r} is none of {listed(known)} of task {table.task!r}"
                    f"{closest(name, known)}"
                )
        chosen = [_made(kind, of_ours[name]) for name, kind in known.items() if name in of_ours]
        own = [check for check in named if not isinstance(check, str)]
        for check in own:
            if not isinstance(check, Check):
                raise OptionError(f"checks: must be names or objects of Check, got {check!r}")
        chosen += own
        for check in chosen:
            if missing := check.missing(table):
                raise OptionError(f"checks: {check.name!r} needs {missing}")
    names = [check.name for check in chosen]
    if len(set(names)) < len(names):
        raise OptionError(f"checks: each may be there once, got {listed(names)}")
    for check in chosen:
        check.require(table)
    return chosen


def _options(checks: Checks, name: str) -> Mapping[str, Any]:
    return checks[name] if isinstance(checks, Mapping) else {}


def _made(kind: type[Check], options: Mapping[str, Any]) -> Check:
    allowed = list(getattr(kind, "__dataclass_fields__", ()))
    for name in options:
        if name not in allowed:
            raise OptionError(
                f"checks: {kind.name!r} has no option {name!r}; it has {listed(allowed)}"
                f"{closest(name, allowed)}"
            )
    return kind(**options)


def validate(
    df: DataFrame,
    *,
    id: str | None = None,
    label: str | None = None,
    pred_probs: PredProbs | None = None,
    features: Features | None = None,
    properties: Sequence[str] | None = None,
    task: str = "classification",
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    n_features: int | None = None,
) -> DataFrame:
    """Return the table with ``invalid_reason``: why a check cannot use a row, or null. Lazy.

    A row with several faults has one of them as its reason.

    Parameters
    ----------
    df, label, pred_probs, features, properties, task, classes, n_classes, n_features
        As for :func:`find_issues`.
    id : str, optional
        Column that must tell the rows apart.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong: before a Spark job starts.
    """
    require_one_of("task", task, CHECKS)
    require_named(df, label=label, pred_probs=pred_probs, features=features)
    if features is not None:
        feature_table(df, features)
    if properties is not None:
        checked_properties(df, properties)
    if n_features is not None:
        require_whole_number("n_features", n_features, 1)
    require_to_validate(df, id, "audit.validate")
    checked = df.withColumn(INVALID_REASON, F.lit(None).cast("string"))
    of_classes: dict[str, Any] = {"classes": classes, "n_classes": n_classes}
    probs: dict[str, Any] = {"pred_probs": pred_probs}
    if task == "regression":
        if label is not None and pred_probs is not None:
            columns = {"label": label, "prediction": str(pred_probs)}
            checked = with_further_reasons(checked, regression.validate, **columns)
    elif task == "multilabel":
        if label is not None and pred_probs is not None:
            options = {"labels": label, **probs, **of_classes}
            checked = with_further_reasons(checked, multilabel.validate, **options)
    elif label is not None and pred_probs is not None:
        options = {"label": label, **probs, **of_classes}
        checked = with_further_reasons(checked, multiclass.validate, **options)
    elif label is not None:
        checked = with_further_reasons(checked, imbalance.validate, label=label, **of_classes)
    elif pred_probs is not None:
        checked = with_further_reasons(checked, outliers.validate, **probs, **of_classes)
    if features is not None:
        options = {"features": features, "n_features": n_features}
        checked = with_further_reasons(checked, neighbors.validate, **options)
    if properties is not None:
        of_properties = {"properties": properties, "label": None}
        checked = with_further_reasons(checked, spurious.validate, **of_properties)
    return with_key_reasons(checked, df, id)


class _Piece(NamedTuple):
    """What a check has found, its rows held."""

    check: Check
    found: Checked
    rows: DataFrame | None


def audited(
    table: AuditTable, checks: Sequence[Check], raised: tuple[type[Exception], ...]
) -> Audit:
    """Run checks over a table whose ids tell its rows apart; of their errors these are raised."""
    failed: dict[str, str] = {}
    pieces: list[_Piece] = []
    for number, check in enumerate(checks, 1):
        try:
            with step(f"check {check.name}", number, len(checks)):
                found = check.find_issues(table)
                pieces.append(_Piece(check, found, _held_rows(table, check, found)))
        except Exception as error:
            if isinstance(error, raised):
                raise
            failed[check.name] = _reason(error)
    wide = table.columns()
    names = {check.name: list(check.column_types(table)) for check in checks}
    for piece in pieces:
        if piece.rows is not None:
            wide = wide.join(piece.rows, table.id, "left")
    for check in checks:
        if check.name in failed and names[check.name]:
            nulls = check.column_types(table).items()
            wide = wide.withColumns({name: F.lit(None).cast(kind) for name, kind in nulls})
    flags = [column(check.flag) for check in checks if names[check.name]]
    ordered = [name for check in checks for name in names[check.name]]
    wide = wide.withColumn(NUM_ISSUES, n_true(flags))
    with Held() as held, step("all checks together"):
        wide = held.hold(select(wide, table.id, *ordered, NUM_ISSUES))
        n_rows = wide.count()
        summary = _summary(wide, pieces)
        scores = [score for score in summary["score"] if score is not None]
        statistics = {
            "num_rows": n_rows,
            "health_score": sum(scores) / len(scores) if scores else None,
            **table.facts(),
        }
        info = {piece.check.name: piece.found.info for piece in pieces if piece.found.info}
        columns = {name: found for name, found in names.items() if name not in failed}
        issues = held.until_gone(wide)
        return Audit(table.id, issues, summary, failed, statistics, info, columns)


def _held_rows(table: AuditTable, check: Check, found: Checked) -> DataFrame | None:
    """Return the rows of a check, computed now; raise DataError if columns are missing."""
    names = list(check.column_types(table))
    if found.rows is None:
        if names:
            raise DataError(f"there are no rows, which should have {listed(names)}")
        return None
    require_columns(found.rows, **{check.name: table.id})
    if missing := [name for name in names if name not in found.rows.columns]:
        raise DataError(f"its rows have no {listed(missing)}")
    rows = table.held.hold(select(found.rows, table.id, *names))
    rows.count()  # now: what it is made of is let go of
    return table.shared(rows_of(check), lambda: rows)


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, LqError):
        return text
    first_line, _, _ = text.strip().partition("\n")
    return f"{type(error).__name__}: {first_line}"


def _summary(wide: DataFrame, pieces: Sequence[_Piece]) -> Any:
    import pandas as pd

    rows = [piece for piece in pieces if piece.rows is not None]
    reductions = {
        f"check{n}": score_sums(piece.check.score, piece.check.flag) for n, piece in enumerate(rows)
    }
    states = reduce_all(wide, reductions)
    sums = {piece.check.name: states[f"check{n}"] or ScoreSums() for n, piece in enumerate(rows)}
    found = []
    for check, result, _ in pieces:
        own = sums.get(check.name, ScoreSums())
        score = own.mean if result.score is None else result.score
        n_issues = own.n_issues if result.n_issues is None else result.n_issues
        found.append((check.name, score, n_issues))
    return pd.DataFrame(found, columns=["check", "score", "num_issues"])
