"""Noise for benchmarks: counts and verdicts are cleanlab's, random numbers have its properties."""

import numpy as np
import pytest
from cleanlab.benchmarking import noise_generation as theirs
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lq_spark.core.benchmark import (
    generate_n_rand_probabilities_that_sum_to_m,
    generate_noise_matrix_from_trace,
    generate_noisy_labels,
    noise_matrix_is_valid,
    randomly_distribute_N_balls_into_K_bins,
)
from lq_spark.core.benchmark.draws import rounded_to_sum
from lq_spark.core.benchmark.flips import flip_counts, labels_by_place, require_learnable
from lq_spark.errors import DataError, OptionError

SEEDS = st.integers(0, 2**32 - 1)


def untouched(function, *args, **options):
    """Call a function, which does not change NumPy's global generator, nor read it."""
    before = np.random.get_state()
    made = function(*args, **options)
    after = np.random.get_state()
    assert (before[1] == after[1]).all()
    assert before[2:] == after[2:]
    return made


def labels_of_cleanlab(labels, matrix, seed):
    """Return what cleanlab draws from a seed; the global generator is put back."""
    before = np.random.get_state()
    np.random.seed(seed)
    noisy = theirs.generate_noisy_labels(labels, matrix)
    np.random.set_state(before)
    return noisy


@st.composite
def noises(draw, largest=8):
    """Return a noise matrix and labels of which each class has one."""
    rng = np.random.default_rng(draw(SEEDS))
    n_classes = draw(st.integers(2, largest))
    matrix = rng.dirichlet(np.full(n_classes, draw(st.sampled_from([0.2, 1.0, 5.0]))), n_classes).T
    weight = draw(st.sampled_from([0.0, 0.3, 0.9]))
    matrix = weight * np.eye(n_classes) + (1.0 - weight) * matrix
    if draw(st.booleans()):  # rates by which whole numbers of rows are wrong
        matrix = np.round(matrix, 1)
        np.fill_diagonal(matrix, 0.0)
        assume((matrix.sum(axis=0) <= 1.0).all())
        np.fill_diagonal(matrix, 1.0 - matrix.sum(axis=0))
    counts = rng.integers(1, draw(st.sampled_from([2, 60])) + 1, n_classes)
    return matrix, rng.permutation(np.repeat(np.arange(n_classes), counts))


def pairs(noisy, labels, n_classes):
    """Return how many rows there are of each (given, true)."""
    found = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(found, (noisy, labels), 1)
    return found


@settings(deadline=None, max_examples=300)
@given(noise=noises(), seed=SEEDS)
def test_noisy_labels_are_those_of_cleanlab(noise, seed):
    matrix, labels = noise
    k = len(matrix)
    noisy = untouched(generate_noisy_labels, labels, matrix, seed=seed)
    assert noisy.dtype == np.int64
    assert noisy.tolist() == labels_of_cleanlab(labels, matrix, seed).tolist()
    found = pairs(noisy, labels, k)
    off, exact = ~np.eye(k, dtype=bool), matrix * np.bincount(labels)
    assert (np.abs(found - np.floor(exact + 1e-9))[off] <= 1).all()
    assert (found <= exact + 1e-9)[off].all()


def test_which_labels_are_wrong_is_drawn():
    labels = np.arange(300) % 3
    noise = np.full((3, 3), 0.2) + np.eye(3) * 0.4
    drawn = np.array([generate_noisy_labels(labels, noise, seed=seed) for seed in range(400)])
    assert drawn[0].tolist() == generate_noisy_labels(labels, noise).tolist() != drawn[1].tolist()
    # Each of the rows as often as the others: 80 ± 8 of 400.
    for label in range(3):
        often = (drawn == label)[:, labels != label].sum(axis=0)
        assert often.min() > 40
        assert often.max() < 120


@given(noise=noises(), seed=SEEDS)
def test_the_first_rows_of_a_class_get_the_labels_of_the_others_in_turn(noise, seed):
    matrix, labels = noise
    n_classes = len(matrix)
    flips = flip_counts(matrix, np.bincount(labels))
    places = np.empty_like(labels)
    rng = np.random.default_rng(seed)
    expected = np.empty_like(labels)
    for k in range(n_classes):
        rows = rng.permutation(np.flatnonzero(labels == k))
        places[rows] = np.arange(len(rows))
        others = [g for g in range(n_classes) if g != k for _ in range(flips[g, k])]
        expected[rows] = others + [k] * (len(rows) - len(others))
    assert labels_by_place(labels, places, flips).tolist() == expected.tolist()


