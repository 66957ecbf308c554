"""Print how many of the wrong labels a run of the job found, where the truth is known.

python scripts/show_precision.py OUTPUT     # OUTPUT has the column true_label
"""

import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SHARE = 0.05


def precision_and_recall(found: pa.Table, n_wrong: int) -> str:
    n_right = pc.sum(pc.not_equal(found["label"], found["true_label"])).as_py() or 0
    return (
        f"{n_right:,} have a wrong label: precision {n_right / max(len(found), 1):.3f}, "
        f"recall {n_right / n_wrong:.3f}"
    )


def main(path: str) -> None:
    rows = pq.read_table(path).sort_by([("label_quality", "ascending"), ("id", "ascending")])
    n_wrong = pc.sum(pc.not_equal(rows["label"], rows["true_label"])).as_py()
    print(f"{n_wrong:,} of {len(rows):,} labels are wrong, a share of {n_wrong / len(rows):.3f}.")
    lowest = rows[: round(SHARE * len(rows))]
    print(
        f"Of the {len(lowest):,} rows with the lowest label quality ({SHARE:.0%}), "
        f"{precision_and_recall(lowest, n_wrong)}."
    )
    if "is_label_issue" in rows.column_names:
        issues = rows.filter(rows["is_label_issue"])
        print(f"Of the {len(issues):,} label issues, {precision_and_recall(issues, n_wrong)}.")


if __name__ == "__main__":
    main(sys.argv[1])
