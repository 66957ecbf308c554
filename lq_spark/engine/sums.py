"""Sums of doubles that are the same, to the bit, in every order of addition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column


def scaled_halves(value: Column, bits: int) -> tuple[Column, Column]:
    """Return a number near [0, 1] as two whole ones: value = high / 2^bits + low / 2^(2 bits).

    What is below 2^(-2 bits) is cut off. Sums of the halves are exact as bigint up to
    2^(63 - bits) rows, and native: Spark generates code for them.
    """
    scaled = value.cast("double") * F.lit(2.0**bits)
    high = F.floor(scaled)
    return high, F.floor((scaled - high) * F.lit(2.0**bits))
