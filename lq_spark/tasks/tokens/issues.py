"""Label issues of tokens: thresholds, joint and rules over all tokens of a table as its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from lq_spark.core.confident.model import NoiseModel
from lq_spark.core.label_issues.rules import Rule
from lq_spark.core.multiclass.scores import require_method
from lq_spark.core.shared.checks import require_tolerance
from lq_spark.core.shared.constants import SUM_TOLERANCE
from lq_spark.engine.held import Held
from lq_spark.engine.inputs import column, require_new_columns
from lq_spark.errors import InvalidRowsError
from lq_spark.tasks.multiclass import issues as label_issues
from lq_spark.tasks.multiclass.flags import TableColumns, flagged_rows, held_if_small
from lq_spark.tasks.multiclass.issues import agreed_collision_rule
from lq_spark.tasks.multiclass.thresholds import fit_thresholds
from lq_spark.tasks.shared.batches import score_columns
from lq_spark.tasks.shared.classes import agreed_classes, agreed_n_classes, require_room
from lq_spark.tasks.shared.keys import require_unique
from lq_spark.tasks.shared.names import IS_LABEL_ISSUE, ISSUE_RANK, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.shared.probabilities import PredProbs
from lq_spark.tasks.shared.ranks import with_issue_rank
from lq_spark.tasks.shared.streams import refuse_stream
from lq_spark.tasks.shared.table import labelled_table
from lq_spark.tasks.tokens.checks import broken_sentences
from lq_spark.tasks.tokens.columns import TokenColumns, one_row_a_token, token_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_KEY = "__lq_token_key"


def fit(
    df: DataFrame,
    *,
    sentence_id: str = "sentence_id",
    labels: str = "labels",
    token_index: str | None = None,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    classes: Sequence[str] | None = None,
    collision_rule: str = "highest_of_all",
    tolerance: float = SUM_TOLERANCE,
) -> NoiseModel:
    """Return what a table says of the label noise of its tokens: :func:`lq_spark.multiclass.fit`.

    Parameters and errors as for :func:`lq_spark.tokens.score` and :func:`lq_spark.multiclass.fit`.
    """
    refuse_stream(df, "tokens.fit")
    columns = token_columns(
        df, sentence_id, token_index, labels, label, pred_probs, None, None, classes
    )
    return fit_tokens(df, columns, collision_rule, tolerance)


def fit_tokens(
    df: DataFrame, columns: TokenColumns, collision_rule: str, tolerance: float
) -> NoiseModel:
    """Return what a table, checked before, says of the label noise of its tokens."""
    long, named = one_row_a_token(df, columns)
    return label_issues.fit(
        long,
        label=named.label,
        pred_probs=named.pred_probs,
        classes=named.classes,
        collision_rule=collision_rule,
        tolerance=tolerance,
    )


def find_issues(
    df: DataFrame,
    *,
    sentence_id: str = "sentence_id",
    labels: str = "labels",
    token_index: str | None = None,
    label: str = "label",
    pred_probs: PredProbs = "pred_probs",
    tokens: str | None = None,
    token: str | None = None,
    classes: Sequence[str] | None = None,
    filter_by: str = "prune_by_noise_rate",
    frac_noise: float = 1.0,
    num_to_remove_per_class: int | Sequence[int] | None = None,
    min_examples_per_class: int = 1,
    collision_rule: str | None = None,
    fitted: NoiseModel | None = None,
    token_score_method: str = "self_confidence",
    issue_rank: bool = False,
    tolerance: float = SUM_TOLERANCE,
) -> DataFrame:
    """Return one row a token with its label issues, decided over all tokens of the table.

    Adds ``is_label_issue``, ``predicted_label``, ``label_quality`` and, if asked, ``issue_rank`` to
    a table of tokens; of a table of sentences makes one with ``sentence_id``, ``token_index``,
    ``token`` (if there are texts), ``label``, ``pred_probs`` and these. Where scores or margins are
    equal at a cut, the tokens of the lowest sentence ids come first, in token order.

    Parameters
    ----------
    df, sentence_id, labels, token_index, label, pred_probs, tokens, token, classes
        As for :func:`lq_spark.tokens.score`.
    token_score_method
        The score in ``label_quality``.
    filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, collision_rule
        As for :func:`lq_spark.multiclass.find_issues`.
    fitted, issue_rank, tolerance
        As for :func:`lq_spark.multiclass.find_issues`.

    Raises
    ------
    ColumnError, OptionError, DataError, InvalidRowsError
        As :func:`lq_spark.multiclass.find_issues`; also for a sentence id that occurs twice in a
        table of sentences, and a token_index that is not 0, 1, 2, … in each sentence.
    """
    collision = agreed_collision_rule(collision_rule, fitted)
    rule = Rule(filter_by, frac_noise, num_to_remove_per_class, min_examples_per_class, collision)
    refuse_stream(df, "tokens.find_issues")
    classes = agreed_classes(classes, fitted)
    columns = token_columns(
        df, sentence_id, token_index, labels, label, pred_probs, tokens, token, classes
    )
    require_method(token_score_method, option="token_score_method")
    require_tolerance(tolerance)
    found, _, _ = checked_issues(
        df,
        columns,
        rule,
        fitted,
        token_score_method,
        issue_rank=issue_rank,
        tolerance=tolerance,
        hold=True,
    )
    return found


def checked_issues(
    df: DataFrame,
    columns: TokenColumns,
    rule: Rule,
    fitted: NoiseModel | None,
    method: str,
    *,
    tolerance: float,
    issue_rank: bool = False,
    count: bool = False,
    hold: bool = False,
) -> tuple[DataFrame, NoiseModel | None, TokenColumns]:
    """Return the issues of a table of tokens or sentences, what it says of its noise, its columns.

    The columns are those of the tokens with their issues. See
    :func:`lq_spark.tasks.multiclass.flags.flagged_rows` for ``count``; ``hold`` says whether the
    rows of a small table are to be held with the result.

    Raises
    ------
    ColumnError, InvalidRowsError
        If the issues' columns are there already, or the sentences are not whole.
    """
    long, named = one_row_a_token(df, columns)
    require_new_columns(long, added_columns(issue_rank))
    _require_whole_sentences(df, columns)
    found, noise = issues_of_tokens(
        long,
        named,
        rule,
        fitted,
        method,
        issue_rank=issue_rank,
        tolerance=tolerance,
        count=count,
        hold=hold,
    )
    return found, noise, named


def added_columns(issue_rank: bool) -> list[str]:
    """Return the names of the columns that issues add."""
    return [IS_LABEL_ISSUE, PREDICTED_LABEL, LABEL_QUALITY] + [ISSUE_RANK] * issue_rank


def issues_of_tokens(
    long: DataFrame,
    columns: TokenColumns,
    rule: Rule,
    fitted: NoiseModel | None,
    method: str,
    *,
    issue_rank: bool,
    tolerance: float,
    count: bool = False,
    hold: bool = False,
) -> tuple[DataFrame, NoiseModel | None]:
    """Return a table of tokens, checked before, with its issues, and what it says of the noise.

    See :func:`checked_issues`.
    """
    of_rows: dict[str, Any] = {
        "label": columns.label,
        "pred_probs": columns.pred_probs,
        "classes": columns.classes,
    }
    table = labelled_table(long, **of_rows)
    n_classes = agreed_n_classes(long, table.probabilities, table.label_type, fitted)
    require_room(table.label_type, columns.label, n_classes)
    thresholds = (
        fit_thresholds(long, **of_rows, tolerance=tolerance)
        if fitted is None
        else fitted.thresholds
    )
    key = F.struct(column(columns.sentence_id), column(str(columns.token_index)))
    n_tokens = 0
    if hold:  # the counts of what was fitted are of other rows
        n_tokens = sum(thresholds.class_counts) if fitted is None else long.count()
    with held_if_small(n_tokens, thresholds.n_classes) if hold else Held(wanted=False) as held:
        found, noise = flagged_rows(
            long.withColumn(_KEY, key),
            table,
            TableColumns(_KEY, columns.label, columns.pred_probs),
            rule,
            thresholds,
            fitted,
            scores=score_columns(method, None, table.label_type, table.classes),
            tolerance=tolerance,
            count=count,
            held=held,
            stacklevel=5,
        )
        names = [*long.columns, *added_columns(issue_rank=False)]
        found = held.hold_lazily(found.select(*map(column, names + [_KEY] * issue_rank)))
        if issue_rank:
            found = with_issue_rank(found, _KEY).select(*map(column, [*names, ISSUE_RANK]))
        return held.until_gone(found), noise


def _require_whole_sentences(df: DataFrame, columns: TokenColumns) -> None:
    if columns.is_nested:
        require_unique(df, columns.sentence_id, validate="tokens.validate", option="sentence_id")
        return
    broken = broken_sentences(df, columns)
    examples = [str(row["id"]) for row in broken.orderBy("id").limit(5).collect()]
    if examples:
        raise InvalidRowsError(
            f"token_index: column {columns.token_index!r} is not 0, 1, 2, … each once in "
            f"{broken.count()} sentences ({columns.sentence_id} {', '.join(examples)}, …); "
            "tokens.validate names them all"
        )
