"""Label issues of a table: which labels are wrong, and how the noise is spread over the classes.

Passes over the table: :func:`lq_spark.tasks.multiclass.thresholds.fit_thresholds` reads one
probability a row, natively. One Python pass makes the facts of the rows
(:mod:`lq_spark.tasks.multiclass.facts`); counted, they are the confident joint, which says how many
rows to prune, and what rows are ordered by is cut there (:mod:`lq_spark.tasks.multiclass.cuts`).
The result of a small table is read from what that pass made (:mod:`lq_spark.engine.held`); else it
is lazy, a Python pass when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lq_spark.core.confident.joint import SparseMatrix
from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.confident.thresholds import Thresholds
from lq_spark.core.health.tables import DatasetHealth, dataset_health
from lq_spark.core.label_issues.quotas import require_a_number_each
from lq_spark.core.label_issues.rules import BY_ROW, Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.inputs import column, require_key, require_new_columns
from lq_spark.errors import DataError, OptionError
from lq_spark.progress import step
from lq_spark.tasks.multiclass.facts import count_facts, with_facts
from lq_spark.tasks.multiclass.flags import TableColumns, flagged_rows, held_if_small
from lq_spark.tasks.multiclass.thresholds import fit_thresholds
from lq_spark.tasks.shared.batches import score_columns
from lq_spark.tasks.shared.classes import (
    agreed_classes,
    agreed_n_classes,
    require_kind,
    require_room,
)
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.probabilities import PredProbs, probability_names
from lq_spark.tasks.shared.ranks import with_issue_rank
from lq_spark.tasks.shared.streams import comes_later, refuse_stream
from lq_spark.tasks.shared.table import labelled_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def fit(
    df: DataFrame,
    *,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    collision_rule: str = "highest_of_all",
    tolerance: float = SUM_TOLERANCE,
    thresholds: Thresholds | None = None,
) -> NoiseModel:
    """Return what the table says of its label noise: thresholds, confident joint, noise matrices.

    Two passes over the table, now. The result can be saved, and applied to other rows by
    :func:`find_issues`; it does not depend, to the bit, on how the table is partitioned.

    Parameters
    ----------
    df, label, pred_probs, classes, tolerance
        As for :func:`lq_spark.multiclass.score`.
    collision_rule : {"highest_of_all", "highest_reached"}
        As for :func:`lq_spark.core.confident.compute_confident_joint`.
    thresholds : Thresholds, optional
        Confident thresholds to count by, in place of those of the table.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or thresholds have other classes or another K.
    DataError
        If the table is empty or K is 1.
    InvalidRowsError
        If a row cannot be scored.
    """
    rule = Rule(filter_by="confident_learning", collision_rule=collision_rule)
    refuse_stream(df, "multiclass.fit")
    require_kind("thresholds", thresholds, Thresholds)
    classes = agreed_classes(classes, thresholds)
    columns: dict[str, Any] = {"label": label, "pred_probs": pred_probs, "classes": classes}
    table = labelled_table(df, **columns)
    if thresholds is None:
        thresholds = fit_thresholds(df, **columns, tolerance=tolerance)
    else:
        agreed_n_classes(df, table.probabilities, table.label_type, thresholds)
    narrow = df.select(*map(column, dict.fromkeys([label, *probability_names(pred_probs)])))
    facts = with_facts(narrow, table, thresholds, rule, fail=False, tolerance=tolerance)
    counts = count_facts(facts, thresholds.n_classes)
    if not counts.class_counts.any():
        raise DataError("the table is empty; a noise model needs at least 1 row")
    counted = replace(thresholds, class_counts=tuple(counts.class_counts.tolist()))
    return NoiseModel(counted, counts.confident, counts.n_label_issues, collision_rule)


def find_issues(
    df: DataFrame,
    *,
    id: str = "id",
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    collision_rule: str | None = None,
    fitted: NoiseModel | None = None,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    issue_rank: bool = False,
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return the table with its label issues.

    Adds ``is_label_issue`` (boolean), ``predicted_label`` (in the label column's type),
    ``label_quality`` (double, 1 clean, 0 suspect) and, if asked, ``issue_rank``. Which rows are
    flagged is decided now, in one native and one Python pass. Up to 67 million probabilities (rows
    times K) the rows of that pass are held as long as the result, which is read from them however
    often it is looked at; of a larger table, and for a rule that judges each row by itself, the
    result is lazy: a Python pass when it is read. Where rows come later, in a stream and in a query
    function of a declarative pipeline, such a rule with ``fitted`` reads nothing now, and leaves
    the ids to :func:`lq_spark.multiclass.validate`. Flags equal those of
    :func:`lq_spark.core.label_issues.find_label_issues` on the rows in the order of their ids,
    whatever the partitions.

    Parameters
    ----------
    df, label, pred_probs, classes, tolerance
        As for :func:`lq_spark.multiclass.score`.
    id : str
        Column that tells the rows apart. Of rows with equal scores or margins at a cut those with
        the lowest ids are taken.
    filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class
        As for :func:`lq_spark.core.label_issues.find_label_issues`.
    collision_rule : {"highest_of_all", "highest_reached"}, optional
        As for :func:`fit`. Where not given, that of ``fitted``, or "highest_of_all".
    fitted : NoiseModel, optional
        What :func:`fit` returned for other rows, applied as it is: its thresholds, and its joint
        scaled to how often each label is given here.
    method, adjust_pred_probs
        The score in ``label_quality``, as for :func:`lq_spark.multiclass.score`.
    issue_rank : bool
        Whether to rank the issues by label quality: 1 the worst, null for rows that are none. Reads
        the table twice more.

    Raises
    ------
    ColumnError, OptionError
        If a column or option is wrong, or fitted has other classes or another K than the table.
    DataError
        If the table is empty, K is 1, or all rows have one label and the rule compares classes.
    InvalidRowsError
        If an id is null or occurs twice, or a row cannot be scored.

    Notes
    -----
    Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021), section 3.2.
    """
    found, _ = issues_with_noise(
        df,
        id=id,
        label=label,
        pred_probs=pred_probs,
        classes=classes,
        filter_by=filter_by,
        frac_noise=frac_noise,
        num_to_remove_per_class=num_to_remove_per_class,
        min_examples_per_class=min_examples_per_class,
        collision_rule=collision_rule,
        fitted=fitted,
        method=method,
        adjust_pred_probs=adjust_pred_probs,
        issue_rank=issue_rank,
        tolerance=tolerance,
    )
    return found


