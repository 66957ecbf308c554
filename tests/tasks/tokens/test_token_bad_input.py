"""Bad tables of sentences and tokens: refused, named by validate, left out by score."""

import pytest

from lq_spark import NoiseModel, Thresholds, tokens
from lq_spark.errors import ColumnError, DataError, InvalidRowsError, OptionError

NESTED = {"sentence_id": "int", "labels": "array<int>", "pred_probs": "array<array<float>>"}
LONG = {"sentence_id": "int", "token_index": "int", "label": "int", "pred_probs": "array<float>"}
FUNCTIONS = [tokens.score, tokens.validate, tokens.find_issues, tokens.fit, tokens.summarize]
ROW = [0.75, 0.25]
BROKEN = "token_index is not 0, 1, 2, … each once"
DIFFER = "labels, tokens and pred_probs differ in length"
SHAPES = pytest.mark.parametrize(
    "shape", [{}, {"token_index": "token_index"}], ids=["nested", "long"]
)

BROKEN_PLACES = {
    "gap": [0, 2],
    "twice": [0, 1, 1],
    "null": [0, None],
    "null alone": [None],
    "late": [1, 2],
    "negative": [-1, 0],
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"labels": None}, "labels: no column 'labels' in the table; it has 'sentence_id', "),
        ({"pred_probs": None}, "pred_probs: no column 'pred_probs' in the table"),
        ({"sentence_id": None}, "sentence_id: no column 'sentence_id' in the table"),
        ({"sentence_id": "double"}, "sentence_id: column 'sentence_id' is double; allowed"),
        ({"labels": "int"}, "labels: column 'labels' is int; allowed are arrays of whole"),
        ({"labels": "array<date>"}, "labels: column 'labels' is array<date>; allowed"),
        ({"labels": "array<string>"}, "labels: column 'labels' holds strings, so classes"),
        (
            {"pred_probs": "float"},
            "pred_probs: column 'pred_probs' of a table of sentences is float",
        ),
        (
            {"pred_probs": "array<array<int>>"},
            "pred_probs: column 'pred_probs' of a table of sentences is arr",
        ),
    ],
    ids=str,
)
def test_a_wrong_column_of_a_table_of_sentences_is_refused(unread, function, types, message):
    kinds = {name: kind for name, kind in {**NESTED, **types}.items() if kind}
    with pytest.raises(ColumnError) as error:
        function(unread(**kinds))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"token_index": None}, "token_index: no column 'token_index' in the table; it has "),
        ({"label": None}, "label: no column 'label' in the table"),
        ({"token_index": "string"}, "token_index: column 'token_index' is string; allowed are"),
        ({"token_index": "double"}, "token_index: column 'token_index' is double; allowed are"),
        ({"label": "array<int>"}, "label: column 'label' is array<int>; allowed are whole"),
        ({"label": "string"}, "label: column 'label' is string, so classes is needed"),
        ({"pred_probs": "array<array<float>>"}, "pred_probs: column 'pred_probs' is array<array"),
    ],
    ids=str,
)
def test_a_wrong_column_of_a_table_of_tokens_is_refused(unread, function, types, message):
    kinds = {name: kind for name, kind in {**LONG, **types}.items() if kind}
    with pytest.raises(ColumnError) as error:
        function(unread(**kinds), token_index="token_index")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("function", [tokens.score, tokens.validate, tokens.find_issues])
@pytest.mark.parametrize(
    ("kinds", "options", "error", "message"),
    [
        (NESTED, {"tokens": "words"}, ColumnError, "tokens: no column 'words' in the table"),
        ({**NESTED, "words": "string"}, {"tokens": "words"}, ColumnError, "tokens: column 'words'"),
        (LONG, {"token_index": "token_index", "token": "w"}, ColumnError, "token: no column 'w'"),
        (NESTED, {"token": "labels"}, OptionError, "tokens is a column of arrays, in a table of"),
        (
            *(LONG, {"token_index": "token_index", "tokens": "label"}),
            *(OptionError, "tokens is a column of arrays, in a table of one row a sentence"),
        ),
        (NESTED, {"classes": ["a"]}, OptionError, "classes must have at least 2 names"),
        (NESTED, {"classes": ["a", "b", "a"]}, OptionError, "classes must not have a name twice"),
        (NESTED, {"tolerance": -1}, OptionError, "tolerance must be "),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(unread, function, kinds, options, error, message):
    with pytest.raises(error) as raised:
        function(unread(**kinds), **options)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"token_score_method": "margin"}, OptionError, "method must be one of "),
        ({"sentence_score_method": "mean"}, OptionError, "sentence_score_method must be one of "),
        ({"sentence_score_kwargs": {"temperature": 1}}, OptionError, "sentence_score_kwargs for"),
        ({"level": "word"}, OptionError, "level must be one of "),
        ({"on_invalid": "drop"}, OptionError, "on_invalid must be one of "),
        ({"n_classes": 1}, DataError, "label quality needs K of at least 2 classes, got K = 1"),
        ({"n_classes": 3, "classes": ["a", "b"]}, OptionError, "classes has 2 names, K is 3"),
    ],
    ids=str,
)
def test_a_wrong_option_of_score_is_refused(unread, options, error, message):
    for kinds, shape in ((NESTED, {}), (LONG, {"token_index": "token_index"})):
        with pytest.raises(error) as raised:
            tokens.score(unread(**kinds), **{"n_classes": 2, **shape, **options})
        assert message in str(raised.value)


