import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lq_spark.errors import OptionError
from lq_spark.job.conditions import MAX_LENGTH, parse_condition, require_classes
from lq_spark.job.gate import judge

METRICS = ("rows", "issue_rate", "mean_label_quality")
CLASS_METRICS = ("class_rows", "class_issue_rate")

NOW = {
    ("rows", None): 1200.0,
    ("issue_rate", None): 0.07123456789,
    ("mean_label_quality", None): None,
    ("class_rows", "cat"): 700.0,
    ("class_rows", "dog"): 500.0,
    ("class_rows", "3"): 0.0,
    ("class_issue_rate", "cat"): 0.41,
    ("class_issue_rate", "dog"): 0.35,
    ("class_issue_rate", "3"): None,
}
BEFORE = {
    ("rows", None): 1000.0,
    ("issue_rate", None): 0.04,
    ("mean_label_quality", None): 0.9,
    ("class_rows", "cat"): 600.0,
    ("class_rows", "bird"): 400.0,
    ("class_issue_rate", "cat"): 0.4,
}


def parse(text):
    return parse_condition("fail_if", text, METRICS, CLASS_METRICS)


def verdict(text, now=NOW, before=BEFORE):
    return judge(parse(text), now, before)


def refusal(text):
    with pytest.raises(OptionError) as error:
        parse(text)
    message = str(error.value)
    assert message.startswith("fail_if: ")
    assert "\n" not in message and ". " not in message and not message.endswith(".")
    return message


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("issue_rate > 0.05", True),
        ("issue_rate < 5e-2", False),
        ("  rows >= 1200\n", True),
        ("(rows\n >= 1200)", True),
        ("rows <= 1199", False),
        ("rows == 1200", True),
        ("rows != 1200", False),
        ("1000 < rows < 1200", False),
        ("0 < 1000 < rows <= 1_200", True),
        ("not rows < 1000", True),
        ("rows < 1000 or issue_rate > 0.05", True),
        ("rows < 1000 and issue_rate > 0.05", False),
        ("-rows < -1000", True),
        ("rows / 2 - 100 * 3 + 1 == 301", True),
        ("abs(issue_rate - previous(issue_rate)) > 0.02 and rows > 1000", True),
        ("issue_rate > 1.5 * previous(issue_rate)", True),
        ("issue_rate > 2 * previous(issue_rate)", False),
        ("min(rows, 5, 7) == 5", True),
        ("max(rows, previous(rows)) == 1200", True),
        ("class_rows['cat'] < 100", False),
        ("class_rows[3] < 100", True),
        ("class_rows['cat'] > previous(class_rows['cat'])", True),
        ("previous(class_rows['bird']) == 400", True),
        ("1 < 2", True),
    ],
)
def test_a_condition_over_the_table_is_met_or_not(text, met):
    found = verdict(text)
    assert (found.met, found.classes) == (met, ())
    assert found.condition.text == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        *["rows.real > 1", "rows.__class__ == 1", "'a'.x > 1", "abs.x > 1"],
        *["__import__('os')", "__import__('os') > 1", "open('x') > 1", "sum(rows, 1) > 1"],
        *["lambda: 1", "(lambda: 1)() > 1", "[r for r in rows]", "max(r for r in rows) > 1"],
        *["rows in [1]", "rows is 1", "rows not in (1, 2)", "rows > (1, 2)", "rows > {}"],
        *["'a' > 'b'", "rows > '1'", "f'{rows}' > 1", "rows > f'1'", "b'1' < rows"],
        *["(x := 1) > 0", "rows > (x := 1)", "rows if rows else rows", "await rows > 1"],
        *["abs(x=1) > 0", "min(rows, 1, key=abs) > 0", "max(*rows, 1) > 0", "abs(**rows) > 1"],
        *["abs() > 0", "abs(1, 2) > 0", "min() > 0", "max(rows) > 0", "previous() > 0"],
        *["previous(1) > 0", "previous(rows + 1) > 0", "previous(rows, 1) > 0"],
        *["previous(previous(rows)) > 0", "previous(abs(rows)) > 0"],
        *["rows ** 2 > 1", "rows % 2 > 1", "rows // 2 > 1", "rows @ 2 > 1", "rows << 2 > 1"],
        *["rows > 1 & rows < 2", "~rows > 1", "+rows > 1", "rows > True", "None < 1", "...<1"],
        *["rows > 1j", "rows < 1e999", f"rows < 1{'0' * 400}", "rows > 1 + (rows < 2)"],
        *["abs(rows > 1) > 0", "rows and rows", "not rows", "rows > 1 or issue_rate", "True"],
        *["issue_rate", "1", "previous(rows)", "-rows", "abs(rows)", "rows + 1", "class_rows[3]"],
        *["rows['cat'] > 1", "rows[3] > 1", "previous(rows['cat']) > 1", "class_rows[cat] > 1"],
        *["class_rows[True] > 1", "class_rows[1.5] > 1", "class_rows[-1] > 1"],
        *["class_rows['a', 'b'] > 1", "class_rows['a':] > 1", "class_rows['a']['b'] > 1"],
        *["class_rows[b'cat'] > 1", "'cat'[0] > 1", "abs > 1", "class_rows() > 1"],
    ],
)
def test_what_has_no_meaning_is_refused(text):
    assert f"{text!r}" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        *["", " \n\t", "issue_rate >", "issue_rate = 0.05", "issue_rate > 0.05; rows > 1"],
        *["(rows > 1", "rows > 1)", "rows rows", "import os", "rows > 1\nrows > 2", "rows > 'a"],
        *["rows > 1\0", "rows > 01", "x = yield", "if rows > 1: pass", "\ud800 > 1", "*rows"],
        *["# rows > 1", "rows <> 1", "5 % of rows"],
    ],
)
def test_what_python_cannot_read_is_refused(text):
    expected = f"fail_if: a condition must be like 'issue_rate > 0.05', got {text.strip()!r}"
    assert refusal(text) == expected


