"""Print how well classifiers do that are trained with wrong labels: as they are, and cleaned.

For each data set of scikit-learn and each seed: a third of the rows is kept for the test, the
labels of the others are made wrong by a random noise matrix, and three classifiers are trained with
all of them, without the label issues that CleanLearning finds, and with the true labels. Accuracy
is that of the true labels of the test: mean over the seeds, and the range.

    python scripts/measure_cleaning.py --seeds 5
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lq_spark import benchmark, local, training

DATA = {"digits": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine}
CLASSIFIERS = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "random forest": RandomForestClassifier(random_state=0),
    "gradient boosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
}
NOISE = (0.0, 0.2, 0.4)


def accuracies(name: str, share: float, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """Yield (classifier, accuracy with noisy, cleaned, true labels); a share of them is wrong."""
    features, true = DATA[name](return_X_y=True)
    train, test = train_test_split(
        np.arange(len(true)), test_size=1 / 3, random_state=seed, stratify=true
    )
    k = int(true.max()) + 1
    matrix = np.eye(k)
    if share:
        matrix = benchmark.generate_noise_matrix_from_trace(
            k, trace=k * (1 - share), py=np.bincount(true[train]) / len(train), seed=seed
        )
    spark = local.session()
    rows = {"id": train, "label": true[train], "features": features[train].tolist()}
    table = benchmark.noisy_labels(spark.createDataFrame(pd.DataFrame(rows)), matrix, seed=seed)
    noisy = np.array([row[0] for row in table.orderBy("id").select("noisy_label").collect()])
    in_order, held_out = np.sort(train), features[test]
    given = table.withColumn("label", table.noisy_label).drop("noisy_label")
    unseen = spark.createDataFrame(
        pd.DataFrame({"label": true[test], "features": held_out.tolist()})
    )
    for called, classifier in CLASSIFIERS.items():
        with_noise, with_truth = (
            clone(classifier).fit(features[in_order], labels).score(held_out, true[test])
            for labels in (noisy, true[in_order])
        )
        cleaned = training.CleanLearning(classifier, seed=seed).fit(given)
        yield called, with_noise, cleaned.score(unseen), with_truth


def shown(values: np.ndarray) -> str:
    """Return a mean and a range in percent."""
    mean, low, high = 100 * values.mean(), 100 * values.min(), 100 * values.max()
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--noise", type=float, nargs="+", default=NOISE, help="shares of labels")
    chosen = parser.parse_args()
    print("| data | wrong labels | classifier | as given | cleaned | true labels | gain |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in DATA:
        for share in chosen.noise:
            found: dict[str, list[tuple[float, float, float]]] = {}
            for seed in range(chosen.seeds):
                for called, *figures in accuracies(name, share, seed):
                    found.setdefault(called, []).append(tuple(figures))
            for called, figures in found.items():
                given, cleaned, true = np.array(figures).T
                gain = shown(cleaned - given)
                print(
                    f"| {name} | {share:.0%} | {called} | {shown(given)} | {shown(cleaned)} | "
                    f"{shown(true)} | {gain} |",
                    flush=True,
                )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
