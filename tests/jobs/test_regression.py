"""The job over numbers: its configuration, runs by spark-submit, rows set aside."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import config_of

from lq_spark.core.regression import find_label_issues, get_label_quality_scores
from lq_spark.core.regression.rules import OUTRE_THRESHOLD
from lq_spark.errors import OptionError

PLACES = {"input": "data/in", "output": "data/out"}


def prices(n_rows=120, seed=0):
    """Return ids, labels, predictions and uncertainties; some labels far off."""
    rng = np.random.default_rng(seed)
    labels = np.exp(rng.normal(size=n_rows))
    predictions = labels * np.exp(0.2 * rng.normal(size=n_rows))
    labels[:5] += 20.0
    return rng.permutation(n_rows) + 1000, labels, predictions, rng.random(n_rows) + 0.1


def table_of(ids, labels, predictions, uncertainties):
    columns = {"id": ids, "price": labels, "guess": predictions, "spread": uncertainties}
    return pa.table(columns)


NAMES = ("--label", "price", "--prediction", "guess")


def test_an_uncertainty_is_a_column_or_a_number():
    how = {"method": "uncertainty", "frac_issues": 0.1}
    for given, told in (("0.5", 0.5), (2.0, 2.0), ("spread", "spread")):
        config = config_of("regression", **PLACES, **how, uncertainty=given)
        assert config.number_or_column == told
    assert config_of("regression", **PLACES).number_or_column is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"method": "outer"}, "method must be one of 'outre', 'residual', 'uncertainty'"),
        ({"method": "uncertainty", "frac_issues": 0.1}, "method 'uncertainty' needs uncertainty"),
        ({"uncertainty": "0.5"}, "uncertainty is given but method is 'outre'"),
        (
            {"method": "uncertainty", "frac_issues": 0.1, "uncertainty": "-1"},
            "uncertainty must be the name of a column or a finite number of at least 0, got -1.0",
        ),
        ({"method": "residual"}, "method 'residual' needs threshold or frac_issues"),
        ({"threshold": 2.0}, "threshold must be a number from 0 to 1, got 2.0"),
        ({"threshold": 0.1, "frac_issues": 0.1}, "threshold and frac_issues are both given"),
        ({"exact_up_to": -1}, "exact_up_to"),
        ({"fail_if": ["class_rows > 1"]}, "fail_if: a metric must be one of 'rows', "),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("regression", **PLACES, **keys)
    assert message in str(error.value)


def test_a_good_run_scores_numbers_and_tells_of_them(
    submit, write_folder, tmp_path, by_id, read_metrics
):
    table = table_of(*prices())
    write_folder(table, tmp_path / "in")
    done = submit(
        *("--task", "regression", "--input", tmp_path / "in", "--output", tmp_path / "out"),
        *(*NAMES, "--issue-rank", "--keep-columns", "spread"),
        *("--warn-if", "residual_quantile['0.5'] > 1000"),
    )
    assert done.code == 0, done.stderr
    ids, labels, predictions, _ = prices()
    expected = get_label_quality_scores(labels, predictions)
    found = by_id(pq.read_table(tmp_path / "out"), table["id"])
    assert found.column_names == [
        *("id", "price", "spread"),
        *("is_label_issue", "predicted_label", "label_quality", "issue_rank"),
    ]
    assert found["label_quality"].to_pylist() == expected.tolist()
    assert found["predicted_label"].to_pylist() == predictions.tolist()
    issues = expected < OUTRE_THRESHOLD
    assert found["is_label_issue"].to_pylist() == issues.tolist()
    ranks = np.array(found["issue_rank"].to_pylist(), dtype=float)
    assert (
        ids[np.argsort(ranks)[: issues.sum()]].tolist()
        == ids[np.argsort(expected)][: issues.sum()].tolist()
    )
    [metrics] = read_metrics(tmp_path / "out_metrics").values()
    assert metrics["rows_scored", None] == 120
    assert metrics["label_issues", None] == issues.sum() > 0
    residuals = predictions - labels
    assert metrics["mean_residual", None] == pytest.approx(residuals.mean(), rel=1e-12)
    median = np.quantile(residuals, 0.5, method="inverted_cdf")
    assert metrics["residual_quantile", "0.5"] == median
    worst = np.argsort(expected)[:10]
    _, _, table_of_worst = done.stdout.partition("lowest label quality (1 clean, 0 suspect):\n")
    shown = [line.split() for line in table_of_worst.splitlines()[1:11]]
    assert [line[0] for line in shown] == ids[worst].astype(str).tolist()
    assert [line[-1] for line in shown] == [f"{score:.6f}" for score in expected[worst]]
    assert "warn_if not met: residual_quantile['0.5']" in done.stdout


def test_rows_set_aside_leave_the_others_the_scores_of_their_own(run, by_id):
    ids, labels, predictions, uncertainties = prices(60)
    spoilt = uncertainties.copy()
    spoilt[7] = -1.0
    how = {"method": "uncertainty", "uncertainty": "spread", "frac_issues": 0.1}
    table = table_of(ids, labels, predictions, spoilt)
    names = {"label": "price", "prediction": "guess"}
    done = run(table, "regression", **names, **how, on_invalid="quarantine")
    assert done.reasons == {"uncertainty below 0": 1}
    assert done.quarantine["id"].to_pylist() == [ids[7]]
    fit = np.arange(60) != 7
    found = by_id(done.scores, table.filter(fit)["id"])
    expected = find_label_issues(
        labels[fit], predictions[fit], uncertainty=uncertainties[fit], frac_issues=0.1
    )
    for name in ("is_label_issue", "label_quality", "predicted_label"):
        assert found[name].to_pylist() == expected[name].tolist()
    assert "label issues 6 of 59 rows, 10.17%" in done.printed