def test_messages_name_what_was_given_and_what_is_allowed():
    known = "'rows', 'issue_rate', 'mean_label_quality', 'class_rows', 'class_issue_rate'"
    assert refusal("rows > 1 and isue_rate > 0.05") == (
        f"fail_if: a metric must be one of {known}, got 'isue_rate' in "
        "'rows > 1 and isue_rate > 0.05'; did you mean 'issue_rate'?"
    )
    assert "got \"class_row['cat']\"" in refusal("class_row['cat'] > 1")
    assert refusal("class_row['cat'] > 1").endswith("; did you mean 'class_rows'?")
    assert refusal("issue_rate") == (
        "fail_if: a condition must be made with < <= > >= == !=, and, or, not, got 'issue_rate'"
    )
    assert refusal("rows ** 2 > 1") == (
        "fail_if: a number must be made of numbers, metrics, metric['class'], previous(metric), "
        "abs(x), min(x, y), max(x, y), + - * /, got 'rows ** 2' in 'rows ** 2 > 1'"
    )
    assert refusal("rows[3] > 1").startswith(
        "fail_if: rows must be without a class, being of the whole table, got 'rows[3]' in "
    )
    with pytest.raises(OptionError, match=r"^warn_if: "):
        parse_condition("warn_if", "rows", METRICS, CLASS_METRICS)


@pytest.mark.parametrize(
    "text",
    [
        "-" * 400 + "1 > 0",
        "not " * 120 + "rows > 1",
        "+".join(["1"] * 240) + " > 0",
        "(" * 90 + "rows" + ")" * 90 + " > 1",
        "abs(" * 95 + "rows" + ")" * 95 + " > 1",
        "(" * 240 + "1" + ")" * 240 + " > 0",
        "(" * 499,
        "[" * 499,
    ],
)
def test_however_deep_a_condition_is_it_is_read_or_refused(text):
    assert len(text) <= MAX_LENGTH
    try:
        assert verdict(text).met is not None
    except OptionError as error:
        assert str(error).startswith("fail_if: a condition must be ")


def test_the_deepest_condition_that_is_read_can_be_judged():
    assert verdict("+".join(["1"] * 99) + " > 0").met is True
    assert "nested at most 100 deep" in refusal("+".join(["1"] * 100) + " > 0")


def test_a_long_text_is_refused_and_not_repeated_in_full():
    assert parse("rows > 1" + "0" * (MAX_LENGTH - 300))
    text = "rows > 1 or " * 41 + "rows > 22"
    assert len(text) == MAX_LENGTH + 1
    assert refusal(text) == (
        "fail_if: a condition must be at most 500 characters, got 501 that start with "
        "'rows > 1 or rows > 1 or rows > 1 or rows'"
    )


def test_a_condition_is_known_by_its_option_and_text():
    condition = parse("rows > 1")
    assert condition == parse(" rows > 1 ") and hash(condition) == hash(parse("rows > 1"))
    assert condition != parse_condition("warn_if", "rows > 1", METRICS, CLASS_METRICS)
    assert repr(condition) == "Condition(option='fail_if', text='rows > 1')"
    assert pickle.loads(pickle.dumps(condition)).tree == condition.tree


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("issue_rate > 0.05", "issue_rate 0.0712346"),
        ("issue_rate > 1", "issue_rate 0.0712346"),
        ("issue_rate > previous(issue_rate)", "issue_rate 0.0712346, previous(issue_rate) 0.04"),
        ("rows > 1 and rows < 5", "rows 1200"),
        ("class_rows[3] < rows", "class_rows['3'] 0, rows 1200"),
        ("rows > 1 or mean_label_quality > 1", "rows 1200, mean_label_quality unknown"),
        ("class_issue_rate > 0.3", "class 'cat' 0.41, class 'dog' 0.35"),
        ("class_issue_rate > 0.9", "no class of 2"),
        ("class_rows > 900", "no class of 3"),
        (
            "class_issue_rate > previous(class_issue_rate)",
            "class 'cat' (class_issue_rate 0.41, previous(class_issue_rate) 0.4)",
        ),
    ],
)
def test_a_verdict_says_the_condition_with_what_it_saw(text, seen):
    assert verdict(text).explanation == f"{text}: {seen}"


