import copy
import pickle

import pytest

from lq_spark import errors
from lq_spark.core.multiclass import get_label_quality_scores
from lq_spark.errors import DataError, LqError, OptionError, closest, listed, require_one_of

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, LqError)]


@pytest.mark.parametrize("error_class", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling_with_its_type_and_text(error_class, protocol):
    error = error_class("label must be 0..K-1, got 7")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is error_class
    assert str(again) == str(copy.copy(error)) == "label must be 0..K-1, got 7"
    assert again.args == error.args


@pytest.mark.parametrize(
    ("labels", "method", "error_class"),
    [([5], "self_confidence", DataError), ([0], "nonsense", OptionError)],
)
def test_an_error_as_raised_survives_pickling(labels, method, error_class):
    with pytest.raises(error_class) as error:
        get_label_quality_scores(labels, [[0.5, 0.5]], method=method)
    again = pickle.loads(pickle.dumps(error.value))
    assert type(again) is error_class
    assert str(again) == str(error.value)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("OptionError", ValueError),
        ("ColumnError", ValueError),
        ("DataError", ValueError),
        ("TableError", OSError),
    ],
)
def test_an_error_can_be_caught_as_the_builtin_that_it_is(name, builtin):
    error_class = getattr(errors, name)
    assert issubclass(error_class, builtin)
    assert issubclass(error_class, LqError)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "'a'"),
        (["a", 2, None], "'a', 2, None"),
        (iter("abcd"), "'a', 'b', 'c' and 1 more"),
    ],
)
def test_names_are_listed_up_to_a_limit(names, text):
    assert listed(names, limit=3) == text


@pytest.mark.parametrize(
    ("name", "hint"),
    [("metod", "; did you mean 'method'?"), ("xyz", ""), ("", "")],
)
def test_a_hint_names_the_closest_word_if_one_is_close(name, hint):
    assert closest(name, ["method", "input"]) == hint


def test_one_of_the_allowed_words_passes():
    assert require_one_of("mode", "fail", ["fail", "quarantine"]) is None


@pytest.mark.parametrize(
    ("value", "end"),
    [("fial", "got 'fial'; did you mean 'fail'?"), ("xyz", "got 'xyz'"), (3, "got 3")],
)
def test_another_word_is_refused_with_the_option_what_was_given_and_what_is_allowed(value, end):
    with pytest.raises(OptionError) as error:
        require_one_of("mode", value, ["fail", "quarantine"])
    assert str(error.value) == f"mode must be one of 'fail', 'quarantine', {end}"
