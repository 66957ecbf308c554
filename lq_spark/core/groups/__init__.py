"""Groups of rows: is the label quality of one of them lower than that of the others."""

from lq_spark.core.groups.clusters import dbscan_labels
from lq_spark.core.groups.performance import find_underperforming_group
from lq_spark.core.groups.slices import find_worse_groups

__all__ = ["dbscan_labels", "find_underperforming_group", "find_worse_groups"]
