"""What holds of every function of every task: what it refuses, names, and does not depend on.

The cases stand in ``every_task``; a new task joins by a case of its own.
"""

import functools
import inspect
import re
from dataclasses import replace

import every_task
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from contract import KEYS
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import lq_spark
from lq_spark import detection, files, multiclass, tokens
from lq_spark.engine import parquet_files
from lq_spark.engine.readings import reading_of
from lq_spark.errors import ColumnError, DataError, InvalidRowsError

CASES = {name: make() for name, make in every_task.CASES.items()}
EACH = pytest.mark.parametrize("name", list(CASES))
# Those of boxes and of leakage are other shapes of tasks that are there already.
WITH_ROWS = [
    name
    for name, case in CASES.items()
    if name not in ("boxes", "leakage") and "validate" in case.functions
]
QUALITIES = {
    *("label_quality", "sentence_quality", "consensus_quality_score", "active_learning_score"),
    *("outlier_score", "near_duplicate_score", "class_imbalance_score", "null_score"),
    *("data_valuation_score", "non_iid_score", "underperforming_group_score"),
}


def said_by(case, call, tables, error_class=ColumnError):
    """Return what a call is refused with."""
    with pytest.raises(error_class) as error:
        every_task.run(case, call, tables)
    return str(error.value)


@pytest.fixture
def tables(spark):
    """Make the tables of a case."""
    return lambda name: every_task.spark_tables(spark, CASES[name])


@pytest.fixture
def unread_tables(tables, unread):
    """Make tables of the columns of a case, some of another type; a job that reads them fails."""
    return lambda name, **changed: [
        unread(**{n: changed.get(n, kind) for n, kind in table.dtypes}) for table in tables(name)
    ]


def test_a_job_that_read_the_table_would_fail(unread_tables):
    case = CASES["multiclass"]
    with pytest.raises(Exception, match="the table was read"):
        every_task.run(case, case.plain("fit_thresholds"), unread_tables("multiclass"))


def test_every_function_of_every_task_has_a_call():
    modules = {name for name in lq_spark.__all__ if inspect.ismodule(getattr(lq_spark, name))}
    tasks = sorted(modules - {"incremental"})  # which is of the job
    public = {
        f"{task}.{name}"
        for task in tasks
        for name in getattr(lq_spark, task).__all__
        if inspect.isfunction(function := getattr(getattr(lq_spark, task), name))
        and function.__module__.startswith("lq_spark.tasks.")  # others are of arrays
    }
    called = {f"{case.task}.{name}" for case in CASES.values() for name in case.functions}
    assert public - called == set()


@EACH
def test_a_column_that_is_not_there_is_named_with_those_that_are(unread_tables, name):
    case, given = CASES[name], unread_tables(name)
    for call in case.calls:
        for option in call.columns:
            column = case.first(option)
            for place in case.table_of(option):
                others = list(given)
                others[place] = others[place].withColumnRenamed(column, f"{column}_")
                there = [repr(n) for n in others[place].columns[:10]]
                said = said_by(case, call, others)
                start = f"{option}: no column {column!r} in the table; it has {', '.join(there)}"
                assert said.startswith(start), call
                assert said.endswith(f"; did you mean '{column}_'?"), call


def wrong_kinds(case):
    """Yield (option, type, what is said) of each type that a column may not have."""
    for option, kinds in {case.key: KEYS, **case.kinds}.items():
        column = case.first(option)
        for kind in kinds.wrong:
            yield option, kind, f"{option}: column {column!r}{kinds.of} is {kind}; {kinds.allowed}"
    yield from case.more_kinds


@EACH
def test_a_column_of_a_wrong_type_is_refused_before_a_job(unread_tables, name):
    case = CASES[name]
    for option, kind, expected in wrong_kinds(case):
        others = unread_tables(name, **{case.first(option): kind})
        calls = [call for call in case.calls if option in call.columns]
        assert calls, option
        for call in calls:
            assert expected in said_by(case, call, others), (call, kind)


