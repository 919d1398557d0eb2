"""A check for schemathesis: a request that matches the schema is rejected only by rules that a schema cannot express. It also sets what the document leaves
to the operator: callers must authenticate here, so that schemathesis checks that."""

import schemathesis
from schemathesis import GenerationMode

# Requirements for the URL of a receiver.
URL_RULES = [
    "must be an absolute URL",
    "must not contain a user name",
    "must not contain white space",
    "must name a host",
    "must have a plain host",
    "must not contain a backslash",
    "must not have a fragment",
    "must use a port",
    "characters long in ASCII form",
]

# The error's pointer (its beginning), and a part of its text.
BEYOND_A_SCHEMA = [
    # Times compared with the clock and with each other.
    ("/export_time", "within the last 35 days"),
    ("/export_time", "in the future"),
    ("/incremental_export_specification/export_", "within the last 35 days"),
    ("/incremental_export_specification/export_", "in the future"),
    ("/incremental_export_specification/export_", "at least 15 minutes"),
    ("/incremental_export_specification/export_", "at most 24 hours"),
    ("/incremental_export_specification/export_", "later than export_from_time"),
    # Valid in RFC 3339, but in UTC before the year 1 or after 9999, or leap seconds.
    ("#query/created_", "must be a time in RFC 3339 form"),
    ("/export_time", "must be a time in RFC 3339 form"),
    ("/incremental_export_specification/export_", "must be a time in RFC 3339 form"),
    ("/since", "in the future"),
    ("/since", "must be a time in RFC 3339 form"),
    ("/overlap", "at most 720h"),
    ("/timeouts/create", "at least 1s and at most 2160h"),
    ("#query/presign", "from 5s to 12h"),
    # Fields that depend on each other.
    ("/export_time", "only allowed for a FULL_EXPORT"),
    ("/incremental_export_specification", "only allowed when export_type is INCREMENTAL_EXPORT"),
    ("/incremental_export_specification", "required when export_type is INCREMENTAL_EXPORT"),
    ("/s3_sse_kms_key_id", "only allowed with s3_sse_algorithm KMS"),
    ("/callback_secret", "only allowed with callback_url"),
    ("/filter_specification", "must have a"),
    ("/table_arn", "is required, unless account_id and region are given"),
    ("/account_id", "is required"),
    ("/region", "is required"),
    ("/account_id", "is not allowed with table_arn"),
    ("/region", "is not allowed with table_arn"),
    # ARNs of exports, and of the account and region to search.
    ("/adopt", ""),
    # API keys: names in use, scopes that exclude lists, patterns.
    ("/name", "is the name of another key"),
    ("/scopes", "must not combine"),
    ("/table_arns/", "must be a pattern"),
    ("/s3_buckets/", "must be a pattern"),
    ("/expires_at", "must be in the future"),
    ("/expires_at", "must be a time in RFC 3339 form"),
    # Texts with a grammar, or keys of maps, which the document's generator cannot describe.
    *((place, words) for place in ("/callback_url", "/url") for words in URL_RULES),
    ("/headers", ""),
    ("/callback_headers", ""),
    ("/filter_specification/", "operators"),
    ("/filter_specification/", "is refused by AWS"),
    ("/filter_specification/expression_attribute_", ""),
    ("/labels", ""),
    # Rules that depend on the stored state of the service or of AWS.
    ("#query/page_token", "must be a next_page_token of this service"),
    ("/page_token", "must be a next_page_token of this operation"),
    # one key with two values: a rule between the elements of a list
    ("#query/label", "is given more than once with the same key"),
]
REUSED_KEY = "/problems/idempotency-key-reused"
REFUSED_BY_AWS = "/problems/refused-by-aws"
PREFLIGHT_FAILED = "/problems/preflight-failed"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    for call in (call for item in raw_schema["paths"].values() for call in item.values()):
        # The alternative without credentials is for services with TABLEFERRY_AUTH=none. Public operations have only this one.
        call["security"] = [needed for needed in call["security"] if needed] or [{}]


@schemathesis.hook
def before_call(context, case, **kwargs):
    # AWS denies access to other partitions, which the service returns as 503; a pattern cannot list the partitions.
    if case.operation.definition.raw.get("operationId") == "import_export" and isinstance(case.body, dict):
        arn = case.body.get("export_arn")
        if isinstance(arn, str) and arn.startswith("arn:aws-"):
            case.body["export_arn"] = "arn:aws:" + arn.split(":", 2)[2] if arn.count(":") > 1 else arn


@schemathesis.check
def refused_only_beyond_the_schema(ctx, response, case):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE or response.status_code not in (400, 422):
        return
    problem = response.json()
    if problem["type"] in (REUSED_KEY, REFUSED_BY_AWS, PREFLIGHT_FAILED):
        return
    for error in problem["errors"]:
        known = any(error["pointer"].startswith(place) and words in error["detail"] for place, words in BEYOND_A_SCHEMA)
        assert known, f"the schema could say it: {error['pointer']} {error['detail']}"
    assert problem["errors"], f"refused without a reason: {problem}"
