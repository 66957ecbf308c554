"""What the columns of the outputs are, for whoever looks at the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lq_spark.tasks.detection.batches import BOX_ISSUES
from lq_spark.tasks.multiannotator.batches import (
    AGREEMENT_WITH_CONSENSUS,
    ANNOTATOR_QUALITY,
    ANNOTATOR_WEIGHT,
    N_LABELLED,
    WORST_CLASS,
)
from lq_spark.tasks.multiannotator.results import (
    ANNOTATOR_AGREEMENT,
    CONSENSUS_LABEL,
    CONSENSUS_QUALITY,
    NUM_ANNOTATIONS,
)
from lq_spark.tasks.multiclass.flags import IS_LABEL_ISSUE, ISSUE_RANK
from lq_spark.tasks.multilabel.issues import SUGGESTED_LABELS, SUSPECT_CLASSES
from lq_spark.tasks.segmentation.batches import (
    ISSUE_MASK,
    ISSUE_MASK_SHAPE,
    NUM_PIXEL_ISSUES,
    PIXEL_ISSUE_SHARE,
)
from lq_spark.tasks.shared.table import INVALID_REASON, LABEL_QUALITY, PREDICTED_LABEL
from lq_spark.tasks.tokens.batches import (
    SENTENCE_QUALITY,
    TOKEN_QUALITIES,
    WORST_GIVEN_LABEL,
    WORST_PREDICTED_LABEL,
    WORST_TOKEN_INDEX,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

COMMENTS = {
    LABEL_QUALITY: "How likely the given label is right: 1 clean, 0 suspect",
    PREDICTED_LABEL: "Class of the highest predicted probability, or the predicted number",
    IS_LABEL_ISSUE: "Whether the given label is probably wrong",
    ISSUE_RANK: "Place among the label issues, 1 the worst; null where there is none",
    INVALID_REASON: "Why the row cannot be scored",
    SUSPECT_CLASSES: "Classes that the row is given wrongly, or lacks",
    SUGGESTED_LABELS: "The given labels without those given wrongly, with those that are missing",
    BOX_ISSUES: "Boxes with an issue, lowest score first; an overlooked one is a predicted box",
    NUM_PIXEL_ISSUES: "How many pixels of the image have a label issue",
    PIXEL_ISSUE_SHARE: "Their share of the pixels",
    ISSUE_MASK: "Which pixels: a byte each, row by row, 1 for an issue",
    ISSUE_MASK_SHAPE: "Height and width of that mask",
    SENTENCE_QUALITY: "How likely all labels of the sentence are right: 1 clean, 0 suspect",
    TOKEN_QUALITIES: "Label quality of each token, in their order",
    WORST_TOKEN_INDEX: "Place of the token of lowest label quality, from 0",
    WORST_GIVEN_LABEL: "Given label of that token",
    WORST_PREDICTED_LABEL: "Predicted label of that token",
    CONSENSUS_LABEL: "Label that annotators and models together find most likely",
    CONSENSUS_QUALITY: "How likely the consensus label is right: 1 clean, 0 suspect",
    ANNOTATOR_AGREEMENT: "Share of the item's labels that are the consensus",
    NUM_ANNOTATIONS: "Number of labels of the item",
    ANNOTATOR_QUALITY: "How likely the annotator's labels are right: 1 good, 0 bad",
    AGREEMENT_WITH_CONSENSUS: "Share of the annotator's labels that are the consensus",
    WORST_CLASS: "Class whose labels by the annotator are the least often the consensus",
    N_LABELLED: "Number of labels of the annotator",
    ANNOTATOR_WEIGHT: "How much the annotator counts beside the others and the models",
}


def commented(df: DataFrame) -> DataFrame:
    """Return the rows with comments at the columns that the package adds."""
    for name in df.columns:
        if name in COMMENTS:
            df = df.withMetadata(name, {"comment": COMMENTS[name]})
    return df
