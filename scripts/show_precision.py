"""Print which share of the worst-scored 5 % of rows has a wrong label, where the truth is known."""

import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq

SHARE = 0.05


def main(path: str) -> None:
    scores = pq.read_table(path).sort_by([("label_quality", "ascending"), ("id", "ascending")])
    wrong = pc.not_equal(scores["label"], scores["true_label"])
    n_lowest = round(SHARE * len(scores))
    n_wrong, n_found = pc.sum(wrong).as_py(), pc.sum(wrong[:n_lowest]).as_py()
    print(
        f"Of the {n_lowest} rows with the lowest label quality ({SHARE:.0%}), {n_found} have a "
        f"flipped label: precision {n_found / n_lowest:.2f}, "
        f"recall {n_found / n_wrong:.2f} of all {n_wrong} flipped labels. "
        f"By chance it would be {n_wrong / len(scores):.2f}."
    )


if __name__ == "__main__":
    main(sys.argv[1])
