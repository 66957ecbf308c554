"""Settings of Hadoop's object stores as arguments of pyarrow's file systems.

For reading. A setting is looked up by its Hadoop name (``fs.s3a.endpoint``). What pyarrow has no
equal of is not left out silently: it is the reason why Spark has to read there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address

Setting = Callable[[str], str]
"""The value of a setting by its name, empty where it is not set."""

Arguments = dict[str, str | bool]


class NotCarriedOverError(Exception):
    """Settings that pyarrow has no equal of; the message is a clause, and shows no secret."""


_S3_OF_SPARK_ALONE = (
    "access.grants.enabled",
    "accesspoint.arn",
    "custom.signers",
    "delegation.token.binding",
    "endpoint.fips",
    "proxy.host",
    "requester.pays.enabled",
    "s3.client.factory.impl",
    "security.credential.provider.path",
    "signing-algorithm",
)

_KEYS_FOR_ENCRYPTION = ("SSE-C", "CSE-KMS", "CSE-CUSTOM")
"""Ways of encryption in which the reader needs a key; in the others the store decrypts."""

_PROVIDER_PACKAGES = (
    "org.apache.hadoop.fs.s3a",
    "org.apache.hadoop.fs.s3a.auth",
    "com.amazonaws.auth",
    "software.amazon.awssdk.auth.credentials",
)

_USUAL_PROVIDERS = ",".join(
    f"org.apache.hadoop.fs.s3a.{name}"
    for name in (
        "TemporaryAWSCredentialsProvider",
        "SimpleAWSCredentialsProvider",
        "auth.IAMInstanceCredentialsProvider",
    )
)
"""What S3A asks where nothing is set."""

_WHERE_IT_RUNS = (
    "ContainerCredentialsProvider",
    "DefaultAWSCredentialsProviderChain",
    "DefaultCredentialsProvider",
    "EC2ContainerCredentialsProviderWrapper",
    "EnvironmentVariableCredentialsProvider",
    "IAMInstanceCredentialsProvider",
    "InstanceProfileCredentialsProvider",
    "WebIdentityTokenCredentialsProvider",
    "WebIdentityTokenFileCredentialsProvider",
)
"""Providers that ask the machine: its variables, its role. So does pyarrow without arguments."""

_REGION = r"(?P<region>[a-z]+(?:-[a-z]+)+-\d+)"


def s3_arguments(bucket: str, setting: Setting) -> Arguments:
    """Return the arguments of ``pyarrow.fs.S3FileSystem`` for a bucket; no region if none is set.

    A bucket's own setting (``fs.s3a.bucket.NAME.endpoint``) takes precedence.

    Raises
    ------
    NotCarriedOverError
        If a setting has no equal.
    """

    def of(name: str) -> str:
        return setting(f"fs.s3a.bucket.{bucket}.{name}") or setting(f"fs.s3a.{name}")

    _require_unset(_S3_OF_SPARK_ALONE, of, prefix="fs.s3a.")
    _require_unset(["hadoop.security.credential.provider.path"], setting)
    for name in ("encryption.algorithm", "server-side-encryption-algorithm"):
        if (way := of(name).upper()) in _KEYS_FOR_ENCRYPTION:
            raise NotCarriedOverError(f"pyarrow cannot decrypt {way} (fs.s3a.{name})")
    return {**_s3_credentials(of), **_s3_endpoint(of)}


def _s3_credentials(of: Setting) -> Arguments:
    """Return what the first of the providers gives that has anything to give."""
    providers = of("aws.credentials.provider") or _USUAL_PROVIDERS
    for provider in re.split(r"[,\s]+", providers.strip()):
        package, _, name = provider.rpartition(".")
        if package not in _PROVIDER_PACKAGES:
            name = ""
        if name in ("TemporaryAWSCredentialsProvider", "SimpleAWSCredentialsProvider"):
            keys: Arguments = {"access_key": of("access.key"), "secret_key": of("secret.key")}
            if name.startswith("Temporary"):
                keys["session_token"] = of("session.token")
            if all(keys.values()):
                return keys
        elif name in ("AnonymousAWSCredentialsProvider", "AnonymousCredentialsProvider"):
            return {"anonymous": True}
        elif name in _WHERE_IT_RUNS:
            return {}
        else:
            raise NotCarriedOverError(
                f"pyarrow has no credentials provider {provider!r} "
                "(fs.s3a.aws.credentials.provider)"
            )
    raise NotCarriedOverError(
        "the session's settings have no keys for fs.s3a.aws.credentials.provider"
    )


def _s3_endpoint(of: Setting) -> Arguments:
    given_scheme, _, host = of("endpoint").rpartition("://")
    host = host.rstrip("/")
    if "/" in host:
        raise NotCarriedOverError("pyarrow takes no path in fs.s3a.endpoint")
    plain = of("connection.ssl.enabled").lower() == "false"
    found: Arguments = {"scheme": given_scheme.lower() or ("http" if plain else "https")}
    region = of("endpoint.region")
    aws = re.fullmatch(
        rf"s3[.-](?:(?:dualstack\.)?{_REGION}\.)?amazonaws\.com(?:\.cn)?",
        host or "s3.amazonaws.com",
    )
    if aws:
        region = region or aws["region"] or ""
        return {**found, "region": region} if region else found
    of_link = re.search(rf"\.{_REGION}\.vpce\.amazonaws\.com", host)
    # Other stores have no regions, but requests are signed for one.
    found["region"] = region or (of_link["region"] if of_link else "us-east-1")
    found["endpoint_override"] = host
    if of("path.style.access").lower() != "true" and not _is_address(host):
        found["force_virtual_addressing"] = True
    return found


def _is_address(host: str) -> bool:
    """Return whether a host, maybe with a port, is given by number: it has no hosts below it."""
    try:
        ip_address(host if host.count(":") != 1 else host.partition(":")[0])
    except ValueError:
        return host.startswith("[")  # of IPv6, with a port
    return True


_AZURE_OF_SPARK_ALONE = (
    "fs.azure.client-provided-encryption-key",
    "fs.azure.encryption.context.provider.type",
    "fs.azure.encryption.encoded.client-provided-key",
)

_SIMPLE_KEYS = "SimpleKeyProvider"


def azure_arguments(container: str, host: str, setting: Setting) -> Arguments:
    """Return the arguments of ``pyarrow.fs.AzureFileSystem`` for an account's host.

    Parameters
    ----------
    container : str
        A container of the account; WASB has tokens by container.
    host : str
        As in the URI: ``ACCOUNT.dfs.core.windows.net``.
    setting : callable
        Looks up a setting; those of the account (``fs.azure.account.key.HOST``) take precedence.

    Raises
    ------
    NotCarriedOverError
        If a setting has no equal, or none says how to authenticate.
    """

    def of(name: str) -> str:
        return setting(f"{name}.{host}") or setting(name)

    _require_unset(_AZURE_OF_SPARK_ALONE, of)
    _require_unset(["hadoop.security.credential.provider.path"], setting)
    account, _, service = host.partition(".")
    cloud = service.partition(".")[2]
    found: Arguments = {"account_name": account}
    if cloud != "core.windows.net":
        found["blob_storage_authority"] = f".blob.{cloud}"
        found["dfs_storage_authority"] = f".dfs.{cloud}"
    if token := setting(f"fs.azure.sas.{container}.{host}"):
        return {**found, "sas_token": _as_query(token)}
    how = of("fs.azure.account.auth.type").lower() or "sharedkey"
    if how == "oauth":
        return {**found, **_azure_identity(of)}
    if how == "sas" and (token := of("fs.azure.sas.fixed.token")):
        return {**found, "sas_token": _as_query(token)}
    provider = of("fs.azure.account.keyprovider").rpartition(".")[2]
    if (
        how == "sharedkey"
        and provider in ("", _SIMPLE_KEYS)
        and (key := of("fs.azure.account.key"))
    ):
        return {**found, "account_key": key}
    raise NotCarriedOverError(
        f"the session's settings have no key or token for {host!r} that pyarrow takes"
    )


def _azure_identity(of: Setting) -> Arguments:
    provider = of("fs.azure.account.oauth.provider.type")
    name = provider.rpartition(".")[2]
    client = of("fs.azure.account.oauth2.client.id")
    if name == "MsiTokenProvider":
        return {"client_id": client} if client else {}
    tenant = re.fullmatch(
        r"https://login\.microsoftonline\.com/([^/]+)/oauth2/(?:v2\.0/)?token",
        of("fs.azure.account.oauth2.client.endpoint"),
    )
    secret = of("fs.azure.account.oauth2.client.secret")
    if name == "ClientCredsTokenProvider" and tenant and client and secret:
        return {"client_id": client, "client_secret": secret, "tenant_id": tenant[1]}
    raise NotCarriedOverError(
        f"pyarrow has no equal of {provider!r} (fs.azure.account.oauth.provider.type) as it is set"
    )


def _as_query(token: str) -> str:
    return "?" + token.lstrip("?")


_GS_OF_SPARK_ALONE = (
    "fs.gs.auth.access.token.provider",
    "fs.gs.auth.access.token.provider.impl",
    "fs.gs.auth.client.id",
    "fs.gs.auth.service.account.email",
    "fs.gs.auth.service.account.json.keyfile",
    "fs.gs.auth.service.account.keyfile",
    "fs.gs.encryption.key",
    "fs.gs.proxy.address",
    "google.cloud.auth.service.account.json.keyfile",
    "google.cloud.auth.service.account.keyfile",
    "hadoop.security.credential.provider.path",
)


def gs_arguments(setting: Setting) -> Arguments:
    """Return the arguments of ``pyarrow.fs.GcsFileSystem``.

    Raises
    ------
    NotCarriedOverError
        If a setting has no equal.
    """
    _require_unset(_GS_OF_SPARK_ALONE, setting)
    if setting("fs.gs.requester.pays.mode").upper() not in ("", "DISABLED"):
        raise NotCarriedOverError("pyarrow has no equal of the setting fs.gs.requester.pays.mode")
    found: Arguments = {}
    how = setting("fs.gs.auth.type").upper()
    nobody = ("fs.gs.auth.null.enable", "google.cloud.auth.null.enable")
    if how == "UNAUTHENTICATED" or any(setting(name).lower() == "true" for name in nobody):
        found["anonymous"] = True
    elif how not in ("", "APPLICATION_DEFAULT", "COMPUTE_ENGINE"):
        raise NotCarriedOverError(f"pyarrow has no equal of fs.gs.auth.type {how}")
    elif account := setting("fs.gs.auth.impersonation.service.account"):
        found["target_service_account"] = account
    scheme, _, host = setting("fs.gs.storage.root.url").rstrip("/").rpartition("://")
    if host:
        found |= {"scheme": scheme or "https", "endpoint_override": host}
    return found


def _require_unset(names: tuple[str, ...] | list[str], of: Setting, prefix: str = "") -> None:
    for name in names:
        if of(name).lower() not in ("", "false"):
            raise NotCarriedOverError(f"pyarrow has no equal of the setting {prefix}{name}")
