"""Proves that callbacks are Standard Webhooks: receivers built on the public libraries of PyPI and of npm accept what the
service sends, and refuse it once it is tampered with, old, or signed with another secret."""

import json
import sys
import time
from datetime import datetime, timezone

import pytest
from standardwebhooks import Webhook

from programs import HERE, WEBHOOK_SECRET, WORK, Http, free_port, own_environment, program, wait_until

OWN_SECRET = "whsec_dGhlLWNhbGxlcnMtb3duLXNlY3JldC1vZi1pbnRlcm9wLXRlc3Rz"
COMMANDS = {
    "PyPI": [sys.executable, HERE / "receivers" / "pypi.py"],
    "npm": ["node", HERE / "receivers" / "npm.cjs"],
}


class Receiver:
    def __init__(self, url):
        self.url, self.http = url, Http(url)

    def attempts(self, export_id):
        received = self.http.call("GET", "/")[2]
        return [attempt for attempt in received if json.loads(attempt["body"])["data"]["export"]["id"] == export_id]

    def verdict(self, attempt, **changed):
        headers = {name: attempt["headers"][name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
        body = changed.pop("body", attempt["body"])
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        status, _, reason = self.http.call("POST", "/", body.encode(), headers)
        return status, reason


@pytest.fixture(scope="module", params=[(library, own) for library in COMMANDS for own in (True, False)], ids=lambda p: f"{p[0]}-{'own' if p[1] else 'default'}-secret")
def receiver(request, place):
    library, own = request.param
    port = free_port()
    secret = OWN_SECRET if own else WEBHOOK_SECRET
    environment = own_environment(RECEIVER_PORT=str(port), RECEIVER_SECRET=secret, NODE_PATH=str(WORK / "node_modules"))
    receiver = Receiver(f"http://127.0.0.1:{port}")
    receiver.secret, receiver.given = secret, {"callback_secret": OWN_SECRET} if own else {}
    with program(f"receiver-{library}-{own}", COMMANDS[library], environment, ready=lambda: receiver.http.is_ok("/")):
        yield receiver


def export(place, **members):
    body = {"table_arn": place.table, "s3_bucket": place.bucket} | members
    status, _, resource = Http(place.url).call("POST", "/v1/exports", body, {"Prefer": "wait=30"})
    assert status == 200, resource
    return resource


@pytest.fixture(scope="module")
def delivered(place, receiver):
    """An export that ended, and the first attempt of its callback."""
    done = export(place, callback_url=receiver.url, **receiver.given)
    return done, wait_until("the callback comes", lambda: receiver.attempts(done["id"]))[0]


def test_a_callback_is_verified(delivered):
    done, attempt = delivered
    assert attempt["verified"] and attempt["status"] == 204
    message = json.loads(attempt["body"])
    assert message["type"] == "export.completed"
    assert message["data"]["export"] == done
    assert "secret" not in attempt["body"]


def test_the_library_signs_the_same(receiver, delivered):
    _, attempt = delivered
    headers = attempt["headers"]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), timezone.utc)
    assert Webhook(receiver.secret).sign(headers["webhook-id"], at, attempt["body"]) == headers["webhook-signature"]
    assert receiver.verdict(attempt)[0] == 204, "the untouched callback still passes"


def test_a_tampered_body_is_refused(receiver, delivered):
    _, attempt = delivered
    assert receiver.verdict(attempt, body=attempt["body"].replace("COMPLETED", "FAILED", 1))[0] == 401


def test_another_id_is_refused(receiver, delivered):
    _, attempt = delivered
    assert receiver.verdict(attempt, webhook_id="msg_of_somebody_else")[0] == 401


def test_an_old_timestamp_is_refused(receiver, delivered):
    _, attempt = delivered
    hour_ago = int(time.time()) - 3600
    at = datetime.fromtimestamp(hour_ago, timezone.utc)
    signature = Webhook(receiver.secret).sign(attempt["headers"]["webhook-id"], at, attempt["body"])
    status, reason = receiver.verdict(attempt, webhook_timestamp=str(hour_ago), webhook_signature=signature)
    assert status == 401 and b"old" in reason


def test_a_wrong_secret_is_refused(place, receiver):
    done = export(place, callback_url=receiver.url, callback_secret="whsec_YW5vdGhlci1zZWNyZXQtdGhhbi10aGUtcmVjZWl2ZXItaGFz")
    attempt = wait_until("the callback comes", lambda: receiver.attempts(done["id"]))[0]
    assert not attempt["verified"] and attempt["status"] == 401


def test_a_retry_keeps_the_webhook_id(place, receiver):
    done = export(place, callback_url=f"{receiver.url}/later", **receiver.given)
    first, second = wait_until("the callback is repeated", lambda: (a := receiver.attempts(done["id"]))[1:] and a[:2], 60)
    assert (first["status"], second["status"]) == (503, 204)
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["body"] == second["body"]
    assert int(second["headers"]["webhook-timestamp"]) > int(first["headers"]["webhook-timestamp"])


def test_a_failure_is_announced_too(place, receiver):
    failed = export(place, s3_bucket="no-such-bucket-here", callback_url=receiver.url, **receiver.given)
    attempt = wait_until("the callback comes", lambda: receiver.attempts(failed["id"]))[0]
    assert attempt["verified"] and json.loads(attempt["body"])["type"] == "export.failed"
