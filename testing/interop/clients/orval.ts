// A client made by orval: an export with a filter, from its creation to its proof.
import { createExport, getExport, listExportItems, listExports, verifyExport } from "./orval/client";
import type { CreateExport } from "./orval/client";

const [, table_arn = "", s3_bucket = ""] = process.argv.slice(2); // the URL is part of what was generated

async function main(): Promise<void> {
  const body: CreateExport = {
    table_arn,
    s3_bucket,
    s3_prefix: "orval",
    filter_specification: {
      filter_expression: "#n < :most",
      expression_attribute_names: { "#n": "n" },
      expression_attribute_values: { ":most": { N: "1000" } },
    },
  };
  // Header parameters are no arguments of this client's functions.
  const created = await createExport(body, undefined, { headers: { "Idempotency-Key": `orval-${process.pid}` } });
  if (created.status !== 202) throw new Error(JSON.stringify(created.data));
  const id = created.data.id;
  const ended = await getExport(id, { headers: { Prefer: "wait=30" } });
  if (ended.status !== 200 || ended.data.export_status !== "COMPLETED") throw new Error("the export is not COMPLETED");
  if (ended.data.filter_specification?.expression_attribute_values?.[":most"]?.N !== "1000") throw new Error("the filter is not repeated");
  const listed = await listExports({ export_status: "COMPLETED", page_size: 10 });
  if (listed.status !== 200 || !listed.data.exports.some((one) => one.id === id)) throw new Error("the export is not listed");
  const items = await listExportItems(id, { limit: 3 });
  if (items.status !== 200 || items.data.items.length !== 3 || items.data.items[0]?.["pk"] === undefined) throw new Error("the items have no keys");

  await verifyExport(id, { deep: true });
  for (;;) {
    const looked = await getExport(id);
    const status = looked.status === 200 ? looked.data.verification?.status : undefined;
    if (status === "passed") break;
    if (status !== "running") throw new Error(`the verification is ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const refused = await createExport({ table_arn: "no ARN", s3_bucket });
  if (refused.status !== 422 || refused.data.type !== "/problems/validation-failed") throw new Error("a wrong request was not refused");
  console.log("ok");
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