@EACH
def test_a_wrong_option_is_refused_before_a_job(unread_tables, name):
    case, others = CASES[name], unread_tables(name)
    used = set()
    for function, refusal in case.refused():
        call = case.refusing(function, refusal)
        used.add(id(refusal))
        assert refusal.said in said_by(case, call, others, refusal.error), call
    unused = [refusal for refusal in case.refusals if id(refusal) not in used]
    assert unused == []


RETURNS_THE_TABLE = {
    *("score", "validate", "find_issues", "between", "noisy_labels", "cross_val_predict"),
    "cross_val_predict_numbers",
}
"""Functions that return the caller's columns; but not of each shape of table."""

MADE = {
    ("sentences", "find_issues"),  # a table of tokens
    ("crowd", "score"),
    ("active", "score"),
    ("audit", "find_issues"),  # what was found, by the ids
}


def returns_the_table(name, call):
    if name == "sentences" and call.options.get("level") == "token":
        return False
    if name == "tokens" and call.function == "score":
        return call.options.get("level") == "token"
    if call.function in CASES[name].of_columns:
        return False
    return call.function in RETURNS_THE_TABLE and (name, call.function) not in MADE


def known(case, call):
    """Return a call that knows how many classes there are, so that it need not read the table."""
    return replace(call, options=case.plain(call.function).options | call.options)


@EACH
def test_a_column_that_would_be_added_may_not_be_there(tables, unread_tables, name):
    case, given = CASES[name], unread_tables(name)
    for call in (known(case, call) for call in case.calls if returns_the_table(name, call)):
        found = every_task.run(case, call, tables(name))
        made = [found] if isinstance(found, DataFrame) else list(found)
        for place, table in enumerate(made, start=len(case.tables) - len(made)):
            new = [n for n in table.columns if n not in case.tables[place].column_names]
            assert new, call
            for column in new:
                for taken in (column, column.upper()):
                    others = list(given)
                    others[place] = others[place].withColumn(taken, F.lit(1))
                    said = said_by(case, call, others)
                    expected = (
                        f"the table already has '{column}', which would be added; "
                        "rename or drop it first"
                    )
                    assert said == expected, call


@pytest.mark.parametrize("other", [str, str.upper], ids=["same", "by case"])
@EACH
def test_a_column_that_is_there_twice_is_refused_before_a_job(unread_tables, name, other):
    case = CASES[name]
    others = unread_tables(name)
    for call in case.calls:
        for option in call.columns:
            first = case.first(option)
            for place in case.table_of(option):
                twice = list(others)
                twice[place] = twice[place].select("*", F.lit(1).alias(other(first)))
                said = said_by(case, call, twice)
                expected = f"{option}: column {first!r} is ambiguous, the table has {first!r}, "
                assert said.startswith(f"{expected}{other(first)!r}; "), call


@EACH
def test_other_columns_of_one_name_are_in_the_way_only_where_they_are_returned(
    tables, unread_tables, name
):
    case = CASES[name]

    def twice(made):
        return [table.select("*", F.lit(1).alias("x y"), F.lit(2).alias("X y")) for table in made]

    for call in case.calls:
        if returns_the_table(name, call):
            said = said_by(case, call, twice(unread_tables(name)))
            assert "all of which is returned, " in said, call
            assert ": 'x y', 'X y'; re" in said, call
        else:
            expected = every_task.values_of(every_task.run(case, call, tables(name)))
            found = every_task.values_of(every_task.run(case, call, twice(tables(name))))
            assert found == expected, call


@EACH
def test_columns_of_any_name_give_the_same(spark, name):
    """Names with dots, with quotes and blanks of all kinds, upper case, emoji."""
    case = CASES[name]
    tables = every_task.spark_tables(spark, case)
    expected = [every_task.values_of(every_task.run(case, call, tables)) for call in case.calls]
    for end in every_task.ODD.values():
        others = every_task.spark_tables(spark, case, end)
        columns = every_task.odd_names(case.columns, end)
        for call, values in zip(case.calls, expected, strict=True):
            found = every_task.values_of(every_task.run(case, call, others, columns))
            if call.function not in case.tells_names:
                assert found == values, (call, end)


def parts(result):
    """Return the tables with a row for each of the given ones, of what a function returns."""
    if isinstance(result, DataFrame):
        return [result]
    if hasattr(result, "annotations"):  # of a crowd: in the order of its tables
        return [result.annotations, result.items]
    return [result.items]


