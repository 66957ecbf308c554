"""The job of an audit: what it writes and tells is what the function finds."""

import numpy as np
import pyarrow as pa
import pytest
from runs import config_of, parsed

from lq_spark import audit, spurious
from lq_spark.errors import OptionError

N = 120
PLACES = {"input": "./in", "output": "./out"}
GIVEN = {"label": "kind", "pred_probs": "p", "features": "f", "classes": ["ant", "bee", "cow"]}


def table_of(seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, N)
    features = np.eye(3, 5)[truth] * 4.0 + rng.normal(size=(N, 5))
    features[5], features[7] = features[6], features[7] * 20.0
    given = np.where(rng.random(N) < 0.1, (truth + 1) % 3, truth)
    return pa.table(
        {
            "id": [f"r{n:03}" for n in range(N)],
            "kind": np.array(["ant", "bee", "cow"])[given].tolist(),
            "p": list(0.7 * np.eye(3)[truth] + 0.1),
            "f": list(features),
            "time": rng.permutation(N),
            "light": given + rng.normal(size=N) * 0.1,
            "noise": rng.normal(size=N),
        }
    )


def test_a_good_run_says_of_each_row_what_the_function_says(run, spark, by_id):
    table = table_of()
    options = {"non_iid": {"order": "time"}, "outlier": {"threshold": 0.5}}
    done = run(table, "audit", **GIVEN, check_options=options, keep_columns=["time"])
    names = ("null", "label", "near_duplicate", "class_imbalance", "underperforming_group")
    assert "spurious_correlations_score" not in {name for name, _ in done.metrics}
    checks = {**{name: {} for name in names}, **options}
    df = spark.createDataFrame(table.to_pandas())
    alone = audit.find_issues(df, **GIVEN, checks=checks)
    expected = alone.issues.toPandas().sort_values("id", ignore_index=True)
    found = by_id(done.scores, table["id"]).to_pandas()
    assert list(found.columns) == ["id", "time", *expected.columns[1:]]
    for name in expected.columns:
        assert list(map(repr, found[name])) == list(map(repr, expected[name])), name
    for check, score, n_issues in alone.summary.itertuples(index=False):
        assert done.metrics[f"{check}_score", None] == score
        assert done.metrics[f"{check}_issues", None] == n_issues
        assert f"  {check} " in done.printed
    n_rows = int((expected["num_issues"] > 0).sum())
    assert done.metrics["rows_with_issues", None] == n_rows > 10
    assert done.metrics["issue_rate", None] == n_rows / N
    assert done.metrics["checks_failed", None] == 0
    assert f"rows with issues {n_rows} of {N}" in done.printed
    assert "near_duplicate: 2 issues, the worst (1 good, 0 bad):" in done.printed


def test_a_gate_says_which_property_tells_the_classes_apart(run, spark):
    table = table_of()
    columns = {"label": "kind", "classes": GIVEN["classes"], "properties": ["noise", "light"]}
    done = run(table, "audit", **columns, fail_if=["spurious_correlations_issues > 0"], ends=3)
    df = spark.createDataFrame(table.to_pandas())
    expected = spurious.summarize(
        df, properties=columns["properties"], label="kind", classes=columns["classes"]
    )
    assert expected.issues == ("light",)
    assert done.metrics["spurious_correlations_issues", None] == 1
    assert done.metrics["spurious_correlations_score", None] == min(expected.scores)
    assert done.metrics["checks_failed", None] == 0
    assert "spurious_correlations: 1 issues, lowest scores:" in done.printed
    assert not [name for name in done.scores.column_names if "spurious" in name]


def test_bad_properties_are_refused_or_set_aside(run, tmp_path):
    table = table_of()
    light = [None if n == 4 else float("inf") if n == 5 else n for n in range(N)]
    place = table.column_names.index("light")
    bad = table.set_column(place, "light", pa.array(light, pa.float64()))
    columns = {"label": "kind", "classes": GIVEN["classes"], "properties": ["light"]}
    done = run(bad, "audit", **columns, on_invalid="quarantine")
    assert done.reasons == {"null property": 1, "property not finite": 1}
    assert done.scores.num_rows == N - 2
    other = str(tmp_path / "other")
    done = run(table, "audit", **{**columns, "properties": ["kind"]}, output=other, ends=2)
    assert "properties: column 'kind' is string; allowed are whole numbers" in done.error
    done = run(table, "audit", properties=["light"], output=other, ends=2)
    assert "properties are given, which go with labels that are classes" in done.error


def test_a_check_that_fails_is_told_of_and_can_fail_the_run(run, tmp_path):
    few = table_of().slice(0, 9)
    columns = {"features": "f", "k": 9}
    done = run(few, "audit", **columns, fail_if=["checks_failed > 9"])
    why = "outlier failed: k must be below the number of rows"
    assert why in done.printed
    assert done.metrics["checks_failed", None] == 3
    assert done.metrics["outlier_issues", None] is None
    assert done.scores["outlier_score"].null_count == 9
    other = str(tmp_path / "other")
    done = run(few, "audit", **columns, on_check_error="fail", output=other, ends=2)
    assert "k must be below the number of rows" in done.error


def test_rows_that_a_check_cannot_use_are_set_aside(run, by_id):
    table = table_of()
    features = table["f"].to_pylist()
    features[30] = None
    kinds = table["kind"].to_pylist()
    kinds[31] = "dog"
    bad = pa.table({**{n: table[n] for n in table.column_names}, "f": features, "kind": kinds})
    done = run(bad, "audit", **GIVEN, on_invalid="quarantine")
    assert done.reasons == {"null features": 1, "label not in classes": 1}
    assert sorted(done.quarantine["id"].to_pylist()) == ["r030", "r031"]
    assert done.scores.num_rows == N - 2
    assert done.metrics["checks_failed", None] == 0


def test_keys_become_checks():
    config = config_of("audit", **PLACES)
    assert (config.features, config.checks, config.check_options) == (None, None, {})
    given = parsed("audit", "--checks", "null,label", "--check-options", '{"label": {}}')
    assert given["checks"] == ["null", "label"]
    assert parsed("audit", "--properties", "light,size")["properties"] == ["light", "size"]
    assert given["check_options"] == {"label": {}}
    named = {"non_iid": {"order": "time"}}
    config = config_of("audit", **PLACES, check_options=named)
    assert config.columns_named(["time", "other"]) == ["time"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"checks": ["outliers"]}, "checks: 'outliers' is none of 'null', 'label'"),
        ({"check_options": {"nul": {}}}, "checks: 'nul' is none of"),
        (
            {"checks": ["null"], "check_options": {"label": {}}},
            "check_options: 'label' is not among the checks",
        ),
        ({"features": "f", "graph": "./g"}, "features and graph are given together"),
        ({"label_task": "tokens"}, "label_task"),
    ],
    ids=str,
)
def test_a_wrong_key_is_refused(keys, message):
    with pytest.raises(OptionError) as error:
        config_of("audit", **PLACES, **keys)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_options_on_the_command_line_are_a_json_object(text, capsys):
    with pytest.raises(SystemExit) as error:
        parsed("audit", "--check-options", text)
    assert error.value.code == 2
    assert "must be" in capsys.readouterr().err