@pytest.mark.parametrize("n_classes", ["3", 2.5, True])
@pytest.mark.parametrize("function", [tokens.score, tokens.validate])
@SHAPES
def test_a_number_of_classes_that_is_none_is_refused(unread, function, n_classes, shape):
    with pytest.raises(OptionError, match="n_classes must be a whole number of at least 2"):
        function(unread(**(LONG if shape else NESTED)), n_classes=n_classes, **shape)


@SHAPES
def test_a_label_type_too_small_for_all_classes_is_refused(unread, shape):
    kinds = {**LONG, "label": "tinyint"} if shape else {**NESTED, "labels": "array<tinyint>"}
    with pytest.raises(ColumnError, match=r"is .*tinyint.*, too small for a predicted label"):
        tokens.score(unread(**kinds), n_classes=200, **shape)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (tokens.score, "sentence_quality"),
        (tokens.score, "worst_token_index"),
        (tokens.validate, "invalid_reason"),
    ],
)
def test_a_column_that_would_be_added_may_not_be_there(unread, function, name):
    with pytest.raises(ColumnError, match=f"the table already has '{name}'"):
        function(unread(**NESTED, **{name: "double"}), n_classes=2)


@pytest.mark.parametrize("top", [0, -1, 2.5, "3"])
def test_a_top_that_is_no_number_of_rows_is_refused(unread, top):
    with pytest.raises(OptionError, match="top must be a whole number of at least 1"):
        tokens.summarize(unread(**NESTED), top=top)


def test_what_was_fitted_with_other_classes_is_refused(unread):
    thresholds = Thresholds((0.5, 0.5), (1, 1), ("a", "b"))
    fitted = NoiseModel(thresholds, [[1, 0], [0, 1]], 0, "highest_of_all")
    with pytest.raises(OptionError, match="fitted has classes"):
        tokens.find_issues(unread(**NESTED), classes=["b", "a"], fitted=fitted)


NESTED_ROWS = [
    (1, [0, 1], ["a", "b"], [ROW, ROW], None),
    (2, [], [], [], None),
    (3, [0, 1], ["a"], [ROW, ROW], DIFFER),
    (4, [0, 1], ["a", "b"], [ROW], DIFFER),
    (5, [0], ["a", "b"], [ROW, ROW], DIFFER),
    (6, [0], None, [ROW], DIFFER),
    (7, None, ["a"], [ROW], "null labels"),
    (8, [0], ["a"], None, "null pred_probs"),
    (9, [0, 2, None], ["a", "b", "c"], [ROW] * 3, "token 1: label out of range"),
    (10, [0, 1], ["a", "b"], [ROW, [0.5, 0.25, 0.25]], "token 1: pred_probs of wrong length"),
    (11, [0, 0], ["a", "b"], [[0.5, None], None], "token 0: null probability"),
    (12, [1], ["a"], [ROW], "duplicate sentence_id"),
    (12, [9], ["a"], [ROW], "duplicate sentence_id"),
    (None, [0], ["a"], [ROW], "null sentence_id"),
    (13, [None], [None], [ROW], "token 0: null label"),
    (14, [1], [None], [ROW], None),
]


@pytest.fixture
def nested(spark):
    """Sentences with each fault among good ones; ``row`` tells them apart, ``reason`` is why."""
    rows = [(n, *row) for n, row in enumerate(NESTED_ROWS)]
    return spark.createDataFrame(
        rows,
        "row int, sentence_id int, labels array<int>, tokens array<string>, "
        "pred_probs array<array<double>>, reason string",
    ).coalesce(1)


def test_validate_names_the_fault_of_each_sentence(nested, by_id):
    checked = tokens.validate(nested.repartition(3), tokens="tokens", n_classes=2)
    assert checked.columns == [*nested.columns, "invalid_reason"]
    assert by_id(checked, "invalid_reason", id="row") == [row[-1] for row in NESTED_ROWS]
    without = tokens.validate(nested, n_classes=2)
    texts_alone = {3, 6}  # where texts are not looked at
    expected = [None if row[0] in texts_alone else row[-1] for row in NESTED_ROWS]
    assert by_id(without, "invalid_reason", id="row") == expected


def test_sentences_that_cannot_be_scored_are_left_null_or_fail(nested, by_id):
    scored = tokens.score(nested, tokens="tokens", n_classes=2, on_invalid="null")
    quality = by_id(scored, "sentence_quality", id="row")
    fit = [row[-1] is None or row[-1].endswith("sentence_id") for row in NESTED_ROWS]
    fit[12] = False  # its label is out of range
    assert [value is not None for value in quality] == fit
    for row in scored.where("sentence_quality is null").collect():
        assert set(tuple(row)[len(nested.columns) :]) == {None}
    with pytest.raises(Exception, match="1 sentences with null labels"):
        tokens.score(nested, tokens="tokens", n_classes=2).collect()