@pytest.fixture
def faulty(spark):
    """Return the tables of a case with rows for each of these faults after its own ones."""

    def make(case, faults):
        made = [
            case.unfit(place, [fault for fault in faults if fault.table == place])
            for place in range(len(case.tables))
        ]
        return [spark.createDataFrame(table).coalesce(1) for table in made]

    return make


@pytest.mark.parametrize("name", WITH_ROWS)
def test_validate_names_the_fault_of_each_row(faulty, name):
    case = CASES[name]
    given = faulty(case, case.faults)
    result = every_task.run(case, case.plain("validate"), [t.repartition(3) for t in given])
    for checked, table in zip(parts(result), given, strict=True):
        assert checked.columns == [*table.columns, "invalid_reason"]
        rows = checked.collect()
        assert len(rows) == table.count()
        wrong = [(r["expected"], r["invalid_reason"]) for r in rows]
        assert [pair for pair in wrong if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    "name", [n for n in WITH_ROWS if "score" in CASES[n].functions and CASES[n].faults]
)
def test_rows_with_a_fault_are_left_null_and_change_no_other(faulty, name):
    case = CASES[name]
    call, checks = case.plain("score", on_invalid="null"), case.plain("validate")
    given = faulty(case, case.faults)
    found = parts(every_task.run(case, call, given))
    expected = parts(every_task.run(case, call, faulty(case, [])))
    checked = parts(every_task.run(case, checks, given))[-len(found) :]
    for table, good, reasons in zip(found, expected, checked, strict=True):
        [quality] = QUALITIES & {*table.columns}
        rows, n_unfit = table.collect(), reasons.where("invalid_reason is not null").count()
        scored = [row for row in rows if row[quality] is not None]
        assert sorted(map(repr, scored)) == sorted(map(repr, good.collect()))
        new = [n for n in table.columns if n not in reasons.columns]
        unscored = [row for row in rows if row[quality] is None]
        assert len(unscored) == n_unfit / (1 if returns_the_table(name, call) else case.unit)
        if returns_the_table(name, call):
            assert {row[column] for row in unscored for column in new} == {None}


SAYS_HOW_MANY = (
    r"^\d of \d+ rows (cannot be scored.*|have no usable pred_probs\[label\]); [a-z]+\.validate s|"
    r"is not 0, 1, 2, … each once.*; tokens\.validate names|"
    r"differ in length, or are null; tokens\.validate names|"
    r"^column 'pred_probs' has rows of \d and rows of \d probabilities$"
)
"""What is said of rows that do not fit, where not why."""


@pytest.mark.parametrize("name", WITH_ROWS)
def test_a_row_with_a_fault_fails_what_needs_it(faulty, name):
    case = CASES[name]
    calls = [case.plain(function) for function in case.functions if function != "validate"]
    for fault in {(fault.reason, fault.unseen): fault for fault in case.faults}.values():
        given = faulty(case, [fault])
        reason = re.escape(fault.said or fault.reason.rpartition(": ")[2])
        said = rf"{reason}.*\.validate names|{SAYS_HOW_MANY}"
        for call in calls:
            if call.function in fault.unseen:
                every_task.values_of(every_task.run(case, call, given))
                continue
            with pytest.raises(Exception, match=said):
                every_task.values_of(every_task.run(case, call, given))


NOT_KEYS = re.compile(
    "(?P<option>[a-z_]+): column '(?P=option)'(?: of the items)? has nulls or values that occur "
    "twice; [a-z]+.validate says which"
)
"""What is said of an id of which a function needs that it tells rows apart."""


