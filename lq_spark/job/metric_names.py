"""The names of the metrics that conditions may be about; drift is against an earlier run."""

from __future__ import annotations

DRIFT = ("drift_class_shares", "drift_issue_rate", "drift_joint")
CLASS_DRIFT = ("drift_class_share", "drift_class_threshold")

ROWS = ("rows", "rows_scored", "rows_quarantined", "classes", "mean_label_quality")
CLASS_ROWS = ("class_rows", "class_mean_label_quality", "class_rows_predicted_otherwise")

TOKENS = ("sentences_scored", "sentences_quarantined", "tokens_scored", "mean_sentence_quality")
CLASS_TOKENS = ("class_tokens", "class_mean_label_quality", "class_tokens_predicted_otherwise")

PIXELS = ("pixels_scored", "images_with_issues", "label_issues", "issue_rate")
CLASS_PIXELS = ("class_pixels", "pair_label_issues")

LABEL_SETS = ("wrong_labels", "missing_labels")
CLASS_LABEL_SETS = ("class_rows", "class_missing_labels")

BOXES = (
    "label_boxes",
    "predicted_boxes",
    "overlooked_boxes",
    "badloc_boxes",
    "swap_boxes",
    "mean_average_precision",
)
CLASS_BOXES = ("class_boxes", "class_box_issues", "class_average_precision")

ISSUES = ("label_issues", "issue_rate", "label_health_score")
CLASS_ISSUES = ("class_label_issues", "class_issue_rate")

CROWD = (
    "rows",
    "rows_scored",
    "rows_quarantined",
    "annotations_scored",
    "annotations_quarantined",
    "annotators",
    "mean_label_quality",
    "mean_consensus_quality",
    "mean_annotator_agreement",
    "drift_class_shares",
)
CLASS_CONSENSUS = ("class_rows", "class_mean_consensus_quality", "drift_class_share")

NUMBERS = (
    "rows",
    "rows_scored",
    "rows_quarantined",
    "mean_label_quality",
    "label_issues",
    "issue_rate",
    "r_squared",
    "mean_residual",
    "rms_residual",
    "drift_issue_rate",
)
RESIDUAL_QUANTILES = ("residual_quantile",)

THRESHOLDS = ("class_threshold",)

OF_ISSUES = {*ISSUES, *CLASS_ISSUES, "drift_issue_rate", "drift_joint"}
"""Those that are there only where issues are sought."""
