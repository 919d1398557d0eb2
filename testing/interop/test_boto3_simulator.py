"""Checks that the simulator behaves like AWS for AWS's own Python client: tables, items, exports, errors, paging, files.

boto3 validates requests and parses responses by AWS's own service model, so a response of the wrong shape fails here.
"""

import base64
import gzip
import hashlib
import json
from datetime import datetime, timedelta, timezone

import pytest

from conftest import aws, fill
from programs import Http, simulator, table_arn, wait_until

BUCKET = "exports-of-boto3"
COUNT = 60


class World:
    """boto3 clients for a separate simulator, and its control interface."""

    def __init__(self, dynamodb, s3):
        self.dynamodb, self.s3, self.control = aws("dynamodb", dynamodb), aws("s3", s3), Http(dynamodb)

    def export(self, table, **members):
        answer = self.dynamodb.export_table_to_point_in_time(TableArn=table_arn(table), S3Bucket=BUCKET, **members)
        return answer["ExportDescription"]

    def finished(self, arn):
        def ended():
            description = self.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
            return description if description["ExportStatus"] != "IN_PROGRESS" else None

        return wait_until(f"{arn} ends", ended)

    def read(self, key):
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def records(self, description):
        """The unpacked lines of every data file, after checking every checksum from the manifest to the bytes."""
        folder = description["ExportManifest"].rsplit("/", 1)[0]
        summary = self.summed(folder, "manifest-summary")
        files = [json.loads(line) for line in self.summed(folder, "manifest-files").splitlines()]
        summary = json.loads(summary)
        assert summary["manifestFilesS3Key"] == f"{folder}/manifest-files.json"
        assert summary["itemCount"] == description["ItemCount"] == sum(file["itemCount"] for file in files)
        assert summary["billedSizeBytes"] == description["BilledSizeBytes"]
        records = []
        for file in files:
            packed = self.read(file["dataFileS3Key"])
            head = self.s3.head_object(Bucket=BUCKET, Key=file["dataFileS3Key"])
            assert head["ContentLength"] == len(packed)
            assert head["ETag"].strip('"') == file["etag"].strip('"')
            assert md5(packed) == file["md5Checksum"]
            lines = gzip.decompress(packed).decode().splitlines()
            assert len([line for line in lines if not line.startswith("$ion_1_0 ") or len(line) > 9]) == file["itemCount"]
            records += lines
        return records

    def summed(self, folder, name):
        text = self.read(f"{folder}/{name}.json")
        assert self.read(f"{folder}/{name}.md5").decode() == md5(text), name
        return text.decode()


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


@pytest.fixture(scope="module")
def world():
    with simulator("simulator-of-boto3") as (dynamodb, s3):
        world = World(dynamodb, s3)
        world.s3.create_bucket(Bucket=BUCKET)
        fill(world.dynamodb, "Orders", COUNT)
        yield world


@pytest.fixture(scope="module")
def past(world):
    """A table with history, which an AWS client cannot create: created an hour ago, changed half an hour ago."""
    table = {
        "name": "History",
        "partition_key": {"name": "pk", "kind": "S"},
        "age": "2h",
        "recovery_age": "2h",
        "items": [{"pk": {"S": "kept"}, "v": {"N": "1"}}, {"pk": {"S": "changed"}, "v": {"N": "1"}}, {"pk": {"S": "gone"}, "v": {"N": "1"}}],
        "history": [
            {"age": "30m", "put": {"pk": {"S": "changed"}, "v": {"N": "2"}}},
            {"age": "30m", "delete": {"pk": {"S": "gone"}}},
            {"age": "30m", "put": {"pk": {"S": "new"}, "v": {"N": "1"}}},
        ],
    }
    status, _, answer = world.control.call("POST", "/_control/tables", table)
    assert status == 204, answer
    return datetime.now(timezone.utc)


