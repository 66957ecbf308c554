"""Every check over one table, in one call."""

from lq_spark.tasks.audit.by_neighbors import (
    DataValuation,
    ExactDuplicate,
    NearDuplicate,
    NonIid,
    Outlier,
    UnderperformingGroup,
)
from lq_spark.tasks.audit.check import Check, Checked
from lq_spark.tasks.audit.issues import find_issues, validate
from lq_spark.tasks.audit.labels import ClassImbalance, LabelIssue, LabelSetIssue, NumberIssue
from lq_spark.tasks.audit.result import Audit
from lq_spark.tasks.audit.table import AuditTable
from lq_spark.tasks.audit.values import IdentifierColumn, Null, SpuriousCorrelations

__all__ = [
    "Audit",
    "AuditTable",
    "Check",
    "Checked",
    "ClassImbalance",
    "DataValuation",
    "ExactDuplicate",
    "IdentifierColumn",
    "LabelIssue",
    "LabelSetIssue",
    "NearDuplicate",
    "NonIid",
    "Null",
    "NumberIssue",
    "Outlier",
    "SpuriousCorrelations",
    "UnderperformingGroup",
    "find_issues",
    "validate",
]
