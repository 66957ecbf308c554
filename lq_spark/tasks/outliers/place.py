"""Where reference rows are saved."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from pyarrow import fs

from lq_spark.engine.files import as_uri, files_of
from lq_spark.errors import OptionError, TableError

ROWS: Final = "references"
_FILE: Final = "fitted.json"


class SavedPlace:
    """A folder that reference rows are saved in: a small file says in which folder of it."""

    def __init__(self, path: str) -> None:
        self.path, self.uri = path, as_uri(path).rstrip("/")
        self._files, self._folder = files_of(self.uri)

    def require_free(self) -> None:
        """Raise OptionError if there is something else, TableError if it cannot be looked at."""
        try:
            is_folder = self._files.get_file_info(self._folder).type != fs.FileType.File
            there = {info.base_name for info in self._there()} if is_folder else set()
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"fitted: cannot write {self.path!r} ({error})") from error
        if not is_folder or any(not self._is_ours(name) for name in there):
            raise OptionError(
                f"fitted: there is something else at {self.path!r}; it must be a new folder, or "
                "one that such rows were saved in"
            )

    def read(self) -> str:
        """Return the content of the small file."""
        with self._files.open_input_stream(f"{self._folder}/{_FILE}") as stream:
            text: str = stream.read().decode()
            return text

    def replace(self, content: str, name: str) -> None:
        """Write the small file, the last; then delete what it does not name any more."""
        try:
            with self._files.open_output_stream(f"{self._folder}/{_FILE}.new") as stream:
                stream.write(content.encode())
            self._files.move(f"{self._folder}/{_FILE}.new", f"{self._folder}/{_FILE}")
            for info in self._there():
                if info.base_name not in (_FILE, name):
                    self._files.delete_dir(info.path)
        except (OSError, pa.ArrowException) as error:
            raise TableError(f"fitted: cannot write {self.path!r} ({error})") from error

    def _there(self) -> list[fs.FileInfo]:
        found: list[fs.FileInfo] = self._files.get_file_info(
            fs.FileSelector(self._folder, allow_not_found=True)
        )
        return found

    @staticmethod
    def _is_ours(name: str) -> bool:
        return name.startswith((_FILE, f"{ROWS}-"))
