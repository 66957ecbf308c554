"""The names of the columns that tasks add, and the reasons why a row cannot be scored."""

from __future__ import annotations

LABEL_QUALITY = "label_quality"
PREDICTED_LABEL = "predicted_label"
IS_LABEL_ISSUE = "is_label_issue"
ISSUE_RANK = "issue_rank"
IS_OUTLIER_ISSUE = "is_outlier_issue"
OUTLIER_SCORE = "outlier_score"
IS_DATA_VALUATION_ISSUE = "is_data_valuation_issue"
DATA_VALUATION_SCORE = "data_valuation_score"
IS_NON_IID_ISSUE = "is_non_iid_issue"
NON_IID_SCORE = "non_iid_score"
NUM_ISSUES = "num_issues"
INVALID_REASON = "invalid_reason"

NULL_ID, DUPLICATE_ID = "null id", "duplicate id"

NO_LABEL, NO_CLASS, NOT_WHOLE = "null label", "label not in classes", "label not a whole number"
OUT_OF_RANGE = "label out of range"
NO_LABELS = "null labels"

NO_PRED_PROBS = "null pred_probs"
WRONG_LENGTH = "pred_probs of wrong length"
NO_PROBABILITY = "null probability"
