"""Checks that the service works with moto, a third-party AWS simulator.

moto requires an S3Prefix, supports only full exports, and ends an export immediately.
"""

import sys

import pytest

from conftest import Place
from programs import Http, free_port, program, service, table_arn


@pytest.fixture(scope="module")
def beside_moto():
    port = free_port()
    moto = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    with program("moto", command, ready=lambda: Http(moto).is_ok("/moto-api/")), service("service-of-moto", moto, moto) as (url, _):
        yield Place(url, moto, moto)


def export(place, **members):
    body = {"table_arn": place.table, "s3_bucket": place.bucket, "s3_prefix": "daily"} | members
    status, _, resource = Http(place.url).call("POST", "/v1/exports", body, {"Prefer": "wait=30"})
    assert status == 200, resource
    return resource


def test_an_export_completes(beside_moto):
    done = export(beside_moto)
    assert done["export_status"] == "COMPLETED", done
    assert done["arn"]  # moto's ARNs are not valid export ARNs; the service accepts them
    assert done["item_count"] == beside_moto.items
    assert done["failure"] is None
    written = beside_moto.s3.list_objects_v2(Bucket=beside_moto.bucket, Prefix="daily/AWSDynamoDB/")["Contents"]
    assert written


def test_a_missing_bucket_is_a_failure_of_aws(beside_moto):
    failed = export(beside_moto, s3_bucket="no-such-bucket-here")
    assert failed["export_status"] == "FAILED", failed
    assert failed["failure"]["code"] == "S3NoSuchBucket" and failed["failure"]["source"] == "aws"


def test_a_missing_table_is_refused(beside_moto):
    failed = export(beside_moto, table_arn=table_arn("NoSuchTable"))
    assert failed["export_status"] == "FAILED", failed
    assert failed["failure"]["source"] == "refused" and failed["arn"] is None
