"""Make scripts/data/digits.parquet: real digits, 5 % of labels flipped, a model's probabilities.

The images are scikit-learn's handwritten digits (UCI "Optical recognition of handwritten digits").
The model never sees the true labels: it is cross-validated on the flipped ones, as a user's is.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

FLIPPED_SHARE = 0.05


def main() -> None:
    digits = load_digits()
    rng = np.random.default_rng(0)
    n = len(digits.target)
    label = digits.target.copy()
    flipped = rng.choice(n, round(FLIPPED_SHARE * n), replace=False)
    label[flipped] = (label[flipped] + rng.integers(1, 10, len(flipped))) % 10
    model = ExtraTreesClassifier(300, random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    probs = cross_val_predict(model, digits.data, label, cv=folds, method="predict_proba")
    table = pa.table(
        {
            "id": pa.array(np.arange(n)),
            "label": pa.array(label, pa.int32()),
            "true_label": pa.array(digits.target, pa.int32()),
            "pred_probs": pa.array(list(probs.astype(np.float32)), pa.list_(pa.float32())),
            # 8 by 8 pixels, 0 black to 16 white.
            "image": pa.array(list((16 - digits.data).astype(np.int16)), pa.list_(pa.int16())),
        }
    )
    path = Path(__file__).parent / "data" / "digits.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)
    print(f"{path.name}: {n} rows, {len(flipped)} flipped, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
