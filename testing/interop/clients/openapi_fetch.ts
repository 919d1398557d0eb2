// openapi-typescript's types with openapi-fetch: an export with a filter, from creation to verification.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

const [url = "", table_arn = "", s3_bucket = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });

async function main(): Promise<void> {
  // Only the required fields: those with a default may be omitted.
  const body: components["schemas"]["CreateExport"] = {
    table_arn,
    s3_bucket,
    s3_prefix: "openapi-fetch",
    labels: { client: "openapi-fetch" },
    filter_specification: {
      filter_expression: "#n < :most",
      expression_attribute_names: { "#n": "n" },
      expression_attribute_values: { ":most": { N: "1000" } },
    },
  };
  const created = await client.POST("/v1/exports", { body });
  if (!created.data) throw new Error(created.error.detail);
  const path = { id: created.data.id };
  const ended = await client.GET("/v1/exports/{id}", { params: { path, header: { Prefer: "wait=30" } } });
  if (ended.data?.export_status !== "COMPLETED") throw new Error(ended.error?.detail ?? "the export is not COMPLETED");
  if (ended.data.filter_specification?.expression_attribute_values?.[":most"]?.N !== "1000") throw new Error("the filter is not repeated");

  const query = { label: ["client:openapi-fetch"], export_type: "FULL_EXPORT" as const, page_size: 10 };
  const listed = await client.GET("/v1/exports", { params: { query } });
  if (listed.data?.exports[0]?.id !== created.data.id) throw new Error("the export is not listed");
  const items = await client.GET("/v1/exports/{id}/items", { params: { path, query: { limit: 3 } } });
  const keys = items.data?.items.map((item) => item["pk"]);
  if (keys?.length !== 3 || keys.some((key) => key === undefined)) throw new Error("the items have no keys");

  await client.POST("/v1/exports/{id}/verify", { params: { path }, body: { deep: true } });
  for (;;) {
    const looked = await client.GET("/v1/exports/{id}", { params: { path } });
    const verification: components["schemas"]["VerificationStatus"] | undefined = looked.data?.verification?.status;
    if (verification === "passed") break;
    if (verification !== "running") throw new Error(`the verification is ${verification}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const refused = await client.POST("/v1/exports", { body: { table_arn: "no ARN", s3_bucket } });
  if (refused.error?.type !== "/problems/validation-failed") throw new Error("a wrong request was not refused");
  console.log("ok");
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
