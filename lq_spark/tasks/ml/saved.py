"""Estimators and models in a folder, as Spark ML keeps its own: params, parts, and what is fitted.

Params are written and read by Spark ML's own means; an estimator or a model within another by its
own; what else there is, as a line of JSON.
"""

from __future__ import annotations

import json
from typing import Any

from pyarrow.fs import FileType
from pyspark.ml.util import (
    DefaultParamsReader,
    DefaultParamsWriter,
    MLReadable,
    MLReader,
    MLWritable,
    MLWriter,
)

from lq_spark.engine.files import as_uri, files_of
from lq_spark.engine.kinds import is_connect, is_sail
from lq_spark.errors import OptionError
from lq_spark.tasks.training.estimators import is_of_spark
from lq_spark.tasks.training.saved import class_of_spark, names_of

FORMAT_VERSION = 1


class Kept(MLReadable[Any], MLWritable):
    """What is written and read: a subclass says what it holds beside its params."""

    def content(self) -> dict[str, Any]:
        """Return what is fitted, as JSON has it."""
        return {}

    def parts(self) -> dict[str, Any]:
        """Return estimators and models of Spark ML by the names of their folders."""
        return {}

    def restore(self, content: dict[str, Any], parts: dict[str, Any]) -> None:
        """Take what was written."""

    def write(self) -> MLWriter:
        """Return what writes this to a folder.

        Raises
        ------
        OptionError
            If it holds a classifier that is not of Spark ML.
        """
        for part in self.parts().values():
            if not is_of_spark(part):
                raise OptionError(
                    f"{type(self).__name__} holds {type(part).__name__}, which is not of Spark ML, "
                    "so Spark ML cannot save it; training.CleanLearning trains the same, and has "
                    "save and load for it"
                )
        return _Writer(self)

    @classmethod
    def read(cls) -> MLReader[Any]:
        """Return what reads this from a folder."""
        return _Reader(cls)


class _Writer(MLWriter):
    def __init__(self, instance: Any) -> None:
        super().__init__()
        self.instance = instance

    def save(self, path: str) -> None:
        if self.shouldOverwrite and is_sail(self.sparkSession):
            files, folder = files_of(as_uri(path))
            if files.get_file_info(folder).type == FileType.Directory:
                files.delete_dir(folder)
        elif self.shouldOverwrite and is_connect(self.sparkSession):
            from pyspark.ml.connect.readwrite import RemoteMLWriter

            RemoteMLWriter.handleOverwrite(path, True)
        elif self.shouldOverwrite:
            self._handleOverwrite(path)
        self.saveImpl(path)

    def saveImpl(self, path: str) -> None:
        parts = self.instance.parts()
        plain = self.instance.copy()
        for name in parts:
            if plain.hasParam(name):
                plain.clear(plain.getParam(name))
        DefaultParamsWriter(plain).session(self.sparkSession).saveImpl(path)
        content = {
            "format_version": FORMAT_VERSION,
            "parts": names_of(parts),
            "content": self.instance.content(),
        }
        line = self.sparkSession.createDataFrame([(json.dumps(content),)], "value string")
        line.coalesce(1).write.text(f"{path}/data")
        for name, part in parts.items():
            part.write().save(f"{path}/{name}")


class _Reader(MLReader[Any]):
    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self.kind = kind

    def load(self, path: str) -> Any:
        made = DefaultParamsReader(self.kind).session(self.sparkSession).load(path)
        if type(made) is not self.kind:
            raise OptionError(f"{path!r} holds a {type(made).__name__}, not a {self.kind.__name__}")
        [(line,)] = self.sparkSession.read.text(f"{path}/data").collect()
        content = json.loads(line)
        if content["format_version"] != FORMAT_VERSION:
            raise OptionError(
                f"{path!r} is of format version {content['format_version']!r}, this package reads "
                f"{FORMAT_VERSION}"
            )
        parts = {
            name: class_of_spark(kind).load(f"{path}/{name}")
            for name, kind in content["parts"].items()
        }
        made.restore(content["content"], parts)
        return made
