"""What settings of Hadoop become as arguments of pyarrow, and what has no equal there."""

import pytest
from pyarrow import fs

from lq_spark.engine.object_stores import (
    NotCarriedOverError,
    azure_arguments,
    gs_arguments,
    s3_arguments,
)

KEYS = {"access.key": "AK", "secret.key": "SK"}
WITH_KEYS = {"access_key": "AK", "secret_key": "SK"}
HADOOP = "org.apache.hadoop.fs.s3a."
SIMPLE, TEMPORARY = (
    f"{HADOOP}SimpleAWSCredentialsProvider",
    f"{HADOOP}TemporaryAWSCredentialsProvider",
)
ANONYMOUS, ROLE = (
    f"{HADOOP}AnonymousAWSCredentialsProvider",
    f"{HADOOP}auth.IAMInstanceCredentialsProvider",
)
LAKE = "lake.dfs.core.windows.net"


def looked_up(settings, prefix=""):
    return lambda name: {f"{prefix}{key}": value for key, value in settings.items()}.get(name, "")


def s3(settings):
    return s3_arguments("labels", looked_up(settings, "fs.s3a."))


def azure(settings, host=LAKE):
    return azure_arguments("rows", host, looked_up(settings, "fs.azure."))


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {}),
        (KEYS, WITH_KEYS),
        ({**KEYS, "session.token": "T"}, {**WITH_KEYS, "session_token": "T"}),
        ({"access.key": "AK"}, {}),
        ({**KEYS, "bucket.labels.access.key": "OWN"}, {**WITH_KEYS, "access_key": "OWN"}),
        ({**KEYS, "bucket.others.access.key": "OWN"}, WITH_KEYS),
        ({**KEYS, "session.token": "T", "aws.credentials.provider": SIMPLE}, WITH_KEYS),
        ({"aws.credentials.provider": f"{SIMPLE},\n  {ROLE}"}, {}),
        ({**KEYS, "aws.credentials.provider": f"{TEMPORARY}, {SIMPLE}"}, WITH_KEYS),
        ({**KEYS, "aws.credentials.provider": f"{ANONYMOUS},{SIMPLE}"}, {"anonymous": True}),
        ({"aws.credentials.provider": f"{SIMPLE},{ANONYMOUS}"}, {"anonymous": True}),
        ({"bucket.labels.aws.credentials.provider": ANONYMOUS}, {"anonymous": True}),
        ({"encryption.algorithm": "SSE-KMS", "requester.pays.enabled": "false"}, {}),
    ],
)
def test_credentials_of_s3(settings, arguments):
    found = s3(settings)
    fs.S3FileSystem(**found, region="us-east-1")
    assert found == {"scheme": "https", **arguments}


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"endpoint.region": "eu-west-1"}, {"region": "eu-west-1"}),
        ({"endpoint": "s3.amazonaws.com"}, {}),
        ({"endpoint": "https://s3.eu-west-1.amazonaws.com/"}, {"region": "eu-west-1"}),
        ({"endpoint": "s3-ap-south-1.amazonaws.com"}, {"region": "ap-south-1"}),
        ({"endpoint": "s3.dualstack.us-gov-west-1.amazonaws.com"}, {"region": "us-gov-west-1"}),
        ({"endpoint": "s3.cn-north-1.amazonaws.com.cn"}, {"region": "cn-north-1"}),
        (
            {"endpoint": "http://127.0.0.1:9000"},
            {"scheme": "http", "endpoint_override": "127.0.0.1:9000", "region": "us-east-1"},
        ),
        (
            {"endpoint": "[::1]:9000", "connection.ssl.enabled": "false"},
            {"scheme": "http", "endpoint_override": "[::1]:9000", "region": "us-east-1"},
        ),
        (
            {
                "endpoint": "https://minio:9000",
                "connection.ssl.enabled": "false",
                "path.style.access": "true",
                "endpoint.region": "here",
            },
            {"endpoint_override": "minio:9000", "region": "here"},
        ),
        (
            {"endpoint": "store.example"},
            {
                "endpoint_override": "store.example",
                "region": "us-east-1",
                "force_virtual_addressing": True,
            },
        ),
        (
            {
                "endpoint": "bucket.vpce-1a2b.s3.us-west-2.vpce.amazonaws.com",
                "path.style.access": "true",
            },
            {
                "endpoint_override": "bucket.vpce-1a2b.s3.us-west-2.vpce.amazonaws.com",
                "region": "us-west-2",
            },
        ),
        (
            {"endpoint": "minio:9000", "bucket.labels.endpoint": "s3.eu-west-3.amazonaws.com"},
            {"region": "eu-west-3"},
        ),
    ],
)
def test_endpoint_of_s3(settings, arguments):
    found = s3({**settings, **KEYS})
    files = fs.S3FileSystem(**found)
    assert found == {"scheme": "https", **WITH_KEYS, **arguments}
    if "region" in found:
        assert files.region == found["region"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"aws.credentials.provider": f"com.acme.Vault,{SIMPLE}"}, "'com.acme.Vault'"),
        ({"aws.credentials.provider": "com.acme.SimpleAWSCredentialsProvider"}, "'com.acme."),
        (
            {"aws.credentials.provider": f"{HADOOP}auth.AssumedRoleCredentialProvider"},
            "AssumedRole",
        ),
        ({"aws.credentials.provider": SIMPLE}, "have no keys"),
        ({"encryption.algorithm": "SSE-C"}, "cannot decrypt SSE-C"),
        ({"bucket.labels.server-side-encryption-algorithm": "cse-kms"}, "cannot decrypt CSE-KMS"),
        ({"requester.pays.enabled": "true"}, "the setting fs.s3a.requester.pays.enabled"),
        ({"bucket.labels.accesspoint.arn": "arn:aws:s3"}, "the setting fs.s3a.accesspoint.arn"),
        ({"proxy.host": "proxy"}, "the setting fs.s3a.proxy.host"),
        ({"endpoint": "https://store.example/s3"}, "no path in fs.s3a.endpoint"),
    ],
)
def test_what_of_s3_only_spark_can_do(settings, reason):
    with pytest.raises(NotCarriedOverError, match=reason):
        s3({**settings} if "have no keys" in reason else {**KEYS, **settings})


