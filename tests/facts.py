"""All that a result says, fact by fact, so that results of two engines or versions are compared."""

from collections import Counter
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd

KEYS = [
    *("row", "id", "item", "annotator", "sentence_id", "token_index", "class"),
    *("neighbor", "rank", "class_index", "image_id"),
]


def bits(value):
    """Return a value with whole numbers of the same bits for its doubles."""
    if isinstance(value, float):
        return f"{float(value)!r} ({np.float64(value).view(np.int64)})"
    if isinstance(value, dict):
        return {name: bits(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(part) for part in value]
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if hasattr(value, "toArray"):
        return bits(value.toArray().tolist())
    return bits(value.tolist()) if isinstance(value, (np.ndarray, np.generic)) else value


def kind_of(kind):
    """Return the type of a column of pandas, which from version 3 has one of its own for text."""
    return "object" if str(kind) in ("str", "string") else str(kind)


def cells(names, rows, *at):
    """Yield what is in each cell of rows: they are told apart by their keys, then by their order.

    ``rows`` are in no certain order.
    """
    seen = Counter()
    keys = [name for name in KEYS if name in names]
    for row in sorted(rows, key=lambda row: str(bits(row))):
        named = dict(zip(names, row, strict=True))
        key = tuple(named[name] for name in keys)
        seen[key] += 1
        for name, value in named.items():
            yield (*at, f"column {name}", *key, seen[key]), bits(value)


def facts(result, *at):
    """Yield all that a result says, one by one: (where it stands, what is there)."""
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        result = result._asdict()
    if isinstance(result, dict):
        for name, part in result.items():
            yield from facts(part, *at, name)
    elif isinstance(result, pd.DataFrame):
        yield (*at, "types"), [(name, kind_of(kind)) for name, kind in result.dtypes.items()]
        for place, row in enumerate(result.astype(object).itertuples(index=False, name=None)):
            yield from (
                (((*at, f"column {n}", place)), bits(value))
                for n, value in zip(result, row, strict=True)
            )
    elif hasattr(result, "schema"):
        yield (*at, "types"), result.dtypes
        yield from cells(result.columns, map(tuple, result.collect()), *at)
    elif hasattr(result, "items") and hasattr(result.items, "schema"):  # scores of a crowd
        parts = [part for part in ("items", "annotations", "annotators") if hasattr(result, part)]
        yield from facts({part: getattr(result, part) for part in parts}, *at)
    elif hasattr(result, "to_json"):
        yield at, result.to_json()
    elif is_dataclass(result):
        yield from facts({field.name: getattr(result, field.name) for field in fields(result)}, *at)
    elif type(result).__module__.startswith("lq_spark."):
        yield from facts(vars(result), *at)
    else:
        yield at, bits(result)
