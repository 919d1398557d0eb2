#!/usr/bin/env bash
# polars 2.1.0 (1.35.2 too): a Decimal becomes null, without an error, when the sum of its integer digits and the longest fraction in the column exceeds 38 digits.
# `pl.DataFrame([{"n": Decimal("12345678901234567890123456789012345678")}, {"n": Decimal("1.5")}])` contains [None, 1.5]. So DynamoDB numbers, as boto3 and
# amazon.ion return them, are lost as soon as another number in the column has a fraction.
#
# Expected: an error, as for a single value with too many digits, or Decimal256.
#
# Needs: python3 with venv. Takes half a minute.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 2.1.0 1.35.2; do
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "polars==$version"
    "$folder/venv/bin/python" - <<'PY'
from decimal import Decimal

import polars as pl

large, fraction = Decimal("12345678901234567890123456789012345678"), Decimal("1.5")
print(f"polars {pl.__version__}")
for values in ([large], [fraction], [large, fraction], [fraction, large]):
    frame = pl.DataFrame([{"n": value} for value in values])
    print(f"  {[str(value) for value in values]} -> {[None if value is None else str(value) for value in frame['n']]} ({frame['n'].dtype})")
    expected = [None if value == large and len(values) == 2 else value for value in values]
    assert frame["n"].to_list() == expected, frame
PY
done
