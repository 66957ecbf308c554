"""Trained models in a folder: how they read a table as JSON, and the model in a format of its own.

Those of Spark ML as Spark saves them; others by skops, which runs no code as it reads a file, or by
joblib, which may.
"""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from lq_spark.core.shared.saved import write_whole
from lq_spark.engine.files import as_uri
from lq_spark.errors import EngineError, OptionError, TableError, listed, require_one_of
from lq_spark.tasks.training.estimators import is_of_spark

NOUN = "clean_learning"
FORMAT_VERSION = 1
FORMATS = ("skops", "joblib")

_JSON = f"{NOUN}.json"
_OF_SPARK = ("pyspark.ml.", "lq_spark.tasks.ml.")


class Trained(Protocol):
    """What was trained, and how it reads a table."""

    LABELS: ClassVar[str]

    @property
    def model(self) -> Any:
        """Return it by itself."""

    def content(self) -> dict[str, Any]:
        """Return what is saved beside the model and the names of the features."""


def save(
    path: str | Path, options: dict[str, Any], given: Any, trained: Trained, file_format: str
) -> None:
    """Write a folder: whole, or not at all. An earlier one of this kind is replaced.

    Parameters
    ----------
    path : str or Path
    options : dict
        The arguments that the object was made with, but for what was to be trained.
    given : object
        What was to be trained.
    trained : Trained
    file_format : str
        One of FORMATS: of what is not of Spark ML.

    Raises
    ------
    OptionError
        If there is no such format.
    EngineError
        If it needs a package that is not installed.
    TableError
        If the folder cannot be written, or is there and no such one.
    """
    target = require_savable(path, file_format, trained.model)
    content = {
        "format": f"lq_spark.{NOUN}",
        "format_version": FORMAT_VERSION,
        "options": options,
        "labels": trained.LABELS,
        "trained": trained.content(),
    }
    parts = {"estimator": given, "model": trained.model}
    of_spark = is_of_spark(trained.model)
    if of_spark:
        content |= {"file_format": "spark", "classes_of_spark": names_of(parts)}
    else:
        content |= {"file_format": file_format}
    text = json.dumps(content, indent=1, default=_plain) + "\n"
    beside, earlier = target.with_name(f".{target.name}.part"), _earlier(target)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        if of_spark:
            for name, part in parts.items():
                part.write().overwrite().save(as_uri(str(beside / name)))
        else:
            _write(beside / f"models.{file_format}", parts, file_format)
        write_whole(beside / _JSON, text, NOUN)
        if target.exists():
            target.replace(earlier)
        beside.replace(target)
        shutil.rmtree(earlier, ignore_errors=True)
    except OSError as error:
        raise TableError(f"{NOUN}: cannot write {str(target)!r} ({error})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _earlier(target: Path) -> Path:
    """Return where an earlier folder is while a new one is put in place.

    One that a killed process has left there is put back.
    """
    earlier = target.with_name(f".{target.name}.earlier")
    if earlier.exists():
        if target.exists():
            shutil.rmtree(earlier)
        else:
            earlier.replace(target)
    return earlier


def _plain(value: Any) -> Any:
    """Return an array, or a number of NumPy, as JSON has it."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise OptionError(f"{NOUN}: an option is {value!r}, which cannot be saved")


def require_savable(path: str | Path, file_format: str, model: object) -> Path:
    """Return a folder that a model may be saved in; raise as :func:`save` if it may not."""
    require_one_of("format", file_format, FORMATS)
    if file_format == "skops" and not is_of_spark(model):
        _imported("skops.io")
    target = Path(path).absolute()
    if target.exists() and not (target / _JSON).is_file():
        raise TableError(f"{NOUN}: {str(target)!r} is there already, and no saved model")
    return target


def load(
    path: str | Path, trusted: bool | Sequence[str], kind: Any
) -> tuple[dict[str, Any], Any, Any]:
    """Return what :func:`save` was given: options, what was to be trained, what was trained.

    Raises
    ------
    OptionError
        If there is no such folder, it is of another version or not of what ``kind`` is of, or holds
        what is not trusted.
    EngineError
        If it needs a package that is not installed.
    """
    folder = Path(path).absolute()
    content = _content(folder)
    if content["labels"] != kind.LABELS:
        raise OptionError(
            f"{NOUN}: {str(folder)!r} is of labels that are {content['labels']}, not {kind.LABELS}"
        )
    file_format = content["file_format"]
    if file_format == "spark":
        parts = {
            name: class_of_spark(kind).load(as_uri(str(folder / name)))
            for name, kind in content["classes_of_spark"].items()
        }
    else:
        parts = _read(folder / f"models.{file_format}", file_format, trusted)
    options = content["options"]
    trained = kind.of(parts["model"], options["features"], content["trained"])
    return options, parts["estimator"], trained


def _content(folder: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads((folder / _JSON).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"{NOUN}: cannot read {str(folder / _JSON)!r} ({error})") from error
    if not isinstance(content, dict) or content.get("format") != f"lq_spark.{NOUN}":
        raise OptionError(f"{NOUN}: {str(folder / _JSON)!r} has no 'format': 'lq_spark.{NOUN}'")
    if content.get("format_version") != FORMAT_VERSION:
        raise OptionError(
            f"{NOUN}: format version {content.get('format_version')!r}, this package reads "
            f"{FORMAT_VERSION}, in {str(folder)!r}"
        )
    return content


def _write(path: Path, parts: dict[str, Any], file_format: str) -> None:
    if file_format == "joblib":
        _imported("joblib").dump(parts, path)
    else:
        _imported("skops.io").dump(parts, path)


def _read(path: Path, file_format: str, trusted: bool | Sequence[str]) -> dict[str, Any]:
    if not path.is_file():
        raise OptionError(f"{NOUN}: there is no file {str(path)!r}")
    if file_format == "joblib":
        if trusted is not True:
            raise OptionError(
                f"{NOUN}: {str(path)!r} was saved by joblib, and to read it runs what code it "
                "holds; give trusted=True if you know who wrote it"
            )
        found: dict[str, Any] = _imported("joblib").load(path)
        return found
    skops = _imported("skops.io")
    unknown = skops.get_untrusted_types(file=path)
    names = unknown if trusted is True else list(trusted or ())
    if refused := sorted(set(unknown) - set(names)):
        raise OptionError(
            f"{NOUN}: {str(path)!r} holds objects of {listed(refused)}, which a file from a "
            "stranger could misuse; if you know who wrote it, name them in trusted, or give "
            "trusted=True"
        )
    loaded: dict[str, Any] = skops.load(path, trusted=names)
    return loaded


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        hint = ", or give format='joblib'" if package == "skops" else ""
        raise EngineError(
            f"{package} is not installed ({error}): pip install {package}{hint}"
        ) from error


def names_of(parts: dict[str, Any]) -> dict[str, str]:
    """Return the class of each part, as :func:`class_of_spark` finds it."""
    return {name: f"{type(part).__module__}.{type(part).__name__}" for name, part in parts.items()}


def class_of_spark(kind: str) -> Any:
    """Return a class by its name in a file; raise OptionError unless it is of Spark ML, or ours.

    Nothing else is imported.
    """
    module, _, name = kind.rpartition(".")
    found = None
    if kind.startswith(_OF_SPARK):
        found = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, type) or not hasattr(found, "load"):
        raise OptionError(f"{kind!r}, whose saved object is to be read, is no class of pyspark.ml")
    return found
