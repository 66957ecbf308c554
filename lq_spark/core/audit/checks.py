"""What the checks of an audit are called, and what they look for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MEANINGS: Final[Mapping[str, str]] = {
    "null": "rows without any value",
    "label": "labels that are probably wrong (confident learning; Northcutt, Jiang, Chuang 2021)",
    "outlier": "rows far from their nearest neighbours (Kuan, Mueller 2022)",
    "near_duplicate": "rows that another row is nearly equal to",
    "exact_duplicate": "rows that another row is equal to",
    "non_iid": "one row, if near rows lie together in the table, so that its order is not random "
    "(Cummings, Snorrason, Mueller 2023)",
    "class_imbalance": "rows of the rarest class, if it is too rare",
    "underperforming_group": "rows of the cluster whose labels the model knows least",
    "data_valuation": "rows that harm predictions near them (KNN-Shapley; Jia et al. 2019)",
    "identifier_column": "columns that number the rows",
    "spurious_correlations": "properties from which alone the classes can be told",
}
"""What the issues of each check are."""

NAMES: Final = tuple(MEANINGS)
"""Those of labels of exclusive classes, in the order in which they run; of others some of them."""

ON_REQUEST: Final = ("exact_duplicate", "data_valuation", "identifier_column")
"""Those that run only if they are named."""
