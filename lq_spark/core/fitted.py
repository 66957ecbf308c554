"""What a data set has taught us, frozen: saved as versioned JSON and applied to rows seen later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lq_spark.core.constants import ABSENT_CLASS_THRESHOLD
from lq_spark.errors import DataError, OptionError, TableError, listed

FORMAT: Final = "lq_spark.thresholds"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The confident threshold of each class, and the data set that it was computed from.

    Attributes
    ----------
    values : tuple of float, length K
        Confident thresholds; 2.0 for a class that never occurred.
    class_counts : tuple of int, length K
        Rows of each given class.
    classes : tuple of str, length K, or None
        Class names in the order of the probabilities, where labels are names.

    Examples
    --------
    >>> fitted = Thresholds(values=(0.75, 0.5), class_counts=(30, 10))
    >>> fitted.n_rows, fitted.n_classes
    (40, 2)
    >>> Thresholds.from_json(fitted.to_json()) == fitted
    True
    """

    values: tuple[float, ...]
    class_counts: tuple[int, ...]
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not all(0.0 <= value <= ABSENT_CLASS_THRESHOLD for value in self.values):
            raise DataError(
                f"thresholds must lie in 0..1, or be 2 for an absent class: {self.values}"
            )
        lengths = {len(self.values), len(self.class_counts), len(self.classes or self.values)}
        if len(lengths) > 1:
            raise DataError(f"thresholds, class counts and classes differ in length: {lengths}")

    @property
    def n_classes(self) -> int:
        """Return K."""
        return len(self.values)

    @property
    def n_rows(self) -> int:
        """Return how many rows the thresholds were computed from."""
        return sum(self.class_counts)

    def as_array(self) -> NDArray[np.float64]:
        """Return the thresholds as an array, shape (K,)."""
        return np.array(self.values, dtype=np.float64)

    def to_json(self) -> str:
        """Return the thresholds as JSON text; every double comes back to the bit."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "n_rows": self.n_rows,
            "classes": self.classes,
            "class_counts": self.class_counts,
            "thresholds": self.values,
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Thresholds:
        """Return thresholds from their JSON text.

        Raises
        ------
        DataError
            If the text is none, or of a later format version.
        """
        try:
            content: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"thresholds: not JSON ({error})") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DataError(f"thresholds: the JSON has no 'format': {FORMAT!r}")
        if content.get("format_version") != FORMAT_VERSION:
            raise DataError(
                f"thresholds: format version {content.get('format_version')!r}, "
                f"this package reads {FORMAT_VERSION}"
            )
        missing = {"thresholds", "class_counts", "classes"} - content.keys()
        if missing:
            raise DataError(f"thresholds: the JSON lacks {listed(sorted(missing))}")
        return cls(
            values=_checked_list(content, "thresholds", (int, float)),
            class_counts=_checked_list(content, "class_counts", (int,)),
            classes=None
            if content["classes"] is None
            else _checked_list(content, "classes", (str,)),
        )

    def save(self, path: str | Path) -> None:
        """Write the thresholds to a file: whole, or not at all."""
        target = Path(path)
        beside = target.with_name(f".{target.name}.part")
        try:
            beside.write_text(self.to_json(), encoding="utf-8")
            beside.replace(target)
        except OSError as error:
            if beside.is_file():
                beside.unlink()
            raise TableError(f"thresholds: cannot write {str(target)!r} ({error})") from error

    @classmethod
    def load(cls, path: str | Path) -> Thresholds:
        """Return the thresholds saved in a file.

        Raises
        ------
        OptionError
            If there is no such file, or it holds something else.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"thresholds: cannot read {str(path)!r} ({error})") from error
        try:
            return cls.from_json(text)
        except DataError as error:
            raise OptionError(f"{error}, in {str(path)!r}") from error


def _checked_list(content: Any, key: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """Return a list of the JSON as a tuple; raise DataError if it holds something else."""
    items = content[key]
    fit = isinstance(items, list) and all(
        isinstance(item, kinds) and not isinstance(item, bool) for item in items
    )
    if not fit:
        raise DataError(
            f"thresholds: {key!r} must be a list of {kinds[-1].__name__}, got {items!r:.80}"
        )
    return tuple(items)
