"""Access to the files behind a URI from any process, with the settings of a session.

Made on the driver, where the session is; opened in a worker, where pyarrow reads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import fs

from lq_spark.engine.files import local_path
from lq_spark.engine.kinds import is_connect, is_sail
from lq_spark.engine.object_stores import (
    Arguments,
    NotCarriedOverError,
    Setting,
    azure_arguments,
    gs_arguments,
    s3_arguments,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SYSTEMS = {
    "file": "LocalFileSystem",
    "hdfs": "HadoopFileSystem",
    "viewfs": "HadoopFileSystem",
    "s3": "S3FileSystem",
    "s3a": "S3FileSystem",
    "s3n": "S3FileSystem",
    "abfs": "AzureFileSystem",
    "abfss": "AzureFileSystem",
    "wasb": "AzureFileSystem",
    "wasbs": "AzureFileSystem",
    "gs": "GcsFileSystem",
}
"""The class of pyarrow.fs for a URI's scheme."""


_HIDDEN = (
    "fs.s3a.access.key",
    "fs.s3a.secret.key",
    "fs.azure.account.oauth2.client.secret",
    "fs.azure.sas.fixed.token",
)
"""Settings that a server of Spark Connect does not show, as they are secrets."""


@dataclass(frozen=True)
class FileAccess:
    """Access to the files of one place: this machine, a cluster, a bucket, an account's container.

    Its settings may hold secrets. They go to the workers with it, as Spark's own do, and are not
    shown.
    """

    place: str
    """Scheme and authority: ``file://``, ``s3a://bucket``."""
    system: str
    """The class of pyarrow.fs."""
    settings: tuple[tuple[str, str | bool], ...] = field(repr=False)
    """The arguments of the class."""

    def open(self, uri: str) -> tuple[fs.FileSystem, str]:
        """Return the file system of a URI in this place, and the path there.

        There is one file system a process for the same settings.

        Raises
        ------
        OSError
            If the file system cannot be reached, or the URI is of another place.
        """
        scheme, authority, path = _parts(uri)
        place = self.place.partition("://")[2]
        if _SYSTEMS.get(scheme) != self.system or authority != place:
            raise OSError(f"{uri!r} is not in {self.place}")
        if self.system == "LocalFileSystem":
            return _local(), path
        if self.system == "HadoopFileSystem":
            return _of_cluster(f"{scheme}://{authority}/"), path
        container = authority.partition("@")[0]
        return _of_store(self.system, self.settings), container + path


@cache
def _local() -> fs.FileSystem:
    return fs.LocalFileSystem()


@cache
def _of_cluster(uri: str) -> fs.FileSystem:
    # What is to be known of a cluster is in its own files, which the workers have.
    return fs.FileSystem.from_uri(uri)[0]


@cache
def _of_store(system: str, settings: tuple[tuple[str, str | bool], ...]) -> fs.FileSystem:
    return getattr(fs, system)(**dict(settings))


def file_access(spark: SparkSession, uri: str) -> FileAccess | str:
    """Return access to the place of a URI by pyarrow, or the reason why only the engine has it.

    Nothing is opened there; of a bucket of AWS without a region in the settings, AWS is asked for
    its region.

    Parameters
    ----------
    spark : SparkSession
        Of Spark, the settings are its own (``spark.hadoop.fs.s3a.endpoint`` and the like; not those
        of a file beside it such as core-site.xml). Of Sail, they are this process's environment
        variables (``AWS_ENDPOINT_URL`` and the like), as Sail reads them.
    uri : str
        A URI, its characters unescaped as Spark wants it; without a scheme, an absolute path.

    Returns
    -------
    FileAccess or str
        The reason is a clause for a sentence: "pyarrow has no equal of the setting …".
    """
    scheme, authority, _ = _parts(uri)
    if scheme not in _SYSTEMS:
        return f"pyarrow has no file system for {scheme}:"
    system = _SYSTEMS[scheme]
    if scheme.startswith("s3") and "@" in authority:
        return f"the {scheme}: URI holds credentials"
    setting = _of_environment if is_sail(spark) else _of_session(spark)
    try:
        found = _arguments(scheme, authority, setting)
        getattr(fs, system)
        if system in ("S3FileSystem", "AzureFileSystem", "GcsFileSystem"):
            _of_store(system, tuple(found.items()))
    except NotCarriedOverError as error:
        return str(error)
    except ImportError:
        return f"pyarrow {pa.__version__} is built without {system}"
    except (TypeError, ValueError):
        # The message may show what was given.
        return f"{system} of pyarrow {pa.__version__} does not take the settings of {scheme}:"
    return FileAccess(place_of(uri), system, tuple(found.items()))


