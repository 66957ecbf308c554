"""What finds label issues and trains without them: what it did last, and how it is saved."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from lq_spark.errors import OptionError
from lq_spark.tasks.training import saved
from lq_spark.tasks.training.class_model import ClassModel
from lq_spark.tasks.training.number_model import NumberModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from typing_extensions import Self

Trained = TypeVar("Trained", ClassModel, NumberModel)


class Learner(Generic[Trained]):
    """A class of it keeps the arguments that it was made with under their names.

    The first of them, what is to be trained, it keeps as ``_given``.
    """

    _kind: ClassVar[type[Any]]
    """Of what is trained."""

    _given: Any
    _issues: DataFrame | None = None
    _last: Trained | None = None

    def get_label_issues(self) -> DataFrame | None:
        """Return what :meth:`find_label_issues` or :meth:`fit` found last; None, and a warning."""
        if self._issues is None:
            warnings.warn(
                "label issues have not been found yet: call find_label_issues, or fit",
                UserWarning,
                stacklevel=2,
            )
        return self._issues

    @property
    def model(self) -> Any:
        """Return what was trained, by itself; None before :meth:`fit`."""
        return None if self._last is None else self._last.model

    @property
    def trained(self) -> Trained:
        """Return what was trained, and how it reads a table; OptionError before :meth:`fit`."""
        if self._last is None:
            raise OptionError("nothing has been trained yet: call fit")
        return self._last

    def save(self, path: str | Path, *, format: str = "skops") -> None:
        """Write the options and what was trained to a folder on this machine.

        Whole, or not at all; an earlier one is replaced. Label issues are a table, which is not in
        it.

        Parameters
        ----------
        path : str or Path
            Of a model of Spark ML, which Spark writes: where all workers reach.
        format : {"skops", "joblib"}
            Of what is like the estimators of scikit-learn. A file of joblib runs code as it is
            read.

        Raises
        ------
        OptionError, EngineError
            If nothing has been trained yet, the format is unknown, or needs skops.
        TableError
            If the folder cannot be written, or is there and holds something else.
        """
        _, *names = inspect.signature(type(self)).parameters
        options = {name: getattr(self, name) for name in names}
        saved.save(path, options, self._given, self.trained, format)

    @classmethod
    def load(cls, path: str | Path, *, trusted: bool | Sequence[str] = ()) -> Self:
        """Return what was saved in a folder.

        Parameters
        ----------
        path : str or Path
        trusted : bool or sequence of str
            True if it is known who wrote the folder, which joblib's files need; or the names of the
            types that may be in a file of skops beside those that do no harm.

        Raises
        ------
        OptionError, EngineError
            If there is no such folder, it holds what is not trusted, or needs skops.
        """
        options, given, trained = saved.load(path, trusted, cls._kind)
        made = cls(given, **options)  # type: ignore[call-arg]
        made._last = trained
        return made

    def _found_last(self, *given: object) -> bool:
        """Return whether one of what a call was given is the issues that were found last."""
        return self._issues is not None and any(one is self._issues for one in given)