def test_items_are_written_read_scanned_and_deleted(world):
    fill(world.dynamodb, "Items", 30)
    every_type = {
        "pk": {"S": "of-every-type"},
        "number": {"N": "-1.5"},
        "bytes": {"B": b"\x00\xff"},
        "yes": {"BOOL": True},
        "nothing": {"NULL": True},
        "list": {"L": [{"S": "a"}, {"N": "1"}]},
        "map": {"M": {"k": {"S": "v"}}},
        "strings": {"SS": ["a", "b"]},
        "numbers": {"NS": ["1", "2"]},
        "byte_strings": {"BS": [b"x"]},
    }
    world.dynamodb.put_item(TableName="Items", Item=every_type)
    got = world.dynamodb.get_item(TableName="Items", Key={"pk": {"S": "of-every-type"}})["Item"]
    assert got == every_type
    pages = list(world.dynamodb.get_paginator("scan").paginate(TableName="Items", PaginationConfig={"PageSize": 7}))
    assert len(pages) >= 5 and sum(page["Count"] for page in pages) == 31
    old = world.dynamodb.delete_item(TableName="Items", Key={"pk": {"S": "of-every-type"}}, ReturnValues="ALL_OLD")
    assert old["Attributes"]["number"] == {"N": "-1.5"}
    assert "Item" not in world.dynamodb.get_item(TableName="Items", Key={"pk": {"S": "of-every-type"}})
    assert "Items" in world.dynamodb.list_tables()["TableNames"]
    assert world.dynamodb.describe_table(TableName="Items")["Table"]["TableArn"] == table_arn("Items")
    world.dynamodb.delete_table(TableName="Items")
    world.dynamodb.get_waiter("table_not_exists").wait(TableName="Items", WaiterConfig={"Delay": 1, "MaxAttempts": 10})


