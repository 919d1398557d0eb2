"""Types made by datamodel-code-generator (pydantic): they write a request that is accepted, and read every answer of its way."""

import json
import sys
import time
import urllib.request
from typing import Any

from pydantic import BaseModel

from models import AttributeValue, CreateExport, Export, ExportList, ExportStatus, ExportType, FilterSpecification, ItemList, VerificationStatus, VerifyExport


def main(url: str, table_arn: str, s3_bucket: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(method: str, path: str, body: BaseModel | None = None) -> Any:
        data = body.model_dump_json(exclude_unset=True).encode() if body else None
        headers = {"Content-Type": "application/json", "Prefer": "wait=30"}
        with opener.open(urllib.request.Request(url + path, data, headers, method=method), timeout=60) as answer:
            return json.load(answer)

    wanted = FilterSpecification(
        filter_expression="#n < :most",
        expression_attribute_names={"#n": "n"},
        expression_attribute_values={":most": AttributeValue(N="1000")},
    )
    body = CreateExport(table_arn=table_arn, s3_bucket=s3_bucket, s3_prefix="datamodel", export_type=ExportType.FULL_EXPORT, filter_specification=wanted)
    export = Export.model_validate(call("POST", "/v1/exports", body))
    assert export.export_status is ExportStatus.COMPLETED and export.export_type is ExportType.FULL_EXPORT, export
    listed = ExportList.model_validate(call("GET", "/v1/exports?page_size=200"))
    assert export.id in [one.id for one in listed.exports]
    # What was read can be written again without a warning: enums are enums.
    assert json.loads(listed.model_dump_json(warnings="error"))["exports"]
    assert len(ItemList.model_validate(call("GET", f"/v1/exports/{export.id}/items?limit=3")).items) == 3
    call("POST", f"/v1/exports/{export.id}/verify", VerifyExport(deep=True))
    while True:
        verification = Export.model_validate(call("GET", f"/v1/exports/{export.id}")).verification
        assert verification
        if verification.status is not VerificationStatus.running:
            break
        time.sleep(0.1)
    assert verification.status is VerificationStatus.passed, verification
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
