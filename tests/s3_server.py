"""A server of S3 with one user and one bucket, for tests: it checks keys and signatures.

Writes where it is and the user's keys, and ends when its input does.
"""

import json
import sys
from urllib.request import Request, urlopen

import boto3
from moto.server import ThreadedMotoServer

MAY_DO_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def main():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    anybody = {"aws_access_key_id": "anybody", "aws_secret_access_key": "anything"}
    users, buckets = (
        boto3.client(service, endpoint_url=url, region_name="us-east-1", **anybody)
        for service in ("iam", "s3")
    )
    buckets.create_bucket(Bucket="labels")
    users.create_user(UserName="reader")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [MAY_DO_ALL]})
    users.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=policy)
    keys = users.create_access_key(UserName="reader")["AccessKey"]
    # From now on keys are checked.
    path, text = f"{url}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    urlopen(Request(path, data=b"0", headers=text)).close()
    found = {"url": url, "access_key": keys["AccessKeyId"], "secret_key": keys["SecretAccessKey"]}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
