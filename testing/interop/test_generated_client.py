"""Checks that a client can be generated from the OpenAPI document: one is generated from openapi/openapi.json by
openapi-python-client, creates an export, waits for it and lists it, and handles a webhook endpoint."""

import importlib
import shutil
import subprocess
import sys

import pytest

from programs import HERE, WORK, free_port, own_environment, wait_until


@pytest.fixture(scope="module")
def generated():
    folder = WORK / "generated"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", HERE.parent.parent / "openapi" / "openapi.json"]
    command += ["--meta", "none", "--output-path", folder / "tableferry_client", "--fail-on-warning"]
    # It formats its output with ruff, which is in the same folder as this Python.
    environment = own_environment(PATH=f"{WORK / 'venv' / 'bin'}:/usr/bin:/bin")
    made = subprocess.run(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield lambda name: importlib.import_module(f"tableferry_client.{name}")
    sys.path.remove(str(folder))


@pytest.fixture
def client(generated, place):
    return generated("client").Client(base_url=place.url, timeout=60.0, raise_on_unexpected_status=True)


def test_it_creates_an_export_and_waits_for_it(generated, client, place):
    models = generated("models")
    create, get = generated("api.exports.create_export"), generated("api.exports.get_export")
    body = models.CreateExport(table_arn=place.table, s3_bucket=place.bucket, s3_prefix="generated")
    answer = create.sync_detailed(client=client, body=body, idempotency_key="from-the-generated-client")
    assert answer.status_code == 202
    assert isinstance(answer.parsed, models.Export)
    done = get.sync(answer.parsed.id, client=client, prefer="wait=30")
    assert isinstance(done, models.Export)
    assert done.export_status == models.ExportStatus.COMPLETED
    assert done.item_count == place.items
    again = create.sync_detailed(client=client, body=body, idempotency_key="from-the-generated-client")
    assert again.parsed.id == done.id and again.headers["Idempotent-Replayed"] == "true"


def test_it_creates_and_waits_in_one_call(generated, client, place):
    models, create = generated("models"), generated("api.exports.create_export")
    body = models.CreateExport(table_arn=place.table, s3_bucket=place.bucket, s3_prefix="generated")
    answer = create.sync_detailed(client=client, body=body, prefer="wait=30")
    assert answer.status_code == 200 and answer.parsed.export_status == models.ExportStatus.COMPLETED


def test_it_lists_and_reads_events(generated, client, place):
    models = generated("models")
    page = generated("api.exports.list_exports").sync(client=client, export_status=models.ExportStatus.COMPLETED, page_size=1)
    assert len(page.exports) == 1 and isinstance(page.exports[0], models.Export)
    events = generated("api.exports.list_export_events").sync_detailed(page.exports[0].id, client=client)
    assert events.status_code == 200


def test_it_makes_a_webhook_endpoint_and_pings_it(generated, client):
    models, webhooks = generated("models"), lambda name: generated(f"api.webhooks.{name}")
    completed = models.EndpointEventType.EXPORT_COMPLETED
    labels = models.CreateEndpointLabelsType0.from_dict({"interop": "generated"})
    # Nothing listens there: the check only requests and reads the attempt.
    body = models.CreateEndpoint(url=f"http://127.0.0.1:{free_port()}/hook", event_types=[completed], labels=labels)
    made = webhooks("create_endpoint").sync(client=client, body=body)
    assert isinstance(made, models.EndpointWithSecret) and made.secret.startswith("whsec_")
    ping = webhooks("ping_endpoint").sync(made.id, client=client)

    def settled():
        delivery = webhooks("get_delivery").sync(ping.id, client=client)
        return delivery if delivery.status != models.DeliveryStatus.PENDING else None

    delivery = wait_until("the ping has been tried", settled)
    assert delivery.endpoint_id == made.id and delivery.status == models.DeliveryStatus.EXHAUSTED
    assert [attempt.status_code for attempt in delivery.attempts] == [None]
    rotated = webhooks("rotate_endpoint_secret").sync(made.id, client=client, body=models.RotateSecret(overlap="0s"))
    assert rotated.secret != made.secret
    keys = webhooks("list_webhook_public_keys").sync(client=client)
    assert keys.keys[0].public_key.startswith("whpk_")
    listed = webhooks("list_endpoint_deliveries").sync(made.id, client=client)
    assert [one.id for one in listed.deliveries] == [ping.id]
    assert webhooks("delete_endpoint").sync_detailed(made.id, client=client).status_code == 204
    assert isinstance(webhooks("get_endpoint").sync(made.id, client=client), models.Problem)


def test_it_reads_a_problem(generated, client, place):
    models, create = generated("models"), generated("api.exports.create_export")
    answer = create.sync_detailed(client=client, body=models.CreateExport(table_arn="no ARN", s3_bucket="x"))
    assert answer.status_code == 422
    assert {error.pointer for error in answer.parsed.errors} == {"/table_arn", "/s3_bucket"}
