"""What the job's contract is tested on: for each task a small table, a config, and bad rows.

A new task, or another shape of its table, joins by one :class:`Case`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import every_task
import numpy as np
import pyarrow as pa

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class Fault:
    """Rows that cannot be scored, and the reason that they are set aside for.

    ``changes`` are values of a copy of the table's first row, under a key of its own; a function
    is given the value that is there. ``copies`` such rows are there. ``table`` is the option that
    names the table.
    """

    reason: str
    changes: dict[str, Any]
    copies: int = 1
    table: str = "input"


@dataclass(frozen=True)
class Case:
    """A task and a shape of its tables.

    Attributes
    ----------
    shape : str
        Of :data:`every_task.CASES`, whose tables these are.
    options : dict
        Further keys of a good run.
    faults : tuple of Fault
    written : dict
        Columns of the tables that a run writes, by the ending of their names.
    merged : dict
        Which column's values say which rows of a table a merge replaces.
    metrics, class_metrics, drift : tuple of str
        All that a run measures, and a second one besides.
    refused : dict
        Keys that do not go together, and what is said of them.
    inputs : tuple of str
        Options that name the tables that are read.
    key : str
        Column that tells rows apart, or sentences, or items.
    counted : str
        What the summary calls the rows that are scored or set aside.
    """

    shape: str
    options: dict[str, Any]
    faults: tuple[Fault, ...]
    written: dict[str, tuple[str, ...]]
    merged: dict[str, str]
    metrics: tuple[str, ...]
    class_metrics: tuple[str, ...]
    drift: tuple[str, ...]
    refused: tuple[dict[str, Any], str]
    inputs: tuple[str, ...] = ("input",)
    key: str = "id"
    counted: str = "rows"

    @property
    def task(self) -> str:
        """Return the task."""
        return every_task.CASES[self.shape]().job

    def tables(self) -> dict[str, pa.Table]:
        """Return the good tables, by the options that name them."""
        return dict(zip(self.inputs, every_task.CASES[self.shape]().tables, strict=True))

    def columns(self) -> dict[str, Any]:
        """Return the columns that options name."""
        return every_task.CASES[self.shape]().columns


def counted(reason: str) -> str:
    """Return a reason as it is counted: without the place in the row."""
    text = re.sub(r"^token \d+: ", "a token: ", reason)
    text = re.sub(r"^pixel \(\d+, \d+\): ", "a pixel: ", text)
    return re.sub(r" box \d+: ", " box: ", text)


def rekeyed(case: Case, keys: dict[int, int]) -> dict[str, pa.Table]:
    """Return the rows of the good tables of some keys, under others."""
    return {
        option: pa.Table.from_pylist(
            [
                {**row, case.key: keys[row[case.key]]}
                for row in table.to_pylist()
                if row[case.key] in keys
            ],
            table.schema,
        )
        for option, table in case.tables().items()
    }


def spoilt(case: Case, faults: Sequence[Fault]) -> tuple[dict[str, pa.Table], dict[str, list[Any]]]:
    """Return the good tables with bad rows, and those alone with their reason, by option."""
    tables = case.tables()
    rows = {option: table.to_pylist() for option, table in tables.items()}
    bad: dict[str, list[dict[str, Any]]] = {option: [] for option in tables}
    for n, fault in enumerate(faults):
        for option, row, reason in _bad_rows(case, fault, 100 + n, rows):
            bad[option].append({**row, "invalid_reason": reason})
    for option, table in tables.items():
        added = [{k: v for k, v in r.items() if k != "invalid_reason"} for r in bad[option]]
        more = pa.Table.from_pylist(added, table.schema)
        tables[option] = pa.concat_tables([table, more])
    return tables, bad


def _bad_rows(
    case: Case, fault: Fault, key: int, rows: dict[str, list[dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any], str]]:
    first = rows[fault.table][0]
    # Of a row a token, the whole sentence.
    same = [row for row in rows[fault.table] if row[case.key] == first[case.key]]
    if fault.table == "annotations":  # of an annotator of its own
        same = [{**first, "annotator": f"new {key}"}]
    else:
        same = [{**row, case.key: key} for row in same]
    changes = {
        name: value(same[0][name]) if callable(value) else value
        for name, value in fault.changes.items()
    }
    for _ in range(fault.copies):
        yield fault.table, {**same[0], **changes}, fault.reason
        for row in same[1:]:
            yield fault.table, {**row, case.key: {**same[0], **changes}[case.key]}, fault.reason
    if case.shape == "crowd" and fault.table == "input" and fault.reason != NO_ANNOTATION:
        item = changes.get(case.key, key)
        if item is not None:
            yield (
                "annotations",
                {case.key: item, "annotator": "ann 0", "label": 0},
                "item that cannot be scored",
            )


NO_ANNOTATION = "no annotation"


def _of_probabilities(where: Any = lambda probs: probs, prefix: str = "") -> tuple[Fault, ...]:
    """Return faults of K = 3 probabilities of a row of class 0; ``where`` puts them there."""
    found = (
        (None, "null pred_probs"),
        ([], "pred_probs of wrong length"),
        ([0.5, 0.5], "pred_probs of wrong length"),
        ([0.7, 0.1, 0.1, 0.1], "pred_probs of wrong length"),
        ([None, 0.5, 0.5], "null probability"),
        ([0.5, 0.5, None], "null probability"),
        ([NAN, 0.5, 0.5], "probability not finite"),
        ([0.5, 0.5, NAN], "probability not finite"),
        ([INF, 0.0, 0.0], "probability not finite"),
        ([0.5, -INF, 0.5], "probability not finite"),
        ([0.6, 0.5, -0.1], "probability below 0"),
        ([1.1, 0.0, 0.0], "probability above 1"),
        ([0.5, 0.2, 0.1], "probabilities do not sum to 1"),
        ([0.7, 0.3, 0.1], "probabilities do not sum to 1"),
    )
    return tuple(Fault(prefix + reason, {"pred_probs": where(probs)}) for probs, reason in found)


def _first(value: Any) -> Any:
    """Return what puts a value in the place of the first of a list."""
    return lambda values: [value, *values[1:]]


_BOX = {"x1": 0.0, "y1": 0.0, "x2": 20.0, "y2": 20.0, "label": 0}


def _pixel(value: Any) -> Any:
    """Return what puts a value in the place of the first pixel, in nested lists of numbers."""

    def put(values: Any) -> Any:
        return [put(values[0]) if isinstance(values[0], list) else value, *values[1:]]

    return put


def _pixel_bytes(value: Any, kind: str) -> Any:
    """Return what does the same in the bytes of an array."""
    first = np.array(value, kind).tobytes()
    return lambda values: first + values[len(first) :]


OF_KEYS = (
    Fault("null id", {"id": None}),
    Fault("duplicate id", {}, copies=2),
)
OF_LABELS = tuple(
    Fault(reason, {"label": label})
    for label, reason in (
        (3, "label out of range"),
        (2_000_000_000, "label out of range"),
        (-1, "label out of range"),
        (None, "null label"),
    )
)
OF_PROPERTIES = (
    Fault("null property", {"size": None}),
    *(Fault("property not finite", {"light": bad}) for bad in (NAN, INF)),
)

OF_FEATURES = tuple(
    Fault(reason, {"features": features})
    for reason, features in (
        ("null features", None),
        ("null feature", [0.5, None, 0.0, 1.0]),
        ("feature not finite", [0.5, NAN, 0.0, 1.0]),
        ("feature not finite", [0.5, INF, 0.0, 1.0]),
    )
)

ROWS = ("rows", "rows_scored", "rows_quarantined", "read_by_workers")
ISSUES = ("label_issues", "issue_rate")
SHARES = ("drift_class_share", "drift_class_shares")
OF_ROWS = ("class_rows", "class_mean_label_quality", "class_rows_predicted_otherwise")
OF_TOKENS = ("class_tokens", "class_mean_label_quality", "class_tokens_predicted_otherwise")
OF_ISSUES = ("class_label_issues", "class_issue_rate", "class_threshold")
OF_SENTENCES = (
    *ROWS,
    *("tokens_scored", "mean_sentence_quality"),
)
SENTENCES = (
    *("sentence_id", "sentence_quality", "token_qualities", "worst_token_index"),
    *("worst_token", "worst_given_label", "worst_predicted_label"),
)
WHICH_TOKEN = ("sentence_id", "token_index", "label", "token")
FITTED_TWICE = ({"fitted": "a.json", "save_fitted": "b.json"}, "fitted is given, so save_fitted")

OF_PIXELS = (
    (NAN, "probability not finite"),
    (-1.0, "probability below 0"),
    (1.5, "probability above 1"),
)
OF_SHAPES = (
    Fault("pred_probs of another number of classes", {"pred_probs_shape": [4, 3, 6]}),
    Fault("label_mask and pred_probs differ in height or width", {"pred_probs_shape": [3, 6, 4]}),
)
IMAGES: dict[str, Any] = {
    "written": {
        "": (
            *("id", "is_label_issue", "num_pixel_issues", "pixel_issue_share", "label_quality"),
            *("issue_mask", "issue_mask_shape"),
        )
    },
    "merged": {"": "id"},
    "metrics": (
        *(*ROWS, "classes", "mean_label_quality", *ISSUES),
        *("pixels_scored", "images_with_issues"),
    ),
    "class_metrics": ("class_pixels", "pair_label_issues", *OF_ISSUES),
    "drift": (*SHARES, "drift_issue_rate", "drift_class_threshold"),
    "refused": ({"downsample": 0}, "downsample: "),
}
OF_DUPLICATES = (
    *("is_near_duplicate_issue", "is_exact_duplicate_issue", "near_duplicate_score"),
    *("distance_to_nearest_neighbor", "near_duplicate_set", "duplicate_group", "keep"),
)
METRICS_OF_DUPLICATES = (
    *("near_duplicates", "issue_rate", "exact_duplicates", "duplicate_groups", "rows_to_drop"),
)

CASES = {
    "multiclass": Case(
        "multiclass",
        {"n_classes": 3},
        (*OF_KEYS, *OF_LABELS, *_of_probabilities()),
        written={"": ("id", "label", "predicted_label", "label_quality")},
        merged={"": "id"},
        metrics=(*ROWS, "classes", "mean_label_quality"),
        class_metrics=OF_ROWS,
        drift=SHARES,
        refused=({"filter_by": "both"}, "filter_by is given, so find_issues must be true"),
    ),
    "multiclass adjusted": Case(
        "multiclass",
        {"n_classes": 3, "adjust_pred_probs": True},
        (*OF_KEYS, *OF_LABELS, *_of_probabilities()),
        written={"": ("id", "label", "predicted_label", "label_quality")},
        merged={"": "id"},
        metrics=(*ROWS, "classes", "mean_label_quality"),
        class_metrics=(*OF_ROWS, "class_threshold"),
        drift=(*SHARES, "drift_class_threshold"),
        refused=({"method": "confidence_weighted_entropy"}, "not defined for method"),
    ),
    "multiclass with issues": Case(
        "multiclass",
        {"n_classes": 3, "find_issues": True, "issue_rank": True},
        (*OF_KEYS, *OF_LABELS, *_of_probabilities()),
        written={
            "": (
                *("id", "label", "predicted_label", "label_quality"),
                *("is_label_issue", "issue_rank"),
            )
        },
        merged={"": "id"},
        metrics=(*ROWS, "classes", "mean_label_quality", *ISSUES, "label_health_score"),
        class_metrics=(*OF_ROWS, *OF_ISSUES),
        drift=(*SHARES, "drift_joint", "drift_issue_rate", "drift_class_threshold"),
        refused=({"filter_by": "bot"}, "filter_by must be one of"),
    ),
    "train": Case(
        "training",
        {
            "groups": "site",
            "n_folds": 3,
            "estimator": "sklearn.naive_bayes.GaussianNB",
            "allowed_estimators": ["sklearn."],
            "min_examples_per_class": 1,
            "issue_rank": True,
        },
        (
            *OF_KEYS,
            Fault("null label", {"label": None}),
            Fault("label out of range", {"label": -1}),
            *OF_FEATURES,
            Fault("null group", {"site": None}),
        ),
        written={
            "": (
                *("id", "label", "pred_probs", "fold", "predicted_label", "label_quality"),
                *("is_label_issue", "issue_rank"),
            )
        },
        merged={"": "id"},
        metrics=(
            *(*ROWS, "classes", "mean_label_quality", *ISSUES, "label_health_score"),
            *("out_of_fold_accuracy", "folds", "rows_trained"),
        ),
        class_metrics=(*OF_ROWS, *OF_ISSUES),
        drift=(*SHARES, "drift_joint", "drift_issue_rate", "drift_class_threshold"),
        refused=({"n_folds": 1}, "n_folds: "),
    ),
    "sentences": Case(
        "sentences",
        {"n_classes": 3, "tokens": "tokens", "find_issues": True},
        (
            Fault("null sentence_id", {"sentence_id": None}),
            Fault("duplicate sentence_id", {}, copies=2),
            Fault("null labels", {"labels": None}),
            Fault("null pred_probs", {"pred_probs": None}),
            Fault(
                "labels, tokens and pred_probs differ in length",
                {"tokens": lambda texts: [*texts, "more"]},
            ),
            Fault("token 0: label out of range", {"labels": _first(3)}),
            Fault("token 0: label out of range", {"labels": _first(-1)}),
            Fault("token 0: null label", {"labels": _first(None)}),
            *_of_probabilities(_first, "token 0: "),
        ),
        written={
            "": SENTENCES,
            "_tokens": (*WHICH_TOKEN, "is_label_issue", "predicted_label", "label_quality"),
        },
        merged={"": "sentence_id", "_tokens": "sentence_id"},
        metrics=(*OF_SENTENCES, *ISSUES, "label_health_score"),
        class_metrics=(*OF_TOKENS, *OF_ISSUES),
        drift=(*SHARES, "drift_joint", "drift_issue_rate", "drift_class_threshold"),
        refused=({"token": "word"}, "tokens goes with a row a sentence"),
        key="sentence_id",
        counted="sentences",
    ),
    "tokens": Case(
        "tokens",
        {"n_classes": 3, "token_index": "token_index", "token": "token"},
        (
            Fault("null sentence_id", {"sentence_id": None}),
            Fault("token_index is not 0, 1, 2, … each once", {}, copies=2),
            Fault("token_index is not 0, 1, 2, … each once", {"token_index": 4}),
            Fault("token_index is not 0, 1, 2, … each once", {"token_index": None}),
            *(Fault(f"token 0: {fault.reason}", fault.changes) for fault in OF_LABELS),
            *_of_probabilities(prefix="token 0: "),
        ),
        written={"": SENTENCES, "_tokens": (*WHICH_TOKEN, "label_quality", "predicted_label")},
        merged={"": "sentence_id", "_tokens": "sentence_id"},
        metrics=OF_SENTENCES,
        class_metrics=OF_TOKENS,
        drift=SHARES,
        refused=({"temperature": 0.1}, "for 'min' takes no argument, got 'temperature'"),
        key="sentence_id",
        counted="sentences",
    ),
    "multilabel": Case(
        "multilabel",
        {"n_classes": 3, "issue_rank": True},
        (
            *OF_KEYS,
            Fault("null labels", {"labels": None}),
            Fault("label given twice", {"labels": [1, 1]}),
            Fault("label out of range", {"labels": [3]}),
            Fault("null label", {"labels": [0, None]}),
            *(fault for fault in _of_probabilities() if "sum" not in fault.reason),
        ),
        written={
            "": (
                *("id", "labels", "is_label_issue", "suspect_classes", "suggested_labels"),
                *("label_quality", "issue_rank"),
            ),
            "_issues": ("id", "class", "in_given_label", "class_quality", "pred_prob"),
        },
        merged={"": "id", "_issues": "id"},
        metrics=(
            *(*ROWS, "classes", "mean_label_quality", *ISSUES, "label_health_score"),
            *("wrong_labels", "missing_labels"),
        ),
        class_metrics=("class_rows", "class_missing_labels", *OF_ISSUES),
        drift=(*SHARES, "drift_issue_rate", "drift_class_threshold"),
        refused=FITTED_TWICE,
    ),
    "regression": Case(
        "regression",
        {"method": "uncertainty", "uncertainty": "uncertainty", "frac_issues": 0.2},
        (
            *OF_KEYS,
            Fault("null label", {"label": None}),
            Fault("label not finite", {"label": NAN}),
            Fault("null prediction", {"prediction": None}),
            Fault("prediction not finite", {"prediction": INF}),
            Fault("null uncertainty", {"uncertainty": None}),
            Fault("uncertainty not finite", {"uncertainty": -INF}),
            Fault("uncertainty below 0", {"uncertainty": -1.0}),
        ),
        written={"": ("id", "label", "is_label_issue", "predicted_label", "label_quality")},
        merged={"": "id"},
        metrics=(
            *(*ROWS, "mean_label_quality", *ISSUES),
            *("r_squared", "mean_residual", "rms_residual"),
        ),
        class_metrics=("residual_quantile",),
        drift=("drift_issue_rate",),
        refused=({"method": "outer"}, "method must be one of 'outre', 'residual', 'uncertainty'"),
    ),
    "outliers": Case(
        "outliers",
        {},
        (*OF_KEYS, *OF_FEATURES),
        written={"": ("id", "is_outlier_issue", "outlier_score")},
        merged={"": "id"},
        metrics=(*ROWS, "mean_outlier_score", "outliers", "issue_rate", "neighbor_recall"),
        class_metrics=(),
        drift=("drift_issue_rate",),
        refused=({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean'"),
    ),
    "duplicates": Case(
        "duplicates",
        {"label_quality": "quality"},
        (*OF_KEYS, *OF_FEATURES),
        written={"": ("id", *OF_DUPLICATES)},
        merged={"": "id"},
        metrics=(*ROWS, *METRICS_OF_DUPLICATES, "neighbor_recall"),
        class_metrics=(),
        drift=("drift_issue_rate",),
        refused=({"similarity": 0.5}, "similarity is given, which does not go with features"),
    ),
    "texts": Case(
        "texts",
        {"text": "text", "similarity": 0.5, "label_quality": "quality"},
        (*OF_KEYS, Fault("null text", {"text": None})),
        written={"": ("id", *OF_DUPLICATES)},
        merged={"": "id"},
        metrics=(*ROWS, *METRICS_OF_DUPLICATES),
        class_metrics=(),
        drift=("drift_issue_rate",),
        refused=({"shingles": "words"}, "shingles must be one of 'word', 'character', got 'words'"),
    ),
    "valuation": Case(
        "valuation",
        {},
        (*OF_KEYS, Fault("null label", {"label": None}), *OF_FEATURES),
        written={"": ("id", "label", "is_data_valuation_issue", "data_valuation_score")},
        merged={"": "id"},
        metrics=(
            *(*ROWS, "mean_data_valuation_score", "data_valuation_issues", "issue_rate"),
            "neighbor_recall",
        ),
        class_metrics=(),
        drift=("drift_issue_rate",),
        refused=({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean'"),
    ),
    "noniid": Case(
        "noniid",
        {},
        (*OF_KEYS, *OF_FEATURES),
        written={"": ("id", "is_non_iid_issue", "non_iid_score")},
        merged={"": "id"},
        metrics=(
            *(*ROWS, "non_iid_statistic", "non_iid_p_value", "non_iid_issues"),
            *("mean_non_iid_score", "neighbor_recall"),
        ),
        class_metrics=(),
        drift=(),
        refused=({"metric": "cosin"}, "metric must be one of 'cosine', 'euclidean'"),
    ),
    "audit": Case(
        "audit",
        {
            "checks": [
                *("label", "outlier", "near_duplicate", "identifier_column"),
                "spurious_correlations",
            ],
            "properties": ["light", "size"],
            "check_options": {"label": {"min_examples_per_class": 0}},
            "n_classes": 3,
            "label": "label",
            "pred_probs": "pred_probs",
            "features": "features",
        },
        (*OF_KEYS, *OF_LABELS, *_of_probabilities(), *OF_FEATURES, *OF_PROPERTIES),
        written={
            "": (
                *("id", "is_label_issue", "label_score", "given_label", "predicted_label"),
                *("is_outlier_issue", "outlier_score", "is_near_duplicate_issue"),
                *("near_duplicate_score", "near_duplicate_set", "distance_to_nearest_neighbor"),
                *("duplicate_group", "keep", "num_issues"),
            )
        },
        merged={"": "id"},
        metrics=(
            *(*ROWS, "issues", "rows_with_issues", "issue_rate", "health_score", "checks_failed"),
            *("label_issues", "label_score", "outlier_issues", "outlier_score"),
            *("near_duplicate_issues", "near_duplicate_score"),
            *("identifier_column_issues", "identifier_column_score", "neighbor_recall"),
            *("spurious_correlations_issues", "spurious_correlations_score"),
        ),
        class_metrics=(),
        drift=("drift_issue_rate",),
        refused=({"checks": ["outliers"]}, "checks: 'outliers' is none of 'null', 'label', "),
    ),
    "imbalance": Case(
        "imbalance",
        {"n_classes": 3},
        (*OF_KEYS, *OF_LABELS),
        written={"": ("id", "label", "is_class_imbalance_issue", "class_imbalance_score")},
        merged={"": "id"},
        metrics=(
            *(*ROWS, "rarest_class_share", "absent_classes", "imbalance_issues", "issue_rate"),
        ),
        class_metrics=("class_rows", "class_share"),
        drift=("drift_issue_rate", *SHARES),
        refused=({"threshold": 2.0}, "threshold"),
    ),
    "nulls": Case(
        "nulls",
        {"columns": ["value", "text"]},
        OF_KEYS,
        written={"": ("id", "is_null_issue", "null_score")},
        merged={"": "id"},
        metrics=(*ROWS, "mean_null_score", "null_issues", "issue_rate"),
        class_metrics=("null_share",),
        drift=("drift_issue_rate",),
        refused=({"columns": []}, "columns"),
    ),
    "groups": Case(
        "groups",
        {"clusters": "cluster_of", "min_cluster_samples": 1, "by": ["cluster_of"], "min_rows": 2},
        (*OF_KEYS, *OF_LABELS),
        written={
            "": ("id", "label", "is_underperforming_group_issue", "underperforming_group_score")
        },
        merged={"": "id"},
        metrics=(
            *(*ROWS, "clusters", "worst_group_score", "underperforming_rows", "issue_rate"),
            *("neighbor_recall", "worse_slices"),
        ),
        class_metrics=(),
        drift=("drift_issue_rate",),
        refused=({"eps": 0.3}, "eps is given, which does not go with clusters"),
    ),
    "detection": Case(
        "detection",
        {"n_classes": 3, "issue_rank": True},
        (
            *OF_KEYS,
            Fault("null labels", {"labels": None}),
            Fault("null predictions", {"predictions": None}),
            *(
                Fault(f"label box 0: {reason}", {"labels": [{**_BOX, **change}]})
                for change, reason in (
                    ({"label": 3}, "label out of range"),
                    ({"label": None}, "null label"),
                    ({"x1": NAN}, "coordinate null or not finite"),
                    ({"y1": None}, "coordinate null or not finite"),
                    ({"x2": -1.0}, "x2 below x1"),
                    ({"y2": -1.0}, "y2 below y1"),
                )
            ),
            *(
                Fault(
                    f"predicted box 0: {reason}", {"predictions": [{**_BOX, "prob": 0.5, **change}]}
                )
                for change, reason in (
                    ({"prob": None}, "probability null or not finite"),
                    ({"prob": 1.5}, "probability outside 0..1"),
                )
            ),
        ),
        written={"": ("id", "is_label_issue", "label_quality", "box_issues", "issue_rank")},
        merged={"": "id"},
        metrics=(
            *(*ROWS, "classes", "mean_label_quality", *ISSUES, "label_boxes", "predicted_boxes"),
            *("overlooked_boxes", "badloc_boxes", "swap_boxes", "mean_average_precision"),
        ),
        class_metrics=(
            *("class_boxes", "class_box_issues", "class_average_precision", "class_threshold"),
        ),
        drift=(*SHARES, "drift_issue_rate", "drift_class_threshold"),
        refused=FITTED_TWICE,
    ),
    "segmentation": Case(
        "segmentation",
        {"n_classes": 3},
        (
            *OF_KEYS,
            *OF_SHAPES,
            *(Fault(f"null {name}", {name: None}) for name in ("label_mask", "pred_probs")),
            Fault("label_mask_shape is no (H, W)", {"label_mask_shape": [24]}),
            Fault("unknown pred_probs_dtype", {"pred_probs_dtype": "number"}),
            Fault(
                "label_mask has another number of bytes than its shape and dtype say",
                {"label_mask": b"1"},
            ),
            Fault("pixel (0, 0): label out of range", {"label_mask": _pixel_bytes(3, "int32")}),
            *(
                Fault(f"pixel (0, 0): {reason}", {"pred_probs": _pixel_bytes(value, "float32")})
                for value, reason in OF_PIXELS
            ),
        ),
        **IMAGES,
    ),
    "nested images": Case(
        "nested_images",
        {"n_classes": 3},
        (
            *OF_KEYS,
            *(Fault(f"null {name}", {name: None}) for name in ("label_mask", "pred_probs")),
            Fault("null in label_mask", {"label_mask": _pixel(None)}),
            Fault("null in pred_probs", {"pred_probs": _pixel(None)}),
            Fault("label_mask is no whole array of shape (H, W)", {"label_mask": _first([0])}),
            Fault(
                "pred_probs of another number of classes", {"pred_probs": lambda probs: probs[1:]}
            ),
            Fault(
                "label_mask and pred_probs differ in height or width",
                {"label_mask": lambda mask: mask[1:]},
            ),
            Fault("pixel (0, 0): label out of range", {"label_mask": _pixel(-1)}),
            *(
                Fault(f"pixel (0, 0): {reason}", {"pred_probs": _pixel(value)})
                for value, reason in OF_PIXELS
            ),
        ),
        **IMAGES,
    ),
    "crowd": Case(
        "crowd",
        {"n_classes": 3, "pred_probs": ["p0", "p1"]},
        (
            Fault("null item", {"item": None}),
            Fault("duplicate item", {}, copies=2),
            Fault("no annotation", {}),
            *(
                Fault(f"p0: {fault.reason}", {"p0": fault.changes["pred_probs"]})
                for fault in _of_probabilities()
            ),
            Fault("p1: probability not finite", {"p1": [0.5, 0.5, NAN]}),
            *(
                Fault(reason, changes, copies, table="annotations")
                for reason, changes, copies in (
                    ("null item", {"item": None}, 1),
                    ("item not in the items", {"item": 77}, 1),
                    ("null annotator", {"annotator": None}, 1),
                    ("item labelled twice by the annotator", {}, 2),
                    ("null label", {"label": None}, 1),
                    ("label out of range", {"label": 3}, 1),
                )
            ),
        ),
        written={
            "": (
                *("item", "consensus_label", "consensus_quality_score"),
                *("annotator_agreement", "num_annotations"),
            ),
            "_annotations": ("item", "annotator", "label", "label_quality"),
            "_annotators": (
                *("annotator", "annotator_quality", "agreement_with_consensus", "worst_class"),
                *("num_examples_labeled", "annotator_weight"),
            ),
        },
        merged={"": "item", "_annotations": "item", "_annotators": "annotator"},
        metrics=(
            *(*ROWS, "annotations_scored", "annotations_quarantined", "annotators"),
            *("mean_label_quality", "mean_consensus_quality", "mean_annotator_agreement"),
        ),
        class_metrics=("class_rows", "class_mean_consensus_quality"),
        drift=SHARES,
        refused=({"consensus_method": "best"}, "consensus_method must be one of 'best_quality', "),
        inputs=("annotations", "input"),
        key="item",
        counted="items",
    ),
}
