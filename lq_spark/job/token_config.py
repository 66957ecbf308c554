"""The configuration of a run over tokens."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lq_spark.core.multiclass.scores import METHODS, require_method
from lq_spark.core.tokens.sentences import (
    DEFAULT_TEMPERATURE,
    SENTENCE_METHODS,
    require_sentence_method,
)
from lq_spark.job.common_config import Name, Place, beside
from lq_spark.job.labelled_config import LabelledConfig
from lq_spark.job.metric_names import (
    CLASS_DRIFT,
    CLASS_ISSUES,
    CLASS_TOKENS,
    DRIFT,
    ISSUES,
    THRESHOLDS,
    TOKENS,
)
from lq_spark.tables.spec import TableSpec

_TOKEN_INDEX = "token_index"
"""The column of the output where the input has a row a sentence."""


class TokensConfig(LabelledConfig):
    """One run of the job that scores tokens and sentences."""

    task: Literal["tokens"] = Field("tokens", description="what the labels are")
    sentence_id: Name = Field("sentence_id", description="column that tells sentences apart")
    labels: Name = Field("labels", description="in a row a sentence: array of the given labels")
    tokens: Name | None = Field(None, description="in a row a sentence: array of the texts")
    token_index: Name | None = Field(
        None, description="column of the place in the sentence, from 0: the input has a row a token"
    )
    label: Name = Field("label", description="in a row a token: the given label")
    token: Name | None = Field(None, description="in a row a token: the text")
    token_output: Place | None = Field(
        None, description="path or name of the table of tokens, a row each (default: OUTPUT_tokens)"
    )
    token_score_method: str = Field(
        "self_confidence", description=f"score of a token: {', '.join(METHODS)}"
    )
    sentence_score_method: str = Field(
        "min", description=f"score of a sentence: {', '.join(SENTENCE_METHODS)}"
    )
    temperature: float | None = Field(
        None,
        description=f"of softmin: 0 the minimum, inf the mean (default: {DEFAULT_TEMPERATURE})",
    )

    @model_validator(mode="after")
    def _scores_agree(self) -> TokensConfig:
        require_method(self.token_score_method, option="token_score_method")
        if (self.tokens if self.token_index else self.token) is not None:
            raise ValueError(
                "tokens goes with a row a sentence, token with a row a token and token_index; got "
                f"tokens={self.tokens!r}, token={self.token!r}, token_index={self.token_index!r}"
            )
        require_sentence_method(self.sentence_score_method, self.sentence_score_kwargs)
        if self.fitted and self.save_fitted:
            raise ValueError("fitted is given, so save_fitted does not go with it")
        return self

    @property
    def row_id(self) -> str:
        """Return the column that tells sentences apart."""
        return self.sentence_id

    @property
    def metric_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the metrics of the table, and those of each class."""
        return TOKENS + ISSUES + DRIFT, CLASS_TOKENS + CLASS_ISSUES + CLASS_DRIFT + THRESHOLDS

    @property
    def token_output_spec(self) -> TableSpec:
        """Return which table of tokens is written, and how."""
        sentence = self.sentence_id
        keys = (sentence, self.token_index or _TOKEN_INDEX)
        place, how = self.token_output_path, self.write_mode
        return self._written("token_output", place, mode=how, keys=keys, groups=(sentence,))

    def _require_specs(self) -> None:
        super()._require_specs()
        _ = self.token_output_spec

    @property
    def sentence_score_kwargs(self) -> dict[str, Any]:
        """Return the further arguments of the sentence score."""
        return {} if self.temperature is None else {"temperature": self.temperature}

    @property
    def token_output_path(self) -> str:
        """Return where the tokens go."""
        return self.token_output or beside(self.output, "_tokens")

    @property
    def staged(self) -> list[str]:
        """Return the tables that are replaced or changed as a whole."""
        return [*super().staged, self.token_output_path]
