"""Distances to the nearest half, against all distances sorted; the cells that stand for points."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.core.regression.grid import finish_cell_sums, partial_cell_sums, refined, square
from lq_spark.core.regression.neighborhoods import Cloud, mean_distances, weighted_median


@st.composite
def points(draw, most=80):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, most))
    # Many points on few places, or each on its own.
    scale = draw(st.sampled_from([2.0, 1e6]))
    return np.round(rng.normal(size=(2, n)) * scale) / scale, rng.integers(1, 5, n)


@settings(deadline=None)
@given(points=points())
def test_distances_are_those_of_all_pairs(points):
    (x, y), counts = points
    pairs = np.hypot(x[:, np.newaxis] - x, y[:, np.newaxis] - y)
    for weights in (None, counts):
        each = np.repeat(np.arange(len(x)), 1 if weights is None else weights)
        nearest = np.sort(pairs[:, each], axis=1)[:, : (len(each) + 1) // 2]
        cloud = Cloud(x, y, weights)
        actual = mean_distances(cloud)
        np.testing.assert_allclose(actual[0], nearest.mean(axis=1), rtol=1e-9, atol=1e-12)
        assert weighted_median(actual[0], cloud.counts) == np.median(actual[0][each])
        split = [mean_distances(cloud, 0, 7), mean_distances(cloud, 7)]
        assert np.concatenate(split, axis=1).tolist() == actual.tolist()


@settings(deadline=None)
@given(points=points())
def test_slopes_say_how_distances_grow(points):
    (x, y), weights = points
    x, y = x + np.linspace(0, 1e-3, len(x)), y + np.linspace(0, 2e-3, len(x)) ** 2
    _, slope_x, slope_y = mean_distances(Cloud(x, y, weights))
    assert (np.hypot(slope_x, slope_y) <= 1 + 1e-12).all()
    # The mean distance of the same half, not of the one nearest to a moved point, has this slope.
    step = 1e-7
    for i in range(0, len(x), 9):
        away = np.hypot(x[i] - x, y[i] - y)
        order = np.argsort(away)
        counts = np.zeros(len(x))
        counts[order] = np.diff(
            np.minimum(np.cumsum(weights[order]), (weights.sum() + 1) // 2), prepend=0
        )
        counts[away == 0] = 0
        moved = np.hypot(x[i] + step - x, y[i] - y)
        found = (counts * (moved - away)).sum() / ((weights.sum() + 1) // 2) / step
        np.testing.assert_allclose(slope_x[i], found, atol=1e-3)


@settings(deadline=None)
@given(points=points(), n_parts=st.integers(1, 5), depth=st.integers(0, 3))
def test_cells_count_points_however_they_are_split(points, n_parts, depth):
    (x, y), _ = points
    side = max(np.ptp(x), np.ptp(y)) or 1.0
    cells = square(x.min(), y.min(), side)
    for _ in range(depth):
        held, cloud = finish_cell_sums(cells, partial_cell_sums(cells, x, y))
        if (cloud.counts > 1).any():
            cells = refined(cells, held, np.where(cloud.counts > 1, 3.0, 0.5))
    whole = partial_cell_sums(cells, x, y)
    parts = [
        partial_cell_sums(cells, *part)
        for part in zip(np.array_split(x, n_parts), np.array_split(y, n_parts), strict=True)
    ]
    np.testing.assert_array_equal(sum(parts), whole)

    held, cloud = finish_cell_sums(cells, whole)
    cell = cells.locate(x, y)
    assert set(cell) == set(held)
    assert not cells.bits[held].any()
    for place, corner, center in ((x, cells.x, cloud.x), (y, cells.y, cloud.y)):
        assert (place - corner[cell] >= -1e-9 * side).all()
        assert (place - corner[cell] <= cells.side[cell] + 1e-9 * side).all()
        means = np.bincount(cell, weights=place)[held] / cloud.counts
        np.testing.assert_allclose(center, means, rtol=0, atol=1e-8 * side)


def test_as_many_cells_are_made_as_a_pass_can_count():
    cells = square(0.0, 0.0, 1.0)
    finer = refined(cells, np.array([0]), np.array([2.0**20]))
    assert 1 << 14 < len(finer.x) <= 1 + (1 << 15)
    everywhere = np.arange(1, len(finer.x))
    finest = refined(finer, everywhere, np.full(len(everywhere), 2.0**20))
    assert len(finest.x) == len(finer.x) + 4 * len(everywhere)
