"""Order of the rows: are rows that lie near in the table more alike than by chance."""

from lq_spark.core.noniid.api import find_non_iid

__all__ = ["find_non_iid"]
