import sys
import zipfile
from importlib import import_module, invalidate_caches
from zipimport import zipimporter

import pytest

from lq_spark.engine.worker import forget_zip_importers


def test_a_module_of_a_zip_archive_is_still_found(tmp_path, monkeypatch):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("lq_zipped_one.py", "value = 1")
        file.writestr("lq_zipped_two.py", "value = 2")
    monkeypatch.syspath_prepend(archive)
    assert import_module("lq_zipped_one").value == 1
    assert isinstance(sys.path_importer_cache[str(archive)], zipimporter)
    forget_zip_importers()
    assert str(archive) not in sys.path_importer_cache
    invalidate_caches()
    assert import_module("lq_zipped_two").value == 2


@pytest.mark.spark
def test_a_worker_keeps_no_importer_of_a_zip_archive_between_tasks(spark):
    # As Spark's own workers have it: their path holds pyspark.zip.
    import pyarrow as pa
    from pyspark.sql import functions as F
    from pyspark.sql.types import LongType, StructField, StructType

    from lq_spark.engine.verbs import map_rows

    def count(ids):
        import sys
        from zipimport import zipimporter

        found = [f for f in sys.path_importer_cache.values() if isinstance(f, zipimporter)]
        return {"n": pa.array([len(found)] * len(ids))}

    n = map_rows(count, [F.col("id")], StructType([StructField("n", LongType())]))
    assert {row["n"] for row in spark.range(4).select(n.n.alias("n")).collect()} == {0}
