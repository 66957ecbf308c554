"""The label issues of images with about 7 labelled and 50 predicted boxes."""

from __future__ import annotations

import contextlib
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, lists

N_CLASSES = 80
MEAN_LABELS, MEAN_PREDICTIONS = 7, 50
SIZE = 640
BLOCK = 5_000
CORNERS = ("x1", "y1", "x2", "y2")


def make_data(folder: Path, n_images: int, seed: int = 0) -> int:
    """Write seeded images as Parquet: objects found, missed and misplaced."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(N_CLASSES, 0.3))
    writer = None
    for start in range(0, n_images, BLOCK):
        n = min(BLOCK, n_images - start)
        image = np.repeat(np.arange(n), rng.poisson(MEAN_LABELS, n))
        corner = rng.uniform(0, SIZE, (len(image), 2))
        truth = np.hstack([corner, corner + rng.lognormal(4, 0.8, (len(image), 2))])
        classes = rng.choice(N_CLASSES, len(image), p=shares)
        kept = rng.random(len(image)) < 0.98
        wrong = rng.random(len(image)) < 0.02
        given = np.where(wrong, rng.integers(N_CLASSES, size=len(image)), classes)
        found = np.repeat(np.arange(len(image)), rng.poisson(1.5, len(image)))
        near = truth[found] + rng.normal(0, 6, (len(found), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        other = np.repeat(np.arange(n), rng.poisson(MEAN_PREDICTIONS - 1.5 * MEAN_LABELS, n))
        corner = rng.uniform(0, SIZE, (len(other), 2))
        far = np.hstack([corner, corner + rng.lognormal(4, 0.8, corner.shape)])
        probs = np.concatenate([rng.beta(4, 1, len(found)), rng.beta(0.4, 4, len(other))])
        predicted = np.concatenate([classes[found], rng.choice(N_CLASSES, len(other), p=shares)])
        everywhere = np.concatenate([image[found], other])
        table = pa.table(
            {
                "id": np.arange(start, start + n),
                "labels": _boxes(n, image[kept], truth[kept], given[kept]),
                "predictions": _boxes(n, everywhere, np.vstack([near, far]), predicted, probs),
            }
        )
        writer = writer or pq.ParquetWriter(folder / "images.parquet", table.schema)
        writer.write_table(table, row_group_size=1000)
    if writer:
        writer.close()
    return n_images


def _boxes(
    n_images: int,
    image: np.ndarray,
    corners: np.ndarray,
    classes: np.ndarray,
    probs: np.ndarray | None = None,
) -> pa.Array:
    order = np.argsort(image, kind="stable")
    fields = dict(zip(CORNERS, corners[order].T.astype(np.float32), strict=True))
    fields["label"] = classes[order].astype(np.int32)
    if probs is not None:
        fields["prob"] = probs[order].astype(np.float32)
    boxes = pa.StructArray.from_arrays(list(map(pa.array, fields.values())), list(fields))
    return lists(np.bincount(image, minlength=n_images), boxes)


def on_lists(folder: str, out: str, *, package: str) -> Run:
    """Return cleanlab's functions on the images in memory, or ours of the same names."""
    if package == "cleanlab":
        from cleanlab.object_detection.filter import find_label_issues
        from cleanlab.object_detection.rank import get_label_quality_scores
    else:
        from lq_spark.core.detection import find_label_issues, get_label_quality_scores
    labels, predictions = _lists_of(folder)

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            find_label_issues(labels, predictions)
            get_label_quality_scores(labels, predictions)

    return run


def _lists_of(folder: str) -> tuple[list[dict[str, Any]], list[list[np.ndarray]]]:
    """Return images as cleanlab takes them."""
    table = pq.read_table(f"{folder}/images.parquet").combine_chunks()

    def images(name: str, fields: tuple[str, ...]) -> Any:
        column = table[name].combine_chunks()
        flat = column.flatten()
        columns = [flat.field(field).to_numpy(zero_copy_only=False) for field in fields]
        ends = column.offsets.to_numpy()[1:-1]
        labels = np.split(flat.field("label").to_numpy(), ends)
        return zip(np.split(np.column_stack(columns), ends), labels, strict=True)

    labels = [{"bboxes": boxes, "labels": of} for boxes, of in images("labels", CORNERS)]
    predictions = [
        [rows[of == k] for k in range(N_CLASSES)]
        for rows, of in images("predictions", (*CORNERS, "prob"))
    ]
    return labels, predictions


_IN_MEMORY = {name: partial(on_lists, package=name) for name in ("core", "cleanlab")}
_CASE = partial(
    Case,
    "detection",
    sizes=("100000",),
    make_data=make_data,
    ours=partial(job, task="detection", rows="images", n_classes=N_CLASSES),
)

CASES = (
    _CASE("images", units="images"),
    _CASE("images_hundredth", units="images", others=_IN_MEMORY, share=0.01),
)