@settings(deadline=None)
@given(noise=noises(), seed=SEEDS, scale=st.sampled_from([1.0, 1.0, 1.0, 1.1]))
def test_matrices_are_valid_as_by_cleanlab(noise, seed, scale):
    matrix, _ = noise
    py = np.random.default_rng(seed).dirichlet(np.ones(len(matrix)))
    joint = matrix * py
    margins = np.diag(joint) - joint.sum(axis=1) * py
    assume((np.abs(margins) > 1e-12).all())
    matrix = matrix * scale
    assert noise_matrix_is_valid(matrix, py) is bool(theirs.noise_matrix_is_valid(matrix, py))
    if scale == 1.0:
        assert noise_matrix_is_valid(matrix, py) is bool((margins > 0).all())


@st.composite
def traces(draw):
    """Return the arguments of a random noise matrix."""
    k = draw(st.integers(2, 7))
    low, high = draw(st.sampled_from([(1e-5, 1.0), (0.3, 0.9), (0.0, 0.7)]))
    low_noise, high_noise = draw(st.sampled_from([(0.0, 1 - 1e-5), (0.01, 0.6), (0.0, 0.4)]))
    share = draw(st.floats(0.05, 0.95))
    options = {
        "min_trace_prob": low,
        "max_trace_prob": high,
        "min_noise_rate": low_noise,
        "max_noise_rate": high_noise,
        "frac_zero_noise_rates": draw(st.sampled_from([0.0, 0.0, 0.25, 0.5])),
        "seed": draw(SEEDS),
    }
    return k, k * (low + share * (high - low)), options


@settings(deadline=None, max_examples=200)
@given(arguments=traces(), valid=st.booleans(), skew=st.sampled_from([1.0, 20.0]))
def test_random_matrices_have_their_trace_within_the_bounds(arguments, valid, skew):
    k, trace, options = arguments
    py = np.random.default_rng(options["seed"]).dirichlet(np.full(k, skew))
    options |= {"valid_noise_matrix": valid, "py": py, "max_iter": 100}
    try:
        matrix = untouched(generate_noise_matrix_from_trace, k, trace, **options)
    except OptionError as error:
        is_low = valid and trace <= 1.0 and "trace must be above 1 in" in str(error)
        assert is_low or "trace must be the sum of " in str(error)
        return
    if matrix is None:
        return
    off = ~np.eye(k, dtype=bool)
    np.testing.assert_allclose(matrix.trace(), trace, rtol=1e-12)
    np.testing.assert_allclose(matrix.sum(axis=0), 1.0, rtol=1e-12)
    slack = 1e-12
    diagonal, others = np.diag(matrix), matrix[off]
    assert diagonal.min() >= options["min_trace_prob"] - slack
    assert diagonal.max() <= options["max_trace_prob"] + slack
    n_zeros = int(options["frac_zero_noise_rates"] * k * (k - 1))
    rates = np.sort(others)[n_zeros:]
    assert (np.sort(others)[:n_zeros] == 0.0).all()
    assert rates.min(initial=1.0) >= options["min_noise_rate"] - slack
    assert rates.max(initial=0.0) <= options["max_noise_rate"] + slack
    if valid:
        assert noise_matrix_is_valid(matrix, py)
    again = generate_noise_matrix_from_trace(k, trace, **options)
    assert again.tolist() == matrix.tolist()


@settings(deadline=None)
@given(
    n=st.integers(0, 12),
    share=st.floats(0, 1),
    bounds=st.sampled_from([(0.0, 1.0), (0.2, 0.4), (0.0, 0.3), (0.5, 0.5)]),
    seed=SEEDS,
)
def test_random_probabilities_have_their_sum_within_the_bounds(n, share, bounds, seed):
    low, high = bounds
    total = n * (low + share * (high - low))
    options = {"min_prob": low, "max_prob": high}
    found = untouched(generate_n_rand_probabilities_that_sum_to_m, n, total, **options, seed=seed)
    assert found.shape == np.shape(
        theirs.generate_n_rand_probabilities_that_sum_to_m(n, total, **options)
    )
    np.testing.assert_allclose(found.sum(), total, atol=1e-12)
    assert ((found >= low) & (found <= high)).all()
    rng = np.random.default_rng(seed)
    again = generate_n_rand_probabilities_that_sum_to_m(n, total, **options, seed=rng)
    assert again.tolist() == found.tolist()


