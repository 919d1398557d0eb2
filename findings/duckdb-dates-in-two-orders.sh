#!/usr/bin/env bash
# duckdb 2.0.0: read_json_auto turns strings that look like dates into DATE, and reads dates of one column in two orders. `03-04-2024, 12-31-2024,
# 05-06-2024` become 3 April, 31 December and 5 June read day first, month first, and day first again; with `12-31-2024` in front all three are
# read month first. Other strings change their letters (UUIDs), digits (nanoseconds), or everything (`infinity` becomes 1900-01-01). No error, no warning.
#
# Expected: one format per column, or text. Date detection is documented; mixing two formats in a column is not.
#
# Needs: python3 with venv. Takes half a minute.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check duckdb==2.0.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import json

import duckdb


def read(strings, options=""):
    with open("items.json", "w") as file:
        for string in strings:
            file.write(json.dumps({"Item": {"v": {"S": string}}}) + "\n")
    rows = duckdb.connect().execute(f"SELECT Item.v.S::VARCHAR FROM read_json_auto('items.json'{options})").fetchall()
    return [row[0] for row in rows]


print(f"duckdb {duckdb.__version__}")
for strings, expected in [
    (["03-04-2024", "12-31-2024", "05-06-2024"], ["2024-04-03", "2024-12-31", "2024-06-05"]),
    (["12-31-2024", "03-04-2024", "05-06-2024"], ["2024-12-31", "2024-03-04", "2024-05-06"]),
    (["10-11-12", "2024-01-31"], ["2010-11-12", "2024-01-31"]),
    (["1-2-3", "2024-01-31"], ["2001-02-03", "2024-01-31"]),
    (["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    (["2024-01-31T01:02:03.123456789Z"], ["2024-01-31 01:02:03.123456+00"]),
    (["infinity"], ["1900-01-01"]),
]:
    seen = read(strings)
    print(f"  {strings} -> {seen}")
    assert seen == expected, seen
text = ["03-04-2024", "12-31-2024", "infinity"]
kept = duckdb.connect()
with open("items.json", "w") as file:
    file.writelines(json.dumps({"Item": {"v": {"S": string}}}) + "\n" for string in text)
seen = [row[0] for row in kept.execute("SELECT json->>'$.Item.v.S' FROM read_ndjson_objects('items.json')").fetchall()]
print(f"  as JSON objects: {seen}")
assert seen == text
PY
