import pytest

from lq_spark.errors import OptionError
from lq_spark.tables.spec import TableSpec, one_line


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"format": "dleta"}, "input_format must be one of .*'dleta'.*did you mean 'delta'"),
        ({"mode": "replace"}, "write_mode must be one of .*got 'replace'"),
        (
            {"format": "delta", "version": 1, "timestamp": "2026-01-01"},
            "input_version and input_timestamp do not go together, got 1 and '2026-01-01'",
        ),
        ({"format": "parquet", "timestamp": "2026-01-01"}, "input: Parquet has no versions"),
        ({"mode": "merge"}, "input: write_mode 'merge' needs keys"),
    ],
)
def test_what_does_not_go_together_is_refused(attributes, message):
    with pytest.raises(OptionError, match=message):
        TableSpec("./t", "input", **attributes)


def test_a_name_with_a_slash_is_a_path():
    assert TableSpec("a/b").is_path
    assert TableSpec("s3://bucket/t", format="delta", version=3).is_path
    assert not TableSpec("lake.db.t", version=3).is_path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[PATH_NOT_FOUND] Path x.\nmore", "[PATH_NOT_FOUND] Path x."),
        (
            "An error occurred while calling o1.sql.\n: io.delta.exceptions.ProtocolX: "
            "[DELTA_X.Y] changed\n\tat org",
            "[DELTA_X.Y] changed",
        ),
        (
            "An error occurred while calling o1.sql.\n: org.apache.iceberg.exceptions."
            "ValidationException: Found conflicting files\n\tat org",
            "ValidationException: Found conflicting files",
        ),
        ("\n plain \n", "plain"),
        ("", "ValueError"),
    ],
)
def test_a_failure_of_spark_is_given_in_one_line(text, line):
    assert one_line(ValueError(text)) == line
