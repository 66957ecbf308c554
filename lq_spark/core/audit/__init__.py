"""What an audit of several checks needs beside the checks."""

from lq_spark.core.audit.votes import neighbor_votes

__all__ = ["neighbor_votes"]
