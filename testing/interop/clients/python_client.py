"""A client made by openapi-python-client, held by mypy --strict."""

import sys
import time

from httpx import Timeout
from tableferry_client import AuthenticatedClient
from tableferry_client.api.exports import create_export, get_export, list_exports
from tableferry_client.api.files import list_export_items, verify_export
from tableferry_client.models import (
    AttributeValue,
    CreateExport,
    Export,
    ExportList,
    ExportStatus,
    FilterSpecification,
    FilterSpecificationExpressionAttributeNamesType0,
    FilterSpecificationExpressionAttributeValuesType0,
    ItemList,
    VerificationStatus,
    VerifyExport,
)


def main(url: str, table_arn: str, s3_bucket: str) -> None:
    # Its functions insist on a client with a token wherever the document allows one; without TABLEFERRY_AUTH any will do.
    client = AuthenticatedClient(base_url=url, token="none", timeout=Timeout(60.0), raise_on_unexpected_status=True)
    names = FilterSpecificationExpressionAttributeNamesType0.from_dict({"#n": "n"})
    values = FilterSpecificationExpressionAttributeValuesType0()
    values[":most"] = AttributeValue(n="1000")
    wanted = FilterSpecification(filter_expression="#n < :most", expression_attribute_names=names, expression_attribute_values=values)
    body = CreateExport(table_arn=table_arn, s3_bucket=s3_bucket, s3_prefix="openapi-python-client", filter_specification=wanted)
    created = create_export.sync(client=client, body=body, prefer="wait=30")
    assert isinstance(created, Export) and created.export_status is ExportStatus.COMPLETED, created
    listed = list_exports.sync(client=client, export_status=ExportStatus.COMPLETED, page_size=200)
    assert isinstance(listed, ExportList) and created.id in [one.id for one in listed.exports]
    items = list_export_items.sync(created.id, client=client, limit=3)
    assert isinstance(items, ItemList) and [set(item.to_dict()) for item in items.items] == [{"pk", "n"}] * 3, items
    verify_export.sync(created.id, client=client, body=VerifyExport(deep=True))
    while True:
        looked = get_export.sync(created.id, client=client)
        assert isinstance(looked, Export) and looked.verification
        if looked.verification.status is not VerificationStatus.RUNNING:
            break
        time.sleep(0.1)
    assert looked.verification.status is VerificationStatus.PASSED, looked.verification
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
