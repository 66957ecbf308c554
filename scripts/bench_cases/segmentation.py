"""The label issues and scores of images with a label a pixel, in both forms of columns."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, nested_lists

N_CLASSES, SIDE = 20, 512


def make_data(folder: Path, n_images: int, seed: int = 0) -> int:
    """Write seeded float32 softmax output in both forms, 5 % of the labels replaced by chance."""
    rng = np.random.default_rng(seed)
    shape = (SIDE, SIDE)
    sizes = pa.list_(pa.int32())
    kinds = {"id": pa.int64(), "label_mask": pa.binary(), "pred_probs": pa.binary()}
    kinds |= {"label_mask_shape": sizes, "pred_probs_shape": sizes}
    kinds |= {"label_mask_dtype": pa.string(), "pred_probs_dtype": pa.string()}
    of_bytes = pa.schema(kinds)
    floats = pa.list_(pa.list_(pa.list_(pa.float32())))
    kinds = {"id": pa.int64(), "label_mask": pa.list_(pa.list_(pa.int32())), "pred_probs": floats}
    of_lists = pa.schema(kinds)
    how = {"compression": None, "use_dictionary": False}  # probabilities do not compress
    with (
        pq.ParquetWriter(folder / "bytes.parquet", of_bytes, **how) as bytes_writer,
        pq.ParquetWriter(folder / "nested.parquet", of_lists, **how) as lists_writer,
    ):
        for i in range(n_images):
            truth = rng.integers(0, N_CLASSES, shape)
            logits = rng.standard_normal((N_CLASSES, *shape), dtype=np.float32)
            rows, columns = np.indices(shape)
            logits[truth, rows, columns] += 6
            probs = np.exp(logits)
            probs /= probs.sum(axis=0)
            noise = rng.random(shape) < 0.05
            mask = np.where(noise, rng.integers(0, N_CLASSES, shape), truth).astype(np.int32)
            row = {
                "id": i,
                "label_mask": mask.astype(np.uint8).tobytes(),
                "pred_probs": probs.tobytes(),
                "label_mask_shape": mask.shape,
                "pred_probs_shape": probs.shape,
                "label_mask_dtype": "uint8",
                "pred_probs_dtype": "float32",
            }
            bytes_writer.write_table(pa.Table.from_pylist([row], schema=of_bytes))
            lists = [pa.array([i]), nested_lists(mask[None]), nested_lists(probs[None])]
            lists_writer.write_table(pa.table(lists, schema=of_lists))
    return n_images * SIDE * SIDE


def cleanlab(folder: str, out: str, *, n_jobs: int | None) -> Run:
    """Return the same by cleanlab, from a file to a file."""
    from cleanlab.segmentation.filter import find_label_issues
    from cleanlab.segmentation.rank import get_label_quality_scores

    def run() -> None:
        table = pq.read_table(f"{folder}/bytes.parquet")
        n, shape = len(table), (SIDE, SIDE)
        masks, probs = np.empty((n, *shape), np.uint8), np.empty((n, N_CLASSES, *shape), np.float32)
        for i in range(n):
            mask, image = (table[name][i].as_buffer() for name in ("label_mask", "pred_probs"))
            masks[i] = np.frombuffer(mask, np.uint8).reshape(shape)
            probs[i] = np.frombuffer(image, np.float32).reshape(N_CLASSES, *shape)
        issues = find_label_issues(masks, probs, n_jobs=n_jobs, verbose=False)
        scores, _ = get_label_quality_scores(masks, probs, verbose=False)
        result = {
            "id": table["id"],
            "num_pixel_issues": issues.sum(axis=(1, 2)),
            "label_quality": scores,
            "issue_mask": [mask.tobytes() for mask in issues],
        }
        pq.write_table(pa.table(result), f"{out}/scores.parquet")

    return run


# As cleanlab's defaults are, and in one process, where it is faster.
_CLEANLAB = {"cleanlab": partial(cleanlab, n_jobs=None), "cleanlab_1": partial(cleanlab, n_jobs=1)}
_CASE = partial(Case, "segmentation", sizes=("32",), make_data=make_data, driver_memory="4g")

_JOB = partial(job, task="segmentation")

CASES = (
    _CASE(
        "bytes",
        ours=partial(job, task="segmentation", rows="bytes"),
        others=_CLEANLAB,
        units="pixels",
    ),
    _CASE("nested", ours=partial(job, task="segmentation", rows="nested"), units="pixels"),
)
