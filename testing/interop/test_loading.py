"""Runs each recipe of docs/loading.md against unusual items, and expects every one of them back, value for value.

The files are an export that the command line client downloaded, as AWS writes it and as plain JSON lines, and generated files: many, some without
items, with attributes, types and lengths that the first ones lack.
"""

import glob
import gzip
import json
import os
import re
import subprocess
from base64 import b64decode
from decimal import Decimal
from pathlib import Path

import pytest

from programs import BINARIES, Http, own_environment, table_arn, wait_until

RECIPES = dict(re.findall(r"<!-- recipe: (.+?) -->\n```python\n(.+?)```", (Path(__file__).parent.parent.parent / "docs/loading.md").read_text(), re.DOTALL))
LARGEST = "9" * 38


def odd_items():
    """Items of which the first ones are not representative. Each has a key pk and a whole number id."""
    texts = ["", "03-04-2024", "12-31-2024", "1-2-3", "infinity", "07:05", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "2024-01-31T01:02:03.123456789Z"]
    texts += ["01234", "null", "NaN", "a\u0085b\u2028c\r\nd\te\u0001f", "\U0010ffff", "\"\\'"]
    numbers = ["0", "-1", "9007199254740991", "9007199254740992", "9007199254740993", "18446744073709551611", LARGEST, "-" + LARGEST]
    fractions = ["0.1", "12.5", "-0.000001", "0.12345678901234567890123456789012345678", "123456789012.345"]
    values = [{"S": text} for text in texts] + [{"N": number} for number in numbers + fractions]
    values += [{"B": "AP8="}, {"BOOL": False}, {"NULL": True}, {"L": []}, {"M": {}}, {"M": {"S": {"S": "x"}}}, {"L": [{"N": "1"}, {"S": "x"}]}]
    values += [{"SS": ["a", "b"]}, {"NS": ["1", LARGEST]}, {"BS": ["AA=="]}]
    plain = [{"pk": {"S": f"plain-{n:03}"}, "id": {"N": str(n)}, "v": {"S": "x"}} for n in range(200)]
    odd = [{"pk": {"S": f"odd-{n:03}"}, "id": {"N": str(10**37 + n)}, "v": value} for n, value in enumerate(values)]
    more = {"late": {"S": "x"}, "a.b": {"S": "x"}, "customerId": {"S": "a"}, "S": {"S": "x"}, "__proto__": {"N": "1"}}
    odd.append({"pk": {"S": "names"}, "id": {"N": LARGEST}, **more})
    odd.append({"pk": {"S": "customer"}, "id": {"N": "7"}, "customerID": {"S": "b"}})
    odd.append({"pk": {"S": "wide"}, "id": {"N": "8"}, **{f"x{n}": {"N": str(n)} for n in range(300)}})
    odd.append({"pk": {"S": "long"}, "id": {"N": "9"}, "v": {"S": "\u0001" * 390_000}})
    return plain + odd