@pytest.mark.parametrize(
    "read",
    [lambda s: s3_arguments("labels", s), gs_arguments, lambda s: azure_arguments("rows", LAKE, s)],
)
def test_secrets_in_a_file_of_hadoop_are_for_spark(read):
    name = "hadoop.security.credential.provider.path"
    with pytest.raises(NotCarriedOverError, match=f"the setting {name}"):
        read(looked_up({name: "jceks://file/secrets", "fs.azure.account.key": "a2V5"}))


OAUTH = {"account.auth.type": "OAuth"}
CLIENT = {
    **OAUTH,
    "account.oauth.provider.type": "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider",
    "account.oauth2.client.id": "app",
    "account.oauth2.client.secret": "word",
    "account.oauth2.client.endpoint": "https://login.microsoftonline.com/acme/oauth2/token",
}
MACHINE = {
    **OAUTH,
    "account.oauth.provider.type": "org.apache.hadoop.fs.azurebfs.oauth2.MsiTokenProvider",
}


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"account.key": "a2V5"}, {"account_key": "a2V5"}),
        ({"account.key": "eA==", f"account.key.{LAKE}": "a2V5"}, {"account_key": "a2V5"}),
        ({"account.auth.type": "SAS", "sas.fixed.token": "sv=1"}, {"sas_token": "?sv=1"}),
        ({f"sas.rows.{LAKE}": "?sv=2", "account.key": "a2V5"}, {"sas_token": "?sv=2"}),
        (CLIENT, {"client_id": "app", "client_secret": "word", "tenant_id": "acme"}),
        ({**MACHINE, "account.oauth2.client.id": "app"}, {"client_id": "app"}),
        (MACHINE, {}),
    ],
)
def test_arguments_of_azure(settings, arguments):
    found = azure(settings)
    fs.AzureFileSystem(**found)
    assert found == {"account_name": "lake", **arguments}


def test_azure_in_another_cloud():
    found = azure({"account.key": "a2V5"}, "lake.dfs.core.chinacloudapi.cn")
    assert found == {
        "account_name": "lake",
        "account_key": "a2V5",
        "blob_storage_authority": ".blob.core.chinacloudapi.cn",
        "dfs_storage_authority": ".dfs.core.chinacloudapi.cn",
    }
    fs.AzureFileSystem(**found)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, f"no key or token for '{LAKE}'"),
        ({"account.auth.type": "Custom", "account.key": "a2V5"}, "no key or token"),
        ({"account.auth.type": "SAS", "sas.token.provider.type": "com.acme.Tokens"}, "no key or"),
        ({"account.key": "a2V5", "account.keyprovider": "com.acme.Vault"}, "no key or token"),
        (OAUTH, "pyarrow has no equal of ''"),
        ({**CLIENT, "account.oauth2.client.endpoint": "https://acme/token"}, "as it is set"),
        ({**MACHINE, "account.oauth.provider.type": "com.acme.Tokens"}, "'com.acme.Tokens'"),
        ({"account.key": "a2V5", "encryption.encoded.client-provided-key": "x"}, "client-provided"),
    ],
)
def test_what_of_azure_only_spark_can_do(settings, reason):
    with pytest.raises(NotCarriedOverError, match=reason):
        azure(settings)


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {}),
        ({"fs.gs.auth.type": "UNAUTHENTICATED"}, {"anonymous": True}),
        ({"google.cloud.auth.null.enable": "true"}, {"anonymous": True}),
        ({"fs.gs.auth.type": "APPLICATION_DEFAULT"}, {}),
        ({"fs.gs.auth.impersonation.service.account": "a@b"}, {"target_service_account": "a@b"}),
        (
            {"fs.gs.storage.root.url": "http://localhost:4443/", "fs.gs.auth.null.enable": "true"},
            {"anonymous": True, "scheme": "http", "endpoint_override": "localhost:4443"},
        ),
    ],
)
def test_arguments_of_google_cloud(settings, arguments):
    found = gs_arguments(looked_up(settings))
    assert found == arguments
    fs.GcsFileSystem(**found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fs.gs.auth.type", "USER_CREDENTIALS"),
        ("fs.gs.auth.service.account.json.keyfile", "/key.json"),
        ("fs.gs.encryption.key", "x"),
        ("fs.gs.requester.pays.mode", "AUTO"),
    ],
)
def test_what_of_google_cloud_only_spark_can_do(name, value):
    with pytest.raises(NotCarriedOverError, match=name):
        gs_arguments(looked_up({name: value}))