def test_point_in_time_recovery_is_described(world):
    backups = world.dynamodb.describe_continuous_backups(TableName="Orders")["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    assert recovery["EarliestRestorableDateTime"].tzinfo


def test_a_full_export_and_the_sums_of_its_files(world):
    started = world.export("Orders", S3Prefix="full")
    assert started["ExportStatus"] == "IN_PROGRESS"
    assert "ItemCount" not in started and "EndTime" not in started
    world.dynamodb.get_waiter("export_completed").wait(ExportArn=started["ExportArn"], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    done = world.finished(started["ExportArn"])
    assert done["ExportStatus"] == "COMPLETED" and done["ItemCount"] == COUNT and done["ExportFormat"] == "DYNAMODB_JSON"
    items = [json.loads(line)["Item"] for line in world.records(done)]
    assert sorted(item["pk"]["S"] for item in items) == [f"item-{n:04}" for n in range(COUNT)]
    keys = [object["Key"] for object in world.s3.list_objects_v2(Bucket=BUCKET, Prefix="full/")["Contents"]]
    export_id = started["ExportArn"].rsplit("/", 1)[1]
    assert f"full/AWSDynamoDB/{export_id}/_started" in keys
    assert world.s3.head_object(Bucket=BUCKET, Key=f"full/AWSDynamoDB/{export_id}/_started")["ContentLength"] == 0


def test_an_export_in_ion(world):
    done = world.finished(world.export("Orders", S3Prefix="ion", ExportFormat="ION")["ExportArn"])
    assert done["ExportStatus"] == "COMPLETED" and done["ExportFormat"] == "ION"
    lines = world.records(done)
    assert len(lines) == COUNT and all("Item:{" in line.replace(" ", "") for line in lines)


def test_an_export_of_a_past_time(world, past):
    then = past - timedelta(minutes=45)
    done = world.finished(world.export("History", S3Prefix="past", ExportTime=then)["ExportArn"])
    items = {item["pk"]["S"]: item["v"]["N"] for item in (json.loads(line)["Item"] for line in world.records(done))}
    assert items == {"kept": "1", "changed": "1", "gone": "1"}
    assert abs(done["ExportTime"] - then) < timedelta(seconds=1)


@pytest.mark.parametrize("view", ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"])
def test_an_incremental_export(world, past, view):
    window = {"ExportFromTime": past - timedelta(minutes=45), "ExportToTime": past - timedelta(minutes=15), "ExportViewType": view}
    started = world.export(
        "History", S3Prefix=f"changes-{view}", ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=window
    )
    done = world.finished(started["ExportArn"])
    assert done["ExportStatus"] == "COMPLETED" and done["ExportType"] == "INCREMENTAL_EXPORT"
    assert done["IncrementalExportSpecification"]["ExportViewType"] == view
    changes = {record["Keys"]["pk"]["S"]: record for record in map(json.loads, world.records(done))}
    assert sorted(changes) == ["changed", "gone", "new"]
    assert changes["changed"]["NewImage"]["v"] == {"N": "2"}
    assert "NewImage" not in changes["gone"] and "OldImage" not in changes["new"]
    with_old = view == "NEW_AND_OLD_IMAGES"
    assert ("OldImage" in changes["changed"]) == with_old and ("OldImage" in changes["gone"]) == with_old


def test_listing_pages_newest_first(world):
    fill(world.dynamodb, "Listed", 1)
    made = [world.export("Listed", S3Prefix="listed")["ExportArn"] for _ in range(3)]
    first = world.dynamodb.list_exports(TableArn=table_arn("Listed"), MaxResults=2)
    second = world.dynamodb.list_exports(TableArn=table_arn("Listed"), MaxResults=2, NextToken=first["NextToken"])
    pages = [[export["ExportArn"] for export in page["ExportSummaries"]] for page in (first, second)]
    assert [len(page) for page in pages] == [2, 1] and "NextToken" not in second
    assert sum(pages, []) == sorted(made, reverse=True)


def test_a_client_token_is_replayed_and_conflicts(world):
    first = world.export("Orders", ClientToken="the-same", S3Prefix="token")
    again = world.export("Orders", ClientToken="the-same", S3Prefix="token")
    assert again["ExportArn"] == first["ExportArn"]
    with pytest.raises(world.dynamodb.exceptions.ExportConflictException):
        world.export("Orders", ClientToken="the-same", S3Prefix="another")


def test_a_missing_bucket_fails_late(world):
    started = world.dynamodb.export_table_to_point_in_time(TableArn=table_arn("Orders"), S3Bucket="no-such-bucket-here")["ExportDescription"]
    assert started["ExportStatus"] == "IN_PROGRESS"
    failed = world.finished(started["ExportArn"])
    assert failed["ExportStatus"] == "FAILED" and failed["FailureCode"] == "S3NoSuchBucket" and failed["FailureMessage"]


def test_refusals_are_the_exceptions_of_boto3s_model(world):
    dynamodb, errors = world.dynamodb, world.dynamodb.exceptions
    now = datetime.now(timezone.utc)
    fill(dynamodb, "WithoutRecovery", 1)
    dynamodb.update_continuous_backups(
        TableName="WithoutRecovery", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    with pytest.raises(errors.TableNotFoundException):
        world.export("NoSuchTable")
    with pytest.raises(errors.PointInTimeRecoveryUnavailableException):
        world.export("WithoutRecovery")
    with pytest.raises(errors.InvalidExportTimeException):
        world.export("Orders", ExportTime=now - timedelta(days=40))
    with pytest.raises(errors.InvalidExportTimeException):
        world.export("Orders", ExportTime=now + timedelta(hours=1))
    with pytest.raises(errors.ExportNotFoundException):
        dynamodb.describe_export(ExportArn=f"{table_arn('Orders')}/export/01580735656614-00000000")
    with pytest.raises(errors.ResourceNotFoundException):
        dynamodb.put_item(TableName="NoSuchTable", Item={"pk": {"S": "x"}})
    with pytest.raises(errors.ResourceInUseException):
        fill(dynamodb, "Orders", 0)


@pytest.mark.parametrize(
    "members",
    [
        {"S3BucketOwner": "12"},
        {"ExportType": "INCREMENTAL_EXPORT"},
        {"S3SseKmsKeyId": "a-key"},
        {"ExportFormat": "CSV"},
    ],
    ids=lambda members: next(iter(members)),
)
def test_bad_members_are_a_validation_exception(world, members):
    with pytest.raises(world.dynamodb.exceptions.ClientError) as refused:
        world.export("Orders", **members)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_throttling_is_retried_by_boto3_itself(world):
    world.control.call("POST", "/_control/faults", {"operation": "ExportTableToPointInTime", "kind": "throttle", "times": 2})
    answer = world.dynamodb.export_table_to_point_in_time(TableArn=table_arn("Orders"), S3Bucket=BUCKET, S3Prefix="throttled")
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_s3_answers_boto3(world):
    world.s3.put_object(Bucket=BUCKET, Key="own/a b+ä.txt", Body=b"hello")
    assert world.read("own/a b+ä.txt") == b"hello"
    listed = world.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="own/", PaginationConfig={"PageSize": 1})
    assert [object["Key"] for page in listed for object in page["Contents"]] == ["own/a b+ä.txt"]
    assert world.s3.head_object(Bucket=BUCKET, Key="own/a b+ä.txt")["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    with pytest.raises(world.s3.exceptions.NoSuchKey):
        world.read("own/nothing")
    with pytest.raises(world.s3.exceptions.NoSuchBucket):
        world.s3.list_objects_v2(Bucket="no-such-bucket-here")
    assert BUCKET in [bucket["Name"] for bucket in world.s3.list_buckets()["Buckets"]]
