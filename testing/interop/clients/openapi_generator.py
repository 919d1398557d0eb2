"""A client made by openapi-generator: an export with a filter, from its creation to its proof, a webhook endpoint, and times in a query."""

import sys
import time
from datetime import datetime, timedelta, timezone
from uuid import UUID

from openapi_client import (
    ApiClient,
    AttributeValue,
    Configuration,
    CreateEndpoint,
    CreateExport,
    EndpointEventType,
    ExportsApi,
    ExportStatus,
    FilesApi,
    FilterSpecification,
    VerificationStatus,
    VerifyExport,
    WebhooksApi,
)
from openapi_client.exceptions import ApiException


def main(url: str, table_arn: str, s3_bucket: str) -> None:
    client = ApiClient(Configuration(host=url))
    exports, files, webhooks = ExportsApi(client), FilesApi(client), WebhooksApi(client)
    wanted = FilterSpecification(
        filter_expression="#n < :most",
        expression_attribute_names={"#n": "n"},
        expression_attribute_values={":most": AttributeValue(N="1000")},
    )
    before = datetime.now(timezone.utc) - timedelta(minutes=5)
    body = CreateExport(table_arn=table_arn, s3_bucket=s3_bucket, s3_prefix="openapi-generator", filter_specification=wanted)
    created = exports.create_export(body, idempotency_key=f"openapi-generator-{time.time_ns()}")
    identifier = UUID(str(created.id))
    ended = exports.get_export(identifier, prefer="wait=30")
    assert ended.export_status == ExportStatus.COMPLETED, ended
    # Times of a query arrive as +0000.
    listed = exports.list_exports(export_status=ExportStatus.COMPLETED, created_after=before, page_size=200)
    assert identifier in [one.id for one in listed.exports]
    items = files.list_export_items(identifier, limit=3)
    assert len(items.items) == 3 and all("pk" in item for item in items.items), items
    files.verify_export(identifier, VerifyExport(deep=True))
    while (verification := exports.get_export(identifier).verification) and verification.status == VerificationStatus.RUNNING:
        time.sleep(0.1)
    assert verification and verification.status == VerificationStatus.PASSED, verification

    endpoint = CreateEndpoint(url="http://127.0.0.1:9/hook", event_types=[EndpointEventType.EXPORT_DOT_COMPLETED])
    made = webhooks.create_endpoint(endpoint)
    assert made.secret.startswith("whsec_")
    webhooks.delete_endpoint(made.id)
    try:
        exports.create_export(CreateExport(table_arn=table_arn, s3_bucket="no-such-bucket"), preflight=True)
    except ApiException as refused:
        assert refused.status == 422 and refused.data and refused.data.type == "/problems/preflight-failed", refused
    else:
        raise AssertionError("a bucket that does not exist was not refused")
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