def test_a_condition_without_a_metric_says_itself():
    assert verdict("1 < 2").explanation == "1 < 2"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mean_label_quality < 0.8", "mean_label_quality has no value"),
        ("not mean_label_quality < 0.8", "mean_label_quality has no value"),
        ("abs(-max(1, mean_label_quality)) < 0.8", "mean_label_quality has no value"),
        ("class_issue_rate['3'] > 0", "class_issue_rate['3'] has no value"),
        ("class_rows['fish'] < 100", "class_rows has no class 'fish'"),
        ("class_rows['bird'] < 100", "class_rows has no class 'bird'"),
        ("previous(class_rows['dog']) < 100", "previous(class_rows) has no class 'dog'"),
        ("rows / (rows - 1200) > 1", "division by zero"),
        ("1 / 0 > 1 or 0 / 0 == 1", "division by zero"),
        ("1e308 * 10 - 1e308 * 10 == 0", "a result is not a number"),
        ("max(rows, 1e308 * 10 - 1e308 * 10) > 0", "a result is not a number"),
        (
            "rows / 0 > mean_label_quality",
            "division by zero; mean_label_quality has no value",
        ),
    ],
)
def test_what_is_unknown_is_not_judged_and_says_why(text, reason):
    found = verdict(text)
    assert (found.met, found.classes, found.explanation) == (None, (), f"not judged: {reason}")


@pytest.mark.parametrize(
    ("text", "met", "name"),
    [
        ("class_rows['fish'] < 100", None, "fish"),
        ("previous(class_rows['bird']) < 100", False, "bird"),
        ("class_rows['cta'] < 100 or rows > 1", True, "cta"),
    ],
)
def test_a_class_that_the_run_does_not_have_is_warned_of_whatever_the_verdict(text, met, name):
    found = verdict(text)
    hint = "; did you mean 'cat'?" if name == "cta" else ""
    told = f"class_rows has no {name!r}; it has 'cat', 'dog', '3'{hint}"
    assert (found.met, found.warning) == (met, told)


@pytest.mark.parametrize("text", ["class_rows['cat'] < 1", "class_rows < 1", "rows < 1"])
def test_of_what_is_there_is_no_warning(text):
    assert verdict(text).warning is None


def test_where_the_classes_are_known_a_condition_names_one_of_them():
    names = ["cat", "dog"]
    for text in ("class_rows['cat'] < 1", "class_rows < 1", "class_rows['cat → dog'] < 1"):
        require_classes(parse(text), names)
    with pytest.raises(OptionError) as error:
        require_classes(parse("class_rows['dgo'] < 100 or rows < 1"), names)
    assert str(error.value) == (
        "fail_if: \"class_rows['dgo'] < 100 or rows < 1\" could never be judged: "
        "class_rows has no 'dgo'; it has 'cat', 'dog'; did you mean 'dog'?"
    )


@pytest.mark.parametrize("text", ["rows < previous(rows)", "class_rows < previous(class_rows)"])
def test_without_an_earlier_run_what_is_about_it_is_not_judged(text):
    found = verdict(text, before=None)
    assert (found.met, found.explanation) == (None, "not judged: no earlier successful run")


def test_an_earlier_run_may_lack_a_metric():
    found = verdict("rows < previous(rows)", before={})
    assert (found.met, found.explanation) == (None, "not judged: previous(rows) has no value")


def test_nan_is_no_value():
    found = verdict("rows < 1 or not rows < 1", now={("rows", None): math.nan})
    assert (found.met, found.explanation) == (None, "not judged: rows has no value")


def test_infinity_is_a_value():
    assert verdict("rows > 1", now={("rows", None): math.inf}).met is True


T, F, U = "rows > 1", "rows < 1", "mean_label_quality > 1"


