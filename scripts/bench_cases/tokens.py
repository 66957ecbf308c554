"""The softmin scores of sentences of about 20 tokens, in both shapes of table."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench_cases.case import Case, Run, job, lists, nested_lists, softmax

N_CLASSES = 13
MEAN_LENGTH = 20
BLOCK = 50_000


def make_data(folder: Path, n_sentences: int, seed: int = 0) -> int:
    """Write seeded sentences as float32 Parquet in both shapes; return the number of tokens."""
    rng = np.random.default_rng(seed)
    vector, key = pa.list_(pa.float32()), {"sentence_id": pa.int64()}
    schemas = {
        "nested": pa.schema(
            {**key, "labels": pa.list_(pa.int32()), "pred_probs": pa.list_(vector)}
        ),
        "long": pa.schema(
            {**key, "token_index": pa.int32(), "label": pa.int32(), "pred_probs": vector}
        ),
    }
    n_tokens = 0
    with (
        pq.ParquetWriter(folder / "nested.parquet", schemas["nested"]) as nested_writer,
        pq.ParquetWriter(folder / "long.parquet", schemas["long"]) as long_writer,
    ):
        for start in range(0, n_sentences, BLOCK):
            ids = np.arange(start, min(start + BLOCK, n_sentences))
            lengths = rng.integers(1, 2 * MEAN_LENGTH, len(ids))
            n = int(lengths.sum())
            n_tokens += n
            truth = np.where(rng.random(n) < 0.9, 0, rng.integers(0, N_CLASSES, n))
            vectors = nested_lists(softmax(rng, truth, N_CLASSES, 6))
            noise = rng.random(n) < 0.02
            label = np.where(noise, rng.integers(0, N_CLASSES, n), truth).astype(np.int32)
            columns = [ids, lists(lengths, label), lists(lengths, vectors)]
            nested_writer.write_table(pa.table(columns, schema=schemas["nested"]))
            place = np.arange(n) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            columns = [np.repeat(ids, lengths), place.astype(np.int32), label, vectors]
            long_writer.write_table(pa.table(columns, schema=schemas["long"]))
    return n_tokens


def cleanlab(folder: str, out: str) -> Run:
    """Return cleanlab's scoring of the same sentences."""
    from cleanlab.token_classification.rank import get_label_quality_scores

    def run() -> None:
        table = pq.read_table(f"{folder}/nested.parquet")
        labels = table["labels"].to_pylist()
        column = table["pred_probs"].combine_chunks()
        matrix = column.flatten().flatten().to_numpy().reshape(-1, N_CLASSES)
        ends = np.cumsum([len(sentence) for sentence in labels])
        scores, per_token = get_label_quality_scores(
            labels, np.split(matrix, ends[:-1]), sentence_score_method="softmin"
        )
        result = {
            "sentence_id": table["sentence_id"],
            "sentence_quality": scores,
            "token_qualities": [series.to_numpy() for series in per_token],
        }
        pq.write_table(pa.table(result), f"{out}/sentences.parquet")

    return run


_SENTENCES = partial(
    job, task="tokens", rows="nested", n_classes=N_CLASSES, sentence_score_method="softmin"
)
_CASE = partial(Case, "tokens", sizes=("1000000",), make_data=make_data, units="tokens")

CASES = (
    _CASE("sentences", ours=_SENTENCES),
    _CASE("long", ours=partial(_SENTENCES, rows="long", token_index="token_index")),
    # cleanlab holds all in memory, and gets a tenth.
    _CASE(
        "sentences_tenth",
        ours=_SENTENCES,
        others={"cleanlab": cleanlab},
        share=0.1,
        runs_of_others=2,
    ),
)
