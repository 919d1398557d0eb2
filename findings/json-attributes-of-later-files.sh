#!/usr/bin/env bash
# polars 2.1.0 (1.35.2 too), pyarrow 26.0.1, duckdb 2.0.0, chdb 4.4.0: when reading several JSON files, attributes that the first files lack are dropped
# silently; the rows stay, so a count is right. polars only uses the first file, even with infer_schema_length=None, for which its
# documentation says that the full data may be scanned; duckdb uses the first 32. A DynamoDB export has one file per partition, and if the first files of an
# incremental export contain only deletes, the column NewImage does not exist.
#
# Expected: the union of the fields, an error for an unknown one, or that infer_schema_length=None reads every file.
#
# Needs: python3 with venv, about 600 MB. Takes some minutes, mostly for downloads.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.0 polars==2.1.0 pyarrow==26.0.1 chdb==4.4.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import glob
import json

import chdb
import duckdb
import polars as pl
import pyarrow.dataset

for number in range(41):
    with open(f"{number:03}.json", "w") as file:
        item = {"pk": {"S": str(number)}} | ({"late": {"S": "only here"}} if number == 40 else {})
        file.write(json.dumps({"Item": item}) + "\n")
files = sorted(glob.glob("*.json"))

seen = {
    "polars read_ndjson": str(pl.read_ndjson("*.json").schema),
    "polars read_ndjson, infer_schema_length=None": str(pl.read_ndjson("*.json", infer_schema_length=None).schema),
    "polars scan_ndjson, infer_schema_length=None": str(pl.scan_ndjson("*.json", infer_schema_length=None).collect().schema),
    "pyarrow.dataset": str(pyarrow.dataset.dataset(files, format="json").to_table().schema),
    "duckdb read_json_auto": str(duckdb.connect().execute("DESCRIBE FROM read_json_auto('*.json')").fetchall()),
    "chdb JSONEachRow": chdb.query("DESCRIBE file('*.json', 'JSONEachRow')").bytes().decode(),
}
print(f"polars {pl.__version__}, pyarrow {pyarrow.__version__}, duckdb {duckdb.__version__}, chdb {'.'.join(chdb.chdb_version)}")
for reader, schema in seen.items():
    print(f"  {reader}: {'has' if 'late' in schema else 'LACKS'} the attribute of the last file")
    assert "pk" in schema and "late" not in schema, schema
assert pl.read_ndjson("*.json").height == 41

kept = {
    "duckdb, union_by_name=true": str(duckdb.connect().execute("DESCRIBE FROM read_json_auto('*.json', union_by_name=true)").fetchall()),
    "duckdb, maximum_sample_files=-1, sample_size=-1": str(duckdb.connect().execute(
        "DESCRIBE FROM read_json_auto('*.json', maximum_sample_files=-1, sample_size=-1)").fetchall()),
    "polars, file by file, diagonal_relaxed": str(pl.concat(
        [pl.read_ndjson(file, infer_schema_length=None).unnest("Item") for file in files], how="diagonal_relaxed").schema),
}
for reader, schema in kept.items():
    print(f"  {reader}: {'has' if 'late' in schema else 'LACKS'} it")
    assert "late" in schema, schema
PY
