"""Near duplicates against Datalab, and its formulas row by row; components; what to keep."""

import functools

import numpy as np
import pyarrow.parquet as pq
import pytest
from cleanlab import Datalab
from cleanlab.internal.neighbor.knn_graph import create_knn_graph_and_index
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import cleanlabs
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lq_spark.core.duplicates import (
    find_near_duplicates,
    find_near_duplicates_between,
    rows_to_keep,
)
from lq_spark.core.duplicates.components import connected
from lq_spark.core.duplicates.near import near_pairs, symmetric_sets
from lq_spark.core.neighbors import KnnGraph, knn_graph
from lq_spark.errors import DataError, OptionError


def datalabs(neighbors, distances, threshold):
    """Return sets, flags and scores by the formulas, one row after the other."""
    nearest = [row[0] for row in distances.tolist()]
    unit = max(float(np.median(nearest)), 1e-6)
    near = [
        [j for j, distance in zip(*row, strict=True) if distance < threshold * unit]
        for row in zip(neighbors.tolist(), distances.tolist(), strict=True)
    ]
    sets = [list(row) for row in near]
    for i, row in enumerate(near):
        for j in row:
            if i not in sets[j]:
                sets[j].append(i)
    scores = [0.0 if d <= 1e-8 else 1.0 - float(np.exp(-d / unit)) for d in nearest]
    return sets, [bool(row) for row in sets], scores


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("threshold", [0.13, 0.6])
def test_flags_and_scores_are_those_of_datalab(share, threshold, quietly):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(150, 6))
    copied = rng.random(150) < share
    features[copied] = features[rng.integers(0, 40, copied.sum())]
    features[-3:] = features[:3] + 1e-3
    lab = Datalab({"n": list(range(150))}, verbosity=0)
    how = {"near_duplicate": {"threshold": threshold}}
    quietly(lab.find_issues, features=features, issue_types=how)
    issues = lab.get_issues("near_duplicate")
    graph = knn_graph(features)
    found = find_near_duplicates(graph.neighbors, graph.distances, threshold=threshold)
    assert found.is_near_duplicate.tolist() == issues["is_near_duplicate_issue"].tolist()
    np.testing.assert_allclose(found.score, issues["near_duplicate_score"], atol=1e-9)
    for row, theirs in enumerate(issues["near_duplicate_sets"]):
        assert set(found.set_of(row).tolist()) == set(theirs.tolist())


