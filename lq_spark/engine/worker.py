"""What keeps Spark's Python workers fast between tasks."""

from __future__ import annotations

import sys
from zipimport import zipimporter


def forget_zip_importers() -> None:
    """Drop the import system's cache of zip archives; it is rebuilt when it is needed.

    A worker of Spark calls ``importlib.invalidate_caches()`` at the start of each task, and older
    Pythons (3.11 is one) then read the index of a zip archive anew for each package in it that was
    ever imported. For the pyspark.zip on every worker's path that is most of a short task.
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]
