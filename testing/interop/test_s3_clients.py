"""Checks that S3 clients can read, copy and change an export in the simulator as they do at AWS: the AWS CLI, boto3, minio, pyarrow,
s3cmd, s3fs and rclone.

Each check covers something that a client does by default: parts, copies of parts, checksums, conditions, encodings.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import minio
import pyarrow.dataset
import pyarrow.fs
import pytest
import requests
from botocore.exceptions import ClientError
from minio.commonconfig import REPLACE, ComposeSource, CopySource

from conftest import aws, fill
from programs import AWS_CREDENTIALS, HERE, REGION, WORK, own_environment, simulator, table_arn, wait_until

BUCKET = "exports-of-clients"
PARTED = os.urandom(1024) * (20 * 1024)  # 20 MiB: every client uploads and copies it in parts


class Store:
    """An export in a bucket of a simulator, and a client for the checks themselves."""

    def __init__(self, dynamodb, s3):
        self.url, self.host = s3, s3.removeprefix("http://")
        self.s3 = aws("s3", s3)
        self.s3.create_bucket(Bucket=BUCKET)
        client = aws("dynamodb", dynamodb)
        fill(client, "Orders")
        arn = client.export_table_to_point_in_time(TableArn=table_arn("Orders"), S3Bucket=BUCKET)["ExportDescription"]["ExportArn"]

        def completed():
            description = client.describe_export(ExportArn=arn)["ExportDescription"]
            return description if description["ExportStatus"] == "COMPLETED" else None

        self.folder = wait_until("the export completes", completed)["ExportManifest"].rsplit("/", 1)[0]

    def read(self, key):
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


@pytest.fixture(scope="module")
def store():
    with simulator("simulator-of-s3-clients", "--no-limits") as (dynamodb, s3):
        yield Store(dynamodb, s3)


def run(*command, environment=None, seconds=60):
    """Runs a client's program; returns its output. The duration is part of the check: no client may wait for a timeout."""
    done = subprocess.run(
        [str(part) for part in command],
        env=environment or own_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=seconds,
        text=True,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def same_files(folder, store, prefix):
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {key.removeprefix(f"{prefix}/"): store.read(key) for key in store.keys(f"{prefix}/")}
    assert "_started" in found and found["_started"] == b""


# The AWS CLI


def aws_cli(store, *arguments):
    return run(Path(sys.prefix) / "bin" / "aws", "s3", *arguments, "--endpoint-url", store.url, "--only-show-errors")


def test_the_aws_cli_copies_an_export_there_and_back_without_stalls(store, tmp_path):
    """Every export has an empty `_started`; the CLI misparsed the response to an empty upload, and waited for 60 s."""
    began = time.monotonic()
    aws_cli(store, "cp", f"s3://{BUCKET}/{store.folder}", tmp_path / "down", "--recursive")
    same_files(tmp_path / "down", store, store.folder)
    aws_cli(store, "sync", tmp_path / "down", f"s3://{BUCKET}/cli")
    same_files(tmp_path / "down", store, "cli")
    assert time.monotonic() - began < 45
    assert aws_cli(store, "sync", tmp_path / "down", f"s3://{BUCKET}/cli") == ""


def test_the_aws_cli_copies_and_moves_large_objects_within_s3(store, tmp_path):
    (tmp_path / "large").write_bytes(PARTED)
    aws_cli(store, "cp", tmp_path / "large", f"s3://{BUCKET}/large")
    aws_cli(store, "cp", f"s3://{BUCKET}/large", f"s3://{BUCKET}/copied")
    aws_cli(store, "mv", f"s3://{BUCKET}/copied", f"s3://{BUCKET}/moved")
    assert store.read("moved") == PARTED
    assert store.keys("copied") == []


def test_the_aws_cli_replaces_metadata(store, tmp_path):
    (tmp_path / "small").write_text("hello")
    aws_cli(store, "cp", tmp_path / "small", f"s3://{BUCKET}/small", "--metadata", "n=1")
    aws_cli(store, "cp", f"s3://{BUCKET}/small", f"s3://{BUCKET}/small2", "--metadata-directive", "REPLACE", "--metadata", "n=2")
    assert store.s3.head_object(Bucket=BUCKET, Key="small2")["Metadata"] == {"n": "2"}


# boto3


def test_boto3_meets_sums_conditions_and_request_ids(store):
    def refused(code, call, **members):
        with pytest.raises(ClientError) as error:
            call(Bucket=BUCKET, Key="boto3", **members)
        answer = error.value.response
        assert answer["Error"]["Code"] == code
        assert answer["ResponseMetadata"]["RequestId"]
        assert answer["ResponseMetadata"]["HostId"]

    put = store.s3.put_object(Bucket=BUCKET, Key="boto3", Body=b"hello")
    assert put["ChecksumCRC32"] and put["ResponseMetadata"]["RequestId"]
    assert store.s3.get_object(Bucket=BUCKET, Key="boto3", ChecksumMode="ENABLED")["ChecksumCRC32"] == put["ChecksumCRC32"]
    refused("BadDigest", store.s3.put_object, Body=b"hello", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    refused("BadDigest", store.s3.put_object, Body=b"hello", ChecksumCRC32="AAAAAA==")
    refused("PreconditionFailed", store.s3.get_object, IfMatch='"other"')
    refused("304", store.s3.head_object, IfNoneMatch=put["ETag"])
    refused("PreconditionFailed", store.s3.put_object, Body=b"", IfNoneMatch="*")
    refused("InvalidRange", store.s3.get_object, Range="bytes=99-")


def test_boto3_lists_keys_that_xml_cannot_hold(store):
    keys = ["odd/a b", "odd/\x01", "odd/a%20b", "odd/x+y", "odd/\u00e9"]
    for key in keys:
        store.s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    assert sorted(store.keys("odd/")) == sorted(keys)
    first = store.s3.list_objects_v2(Bucket=BUCKET, Prefix="odd/", MaxKeys=2)
    rest = store.s3.list_objects_v2(Bucket=BUCKET, Prefix="odd/", ContinuationToken=first["NextContinuationToken"])
    assert [entry["Key"] for entry in first["Contents"] + rest["Contents"]] == sorted(keys)


def test_a_form_made_by_boto3_uploads(store):
    form = store.s3.generate_presigned_post(BUCKET, "form/${filename}")
    sent = requests.post(form["url"], data=form["fields"], files={"file": ("f.txt", b"hello")}, timeout=30)
    assert sent.status_code == 204, sent.text
    assert store.read("form/f.txt") == b"hello"


# minio


def test_minio_composes_replaces_and_cannot_append(store):
    client = minio.Minio(store.host, *list(AWS_CREDENTIALS.values())[:2], secure=False, region=REGION)
    for name in ("one", "two"):
        store.s3.put_object(Bucket=BUCKET, Key=f"minio/{name}", Body=PARTED)
    client.compose_object(BUCKET, "minio/both", [ComposeSource(BUCKET, "minio/one"), ComposeSource(BUCKET, "minio/two")])
    assert store.read("minio/both") == PARTED + PARTED
    client.copy_object(BUCKET, "minio/copy", CopySource(BUCKET, "minio/one"), metadata={"n": "2"}, metadata_directive=REPLACE)
    assert store.s3.head_object(Bucket=BUCKET, Key="minio/copy")["Metadata"] == {"n": "2"}
    with pytest.raises(minio.error.S3Error) as error:
        client.append_object(BUCKET, "minio/one", io.BytesIO(b" more"), 5)
    assert error.value.code == "NotImplemented"
    assert store.read("minio/one") == PARTED


# pyarrow


def test_pyarrow_reads_an_export_and_moves_a_file(store):
    key, secret = list(AWS_CREDENTIALS.values())[:2]
    files = pyarrow.fs.S3FileSystem(access_key=key, secret_key=secret, region=REGION, scheme="http", endpoint_override=store.host)
    data = f"{BUCKET}/{store.folder}/data"
    paths = [entry.path for entry in files.get_file_info(pyarrow.fs.FileSelector(data)) if entry.size > 30]
    items = pyarrow.dataset.dataset(paths, format="json", filesystem=files).to_table()
    assert items.num_rows == 60
    with files.open_output_stream(f"{BUCKET}/arrow/large") as output:
        output.write(PARTED)
    files.move(f"{BUCKET}/arrow/large", f"{BUCKET}/arrow/moved")
    assert store.read("arrow/moved") == PARTED


# s3cmd


def test_s3cmd_syncs_and_modifies(store, tmp_path):
    settings = tmp_path / "s3cfg"
    settings.write_text(
        f"[default]\naccess_key = AKIDEXAMPLE\nsecret_key = not-a-secret\nhost_base = {store.host}\nhost_bucket = {store.host}\n"
        "use_https = False\nsignature_v2 = False\n"
    )

    def s3cmd(*arguments):
        return run(sys.executable, Path(sys.prefix) / "bin" / "s3cmd", "-c", settings, *arguments)

    (tmp_path / "down").mkdir()
    s3cmd("get", "--recursive", f"s3://{BUCKET}/{store.folder}/", f"{tmp_path}/down/")
    same_files(tmp_path / "down", store, store.folder)
    s3cmd("sync", f"{tmp_path}/down/", f"s3://{BUCKET}/s3cmd/")
    same_files(tmp_path / "down", store, "s3cmd")
    s3cmd("modify", "--add-header=x-amz-meta-n:2", f"s3://{BUCKET}/s3cmd/manifest-summary.json")
    assert store.s3.head_object(Bucket=BUCKET, Key="s3cmd/manifest-summary.json")["Metadata"]["n"] == "2"
    upload = store.s3.create_multipart_upload(Bucket=BUCKET, Key="left/open")["UploadId"]
    assert upload in s3cmd("multipart", f"s3://{BUCKET}")
    store.s3.abort_multipart_upload(Bucket=BUCKET, Key="left/open", UploadId=upload)


# rclone


def test_rclone_copies_touches_and_cleans_up(store, tmp_path):
    if not shutil.which("rclone"):
        pytest.skip("not run: there is no rclone here")
    key, secret = list(AWS_CREDENTIALS.values())[:2]
    remote = f":s3,provider=Other,access_key_id={key},secret_access_key={secret},region={REGION},endpoint='{store.url}',list_url_encode=true:"

    def rclone(*arguments):
        printed = run("rclone", "--config", "", "--retries", "1", *arguments)
        assert "ERROR" not in printed, printed
        return printed

    rclone("copy", f"{remote}{BUCKET}/{store.folder}", tmp_path / "down")
    same_files(tmp_path / "down", store, store.folder)
    rclone("copy", tmp_path / "down", f"{remote}{BUCKET}/rclone")
    same_files(tmp_path / "down", store, "rclone")
    rclone("touch", "-t", "2024-01-02T03:04:05", f"{remote}{BUCKET}/rclone/manifest-summary.json")
    assert "2024-01-02 03:04:05" in rclone("lsl", "--use-server-modtime=false", f"{remote}{BUCKET}/rclone/manifest-summary.json")
    store.s3.put_object(Bucket=BUCKET, Key="rclone odd/a%20b/x+y", Body=b"1")
    assert rclone("lsf", "-R", "--files-only", f"{remote}{BUCKET}/rclone odd").split("\n")[0] == "a%20b/x+y"
    rclone("cleanup", f"{remote}{BUCKET}")
    store.s3.create_bucket(Bucket="to-be-purged")
    store.s3.put_object(Bucket="to-be-purged", Key="a/b", Body=b"1")
    rclone("purge", f"{remote}to-be-purged")
    assert "to-be-purged" not in [bucket["Name"] for bucket in store.s3.list_buckets()["Buckets"]]


# s3fs


def test_s3fs_appends_merges_and_sets_attributes(store):
    """In a separate environment: it needs another version of botocore than boto3."""
    printed = run(WORK / "venv-s3fs" / "bin" / "python", HERE / "s3fs_client.py", store.url, BUCKET, store.folder)
    found = json.loads(printed.splitlines()[-1])
    assert sorted(found["keys"]) == sorted(store.keys(f"{store.folder}/"))
    assert store.read("s3fs/appended") == b"x" * (6 * 1024 * 1024) + b" more"
    assert store.read("s3fs/merged") == b"x" * (6 * 1024 * 1024) + b"y" * (6 * 1024 * 1024)
    assert store.s3.head_object(Bucket=BUCKET, Key="s3fs/second")["Metadata"] == {"n": "2"}
