"""The files behind a URI."""

from __future__ import annotations

from pyarrow import fs


def files_of(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI and the path there; raise OSError if it is not reached."""
    if uri.startswith("file:"):
        return fs.LocalFileSystem(), local_path(uri)  # whose signs are not escaped
    files, path = fs.FileSystem.from_uri(uri)
    return files, path


def local_path(uri: str) -> str:
    """Return the path of a ``file:`` URI."""
    return uri.removeprefix("file://").removeprefix("file:")
