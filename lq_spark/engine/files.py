"""The files behind a URI."""

from __future__ import annotations

from pathlib import Path

from pyarrow import fs

from lq_spark.errors import OptionError


def files_of(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI and the path there; raise OSError if it cannot be reached."""
    if uri.startswith("file:"):
        return fs.LocalFileSystem(), local_path(uri)  # its characters are not escaped
    files, path = fs.FileSystem.from_uri(uri)
    return files, path


def local_path(uri: str) -> str:
    """Return the path of a ``file:`` URI."""
    return uri.removeprefix("file://").removeprefix("file:")


def as_uri(path: str) -> str:
    """Return a path with its scheme, unescaped as Spark wants it; without one it is local."""
    if path.startswith("file:"):
        return f"file://{local_path(path)}"
    return path if ":/" in path else f"file://{Path(path).absolute()}"


def expanded(path: str) -> str:
    """Return a path with the home folder in place of a leading ``~``.

    Raises OptionError if there is no such home folder.
    """
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise OptionError(
            f"{path!r} begins with ~, but there is no such home folder; a name like this is given "
            f"as './{path}'"
        ) from error
