"""Checks that Terraform's AWS provider works with the simulator, and that docs/terraform.md is right about it: the three examples
of the page of `aws_dynamodb_table_export` apply, are planned without a change, imported and destroyed.

It needs `terraform` and the provider's program, which it never downloads. If they are missing, it is skipped with a message.
"""

import datetime
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from programs import REGION, WORK, Http, own_environment, simulator

VERSION = "5.100.0"
PROVIDER = f"registry.terraform.io/hashicorp/aws/{VERSION}/*/terraform-provider-aws*"
# Terraform's own folders, folders of administrators, and the folder in this variable.
FOLDERS = [
    os.environ.get("TABLEFERRY_TEST_TERRAFORM_PLUGINS"),
    Path.home() / ".terraform.d" / "plugins",
    Path.home() / ".local" / "share" / "terraform" / "plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    *Path("/opt").glob("*"),
]

PLACES = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "%(version)s"
    }
  }
}

provider "aws" {
  region                  = "%(region)s"
  access_key              = "AKIDEXAMPLE"
  secret_key              = "not-a-secret"
  s3_use_path_style       = true
  skip_metadata_api_check = true
  endpoints {
    dynamodb = "%(dynamodb)s"
    s3       = "%(s3)s"
    sts      = "%(dynamodb)s"
  }
}

resource "aws_dynamodb_table" "example" {
  name         = "example-table-1"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "user_id"
  attribute {
    name = "user_id"
    type = "S"
  }
  point_in_time_recovery {
    enabled = true
  }
  tags = {
    team = "data"
  }
}

resource "aws_s3_bucket" "example" {
  bucket_prefix = "example"
  force_destroy = true
}
"""

BASIC = """
resource "aws_dynamodb_table_export" "basic" {
  table_arn = aws_dynamodb_table.example.arn
  s3_bucket = aws_s3_bucket.example.id
}
"""

IN_THE_PAST = """
resource "aws_dynamodb_table_export" "at_a_time" {
  export_time = "%(at)s"
  s3_bucket   = aws_s3_bucket.example.id
  table_arn   = aws_dynamodb_table.example.arn
}

resource "aws_dynamodb_table_export" "incremental" {
  export_type = "INCREMENTAL_EXPORT"
  incremental_export_specification {
    export_from_time = "%(start)s"
    export_to_time   = "%(end)s"
  }
  s3_bucket = aws_s3_bucket.example.id
  table_arn = aws_dynamodb_table.example.arn
}
"""


def plugins():
    for folder in filter(None, FOLDERS):
        if any(Path(folder).glob(PROVIDER)):
            return folder
    return None


class Terraform:
    """A folder with a configuration and a state."""

    def __init__(self, folder, places):
        self.folder, self.places, self.state = folder, places, {}
        folder.mkdir(parents=True)
        settings = folder / "cli.tfrc"
        settings.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{plugins()}"\n  }}\n  direct {{\n    exclude = ["*/*"]\n  }}\n}}\n'
        )
        self.environment = own_environment(TF_CLI_CONFIG_FILE=str(settings), CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1")

    def run(self, *arguments, expected=0):
        command = ["terraform", *arguments, "-no-color"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=180,
            text=True,
        )
        assert done.returncode == expected, f"{arguments} gave {done.returncode}: {done.stdout}"
        return done.stdout

    def configure(self, *parts):
        (self.folder / "main.tf").write_text("".join([PLACES % self.places, *parts]))

    def plan(self, changes):
        return self.run("plan", "-detailed-exitcode", "-input=false", expected=2 if changes else 0)


@pytest.fixture
def stage():
    if not shutil.which("terraform"):
        pytest.skip("not run: there is no terraform here")
    if not plugins():
        pytest.skip(f"not run: the AWS provider {VERSION} is in none of Terraform's folders; TABLEFERRY_TEST_TERRAFORM_PLUGINS may name one")
    work = WORK / "terraform"
    shutil.rmtree(work, ignore_errors=True)
    with simulator("simulator-of-terraform", "--no-limits") as (dynamodb, s3):
        yield work, {"version": VERSION, "region": REGION, "dynamodb": dynamodb, "s3": s3}, Http(dynamodb)
    shutil.rmtree(work, ignore_errors=True)


def test_the_examples_of_terraforms_page_live_their_whole_life(stage):
    work, places, control = stage
    terraform = Terraform(work / "first", places)
    terraform.configure(BASIC)
    terraform.run("init")
    terraform.run("apply", "-auto-approve")

    # The other two are for times in the past, with an offset, as on the page.
    control.call("POST", "/_control/clock", {"advance_ms": 4 * 3_600_000})
    now = datetime.datetime.fromisoformat(control.call("GET", "/_control/clock")[2]["now"]).replace(microsecond=0)
    ago = {"at": 1, "start": 3, "end": 2}
    utc = {name: (now - datetime.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ") for name, hours in ago.items()}
    zone = datetime.timezone(datetime.timedelta(hours=1))
    offset = {name: (now - datetime.timedelta(hours=hours)).astimezone(zone).isoformat() for name, hours in ago.items()}
    terraform.configure(BASIC, IN_THE_PAST % offset)
    terraform.run("apply", "-auto-approve")
    drifted = terraform.plan(changes=True)
    assert drifted.count("must be replaced") == 2, drifted  # docs/terraform.md: the provider reads back UTC and wants to export again
    terraform.configure(BASIC, IN_THE_PAST % utc)
    terraform.plan(changes=False)

    # Another state imports the same exports by their ARNs.
    state = json.loads((terraform.folder / "terraform.tfstate").read_text())
    made = {(entry["type"], entry["name"]): entry["instances"][0]["attributes"]["id"] for entry in state["resources"]}
    arns = {name: made["aws_dynamodb_table_export", name] for name in ("basic", "at_a_time", "incremental")}
    bucket = made["aws_s3_bucket", "example"]
    imports = "".join(f'import {{\n  to = aws_dynamodb_table_export.{name}\n  id = "{arn}"\n}}\n' for name, arn in arns.items())
    imports += 'import {\n  to = aws_dynamodb_table.example\n  id = "example-table-1"\n}\n'
    imports += f'import {{\n  to = aws_s3_bucket.example\n  id = "{bucket}"\n}}\n'
    second = Terraform(work / "second", places)
    named = (PLACES % places).replace('bucket_prefix = "example"', f'bucket = "{bucket}"')
    (second.folder / "main.tf").write_text(named + BASIC + IN_THE_PAST % utc + imports)
    second.run("init")
    taken = second.run("apply", "-auto-approve")
    assert "5 imported, 0 added" in taken and "0 destroyed" in taken, taken
    second.plan(changes=False)

    # docs/terraform.md: any error of DescribeExport counts as "not found", and the next apply exports again.
    control.call("POST", "/_control/faults", {"operation": "DescribeExport", "kind": "access_denied"})
    denied = second.plan(changes=True)
    assert denied.count("will be created") == 3, denied
    control.call("DELETE", "/_control/faults")

    second.run("destroy", "-auto-approve")
    state = control.call("GET", "/_control/state")[2]
    assert state["tables"] == [] and state["buckets"] == [], state
    assert len(control.call("GET", "/_control/exports")[2]) == 3, "destroying forgets exports, and starts none"
