import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lq_spark.core.noniid.permutations import HashPermutation, permutations


@given(n_rows=st.integers(1, 3000), seed=st.integers(0, 2**40), index=st.integers(0, 30))
def test_a_hashed_order_has_each_position_once(n_rows, seed, index):
    rows = np.arange(n_rows)
    positions = HashPermutation.seeded(n_rows, seed, index).of(rows)
    assert np.sort(positions).tolist() == rows.tolist()


@pytest.mark.parametrize("n_rows", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_hashed_order_of_many_rows_has_each_position_once(n_rows):
    positions = HashPermutation.seeded(n_rows, 0, 0).of(np.arange(n_rows))
    assert (np.bincount(positions, minlength=n_rows) == 1).all()


def test_a_position_does_not_depend_on_the_other_rows():
    n_rows = 3 * 10**12
    permutation = HashPermutation.seeded(n_rows, 7, 2)
    rows = np.random.default_rng(0).integers(0, n_rows, (50, 3))
    together = permutation.of(rows)
    assert together.shape == rows.shape
    assert ((together >= 0) & (together < n_rows)).all()
    one_by_one = [permutation.of(rows.ravel()[i : i + 1])[0] for i in range(rows.size)]
    assert together.ravel().tolist() == one_by_one


def of_many_orders(n_rows, rows, n_orders=4000):
    """Return the positions of some rows in many orders, shape (orders, rows)."""
    rows = np.array(rows)
    return np.array([HashPermutation.seeded(n_rows, 1, i).of(rows) for i in range(n_orders)])


def assert_equally_frequent(cells, n_cells):
    counts = np.bincount(cells, minlength=n_cells)
    assert len(counts) == n_cells
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("n_rows", "n_cells"), [(100, 50), (128, 64), (1000, 50)])
def test_each_row_is_at_each_position_equally_often(n_rows, n_cells):
    positions = of_many_orders(n_rows, [0, 1, n_rows // 2, n_rows - 1])
    for column in positions.T:
        assert_equally_frequent(column * n_cells // n_rows, n_cells)


@pytest.mark.parametrize(("n_rows", "n_cells"), [(100, 10), (128, 8), (1000, 10)])
def test_where_a_row_is_does_not_say_where_another_is(n_rows, n_cells):
    positions = of_many_orders(n_rows, [0, 1, n_rows // 2, n_rows - 1])
    for a, b in itertools.combinations(positions.T * n_cells // n_rows, 2):
        table = np.bincount(a * n_cells + b, minlength=n_cells**2)
        # Two rows are never in the same place.
        expected = (n_rows // n_cells - np.eye(n_cells)).ravel()
        assert stats.chisquare(table, expected / expected.sum() * len(a)).pvalue > 1e-4


def test_one_order_mixes_the_rows():
    n_rows = 100_000
    positions = HashPermutation.seeded(n_rows, 3, 0).of(np.arange(n_rows))
    for lag in (1, 2, 3, 64, 4096):
        together = positions[:-lag] * 20 // n_rows * 20 + positions[lag:] * 20 // n_rows
        assert_equally_frequent(together, 400)


def test_orders_of_few_rows_are_numpys():
    random = np.random.RandomState(5)
    for permutation in permutations(9, 4, seed=5, exact_up_to=9):
        assert permutation.of(np.arange(9)).tolist() == random.permutation(9).tolist()


def test_orders_of_many_rows_are_hashed_and_differ():
    orders = list(permutations(9, 4, seed=5, exact_up_to=8))
    assert orders == [HashPermutation.seeded(9, 5, index) for index in range(4)]
    assert len({tuple(order.of(np.arange(9)).tolist()) for order in orders}) == 4
    assert orders[0] != HashPermutation.seeded(9, 6, 0)
