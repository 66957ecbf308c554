"""Active learning scores of Spark tables, labelled and unlabelled items in one, against core."""

import numpy as np
import pytest

from lq_spark import activelab
from lq_spark.core.activelab import get_active_learning_scores_ensemble
from lq_spark.errors import OptionError


def expected_scores(wide, models, labelled):
    known, unknown = get_active_learning_scores_ensemble(
        wide[labelled], models[:, labelled], models[:, ~labelled]
    )
    scores = np.empty(len(wide))
    scores[labelled], scores[~labelled] = known, unknown
    return scores


@pytest.mark.parametrize(
    ("n_partitions", "n_models", "sizes"),
    [(2, 3, (1, 1)), (7, 1, (1, 5))],
)
def test_scores_are_cores_to_the_bit(crowd, annotation_tables, n_partitions, n_models, sizes):
    wide, models = crowd(n_models=n_models, sizes=sizes)
    wide[::4] = np.nan
    labelled = ~np.isnan(wide).all(axis=1)
    annotations, items = (
        table.repartition(n_partitions) for table in annotation_tables(wide, models)
    )
    names = [f"p{m}" for m in range(n_models)]
    scores = activelab.score(annotations, items, pred_probs=names, n_classes=4)
    found = scores.items.toPandas().sort_values("item")
    expected = expected_scores(wide, models, labelled)
    assert found["active_learning_score"].tolist() == expected.tolist()
    assert found["num_annotations"].tolist() == (~np.isnan(wide)).sum(axis=1).tolist()
    assert (found["consensus_label"].notna() == labelled).all()

    order = np.lexsort((np.arange(len(wide)), expected))
    batch = scores.batch(12).collect()
    assert [row.item for row in batch] == order[:12].tolist()
    ranked = scores.ranked().orderBy("active_learning_rank").collect()
    assert [row.item for row in ranked] == order.tolist()
    assert [row.active_learning_rank for row in ranked] == list(range(1, 201))


def test_where_nobody_labelled_anything_the_model_alone_decides(crowd, annotation_tables):
    _, models = crowd(n_models=2)
    _, items = annotation_tables(np.full((200, 2), np.nan), models)
    found = activelab.score(None, items, pred_probs=["p0", "p1"]).items.toPandas()
    expected = get_active_learning_scores_ensemble(None, None, models)[1]
    assert found.sort_values("item")["active_learning_score"].tolist() == expected.tolist()
    assert (found["num_annotations"] == 0).all()
    assert found["consensus_label"].isna().all()


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_a_batch_has_a_number_of_items(n):
    with pytest.raises(OptionError, match="n must be a whole number of at least 1"):
        activelab.ActiveScores(None, "item", None).batch(n)
