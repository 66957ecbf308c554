"""What the checks of an audit are called."""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    *("null", "label", "outlier", "near_duplicate", "exact_duplicate", "non_iid"),
    *("class_imbalance", "underperforming_group", "data_valuation", "identifier_column"),
    "spurious_correlations",
)
"""Those of labels of exclusive classes, in the order in which they run; of others some of them."""

ON_REQUEST: Final = ("exact_duplicate", "data_valuation", "identifier_column")
"""Those that run only if they are named."""

OF_COLUMNS: Final = ("identifier_column", "spurious_correlations")
"""Those whose issues are columns, not rows."""
