// A client made by @hey-api/openapi-ts: an export with a filter, from its creation to its proof, and its live stream.
import { client } from "./hey-api/client.gen";
import { createExport, getExport, listExportItems, listExports, streamExportEvents, verifyExport } from "./hey-api/sdk.gen";
import type { CreateExport, ExportEvent } from "./hey-api/types.gen";

const [baseUrl = "", table_arn = "", s3_bucket = ""] = process.argv.slice(2);
client.setConfig({ baseUrl });

async function main(): Promise<void> {
  const body: CreateExport = {
    table_arn,
    s3_bucket,
    s3_prefix: "hey-api",
    filter_specification: {
      filter_expression: "#n < :most",
      expression_attribute_names: { "#n": "n" },
      expression_attribute_values: { ":most": { N: "1000" } },
    },
  };
  const created = await createExport({ body, headers: { "Idempotency-Key": `hey-api-${process.pid}` } });
  if (!created.data) throw new Error(created.error.detail);
  const path = { id: created.data.id };

  // The stream ends with the export. This client reads it once and does not reconnect.
  const { stream } = await streamExportEvents({ path });
  const events: ExportEvent[] = [];
  for await (const event of stream) events.push(event as ExportEvent);
  if (events.at(-1)?.type !== "export.completed") throw new Error("the stream does not end with the export");

  const ended = await getExport({ path });
  if (ended.data?.export_status !== "COMPLETED") throw new Error("the export is not COMPLETED");
  if (ended.data.filter_specification?.expression_attribute_values?.[":most"]?.N !== "1000") throw new Error("the filter is not repeated");
  const listed = await listExports({ query: { export_status: "COMPLETED", page_size: 10 } });
  if (!listed.data?.exports.some((one) => one.id === path.id)) throw new Error("the export is not listed");
  const items = await listExportItems({ path, query: { limit: 3, format: "json" } });
  if (items.data?.items.length !== 3 || items.data.items[0]?.["pk"] === undefined) throw new Error("the items have no keys");

  await verifyExport({ path, body: { deep: true } });
  for (;;) {
    const looked = await getExport({ path });
    const status = looked.data?.verification?.status;
    if (status === "passed") break;
    if (status !== "running") throw new Error(`the verification is ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const refused = await createExport({ body: { table_arn: "no ARN", s3_bucket } });
  if (refused.error?.type !== "/problems/validation-failed") throw new Error("a wrong request was not refused");
  console.log("ok");
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