@pytest.mark.parametrize("fault", ["null", "twice"])
@pytest.mark.parametrize("name", WITH_ROWS)
def test_an_id_that_is_null_or_occurs_twice_is_named_or_refused(spark, name, fault):
    case = CASES[name]
    key, unit = case.first(case.key), case.unit
    place = case.table_of(case.key)[-1]
    [*others, table] = [*case.tables[:place], case.tables[place]]
    first = table.slice(0, unit)
    values = {} if fault == "twice" else {key: None}

    def with_row(**more):
        rows = [row | values | more for row in first.to_pylist()]
        added = pa.concat_tables([table, pa.Table.from_pylist(rows, table.schema)])
        return [spark.createDataFrame(t).repartition(3) for t in (*others, added)]

    given = with_row()
    reason = f"null {case.key}" if fault == "null" else case.twice or f"duplicate {case.key}"
    checked = parts(every_task.run(case, case.plain("validate"), given))[-1].collect()
    wrong = [row for row in checked if row["invalid_reason"] is not None]
    assert {row["invalid_reason"] for row in wrong} == {reason}
    assert len(wrong) == unit * (1 if fault == "null" else 2)
    assert {row[key] for row in wrong} == {None if fault == "null" else first[key][0].as_py()}
    # That an id is none comes before any other fault of its row.
    unfit = [f.values for f in case.faults if f.table == place and key not in f.values]
    checked = every_task.run(case, case.plain("validate"), with_row(**(unfit or [{}])[0]))
    wrong = [row for row in parts(checked)[-1].collect() if row["invalid_reason"] is not None]
    assert {row["invalid_reason"] for row in wrong} == {reason}
    for call in case.calls:
        if call.function in case.needs_key:
            said = said_by(case, call, given, InvalidRowsError)
            assert NOT_KEYS.match(said) or said.startswith(case.not_in_order), call


NEEDS_NO_ID = [
    name
    for name in WITH_ROWS
    for parameters in [inspect.signature(CASES[name].function("validate")).parameters]
    if parameters[CASES[name].key].default is None
]


@pytest.mark.parametrize("name", NEEDS_NO_ID)
def test_without_an_id_no_id_is_a_fault(spark, name):
    case = CASES[name]
    call = case.plain("validate")
    [table] = case.tables
    twice = spark.createDataFrame(pa.concat_tables([table, table]))
    columns = tuple(option for option in call.columns if option != case.key)
    checked = every_task.run(case, replace(call, columns=columns), [twice])
    assert checked.where("invalid_reason is not null").count() == 0


@EACH
def test_a_table_without_rows_has_a_result_without_rows_or_is_refused(tables, name):
    case = CASES[name]
    nothing = [table.where("false") for table in tables(name)]
    for call in case.calls:
        if said := (case.alone | case.empty).get(call.function):
            assert said_by(case, call, nothing, DataError) == said, call
        else:
            result = every_task.run(case, call, nothing)
            if call.function in case.of_columns:
                assert result.count() == len(case.columns[case.key]), call
            elif isinstance(result, DataFrame) or call.function in ("score", "validate"):
                assert [table.collect() for table in parts(result)] in ([[]], [[], []]), call
            else:
                every_task.values_of(result)


@pytest.mark.filterwarnings("ignore:classes .* none of them is pruned")
@EACH
def test_a_table_of_one_row_has_a_result(spark, name):
    """Of what is scored as one: a sentence, or an item with its annotations."""
    case = CASES[name]
    option = case.key
    [*_, items] = case.tables
    key = case.first(option)
    several = items[key][0]
    if len(case.tables) == 2:  # an item that is in both, and has several annotations
        counts = case.tables[0][key].value_counts()
        several = max((c["counts"].as_py(), c["values"].as_py()) for c in counts)[1]
    given = [spark.createDataFrame(t.filter(pc.equal(t[key], several))) for t in case.tables]
    for call in case.calls:
        if said := case.alone.get(call.function):
            assert said_by(case, call, given, DataError) == said, call
            continue
        result = every_task.run(case, call, given)
        if returns_the_table(name, call):
            made = parts(result)
            assert [t.count() for t in made] == [t.count() for t in given[-len(made) :]], call
        assert every_task.values_of(result) is not None


def with_ties(case, table):
    """Return a table with all of its rows once more, of other ids."""
    key = case.first(case.key)
    again = pc.add(table[key], pa.scalar(1000, table[key].type))
    return pa.concat_tables([table, table.set_column(table.column_names.index(key), key, again)])


