"""Fetch the connectors that conf/lakehouse.conf names, and that of S3, once, into .jars/.

    python scripts/fetch_jars.py [FOLDER PACKAGE,PACKAGE]      # or others, into a folder

git ignores the folder. S3 is for the tests.

Spark resolves them itself: from the local Maven repository, else from Maven's central one. Where
that is not reached but Maven is there, and set up for a mirror, Maven fills the local one first.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".jars"

HADOOP = "3.4.2"
"""Of the pinned pyspark."""

SDK = "2.29.52"
"""Of AWS, as that Hadoop's hadoop-aws has it."""

S3_PACKAGES = [
    f"org.apache.hadoop:hadoop-aws:{HADOOP}",
    *(f"software.amazon.awssdk:{part}:{SDK}" for part in ("s3", "s3-transfer-manager", "sts")),
]
S3_EXCLUDES = [
    # The SDK for all of AWS: half a gigabyte. The parts that hadoop-aws uses have 15 megabytes.
    "software.amazon.awssdk:bundle",
    # Used where settings ask for them.
    "software.amazon.encryption.s3:*",
    "software.amazon.s3.analyticsaccelerator:*",
    "org.wildfly.openssl:*",
]


def settings() -> dict[str, str]:
    lines = (ROOT / "conf" / "lakehouse.conf").read_text().splitlines()
    return dict(line.split(None, 1) for line in lines if line.strip() and line[0] != "#")


def resolve(packages: str, excludes: str, cache: Path) -> str | None:
    """Have Spark fetch them; return what it says of a failure in one line, None of none."""
    session = (
        "from pyspark.sql import SparkSession as S;"
        "b = S.builder.master('local[1]').config('spark.ui.enabled', 'false')"
        f".config('spark.jars.ivy', {str(cache)!r}).config('spark.jars.packages', {packages!r})"
        f".config('spark.jars.excludes', {excludes!r}); b.getOrCreate().stop()"
    )
    done = subprocess.run([sys.executable, "-c", session], capture_output=True, text=True)
    if done.returncode == 0:
        return None
    said = [line for line in done.stderr.splitlines() if "Exception: " in line]
    return said[-1].strip() if said else f"it ended with {done.returncode}"


def fetch_by_maven(packages: str) -> str | None:
    """Have Maven fetch them into the local repository; return what failed, None if nothing did."""
    for name in packages.split(","):
        get = ["mvn", "--batch-mode", "--quiet", "dependency:get", f"-Dartifact={name}"]
        done = subprocess.run(get, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            said = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
            return f"mvn: {said[0]}" if said else f"mvn ended with {done.returncode}"
    return None


def main(folder: str = "", others: str = "") -> int:
    wanted, cache = settings(), Path(folder).resolve() if folder else CACHE
    packages = others or ",".join([wanted["spark.jars.packages"], *S3_PACKAGES])
    excludes = ",".join([wanted["spark.jars.excludes"], *S3_EXCLUDES])
    stamp = cache / "fetched"
    if stamp.exists() and stamp.read_text() == packages + excludes:
        return 0
    print(f"Fetching {others or 'the connectors of Delta Lake, Iceberg and S3'} ...")
    shutil.rmtree(cache, ignore_errors=True)
    failure = resolve(packages, excludes, cache)
    if failure and shutil.which("mvn"):
        print("Spark does not reach a repository of them by itself; fetching them by Maven ...")
        failure = fetch_by_maven(packages) or resolve(packages, excludes, cache)
    if failure is None:
        stamp.write_text(packages + excludes)
        return 0
    print(
        f"The connectors {packages} could not be fetched ({failure}). Behind a mirror, install "
        "Maven, name the mirror in its settings.xml, and run this again.",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