def _arguments(scheme: str, authority: str, setting: Setting) -> Arguments:
    if scheme.startswith("s3"):
        _require_usual_class(scheme, setting)
        found = s3_arguments(authority, setting)
        if "region" not in found and (region := _region_of(authority)):
            found["region"] = region
        return found
    if scheme.startswith(("abfs", "wasb")):
        container, _, host = authority.partition("@")
        if not container or not host:
            raise NotCarriedOverError(f"{scheme}: names no container and account")
        return azure_arguments(container, host, setting)
    return gs_arguments(setting) if scheme == "gs" else {}


def _require_usual_class(scheme: str, setting: Setting) -> None:
    """Raise if another file system than Hadoop's S3A is set for a scheme of S3."""
    name = f"fs.{scheme}.impl"
    if (given := setting(name)) and not given.endswith(".S3AFileSystem"):
        raise NotCarriedOverError(f"pyarrow has no equal of {given!r} ({name})")


def _region_of(bucket: str) -> str | None:
    try:
        return str(fs.resolve_s3_region(bucket))
    except (OSError, ValueError):
        return None  # what is wrong shows where the bucket is opened


def accesses_of(spark: SparkSession) -> Callable[[str], FileAccess]:
    """Return what gives access to the place of a URI, and asks the session once for each place.

    It raises OSError, with the reason, where only the engine has access.
    """
    known: dict[str, FileAccess | str] = {}

    def access_to(uri: str) -> FileAccess:
        place = place_of(uri)
        if place not in known:
            known[place] = file_access(spark, uri)
        access = known[place]
        if isinstance(access, str):
            raise OSError(access)
        return access

    return access_to


def place_of(uri: str) -> str:
    """Return the scheme and the authority of a URI: what one access is for."""
    scheme, authority, _ = _parts(uri)
    return f"{scheme}://{authority}"


def _parts(uri: str) -> tuple[str, str, str]:
    """Return scheme, authority and path, none of them unescaped."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(?=/)", uri)
    if not found or found[1].lower() == "file":
        return "file", "", local_path(uri)
    scheme, rest = found[1].lower(), uri[found.end() :]
    if not rest.startswith("//"):
        return scheme, "", rest
    authority, _, path = rest[2:].partition("/")
    return scheme, authority, f"/{path}" if path else ""


def _of_session(spark: SparkSession) -> Setting:
    """Return what looks up a setting as Spark's readers find it."""
    connect = is_connect(spark)
    from_environment = {} if connect else _of_spark_from_environment(os.environ)

    def setting(name: str) -> str:
        # Spark gives its file systems what is set in the session by its bare name, else what
        # the application began with, else what Spark takes from its environment.
        for key in (name, f"spark.hadoop.{name}"):
            if value := spark.conf.get(key, None):
                return value.strip()
        if connect and name in _HIDDEN:
            raise NotCarriedOverError(f"Spark Connect does not show {name}, nor whether it is set")
        return from_environment.get(name, "")

    return setting


def _of_spark_from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what Spark itself takes from the driver's environment, where both keys are there."""
    variables = {
        "fs.s3a.access.key": "AWS_ACCESS_KEY_ID",
        "fs.s3a.secret.key": "AWS_SECRET_ACCESS_KEY",
        "fs.s3a.session.token": "AWS_SESSION_TOKEN",
        "fs.s3a.endpoint": "AWS_ENDPOINT_URL",
    }
    found = {name: environment.get(variable, "") for name, variable in variables.items()}
    return found if found["fs.s3a.access.key"] and found["fs.s3a.secret.key"] else {}


def _of_environment(name: str) -> str:
    """Return a setting as Sail, and pyarrow, have it from the environment.

    Keys of S3 and Google Cloud are not looked up here: pyarrow finds them there itself.
    """
    of = os.environ.get
    if name == "fs.s3a.endpoint":
        return of("AWS_ENDPOINT_URL_S3") or of("AWS_ENDPOINT_URL") or of("AWS_ENDPOINT") or ""
    if name == "fs.s3a.endpoint.region":
        return of("AWS_REGION") or of("AWS_DEFAULT_REGION") or ""
    if name == "fs.s3a.path.style.access":
        return "false" if _is_true(of("AWS_VIRTUAL_HOSTED_STYLE_REQUEST")) else "true"
    if name == "fs.s3a.aws.credentials.provider" and _is_true(of("AWS_SKIP_SIGNATURE")):
        return "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"
    key, token = of("AZURE_STORAGE_ACCOUNT_KEY", ""), of("AZURE_STORAGE_SAS_TOKEN", "")
    if name == "fs.azure.account.auth.type":
        return "SharedKey" if key else "SAS" if token else "OAuth"
    return {
        "fs.azure.account.key": key,
        "fs.azure.sas.fixed.token": token,
        # pyarrow's default: variables of a client, then the machine's identity.
        "fs.azure.account.oauth.provider.type": "MsiTokenProvider",
    }.get(name, "")


def _is_true(value: str | None) -> bool:
    return (value or "").lower() in ("1", "true")