def text_of(item):
    return json.dumps({"Item": item}, ensure_ascii=False)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Sixty files as AWS writes them; the first and some others are empty, and the unusual items come last."""
    root = tmp_path_factory.mktemp("raw")
    folder = root / "daily" / "AWSDynamoDB" / "an-export" / "data"
    folder.mkdir(parents=True)
    items = odd_items()
    for number in range(60):
        own = [] if number % 10 == 0 else items[:200][number * 4 : number * 4 + 4] if number < 50 else items[number::60]
        with gzip.open(folder / f"{number:03}.json.gz", "wt", encoding="utf-8", newline="") as file:
            file.writelines(text_of(item) + "\n" for item in own)
    with gzip.open(folder / "999.json.gz", "wt", encoding="utf-8", newline="") as file:
        file.writelines(text_of(item) + "\n" for item in items)
    return root


@pytest.fixture(scope="module")
def downloaded(place, tmp_path_factory):
    """An export of the items, as the client downloads it with --format json."""
    place.dynamodb.create_table(
        TableName="Odd",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    place.dynamodb.update_continuous_backups(TableName="Odd", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    for item in odd_items():
        place.dynamodb.put_item(TableName="Odd", Item={name: as_boto3(value) for name, value in item.items()})
    http = Http(place.url)
    body = {"table_arn": table_arn("Odd"), "s3_bucket": place.bucket, "s3_prefix": "odd"}
    status, _, export = http.call("POST", "/v1/exports", body)
    assert status == 202, export

    def completed():
        return http.call("GET", f"/v1/exports/{export['id']}")[2]["export_status"] == "COMPLETED"

    wait_until("the export of odd items ends", completed)
    folder = tmp_path_factory.mktemp("downloaded")
    command = [BINARIES / "tableferry", "export", "download", export["id"], folder, "--format", "json", "--quiet"]
    subprocess.run(command, env=own_environment(TABLEFERRY_SERVER=place.url), check=True, timeout=120, stdin=subprocess.DEVNULL)
    return folder


def as_boto3(value):
    """The same value with bytes instead of base64, as boto3 requires."""
    match value:
        case {"B": text}:
            return {"B": b64decode(text)}
        case {"BS": texts}:
            return {"BS": [b64decode(text) for text in texts]}
    return value


def rows_of(recipe, folder):
    """The result of a recipe, with its pattern replaced by a folder."""
    variables = {}
    if recipe.startswith("spark"):
        sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: see docs/loading.md")
        builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
        variables["spark"] = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    before = os.getcwd()
    os.chdir(folder)
    try:
        exec(RECIPES[recipe].replace("orders/", str(folder) + "/"), variables)  # noqa: S102
    finally:
        os.chdir(before)
    return [tuple(row) for row in variables["rows"]]


def same(line):
    """A normalised line: equal values compare equal in any order of members; numbers keep all digits."""
    return json.dumps(json.loads(line, parse_float=lambda text: {"fraction": text}), sort_keys=True)


TOOLS = ["duckdb", "polars", "pandas", "pyarrow", "chdb", "spark"]


def test_every_recipe_is_executed():
    assert sorted(RECIPES) == sorted(TOOLS + [f"{tool} plain" for tool in TOOLS])


@pytest.mark.parametrize("tool", TOOLS)
def test_files_as_aws_writes_them(tool, raw, downloaded):
    for folder in (raw, downloaded):
        lines = [line for file in glob.glob(f"{folder}/**/*.json.gz", recursive=True) for line in gzip.open(file, "rt", encoding="utf-8", newline="\n")]
        items = [json.loads(line)["Item"] for line in lines]
        rows = rows_of(tool, folder)
        assert sorted(same(row[0]) for row in rows) == sorted(same(line) for line in lines)
        assert sorted((row[1], Decimal(row[2])) for row in rows) == sorted((item["pk"]["S"], Decimal(item["id"]["N"])) for item in items)


@pytest.mark.parametrize("tool", TOOLS)
def test_plain_json_lines(tool, downloaded):
    rows = rows_of(f"{tool} plain", downloaded)
    expected = sorted((item["pk"]["S"], Decimal(item["id"]["N"])) for item in odd_items())
    assert sorted((row[1], Decimal(row[2])) for row in rows) == expected
    lines = [line for file in glob.glob(f"{downloaded}/**/*.jsonl", recursive=True) for line in open(file, encoding="utf-8", newline="\n")]
    assert sorted(same(row[0]) for row in rows) == sorted(same(line) for line in lines)


def test_plain_json_lines_hold_every_value(downloaded):
    """Compares the client's output with the input, by the rule for numbers."""

    def plain(value):
        ((kind, inner),) = value.items()
        match kind:
            case "N":
                number = Decimal(inner)
                if number == number.to_integral_value():
                    return int(number) if abs(number) <= 2**53 else inner
                return number if len(number.normalize().as_tuple().digits) <= 15 else inner
            case "NS":
                return sorted(str(plain({"N": each})) for each in inner)
            case "L":
                return [plain(each) for each in inner]
            case "M":
                return {name: plain(each) for name, each in inner.items()}
            case "NULL":
                return None
        return sorted(inner) if kind in ("SS", "BS") else inner

    seen = {}
    for file in glob.glob(f"{downloaded}/**/*.jsonl", recursive=True):
        for line in open(file, encoding="utf-8", newline="\n"):
            item = json.loads(line, parse_float=Decimal)
            seen[item["pk"]] = item
    assert len(seen) == len(odd_items())
    for item in odd_items():
        expected = {name: plain(value) for name, value in item.items()}
        got = seen[item["pk"]["S"]]
        if set(item.get("v", {})) & {"SS", "NS", "BS"}:
            got["v"] = sorted(str(each) for each in got["v"])
        assert got == expected
        # Whole numbers have no decimal point: json parses those as int.
        assert all(type(got[name]) is type(value) for name, value in expected.items())