@settings(deadline=None)
@given(
    k=st.integers(1, 9),
    low=st.integers(0, 3),
    width=st.integers(0, 6),
    share=st.floats(0, 1),
    seed=SEEDS,
)
def test_balls_are_all_in_bins_within_the_bounds(k, low, width, share, seed):
    n = k * low + round(share * k * width)
    options = {"min_balls_per_bin": low, "max_balls_per_bin": low + width}
    found = untouched(randomly_distribute_N_balls_into_K_bins, n, k, **options, seed=seed)
    assert found.dtype == np.int64
    assert (len(found), found.sum()) == (k, n)
    assert found.min() >= low
    assert found.max() <= low + width
    free = randomly_distribute_N_balls_into_K_bins(n, k, seed=seed)
    assert (len(free), free.sum(), free.min() >= 0) == (k, n, True)


def test_random_numbers_differ_by_their_seed_and_fill_what_is_allowed():
    rng = np.random.default_rng(0)
    drawn = np.array(
        [generate_n_rand_probabilities_that_sum_to_m(3, 1.0, seed=rng) for _ in range(2000)]
    )
    # Of the points of a simplex: each number is 1/3 in the mean, and below 1/2 in 3 of 4.
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 3, atol=0.03)
    np.testing.assert_allclose((drawn < 0.5).mean(axis=0), 0.75, atol=0.05)
    # And of those of them that are below 1/2: the middle triangle.
    drawn = np.array(
        [
            generate_n_rand_probabilities_that_sum_to_m(3, 1.0, max_prob=0.5, seed=rng)
            for _ in range(2000)
        ]
    )
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 3, atol=0.02)
    np.testing.assert_allclose((drawn > 0.375).mean(axis=0), 7 / 16, atol=0.05)
    drawn = np.array(
        [
            generate_n_rand_probabilities_that_sum_to_m(4, 2.0, max_prob=1.0, seed=rng)
            for _ in range(2000)
        ]
    )
    # Of the middle slice of a cube, which looks the same from both ends.
    np.testing.assert_allclose((drawn < 0.25).mean(axis=0), (drawn > 0.75).mean(axis=0), atol=0.05)
    assert len(np.unique(drawn)) > 7900
    matrices = [generate_noise_matrix_from_trace(2, 1.5, seed=seed) for seed in range(200)]
    rates = np.array([matrix[0, 0] for matrix in matrices])
    assert len(set(rates.tolist())) == 200
    assert rates.min() < 0.55
    assert rates.max() > 0.95
    balls = [tuple(randomly_distribute_N_balls_into_K_bins(2, 2, seed=s)) for s in range(50)]
    assert set(balls) == {(0, 2), (1, 1), (2, 0)}


@given(seed=SEEDS, n=st.integers(1, 9), total=st.integers(0, 40))
def test_rounded_numbers_keep_their_sum(seed, n, total):
    values = np.random.default_rng(seed).dirichlet(np.ones(n)) * total
    found = rounded_to_sum(values, total)
    assert found.sum() == total
    assert (np.abs(found - values) < 1.0).all()


@pytest.mark.parametrize("frac", [0.0, 0.1, 0.4, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_so_many_rates_are_0_as_by_cleanlab(k, frac):
    options = {"py": np.full(k, 1 / k), "frac_zero_noise_rates": frac, "max_iter": 500}
    before = np.random.get_state()
    expected = theirs.generate_noise_matrix_from_trace(k, 0.8 * k, **options)
    np.random.set_state(before)
    found = generate_noise_matrix_from_trace(k, 0.8 * k, **options)
    assert (found == 0.0).sum() == (expected == 0.0).sum()
    if k > 2:
        assert (found > 0.0).sum(axis=0).min() >= 2


def test_where_no_matrix_is_valid_there_is_none():
    py = [0.98, 0.01, 0.01]
    assert generate_noise_matrix_from_trace(3, 1.001, py=py, max_iter=3, min_noise_rate=0.3) is None
    assert generate_noise_matrix_from_trace(2, 1.5, max_iter=0) is None


GOOD = [[0.9, 0.1], [0.1, 0.9]]
PY = [0.4, 0.3, 0.3]


@pytest.mark.parametrize(
    ("labels", "matrix", "error", "message"),
    [
        ([0, 1, 2], GOOD, DataError, r"true_labels must be 0\.\.1, the classes of noise_matrix, g"),
        ([0, -1], GOOD, DataError, r"got -1\.\.0"),
        ([0, 0], GOOD, DataError, "noise_matrix is of K = 2 classes, and no label is of class 1"),
        ([0, 0.5], GOOD, DataError, "labels must be whole numbers"),
        ([], GOOD, DataError, "labels must be a non-empty 1-D array"),
        ([0, 1], [[1.0]], OptionError, r"must be a K by K array of numbers, K at least 2, got"),
        (
            [0, 1],
            [["a"]],
            OptionError,
            r"must be a K by K array of numbers, K at least 2, got",
        ),
        ([0, 1], [[1.5, 0], [-0.5, 1]], OptionError, "from 0 to 1, got 1.5 in row 0, column 0"),
        ([0, 1], [[0.9, 0.2], [0.1, 0.9]], OptionError, "that of class 1 sums to 1.1"),
    ],
)
def test_labels_that_cannot_be_made_wrong_are_refused(labels, matrix, error, message):
    with pytest.raises(error, match=message):
        generate_noisy_labels(labels, matrix)


@pytest.mark.parametrize("seed", [-1, 0.5, 1 << 32])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(OptionError, match=r"^seed must be (a whole number of|at most)"):
        generate_noisy_labels([0, 1], GOOD, seed=seed)


def test_what_is_not_valid_is_said_for_a_class():
    require_learnable(np.array(GOOD), np.array([0.5, 0.5]))
    with pytest.raises(DataError) as refused:
        require_learnable(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0.75, 0.25]))
    assert str(refused.value) == (
        "noise_matrix is not valid for these labels: class 0 given as 0 must be likelier than by "
        "chance, 0.375, and is 0.375"
    )