@EACH
def test_results_are_the_same_to_the_bit_on_any_partitions_in_any_order(spark, name):
    case = CASES[name]
    tables, made = [with_ties(case, table) for table in case.tables], {}
    for n_partitions in (1, 2, 7):
        order = np.random.default_rng(n_partitions)
        given = [
            spark.createDataFrame(table.take(order.permutation(len(table)))).repartition(
                n_partitions
            )
            for table in tables
        ]
        for number, call in enumerate(case.calls):
            found = every_task.values_of(every_task.run(case, call, given))
            assert made.setdefault(number, found) == found, (call, n_partitions)


@EACH
def test_results_are_the_same_to_the_bit_where_workers_read_files(
    spark, name, tmp_path, monkeypatch
):
    case, made = CASES[name], {}
    places = [str(tmp_path / f"{i}.parquet") for i in range(len(case.tables))]
    for place, table in zip(places, case.tables, strict=True):
        pq.write_table(with_ties(case, table), place, row_group_size=1)
    for n_splits in (None, 1, 7):
        monkeypatch.setattr(
            parquet_files, "split_bytes", lambda _, total, n=n_splits or 1: total / n
        )
        opened = spark.read.parquet if n_splits is None else functools.partial(files, spark)
        given = list(map(opened, places))
        assert [reading_of(df) is None for df in given] == [n_splits is None] * len(given)
        for number, call in enumerate(case.calls):
            found = every_task.values_of(every_task.run(case, call, given))
            assert made.setdefault(number, found) == found, (call, n_splits)


def opened_both_ways(spark, place, table):
    """Write a table; return it as the engine reads it, and as workers do."""
    pq.write_table(table, place, row_group_size=2)
    return spark.read.parquet(str(place)), files(spark, str(place))


def test_sentences_without_tokens_are_read_by_workers_too(spark, tmp_path):
    probs = [[], [], [[0.9, 0.1], [0.2, 0.8]], [[0.7, 0.3]]]
    labels = pa.array([[], [], [0, 1], [0]], pa.list_(pa.int32()))
    table = pa.table({"sentence_id": [0, 1, 2, 3], "labels": labels, "pred_probs": probs})
    by_engine, by_workers = opened_both_ways(spark, tmp_path / "rows.parquet", table)
    assert tokens.fit(by_workers).to_json() == tokens.fit(by_engine).to_json()


def test_labels_of_boxes_beyond_the_doubles_are_out_of_range_by_workers_too(spark, tmp_path):
    box = {"x1": 0.0, "y1": 0.0, "x2": 1.0, "y2": 1.0}
    labels = [[{**box, "label": label}] for label in (0, 2**63 - 1)]
    found = [[{**box, "label": 0, "prob": 0.5}]] * 2
    table = pa.table({"id": [0, 1], "labels": labels, "predictions": found})
    made = []
    for df in opened_both_ways(spark, tmp_path / "rows.parquet", table):
        scored = detection.score(df, n_classes=2, on_invalid="null").orderBy("id")
        made.append([row["label_quality"] for row in scored.collect()])
        counts = detection.validate(df, n_classes=2).where("invalid_reason is not null").count()
        assert counts == 1
    assert made[0] == made[1]
    assert made[0][1] is None


def test_a_float_a_little_above_one_is_refused_by_workers_too(spark, tmp_path):
    probs = pa.array([[1.001, 0.0], [0.3, 0.7]], pa.list_(pa.float32()))
    table = pa.table({"label": [0, 1], "pred_probs": probs})
    for df in opened_both_ways(spark, tmp_path / "rows.parquet", table):
        with pytest.raises(InvalidRowsError, match=r"^1 of 2 rows have no usable"):
            multiclass.fit_thresholds(df)


def results(spark, name):
    """Return what each function of a case gives."""
    case = CASES[name]
    given, calls = every_task.spark_tables(spark, case), {c.function: c for c in case.calls}
    return [every_task.values_of(every_task.run(case, call, given)) for call in calls.values()]


@pytest.mark.connect_only
@EACH
def test_through_spark_connect_results_are_those_of_the_embedded_engine(
    spark, on_embedded, quietly, name
):
    beside = on_embedded(__file__, "results", name)
    assert quietly(results, spark, name) == beside.result()
