"""Objects that are saved as JSON with a format name and version, and read back to the bit."""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from lq_spark.core.shared.display import Displayed
from lq_spark.errors import DataError, OptionError, TableError, listed

SavedObject = TypeVar("SavedObject", bound="Saved")


def write_whole(path: str | Path, text: str, noun: str) -> None:
    """Write a text to a file: whole, or not at all.

    Raises TableError, which says what it is by ``noun``, if the file cannot be written.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)
    except OSError as error:
        if beside.is_file():
            beside.unlink()
        raise TableError(f"{noun}: cannot write {str(target)!r} ({error})") from error


class Saved(Displayed):
    """An object with a JSON form: a subclass names its format and says what it holds."""

    __slots__ = ()

    NOUN: ClassVar[str]
    """What messages call the object; the format's name is ``lq_spark.NOUN``."""

    FORMAT_VERSION: ClassVar[int]

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return what the JSON holds, in plain lists, numbers and texts."""

    @classmethod
    @abstractmethod
    def _from_content(cls: type[SavedObject], content: dict[str, Any]) -> SavedObject:
        """Return the object of a content; raise DataError if it is not what ``_content`` gives."""

    def to_json(self) -> str:
        """Return the object as JSON text; every double comes back to the bit."""
        head = {"format": f"lq_spark.{self.NOUN}", "format_version": self.FORMAT_VERSION}
        return json.dumps({**head, **self._content()}, indent=1) + "\n"

    @classmethod
    def from_json(cls: type[SavedObject], text: str) -> SavedObject:
        """Return the object of its JSON text.

        Raises
        ------
        DataError
            If the text is none, or of another format version.
        """
        try:
            content: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{cls.NOUN}: not JSON ({error})") from error
        wanted = f"lq_spark.{cls.NOUN}"
        if not isinstance(content, dict) or content.get("format") != wanted:
            raise DataError(f"{cls.NOUN}: the JSON has no 'format': {wanted!r}")
        if content.get("format_version") != cls.FORMAT_VERSION:
            raise DataError(
                f"{cls.NOUN}: format version {content.get('format_version')!r}, "
                f"this package reads {cls.FORMAT_VERSION}"
            )
        return cls._from_content(content)

    def save(self, path: str | Path) -> None:
        """Write the object to a file: whole, or not at all.

        Raises
        ------
        TableError
            If the file cannot be written.
        """
        write_whole(path, self.to_json(), self.NOUN)

    @classmethod
    def load(cls: type[SavedObject], path: str | Path) -> SavedObject:
        """Return the object saved in a file.

        Raises
        ------
        OptionError
            If there is no such file, or it holds something else.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"{cls.NOUN}: cannot read {str(path)!r} ({error})") from error
        try:
            return cls.from_json(text)
        except DataError as error:
            raise OptionError(f"{error}, in {str(path)!r}") from error

    @classmethod
    def _require_keys(cls, content: dict[str, Any], keys: set[str]) -> None:
        missing = keys - content.keys()
        if missing:
            raise DataError(f"{cls.NOUN}: the JSON lacks {listed(sorted(missing))}")

    @classmethod
    def _checked_list(
        cls, content: dict[str, Any], key: str, kinds: tuple[type, ...]
    ) -> tuple[Any, ...]:
        """Return a list of the content as a tuple; raise DataError if it holds something else."""
        items = content[key]
        is_list = isinstance(items, list) and all(
            isinstance(item, kinds) and not isinstance(item, bool) for item in items
        )
        if not is_list:
            raise DataError(
                f"{cls.NOUN}: {key!r} must be a list of {kinds[-1].__name__}, got {items!r:.80}"
            )
        return tuple(items)