@st.composite
def tables(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows, n_columns = draw(st.integers(3, 120)), draw(st.sampled_from([2, 3, 4, 10]))
    rows = rng.normal(size=(n_rows, n_columns))
    for share in draw(st.lists(st.sampled_from([0.1, 0.3, 0.7]), max_size=2)):
        copied = rng.random(n_rows) < share
        rows[copied] = rows[rng.integers(0, max(1, n_rows // 4), copied.sum())]
        rows[copied] += draw(st.sampled_from([0.0, 1e-9, 1e-3])) * rng.normal(size=n_columns)
    return rows


@settings(deadline=None, max_examples=80)
@given(
    features=tables(),
    share=st.floats(0, 0.2),
    threshold=st.sampled_from([0.0, 0.13, 0.5, 1.0, 3.0]),
)
def test_near_duplicates_are_those_of_datalabs_formulas(features, share, threshold):
    graph = knn_graph(features, k=1 + int(share * (len(features) - 2)))
    found = find_near_duplicates(graph.neighbors, graph.distances, threshold=threshold)
    sets, flags, scores = datalabs(graph.neighbors, graph.distances, threshold)
    assert [found.set_of(row).tolist() for row in range(len(features))] == sets
    assert found.is_near_duplicate.tolist() == flags
    np.testing.assert_allclose(found.score, scores, rtol=0, atol=1e-15)
    assert found.distance_to_nearest.tolist() == graph.distances[:, 0].tolist()
    _, group, size = np.unique(features, axis=0, return_inverse=True, return_counts=True)
    assert found.is_exact_duplicate.tolist() == (size[group] > 1).tolist()


@pytest.mark.parametrize("name", ["outliers_mammography", "embeddings_cable_vit"])
def test_real_duplicates_are_those_of_cleanlabs_graph(name, shared_data):
    table = pq.read_table(shared_data / f"{name}.parquet", columns=["features"]).to_pandas()
    features = np.stack(table["features"]).astype(np.float64)[:3000]
    theirs, _ = cleanlabs(create_knn_graph_and_index, features, n_neighbors=10)
    graph = KnnGraph(theirs.indices.reshape(-1, 10), np.abs(theirs.data.reshape(-1, 10)))
    _, flags, scores = datalabs(graph.neighbors, graph.distances, 0.13)
    ours = knn_graph(features)
    found = find_near_duplicates(ours.neighbors, ours.distances)
    assert found.is_near_duplicate.tolist() == flags
    np.testing.assert_allclose(found.score, scores, rtol=0, atol=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), n_parts=st.integers(1, 4))
def test_components_are_scipys_whatever_the_order_of_pairs(seed, n, n_parts):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, n, (2, int(rng.integers(0, n + 1))))
    _, label = connected_components(coo_array((np.ones(pairs.shape[1]), pairs), (n, n)), False)
    lowest = [int(np.flatnonzero(label == own)[0]) for own in label]
    assert connected(n, *pairs).tolist() == lowest
    parts = np.array_split(pairs[:, rng.permutation(pairs.shape[1])], n_parts, axis=1)
    step_by_step = functools.reduce(
        lambda component, part: connected(
            n, *np.hstack([part, [np.arange(n), component]]).astype(np.int64)
        ),
        parts,
        np.arange(n),
    )
    assert step_by_step.tolist() == lowest


def test_a_long_chain_is_one_component():
    rows = np.random.default_rng(0).permutation(20_000)
    assert not connected(20_000, rows[:-1], rows[1:]).any()


def test_more_equal_rows_than_neighbors_are_one_component():
    features = np.random.default_rng(0).normal(size=(60, 4))
    copies = np.arange(3, 60, 2)
    features[copies] = features[3]
    graph = knn_graph(features, k=5)
    found = find_near_duplicates(graph.neighbors, graph.distances)
    assert (found.component[copies] == 3).all()
    assert found.component[1] == 1
    assert rows_to_keep(found.component).sum() == 60 - len(copies) + 1


def test_pairs_of_parts_of_a_graph_are_those_of_the_whole():
    graph = knn_graph(np.random.default_rng(0).normal(size=(50, 4)), k=5)
    limit = float(np.median(graph.distances))
    parts = [
        near_pairs(KnnGraph(graph.neighbors[part], graph.distances[part]), limit, part.start)
        for part in (slice(0, 20), slice(20, 50))
    ]
    whole = near_pairs(graph, limit)
    assert np.hstack(parts).tolist() == np.array(whole).tolist()
    no_pairs = np.zeros(0, dtype=np.int64)
    assert [array.tolist() for array in symmetric_sets(2, no_pairs, no_pairs)] == [[], [0, 0, 0]]


def test_what_to_keep():
    component = np.array([0, 1, 0, 3, 1, 0])
    assert np.flatnonzero(rows_to_keep(component)).tolist() == [0, 1, 3]
    quality = [0.5, 0.25, 0.75, 0.0, 0.5, 0.75]
    assert np.flatnonzero(rows_to_keep(component, quality)).tolist() == [2, 3, 4]
    assert rows_to_keep([]).tolist() == []
    with pytest.raises(DataError, match="component has 6 rows, label_quality 1"):
        rows_to_keep(component, [0.5])
    with pytest.raises(DataError, match="got nan at row 1"):
        rows_to_keep([0, 1], [0.5, np.nan])
    with pytest.raises(DataError, match="must be a 1-D array of whole numbers"):
        rows_to_keep([0.5, 1.0])


def test_a_threshold_below_0_is_refused():
    with pytest.raises(OptionError, match=r"threshold must be a number of at least 0, got -0\.1"):
        find_near_duplicates([[1], [0]], [[0.5], [0.5]], threshold=-0.1)
    with pytest.raises(DataError, match="itself as a neighbor"):
        find_near_duplicates([[0], [0]], [[0.5], [0.5]])


@pytest.mark.parametrize("n_columns", [3, 6])
def test_rows_that_are_in_another_table(n_columns):
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(300, n_columns)), rng.normal(size=(90, n_columns))
    train[200:210] = train[:10]
    test[:20] = train[rng.choice(200, 20)]
    test[20:30] = train[50:60] + 1e-5
    found = find_near_duplicates_between(test, train, k=3)
    assert np.flatnonzero(found.is_exact_duplicate).tolist() == list(range(20))
    assert found.is_near_duplicate[:30].all()
    assert found.neighbors[20:30, 0].tolist() == list(range(50, 60))
    # As a graph of both tables has it, with the rows of one as neighbours of those of the other.
    both = knn_graph(np.vstack([train, test]), k=389)
    in_train = both.neighbors[300:] < 300
    expected = [
        row[mask][:3].tolist() for row, mask in zip(both.neighbors[300:], in_train, strict=True)
    ]
    assert found.neighbors.tolist() == expected
    unit = np.median(found.distances[:, 0])
    assert found.is_near_duplicate.tolist() == (found.distances[:, 0] < 0.13 * unit).tolist()


@pytest.mark.parametrize(
    ("others", "options", "error", "message"),
    [
        (np.eye(4), {}, DataError, "features has 3 columns, others 4"),
        (np.eye(3), {"k": 4}, OptionError, "k must be at most the number of rows of others, 3"),
        (np.eye(3), {"metric": "cos"}, OptionError, "metric must be one of"),
        ([[np.nan] * 3], {}, DataError, "others: not finite"),
        (np.eye(3), {"threshold": -1.0}, OptionError, "threshold must be"),
    ],
)
def test_tables_that_cannot_be_compared(others, options, error, message):
    with pytest.raises(error, match=message):
        find_near_duplicates_between(np.eye(3), others, **options)
