"""Fitted thresholds as a file: written whole, read back to the bit, anything else refused."""

import json

import numpy as np
import pytest

from lq_spark import Thresholds, multiclass
from lq_spark.errors import DataError, OptionError, TableError

FITTED = Thresholds((1 / 3, 2e-6, 2.0), (3, 1, 0), ("plum", "größe", 'a\n"b"'))


@pytest.fixture
def content():
    """What a file of thresholds holds, to be changed."""
    return json.loads(FITTED.to_json())


@pytest.mark.parametrize("names", [None, ["größe", "b", "", "a\nb", "c"]], ids=["0..K-1", "names"])
def test_thresholds_come_back_from_a_file_to_the_bit(
    table_of, data_set, tmp_path, assert_same_bits, names
):
    labels, pred_probs = data_set()
    if names:
        table = table_of(np.array(names)[labels], pred_probs, "string")
    else:
        table = table_of(labels, pred_probs)
    fitted = multiclass.fit_thresholds(table, classes=names)
    fitted.save(tmp_path / "thresholds.json")
    again = Thresholds.load(tmp_path / "thresholds.json")
    assert again == fitted
    assert_same_bits(again.as_array(), fitted.as_array())


@pytest.mark.parametrize("value", [5e-324, 0.1, 1 / 3, 1 - 2**-53, 1.0, 2.0])
def test_every_double_survives_the_text(value):
    fitted = Thresholds((value, 2.0), (1, 0))
    assert Thresholds.from_json(fitted.to_json()) == fitted


def test_the_text_says_what_it_is_and_what_it_was_computed_from(content):
    assert content == {
        "format": "lq_spark.thresholds",
        "format_version": 1,
        "n_rows": 4,
        "classes": ["plum", "größe", 'a\n"b"'],
        "class_counts": [3, 1, 0],
        "thresholds": [1 / 3, 2e-6, 2.0],
    }


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "thresholds.json"
    path.write_text("x" * 10_000)
    FITTED.save(str(path))
    assert path.read_text(encoding="utf-8") == FITTED.to_json()
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(TableError, match=r"^thresholds: cannot write '.*no_folder/t\.json' \("):
        FITTED.save(tmp_path / "no_folder" / "t.json")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OptionError, match=r"^thresholds: cannot read '.*t\.json' \("):
        Thresholds.load(tmp_path / "t.json")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "t.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match=r"^thresholds: cannot read"):
        Thresholds.load(tmp_path / "t.json")


@pytest.mark.parametrize("text", ["", "{", "thresholds"])
def test_a_text_that_is_no_json_is_refused(text):
    with pytest.raises(DataError, match=r"^thresholds: not JSON \("):
        Thresholds.from_json(text)


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"format": "lq_spark.metrics"}'])
def test_json_of_something_else_is_refused(text):
    with pytest.raises(DataError, match=r"'format': 'lq_spark\.thresholds'$"):
        Thresholds.from_json(text)


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_another_format_version_is_refused(content, version):
    content["format_version"] = version
    with pytest.raises(DataError) as error:
        Thresholds.from_json(json.dumps(content))
    assert str(error.value) == (f"thresholds: format version {version!r}, this package reads 1")


@pytest.mark.parametrize("key", ["thresholds", "class_counts", "classes"])
def test_a_missing_key_is_named(content, key):
    del content[key]
    with pytest.raises(DataError, match=f"^thresholds: the JSON lacks '{key}'$"):
        Thresholds.from_json(json.dumps(content))


@pytest.mark.parametrize("key", ["thresholds", "class_counts", "classes"])
def test_lists_of_several_lengths_are_refused(content, key):
    content[key] = content[key][:2]
    with pytest.raises(DataError, match="thresholds, class counts and classes differ in length"):
        Thresholds.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thresholds", "high"),
        ("thresholds", None),
        ("thresholds", ["a", "b", "c"]),
        ("thresholds", [float("nan"), 0.5, 0.5]),
        ("class_counts", [1, None, 2]),
        ("classes", 3),
    ],
)
def test_a_value_of_another_kind_is_refused(content, key, value):
    content[key] = value
    with pytest.raises(DataError):
        Thresholds.from_json(json.dumps(content))