def long_rows():
    """Return sentences of tokens, each with its reason, None for a good one."""
    rows, reasons = [], {"good": None, "alone": None, "bad": "token 1: label out of range"}
    rows += [("good", 1, 1, ROW), ("good", 0, 0, ROW), ("alone", 0, 0, ROW)]
    rows += [("bad", 3, None, ROW), ("bad", 1, 2, ROW), ("bad", 2, 0, ROW), ("bad", 0, 0, ROW)]
    rows += [("wide", 0, 0, ROW), ("wide", 1, 0, [0.5, 0.25, 0.25])]
    rows += [("unsaid", 1, 0, None), ("unsaid", 0, 0, ROW)]
    reasons["wide"] = "token 1: pred_probs of wrong length"
    reasons["unsaid"] = "token 1: null pred_probs"
    for name, places in BROKEN_PLACES.items():
        rows += [(name, place, 0, ROW) for place in places]
        reasons[name] = BROKEN
    rows += [("broken and bad", 0, 9, ROW), ("broken and bad", 0, 0, ROW)]
    reasons["broken and bad"] = BROKEN
    rows += [(None, 0, 0, ROW), (None, 1, 9, ROW)]
    reasons[None] = "null sentence_id"
    return rows, reasons


@pytest.fixture
def long(spark):
    """Tokens of good sentences and of sentences with each fault."""
    schema = "sentence_id string, token_index int, label int, pred_probs array<double>"
    return spark.createDataFrame(long_rows()[0], schema).repartition(3)


def test_validate_names_the_fault_of_a_sentence_at_each_of_its_tokens(long):
    rows, reasons = long_rows()
    checked = tokens.validate(long, token_index="token_index", n_classes=2)
    assert checked.columns == [*long.columns, "invalid_reason"]
    expected = sorted(((*row, reasons[row[0]]) for row in rows), key=str)
    assert sorted(map(tuple, checked.collect()), key=str) == expected


def test_a_table_of_tokens_may_have_any_names(long):
    names = ["a.b", "t.i", "given`label", "p p"]
    checked = tokens.validate(
        *(long.toDF(*names),),
        **dict(zip(("sentence_id", "token_index", "label", "pred_probs"), names, strict=True)),
        n_classes=2,
    )
    reasons = {row["a.b"]: row["invalid_reason"] for row in checked.collect()}
    assert reasons == {**long_rows()[1], None: "null a.b"}


def test_tokens_of_sentences_that_do_not_hold_together_leave_their_score_null(long):
    scored = tokens.score(long, token_index="token_index", n_classes=2, on_invalid="null")
    found = {row["sentence_id"]: tuple(row)[1:] for row in scored.collect()}
    expected = dict.fromkeys(long_rows()[1], (None,) * 5)
    expected["good"] = (0.25, [0.75, 0.25], 1, 1, 0)
    expected["alone"] = (0.75, [0.75], 0, 0, 0)
    assert found == expected
    with pytest.raises(Exception, match="rows with "):
        bad = long.where("sentence_id = 'bad'")
        tokens.score(bad, token_index="token_index", n_classes=2).collect()


@pytest.mark.parametrize("name", ["gap", "twice", "null", None])
def test_a_sentence_that_does_not_hold_together_fails_the_query(long, name):
    one = long.where(f"sentence_id <=> {'null' if name is None else repr(name)}")
    one = one.where("label <=> 0").coalesce(1)
    with pytest.raises(Exception, match=f"sentence_id {name or 'null'}: {BROKEN}; tokens.validate"):
        tokens.score(one, token_index="token_index", n_classes=2).collect()


def test_issues_are_not_sought_where_sentences_do_not_hold_together(long, nested):
    with pytest.raises(InvalidRowsError) as error:
        tokens.find_issues(long.where("label <=> 0"), token_index="token_index")
    assert str(error.value).startswith("token_index: column 'token_index' is not 0, 1, 2, … each")
    assert "tokens.validate names them all" in str(error.value)
    with pytest.raises(InvalidRowsError, match="'sentence_id' has nulls or values that occur"):
        tokens.find_issues(nested)


@pytest.mark.parametrize("sentence", [3, 7])
@pytest.mark.parametrize("find_issues", [False, True])
def test_no_sentence_is_dropped_or_mended_on_the_way_to_tokens(nested, sentence, find_issues):
    bad = nested.where(f"sentence_id in (1, {sentence})")
    with pytest.raises(Exception, match=r"rows with |tokens\.validate "):
        if find_issues:
            tokens.find_issues(bad, tokens="tokens").collect()
        else:
            tokens.score(bad, tokens="tokens", n_classes=2, level="token").collect()


def test_tokens_of_broken_sentences_do_not_fail_a_query_that_leaves_nulls(nested):
    options = {"tokens": "tokens", "n_classes": 2, "level": "token", "on_invalid": "null"}
    good = tokens.score(nested, **options).where("sentence_id = 1").collect()
    assert [row["label_quality"] for row in good] == [0.75, 0.25]
