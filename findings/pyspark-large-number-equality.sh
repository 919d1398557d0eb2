#!/usr/bin/env bash
# pyspark 4.3.0: text against a whole number beyond 2^63 is compared as doubles. `WHERE Item.id.N = 18446744073709551611` gives the items …610, …611, …612
# and …613; IN does the same. Up to 2^63 the text is cast to BIGINT instead, and is exact.
#
# Expected: only 18446744073709551611; its literal is DECIMAL(20,0), which has every digit.
#
# Needs: python3 with venv, Java 17 or later, about 500 MB. Takes some minutes, mostly for downloads.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyspark==4.3.0
cd "$folder"
"$folder/venv/bin/python" - 2>"$folder/log" <<'PY' || { cat "$folder/log"; exit 1; }
import json

import pyspark
from pyspark.sql import SparkSession

with open("items.json", "w") as file:
    for last in range(610, 614):
        file.write(json.dumps({"Item": {"id": {"N": f"18446744073709551{last}"}}}) + "\n")
session = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .getOrCreate()
)
session.read.json("items.json").createOrReplaceTempView("items")


def found(where):
    return sorted(row[0] for row in session.sql(f"SELECT Item.id.N FROM items WHERE {where}").collect())


print(f"pyspark {pyspark.__version__}")
for where, count in [
    ("Item.id.N = 18446744073709551611", 4),
    ("Item.id.N IN (18446744073709551611)", 4),
    ("Item.id.N = '18446744073709551611'", 1),
    ("CAST(Item.id.N AS DECIMAL(38, 0)) = 18446744073709551611", 1),
]:
    seen = found(where)
    print(f"  {where}: {seen}")
    assert len(seen) == count, seen
session.stop()
PY
