"""CROWDLAB on annotations by 20,000 annotators, three or four of each item."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, nested_lists, softmax

N_CLASSES = 10
ITEMS_PER_ANNOTATION = 0.3
BLOCK = 100_000


def make_data(folder: Path, n: int, n_annotators: int = 20_000, seed: int = 0) -> int:
    """Write seeded items and about n annotations as Parquet; return how many annotations."""
    rng = np.random.default_rng(seed)
    skill = rng.beta(8, 2, n_annotators)
    names = np.array([f"annotator {a:05d}" for a in range(n_annotators)])
    items_schema = pa.schema({"item": pa.int64(), "pred_probs": pa.list_(pa.float32())})
    annotations_schema = pa.schema(
        {"item": pa.int64(), "annotator": pa.string(), "label": pa.int32()}
    )
    n_items, n_annotations = int(n * ITEMS_PER_ANNOTATION), 0
    with (
        pq.ParquetWriter(folder / "items.parquet", items_schema) as items,
        pq.ParquetWriter(folder / "annotations.parquet", annotations_schema) as annotations,
    ):
        for start in range(0, n_items, BLOCK):
            ids = np.arange(start, min(start + BLOCK, n_items))
            truth = rng.integers(0, N_CLASSES, len(ids))
            probs = nested_lists(softmax(rng, truth, N_CLASSES, 3))
            items.write_table(pa.table([ids, probs], schema=items_schema))
            item = np.repeat(
                np.arange(len(ids)), 1 + rng.poisson(1 / ITEMS_PER_ANNOTATION - 1, len(ids))
            )
            who = rng.integers(0, n_annotators, len(item))
            pairs = np.unique(np.stack([item, who]), axis=1)
            item, who = pairs[:, rng.permutation(pairs.shape[1])]
            right = rng.random(len(item)) < skill[who]
            label = np.where(right, truth[item], rng.integers(0, N_CLASSES, len(item)))
            columns = [ids[item], names[who], label.astype(np.int32)]
            annotations.write_table(pa.table(columns, schema=annotations_schema))
            n_annotations += len(item)
    return n_annotations


def cleanlab(folder: str, out: str) -> Run:
    """Return the same by cleanlab, whose matrix is as wide as there are annotators."""
    from cleanlab.multiannotator import (
        convert_long_to_wide_dataset,
        get_label_quality_multiannotator,
    )

    def run() -> None:
        long = pq.read_table(f"{folder}/annotations.parquet").to_pandas()
        column = pq.read_table(f"{folder}/items.parquet")["pred_probs"].combine_chunks()
        pred_probs = column.flatten().to_numpy().reshape(-1, N_CLASSES)
        wide = convert_long_to_wide_dataset(long.rename(columns={"item": "task"}))
        found = get_label_quality_multiannotator(wide, pred_probs, verbose=False)
        for name in ("label_quality", "detailed_label_quality", "annotator_stats"):
            found[name].to_parquet(f"{out}/{name}.parquet")

    return run


_CASE = partial(
    Case,
    "multiannotator",
    sizes=("5000000",),
    make_data=make_data,
    ours=partial(
        job,
        task="multiannotator",
        rows="items",
        annotations="{folder}/annotations.parquet",
        n_classes=N_CLASSES,
    ),
    units="annotations",
)

CASES = (
    _CASE("crowd", runs=1),
    _CASE("crowd_tenth", share=0.1, runs=1),
    # What cleanlab's matrix can hold: few items, or few annotators.
    _CASE("few_items", others={"cleanlab": cleanlab}, share=1 / 3000),
    _CASE(
        "few_annotators",
        others={"cleanlab": cleanlab},
        share=2 / 15,
        data_options={"n_annotators": 50},
    ),
)
