"""Shared by the checks: programs that run for all of them, and the last line, `N passed, M failed`."""

import os
import shutil
import signal

import boto3
import pytest
from botocore.config import Config

from programs import AWS_CREDENTIALS, REGION, WORK, service, simulator, table_arn


def pytest_configure(config):
    # Exit as on Ctrl-C, through the fixtures, which stop the programs that they started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(WORK / "data", ignore_errors=True)
    for name in [name for name in os.environ if name.upper().startswith(("AWS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))]:
        del os.environ[name]
    os.environ["NO_PROXY"] = "*"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def pytest_sessionfinish(session, exitstatus):
    session.config.ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


def pytest_unconfigure(config):
    if not getattr(config, "ended", False):
        print("not finished", flush=True)
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    count = {outcome: len(reporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "error")}
    print(f"{count['passed']} passed, {count['failed'] + count['error']} failed", flush=True)


def aws(kind, url):
    """A boto3 client with default settings, except for the endpoint."""
    return boto3.client(
        kind,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=AWS_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=AWS_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 5}),
    )


def fill(dynamodb, table, count=60):
    """A table with point-in-time recovery and this many items."""
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    for first in range(0, count, 25):
        items = [{"pk": {"S": f"item-{n:04}"}, "n": {"N": str(n)}} for n in range(first, min(first + 25, count))]
        dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})


class Place:
    """A service, its AWS simulator, and a table and a bucket in it."""

    table = table_arn("Orders")
    bucket = "tableferry-exports"
    items = 60

    def __init__(self, url, dynamodb, s3):
        self.url = url
        self.dynamodb, self.s3 = aws("dynamodb", dynamodb), aws("s3", s3)
        fill(self.dynamodb, "Orders", self.items)
        self.s3.create_bucket(Bucket=self.bucket)


@pytest.fixture(scope="session")
def place():
    """The service with the simulator, without AWS's throttles, so that checks do not slow each other down."""
    with simulator("simulator", "--no-limits") as (dynamodb, s3), service("service", dynamodb, s3) as (url, _):
        yield Place(url, dynamodb, s3)
