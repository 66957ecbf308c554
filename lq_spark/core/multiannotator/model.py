"""What a data set says of its annotators and models, frozen: saved, and applied to other items.

Source: Goh, Tkachenko, Mueller, "CROWDLAB: Supervised learning to infer consensus labels and
quality scores for data with multiple annotators" (2022), arXiv:2210.06812.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.multiannotator.annotations import Annotations, count_votes
from lq_spark.core.multiannotator.crowdlab import CrowdlabWeights
from lq_spark.core.multiannotator.items import Items
from lq_spark.core.multiannotator.majority import VoteSummary
from lq_spark.core.multiannotator.temperature import Model
from lq_spark.core.shared.display import N_SHOWN, SmallTable
from lq_spark.core.shared.saved import Saved
from lq_spark.core.shared.selection import lowest
from lq_spark.errors import DataError

_KEYS = {
    "annotators",
    "n_classes",
    "classes",
    "consensus_method",
    "quality_method",
    "cleanlab_compatible",
    "temperatures",
    "votes",
    "majority_weights",
    "weights",
}


@dataclass(frozen=True, eq=False, repr=False)
class MultiannotatorModel(Saved):
    """How much each annotator and each model counts, and what decides tied votes.

    Attributes
    ----------
    annotators : tuple of int or str, length A
        Names, ascending; arrays of shape (A,) are in this order.
    n_classes : int
        K.
    classes : tuple of str, length K, or None
        Class names in the order of the probabilities, where labels are names.
    consensus_method, quality_method : str
        As in :func:`lq_spark.core.multiannotator.get_label_quality_multiannotator`.
    temperatures : tuple of M float or None
        What each model's probabilities are scaled with; None: they are taken as they are.
    votes : VoteSummary
    majority_weights, weights : CrowdlabWeights or None
        Under the majority vote, and under the consensus; None where the quality is the agreement.
    cleanlab_compatible : bool
    """

    NOUN: ClassVar[str] = "crowd_model"  # the name in files that are there, older than the class's
    FORMAT_VERSION: ClassVar[int] = 1

    annotators: tuple[int, ...] | tuple[str, ...]
    n_classes: int
    classes: tuple[str, ...] | None
    consensus_method: str
    quality_method: str
    temperatures: tuple[float | None, ...]
    votes: VoteSummary
    majority_weights: CrowdlabWeights | None
    weights: CrowdlabWeights | None
    cleanlab_compatible: bool = False

    @property
    def n_models(self) -> int:
        """Return M."""
        return len(self.temperatures)

    def unnamed(self) -> MultiannotatorModel:
        """Return the model without the names, which no formula needs."""
        return replace(self, annotators=())

    def items_of(
        self,
        annotations: Annotations,
        pred_probs: Sequence[NDArray[np.floating]],
        item_ids: NDArray[np.int64] | None = None,
    ) -> Items:
        """Return any items; their annotators are numbered in the order of their names."""
        return Items.of(
            annotations,
            count_votes(annotations),
            tuple(map(Model, pred_probs, self.temperatures)),
            self.votes,
            item_ids,
            cleanlab_compatible=self.cleanlab_compatible,
        )

    def consensus(self, items: Items) -> NDArray[np.int64]:
        """Return the consensus of each item, shape (n,)."""
        if self.consensus_method == "majority_vote":
            return items.majority
        return items.best_consensus(self.majority_weights)

    def _facts(self) -> dict[str, Any]:
        return {
            "classes": self.n_classes,
            "annotators": len(self.annotators),
            "models": self.n_models,
            "labels per item": self.votes.labels_per_item,
            "consensus by": self.consensus_method,
        }

    def _tables(self) -> list[SmallTable]:
        if not self.annotators:
            return []
        places = lowest(self.votes.agreement, N_SHOWN)
        columns: dict[str, list[Any]] = {
            "annotator": [str(self.annotators[a]) for a in places],
            "agreement with others": self.votes.agreement[places].tolist(),
        }
        if self.weights is not None:
            columns["weight"] = self.weights.annotators[places].tolist()
        bars = {"agreement with others": 1.0}
        return [SmallTable("annotators who agree least with others", columns, bars)]

    def _content(self) -> dict[str, Any]:
        return {
            "annotators": self.annotators,
            "n_classes": self.n_classes,
            "classes": self.classes,
            "consensus_method": self.consensus_method,
            "quality_method": self.quality_method,
            "cleanlab_compatible": self.cleanlab_compatible,
            "temperatures": self.temperatures,
            **{
                name: None if part is None else _listed(part)
                for name, part in (
                    ("votes", self.votes),
                    ("majority_weights", self.majority_weights),
                    ("weights", self.weights),
                )
            },
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> MultiannotatorModel:
        cls._require_keys(content, _KEYS)
        names = cls._checked_list(content, "annotators", (int, str))
        try:
            model = cls(
                annotators=names,
                n_classes=int(content["n_classes"]),
                classes=None if content["classes"] is None else tuple(content["classes"]),
                consensus_method=str(content["consensus_method"]),
                quality_method=str(content["quality_method"]),
                temperatures=tuple(content["temperatures"]),
                votes=_votes(content["votes"]),
                majority_weights=_weights(content["majority_weights"]),
                weights=_weights(content["weights"]),
                cleanlab_compatible=bool(content["cleanlab_compatible"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{cls.NOUN}: the JSON is no fitted model ({error!r})") from error
        sizes = {len(names), len(model.votes.agreement), len(model.votes.clear_agreement)}
        if model.weights is not None:
            sizes.add(len(model.weights.annotators))
        if len(sizes) > 1 or len(model.votes.class_counts) != model.n_classes:
            raise DataError(
                f"{cls.NOUN}: numbers of annotators {sorted(sizes)} or of classes "
                f"{sorted({len(model.votes.class_counts), model.n_classes})} differ"
            )
        return model


def _listed(part: VoteSummary | CrowdlabWeights) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(part).items()
    }


def _votes(content: dict[str, Any]) -> VoteSummary:
    return VoteSummary(
        np.array(content["class_counts"], dtype=np.int64),
        np.array(content["clear_agreement"], dtype=np.float64),
        np.array(content["agreement"], dtype=np.float64),
        float(content["labels_per_item"]),
    )


def _weights(content: dict[str, Any] | None) -> CrowdlabWeights | None:
    if content is None:
        return None
    return CrowdlabWeights(
        np.array(content["annotators"], dtype=np.float64),
        np.array(content["models"], dtype=np.float64),
        float(content["agreement"]),
        float(content["labels_per_item"]),
    )
