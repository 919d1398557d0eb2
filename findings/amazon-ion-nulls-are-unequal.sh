#!/usr/bin/env bash
# amazon.ion 0.15.0 (Amazon's Ion for Python): null is not equal to null, so two items read from the same text are unequal as soon as an attribute is null,
# and `item in items` is False; a string set of DynamoDB (a list annotated $dynamodb_SS) equals a plain list. A comparison of two exports by == finds
# differences where there are none and none where there is one.
#
# Expected: values of the same text are equal (Ion's data model says so of nulls of one type), and annotations count.
#
# Needs: python3 with venv. Takes half a minute.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check amazon.ion==0.15.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from amazon.ion import simpleion as ion

print(f"amazon.ion {version('amazon.ion')}")
for left, right, expected in [
    ('{id:1.,note:"x"}', '{id:1.,note:"x"}', True),
    ("{id:1.,note:null}", "{id:1.,note:null}", False),
    ("null", "null", False),
    ("{l:[1.,null]}", "{l:[1.,null]}", False),
    ('$dynamodb_SS::["a"]', '["a"]', True),
]:
    seen = ion.loads(left) == ion.loads(right)
    print(f"  {left} == {right}: {seen}")
    assert seen == expected, (left, right)
assert ion.loads("{note:null}") not in [ion.loads("{note:null}")]
assert ion.loads("null") is not None
PY
