"""Checks that the service behaves as its OpenAPI document says for any input: schemathesis generates calls from
the document of the running service (examples, boundary values, random ones, sequences of calls) and checks every
response against it. schemathesis.toml has the settings and their reasons."""

import subprocess
import sys

import pytest

from conftest import Place
from programs import HERE, WORK, own_environment, service, simulator


@pytest.fixture(scope="module")
def undisturbed():
    """A separate service with authentication, because this check creates thousands of exports."""
    with simulator("simulator-of-schemathesis", "--no-limits", "--any-account") as (dynamodb, s3):
        with service("service-of-schemathesis", dynamodb, s3, key_scope="admin") as (url, key):
            yield Place(url, dynamodb, s3), key


def test_every_call_of_the_document_with_every_check(undisturbed):
    place, key = undisturbed
    report = WORK / "schemathesis.txt"
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", HERE / "schemathesis.toml", "run"]
    command += ["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "100"]
    # A stream lasts as long as its export; tests/it/events.rs tests it.
    command += ["--exclude-operation-id", "stream_export_events"]
    # One worker: before 3.11.8, Python's own parser, which schemathesis uses, sometimes fails when threads share it.
    command += ["--workers", "1"]
    command += ["--seed", "20200630", "--generation-database", "none", "--continue-on-failure", "--report", "junit", "--report-junit-path", WORK / "schemathesis.xml"]
    command += ["--header", f"Authorization: Bearer {key}", f"{place.url}/openapi.json"]
    with report.open("wb") as output:
        run = subprocess.run(
            [str(part) for part in command],
            env=own_environment(COLUMNS="160", SCHEMATHESIS_HOOKS=str(HERE / "schemathesis_hooks.py")),
            cwd=WORK,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=1200,
        )
    if run.returncode != 0:
        pytest.fail(report.read_text()[-20000:], pytrace=False)