def issues_with_noise(
    df: DataFrame,
    *,
    id: str,
    label: str,
    pred_probs: PredProbs,
    classes: Sequence[str] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    collision_rule: str | None = None,
    fitted: NoiseModel | None = None,
    method: str = "self_confidence",
    adjust_pred_probs: bool = False,
    issue_rank: bool = False,
    tolerance: float = SUM_TOLERANCE,
    count: bool = False,
    joint: SparseMatrix | None = None,
) -> tuple[DataFrame, NoiseModel | None]:
    """Return what :func:`find_issues` does, and what the table says of its noise.

    A rule that does without has the noise counted only if ``count`` says so. ``joint``, counts
    (given, true), says how many rows to prune in place of what the table says.
    """
    collision = agreed_collision_rule(collision_rule, fitted)
    rule = Rule(filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, collision)
    require_method(method, adjust_pred_probs=adjust_pred_probs)
    require_tolerance(tolerance)
    by_row = fitted is not None and not (rule.needs_cuts or issue_rank or count)
    if not by_row:
        rules = " or ".join(map(repr, BY_ROW))
        refuse_stream(df, f"multiclass.find_issues, but with fitted and filter_by {rules},")
    is_later = by_row and comes_later(df)
    require_key(df, "id", id)
    classes = agreed_classes(classes, fitted)
    columns: dict[str, Any] = {"label": label, "pred_probs": pred_probs}
    table = labelled_table(df, **columns, classes=classes)
    added = [IS_LABEL_ISSUE, PREDICTED_LABEL, LABEL_QUALITY] + [ISSUE_RANK] * issue_rank
    require_new_columns(df, added)
    n_classes = agreed_n_classes(df, table.probabilities, table.label_type, fitted)
    require_room(table.label_type, label, n_classes)
    require_a_number_each(num_to_remove_per_class, n_classes)
    n_rows: int | None
    if fitted is None:
        with step("class thresholds", 1, 2):
            thresholds = fit_thresholds(df, **columns, classes=classes, tolerance=tolerance)
        n_rows = sum(thresholds.class_counts)
    else:
        thresholds, n_rows = fitted.thresholds, None if is_later else df.count()
    scores = score_columns(
        method, thresholds if adjust_pred_probs else None, table.label_type, table.classes
    )
    held = held_if_small(n_rows, thresholds.n_classes)
    of_rows = "" if n_rows is None else f" of {n_rows:,} rows"
    with held, step(f"label issues{of_rows}", 2, 2):
        found, model = flagged_rows(
            df,
            table,
            TableColumns(id, label, pred_probs),
            rule,
            thresholds,
            fitted,
            scores=scores,
            tolerance=tolerance,
            count=count,
            joint=joint,
            held=held,
            validate=None if is_later else "multiclass.validate",
            stacklevel=4,
        )
        found = held.hold_lazily(found.select(*map(column, df.columns), *added[:3]))
        found = with_issue_rank(found, id) if issue_rank else found
        return held.until_gone(found), model


def summarize(
    df: DataFrame,
    *,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    asymmetric: bool = False,
    tolerance: float = SUM_TOLERANCE,
) -> DatasetHealth:
    """Return how healthy the labels of a table are: in all, by class, by pair of classes.

    Two passes over the table, now: those of :func:`lq_spark.multiclass.fit`. Of what that returned,
    :func:`lq_spark.core.health.tables.dataset_health` makes the same tables without another.

    Parameters
    ----------
    df, label, pred_probs, classes, tolerance
        As for :func:`lq_spark.multiclass.fit`.
    asymmetric : bool
        Whether (a, b) and (b, a) are two rows of the overlaps, a being the given class.

    Returns
    -------
    DatasetHealth
        A score and two pandas tables, with class names where ``classes`` has them.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`lq_spark.multiclass.fit`.
    """
    refuse_stream(df, "multiclass.summarize")
    model = fit(df, label=label, pred_probs=pred_probs, classes=classes, tolerance=tolerance)
    return dataset_health(model, asymmetric=asymmetric)


def agreed_collision_rule(rule: str | None, fitted: NoiseModel | None) -> str:
    """Return the collision rule of the call or of what was fitted, or else cleanlab's.

    Raises OptionError if the two differ, or what was fitted is no NoiseModel.
    """
    require_kind("fitted", fitted, NoiseModel)
    if fitted is None:
        return rule or "highest_of_all"
    if rule not in (None, fitted.collision_rule):
        raise OptionError(
            f"fitted was made with collision_rule {fitted.collision_rule!r}, got {rule!r}"
        )
    return fitted.collision_rule
