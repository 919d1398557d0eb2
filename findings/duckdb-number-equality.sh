#!/usr/bin/env bash
# duckdb 2.0.0 (1.4.4 too): an equality between a column of text and a whole number casts the text to INTEGER, which rounds. So a DynamoDB number,
# which is text in an export, matches other numbers: `WHERE Item.n.N = 4` gives 3.5, 4, 4.35, 4.354 and 4.49. IN and joins do the same;
# `>` between the same two is rejected ("an explicit cast is required"), but `=` gives no warning.
#
# Expected: only 4, or the same error.
#
# Needs: python3 with venv. Takes half a minute.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 2.0.0 1.4.4; do
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "duckdb==$version"
    (cd "$folder" && "$folder/venv/bin/python" - <<'PY'
import json

import duckdb

numbers = ["3.5", "4", "4.35", "4.354", "4.49", "4.5", "10"]
with open("items.json", "w") as file:
    for number in numbers:
        file.write(json.dumps({"Item": {"n": {"N": number}}}) + "\n")

items = "read_json_auto('items.json')"
connection = duckdb.connect()
seen = {
    "=": connection.execute(f"SELECT Item.n.N FROM {items} WHERE Item.n.N = 4").fetchall(),
    "IN": connection.execute(f"SELECT Item.n.N FROM {items} WHERE Item.n.N IN (4)").fetchall(),
    "JOIN": connection.execute(f"SELECT a.Item.n.N FROM {items} a JOIN (SELECT 4 AS id) b ON a.Item.n.N = b.id").fetchall(),
}
print(f"duckdb {duckdb.__version__}, N is {connection.execute(f'SELECT typeof(Item.n.N) FROM {items}').fetchone()[0]}")
for by, rows in seen.items():
    print(f"  {by} 4 finds {sorted(row[0] for row in rows)}")
    assert sorted(row[0] for row in rows) == ["3.5", "4", "4.35", "4.354", "4.49"], rows
try:
    connection.execute(f"SELECT Item.n.N FROM {items} WHERE Item.n.N > 4").fetchall()
    raise AssertionError("> is taken")
except duckdb.BinderException as error:
    print(f"  > 4 is refused: {str(error).splitlines()[0]}")
exact = connection.execute(f"SELECT Item.n.N FROM {items} WHERE Item.n.N::DECIMAL(38, 10) = 4").fetchall()
print(f"  with the cast that is meant: {exact}")
assert exact == [("4",)]
PY
    )
done