@pytest.mark.parametrize(
    ("function", "arguments", "options", "message"),
    [
        ("matrix", (1, 1.0), {}, "K must be a whole number of at least 2, got 1"),
        ("matrix", (3, 1.0), {"py": [1, 1, 1]}, "trace must be above 1 in a valid noise matrix, g"),
        ("matrix", (3, 2.0), {}, "py is needed for a valid noise matrix of more than 2 classes, K"),
        ("matrix", (3, 2.0), {"py": [1, 1]}, r"py must be 3 numbers, one a class, got shape \(2,"),
        ("matrix", (2, 2.5), {}, "trace must be the sum of 2 rates from 1e-05 to 1, got 2.5"),
        (
            "matrix",
            (2, 1.5),
            {"max_trace_prob": 0.7},
            "trace must be the sum of 2 rates from 1e",
        ),
        (
            "matrix",
            (2, 1.5),
            {"min_trace_prob": 0.8},
            "trace must be the sum of 2 rates from 0.8",
        ),
        (
            "matrix",
            (2, 1.5),
            {"max_noise_rate": 0.2},
            "K - trace must be the sum of 2 rates from",
        ),
        (
            "matrix",
            (2, 1.5),
            {"min_noise_rate": 0.3},
            "K - trace must be the sum of 2 rates from",
        ),
        (
            "matrix",
            (3, 1.2),
            {"frac_zero_noise_rates": 1, "max_noise_rate": 0.4, "py": PY},
            "K - trace must be the sum of 3 rates",
        ),
        (
            "matrix",
            (2, 1.5),
            {"frac_zero_noise_rates": 2},
            "frac_zero_noise_rates must be a number",
        ),
        ("matrix", (2, 1.5), {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        (
            "shares",
            (3, 2.0),
            {"max_prob": 0.5},
            "m must be the sum of 3 numbers from 0 to 0.5",
        ),
        (
            "shares",
            (3, 0.2),
            {"min_prob": 0.5},
            "m must be the sum of 3 numbers from 0.5 to 1",
        ),
        ("shares", (-1, 0.2), {}, "n must be a whole number of at least 0, got -1"),
        ("shares", (1, 0.2), {"seed": "a"}, "seed must be a whole number of at least 0, got 'a'"),
        (
            "balls",
            (9, 2),
            {"max_balls_per_bin": 4},
            "N must be the sum of 2 bins of 0 to 4 balls",
        ),
        (
            "balls",
            (1, 2),
            {"min_balls_per_bin": 1},
            "N must be the sum of 2 bins of 1 to 1 balls",
        ),
        ("balls", (1.5, 2), {}, "N must be a whole number of at least 0, got 1.5"),
    ],
)
def test_what_cannot_be_drawn_is_refused(function, arguments, options, message):
    named = {
        "matrix": generate_noise_matrix_from_trace,
        "shares": generate_n_rand_probabilities_that_sum_to_m,
        "balls": randomly_distribute_N_balls_into_K_bins,
    }
    with pytest.raises((OptionError, DataError), match=f"^{message}"):
        named[function](*arguments, **options)