@pytest.mark.parametrize(
    ("text", "met"),
    [
        (f"{T} and {U}", None),
        (f"{F} and {U}", False),
        (f"{U} and {F}", False),
        (f"{U} and {U}", None),
        (f"{T} or {U}", True),
        (f"{U} or {T}", True),
        (f"{F} or {U}", None),
        (f"{U} or {U}", None),
        (f"not ({U} and {F})", True),
        (f"{U} and {T} or {F}", None),
        ("5 < rows < mean_label_quality", None),
        ("rows < 5 < mean_label_quality", False),
        ("mean_label_quality < rows < 5", False),
    ],
)
def test_what_is_unknown_is_so_only_where_it_matters(text, met):
    assert verdict(text).met is met


def test_only_reasons_that_matter_are_said():
    text = f"({U} and {F}) or rows / 0 > 1"
    assert verdict(text).explanation == "not judged: division by zero"


@pytest.mark.parametrize(
    ("text", "met", "classes"),
    [
        ("class_issue_rate > 0.3", True, ("cat", "dog")),
        ("class_issue_rate > 0.4", True, ("cat",)),
        ("class_issue_rate > 0.5", False, ()),
        ("class_rows < 600", True, ("dog", "3")),
        ("class_rows > 1 and class_issue_rate < 0.4", True, ("dog",)),
        ("class_rows == 0 or class_issue_rate < 0.4", True, ("dog", "3")),
        ("class_rows > 0.5 * rows", True, ("cat",)),
        ("class_rows < class_rows['cat']", True, ("dog", "3")),
        ("class_rows > previous(class_rows)", True, ("cat",)),
        ("class_rows < previous(class_rows)", False, ()),
        ("previous(class_rows) > 1", True, ("cat",)),  # 'bird' is no class of this run
        ("not class_rows > 1", True, ("3",)),
        ("1 / class_rows > 1 / 600", True, ("dog",)),
    ],
)
def test_a_metric_of_each_class_is_judged_at_every_class(text, met, classes):
    found = verdict(text)
    assert (found.met, found.classes) == (met, classes)


def test_where_no_class_can_be_judged_the_condition_is_not():
    assert verdict("class_rows / 0 > 1").explanation == "not judged: division by zero"
    unknown = {("class_issue_rate", "cat"): None, ("class_issue_rate", "dog"): None}
    found = verdict("class_issue_rate > 0.3", now=unknown)
    assert (found.met, found.explanation) == (None, "not judged: class_issue_rate has no value")
    found = verdict("class_issue_rate > 0.3", now={("rows", None): 0.0})
    assert (found.met, found.explanation) == (None, "not judged: no class has class_issue_rate")


def test_a_verdict_names_a_few_of_many_classes_and_has_them_all():
    now = {("class_rows", f"c{i}"): float(i) for i in range(8)}
    found = verdict("class_rows >= 0", now=now)
    assert found.classes == tuple(f"c{i}" for i in range(8))
    assert found.explanation == (
        "class_rows >= 0: class 'c0' 0, class 'c1' 1, class 'c2' 2, class 'c3' 3, class 'c4' 4 "
        "and 3 more"
    )


def joined(parts, *words):
    pairs = st.tuples(parts, st.sampled_from(words), parts)
    return pairs.map(lambda p: f"({p[0]} {p[1]} {p[2]})")


# Small, so that no sum or product of them overflows, or is exact in Python's integers alone.
values = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
constants = st.one_of(st.integers(0, 100), values.map(abs))
numbers = st.recursive(
    st.one_of(constants.map(repr), st.sampled_from(["rows", "issue_rate"])),
    lambda inner: st.one_of(
        joined(inner, "+", "-", "*", "/"),
        inner.map(lambda x: f"-{x}"),
        inner.map(lambda x: f"abs({x})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]}, {p[3]})"
        ),
    ),
    max_leaves=6,
)
COMPARING = ["<", "<=", ">", ">=", "==", "!="]
chains = st.tuples(numbers, *[st.sampled_from(COMPARING), numbers] * 2).map(" ".join)
conditions = st.recursive(
    st.one_of(joined(numbers, *COMPARING), chains),
    lambda inner: st.one_of(joined(inner, "and", "or"), inner.map(lambda x: f"(not ({x}))")),
    max_leaves=3,
).filter(lambda text: len(text) <= MAX_LENGTH)


@settings(max_examples=300, deadline=None)
@given(conditions, values, values)
def test_a_condition_means_what_it_means_in_python(text, rows, issue_rate):
    found = verdict(text, now={("rows", None): rows, ("issue_rate", None): issue_rate})
    names = {"rows": rows, "issue_rate": issue_rate, "abs": abs, "min": min, "max": max}
    try:
        expected = eval(text, {"__builtins__": {}}, names)
    except ZeroDivisionError:
        expected = None
    if found.met is None or expected is not None:  # else what follows the division decides
        assert found.met is expected


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="rows >1.'[](){}=:,*\\\n#\0é", max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        judge(parse(text), NOW, None)
    except OptionError as error:
        assert str(error).startswith("fail_if: ")
