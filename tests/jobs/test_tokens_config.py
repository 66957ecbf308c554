"""The config of the job that scores tokens and sentences."""

import re

import pytest

from lq_spark.core.multiclass.scores import METHODS
from lq_spark.errors import OptionError
from lq_spark.job.cli import parser
from lq_spark.job.config_file import load_config
from lq_spark.job.tasks.registry import TASKS
from lq_spark.job.tasks.tokens import TokensConfig

PLACES = {"input": "./in", "output": "./out"}


def load(path=None, **flags):
    return load_config(path, flags, "tokens")


def test_without_further_keys_a_row_is_a_sentence_scored_by_its_minimum():
    config = load(**PLACES)
    assert (config.sentence_id, config.labels, config.pred_probs) == (
        *("sentence_id", "labels", "pred_probs"),
    )
    assert (config.tokens, config.token_index, config.token) == (None, None, None)
    assert (config.token_score_method, config.sentence_score_method) == ("self_confidence", "min")
    assert config.sentence_score_kwargs == {}
    assert config.place("token_output") == "./out_tokens"
    assert (config.place("metrics"), config.place("quarantine")) == (
        "./out_metrics",
        "./out_quarantine",
    )
    assert load(**PLACES, token_output="./words").place("token_output") == "./words"


@pytest.mark.parametrize(
    "places",
    [
        {"token_output": "./out"},
        {"token_output": "out/"},
        {"token_output": "./in"},
        {"token_output": "./out/tokens"},
        {"token_output": "./out_metrics"},
        {"token_output": "./out_quarantine"},
        {"token_output": "./t", "metrics": "./t"},
        {"input": "./out_tokens"},
        {"metrics": "./out_tokens"},
        {"quarantine": "./out_tokens", "on_invalid": "quarantine"},
        {"token_output": "./out_metrics_classes", "find_issues": True},
        {"token_output": "./out_metrics_overlaps", "find_issues": True},
    ],
    ids=str,
)
def test_sentences_and_tokens_go_to_places_of_their_own(places):
    with pytest.raises(OptionError, match="must be different places, none inside another"):
        load(**{**PLACES, **places})


@pytest.mark.parametrize("temperature", [0.05, 0.0, 0, 1, float("inf")])
def test_softmin_takes_a_temperature(temperature):
    config = load(**PLACES, sentence_score_method="softmin", temperature=temperature)
    assert config.sentence_score_kwargs == {"temperature": temperature}


@pytest.mark.parametrize("temperature", [0.05, 0.0])
def test_the_minimum_takes_no_temperature(temperature):
    for flags in ({}, {"sentence_score_method": "min"}):
        with pytest.raises(OptionError, match="for 'min' takes no argument, got 'temperature'"):
            load(**PLACES, **flags, temperature=temperature)


@pytest.mark.parametrize("temperature", [-0.1, float("nan")])
def test_a_temperature_below_0_is_refused(temperature):
    with pytest.raises(OptionError, match="temperature must be a number of at least 0, got "):
        load(**PLACES, sentence_score_method="softmin", temperature=temperature)


@pytest.mark.parametrize(
    ("key", "closest"),
    [
        ("sentence_score_methods", "sentence_score_method"),
        ("token_scoremethod", "token_score_method"),
        ("token_idx", "token_index"),
        ("temprature", "temperature"),
        ("tokens_output", "token_output"),
        ("filter-by", "filter_by"),
    ],
)
def test_an_unknown_key_is_refused_with_the_closest_named(key, closest):
    with pytest.raises(OptionError) as error:
        load(**PLACES, **{key: "x"})
    assert str(error.value) == f"unknown config key {key!r}; did you mean {closest!r}?"


@pytest.mark.parametrize("key", ["adjust_pred_probs", "method", "id", "thresholds"])
def test_keys_of_the_job_of_rows_are_unknown(key):
    with pytest.raises(OptionError, match=f"unknown config key '{key}'"):
        load(**PLACES, **{key: "x"})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"token_score_method": "self_confidenc"}, "method must be one of .*'self_confidence'"),
        ({"sentence_score_method": "softmax"}, "sentence_score_method must be one of .*'softmin'"),
        ({"filter_by": "prune_by_noise"}, "filter_by must be one of .*'prune_by_noise_rate'"),
        ({"issue_rank": True}, "issue_rank is given, so find_issues must be true"),
        ({"on_invalid": "null"}, "on_invalid: .*'fail' or 'quarantine'"),
        ({"find_issues": True, "fitted": "a", "save_fitted": "b"}, "fitted is given, so save_fit"),
        ({"find_issues": True, "fitted": "hdfs://a/b"}, "fitted: must be a path on this machine"),
        ({"temperature": "warm", "sentence_score_method": "softmin"}, "temperature: .*'warm'"),
        ({"token_index": ""}, "token_index: "),
        ({"n_classes": 1}, "n_classes: "),
        ({"write_mode": "replace"}, "write_mode: .*'overwrite', 'append' or 'merge'"),
        ({"output_format": "csv"}, "output_format: .*'parquet', 'delta' or 'iceberg'"),
        ({"input_format": "parquet", "input_version": 3}, "^input: Parquet has no versions; "),
        ({"fail_if": ["rowz < 1"]}, "^fail_if: a metric must be one of 'rows', "),
        ({"fail_if": ["sentences_scored < 1"]}, "^fail_if: .*; did you mean 'rows_scored'"),
        ({"warn_if": ["sentences_quarantined > 0"]}, "^warn_if: .*; did you mean 'rows_quarant"),
        ({"warn_if": ["class_rows < 1"]}, "^warn_if: a metric must be one of 'rows'"),
        ({"fail_if": ["issue_rate > 0.1"]}, "^fail_if: .* is about 'issue_rate', so find_issues"),
        ({"reference": ""}, "reference: "),
    ],
    ids=str,
)
def test_a_value_that_is_not_allowed_is_refused(flags, message):
    with pytest.raises(OptionError) as error:
        load(**{**PLACES, **flags})
    assert re.search(message, str(error.value))


def test_a_wrong_token_score_is_named_by_its_key():
    with pytest.raises(OptionError, match=r"^token_score_method must be one of "):
        load(**PLACES, token_score_method="margin")


@pytest.mark.parametrize("flags", [{"token": "word"}, {"tokens": "w", "token_index": "i"}], ids=str)
def test_a_text_of_the_other_shape_is_refused(flags):
    with pytest.raises(OptionError, match="token"):
        load(**PLACES, **flags)


def test_flags_go_over_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "input: ./in\noutput: ./out\ntokens: words\nsentence_score_method: softmin\n"
        "temperature: 0.2\nclasses: [O, B-LOC]\n"
    )
    config = load(str(path), temperature=0.5, tokens="texts")
    assert config.sentence_score_kwargs == {"temperature": 0.5}
    assert (config.tokens, config.classes) == ("texts", ["O", "B-LOC"])
    assert config.fingerprint != load(str(path)).fingerprint


def test_every_key_is_a_flag():
    line = [
        *("--input", "a/b", "--output", "c/d", "--token-index", "place", "--token", "word"),
        *("--sentence-score-method", "softmin", "--temperature", "inf", "--find-issues"),
        *(
            "--token-score-method",
            list(METHODS)[1],
            "--classes",
            "O,B-LOC",
            "--num-to-remove-per-class",
        ),
        "3,0",
        *("--input-format", "delta", "--input-version", "7", "--output-format", "delta"),
        *("--write-mode", "merge", "--partition-by", "day", "--reference", "0123abcd"),
        *("--fail-if", "tokens_scored < 9", "--fail-if", "class_tokens['B-LOC'] < 1"),
        *("--warn-if", "issue_rate > 0.5"),
    ]
    config = load_config(None, vars(parser(TASKS["tokens"]).parse_args(line)), "tokens")
    assert (config.token_index, config.token, config.temperature) == ("place", "word", float("inf"))
    assert (config.token_score_method, config.classes) == (list(METHODS)[1], ["O", "B-LOC"])
    assert config.num_to_remove_per_class == [3, 0]
    assert (config.input_format, config.input_version, config.output_format) == (
        "delta",
        7,
        "delta",
    )
    assert (config.write_mode, config.partition_by, config.reference) == (
        *("merge", ["day"], "0123abcd"),
    )
    assert config.fail_if == ["tokens_scored < 9", "class_tokens['B-LOC'] < 1"]
    assert config.warn_if == ["issue_rate > 0.5"]
    known = {action.dest for action in parser(TASKS["tokens"])._actions}
    assert set(TokensConfig.model_fields) < known


def test_the_example_config_is_one(repository):
    path = repository / "conf" / "score_tokens.yaml"
    load(str(path))
    commented = set(re.findall(r"^# ([a-z_]+):", path.read_text(), flags=re.MULTILINE))
    assert commented <= set(TokensConfig.model_fields)
