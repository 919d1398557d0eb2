"""Checks that callbacks and the webhooks of endpoints are Standard Webhooks: receivers built on the public libraries of PyPI and of
npm accept what the service sends, and reject it if it was changed, is old, or is signed with another secret. The header has
`v1a` signatures too, which these libraries must ignore; test_webhook_public_keys.py verifies them."""

import json
import time
from datetime import datetime, timezone

import pytest
from standardwebhooks import Webhook

from programs import WEBHOOK_SECRET, free_port, wait_until
from webhook_receivers import COMMANDS, change_endpoint, endpoint, export, receiver, rotate

OWN_SECRET = "whsec_dGhlLWNhbGxlcnMtb3duLXNlY3JldC1vZi1pbnRlcm9wLXRlc3Rz"
WAYS = ("own-secret", "default-secret", "endpoint")


class Callbacks:
    """Webhooks are sent because the export names this receiver."""

    def __init__(self, place, receiver, given):
        self.place, self.receiver, self.given = place, receiver, given

    def announced(self, path="", **members):
        return export(self.place, callback_url=self.receiver.url + path, **self.given, **members)

    def announced_with_another_secret(self):
        return export(self.place, callback_url=self.receiver.url, callback_secret="whsec_YW5vdGhlci1zZWNyZXQtdGhhbi10aGUtcmVjZWl2ZXItaGFz")


class Endpoint:
    """Webhooks are sent because an endpoint matches them."""

    def __init__(self, place, receiver, label, made):
        self.place, self.receiver, self.label, self.made = place, receiver, label, made

    def announced(self, path="", **members):
        change_endpoint(self.place, self.made, url=self.receiver.url + path)
        return export(self.place, labels=self.label, **members)

    def announced_with_another_secret(self):
        other = {"interop": self.label["interop"] + "-other"}
        endpoint(self.place, self.receiver.url, other)
        return export(self.place, labels=other)


@pytest.fixture(scope="module", params=[(library, way) for library in COMMANDS for way in WAYS], ids=lambda param: "-".join(param))
def sender(request, place):
    library, way = request.param
    if way == "endpoint":
        label, port = {"interop": library}, free_port()
        made = endpoint(place, f"http://127.0.0.1:{port}", label)
        with receiver(library, made["secret"], port) as found:
            yield Endpoint(place, found, label, made)
            change_endpoint(place, made, disabled=True)
    else:
        own = way == "own-secret"
        with receiver(library, OWN_SECRET if own else WEBHOOK_SECRET) as found:
            yield Callbacks(place, found, {"callback_secret": OWN_SECRET} if own else {})


@pytest.fixture(scope="module")
def delivered(sender):
    """An export that ended, and the first attempt of its webhook."""
    done = sender.announced()
    return done, sender.receiver.first(done["id"])


def test_a_webhook_is_verified(delivered):
    done, attempt = delivered
    assert attempt["verified"] and attempt["status"] == 204
    message = json.loads(attempt["body"])
    assert message["type"] == "export.completed"
    assert message["data"]["export"] == done
    assert "secret" not in attempt["body"]


def test_the_header_holds_both_versions(delivered):
    _, attempt = delivered
    assert [one.split(",")[0] for one in attempt["headers"]["webhook-signature"].split(" ")] == ["v1", "v1a"]


def test_the_library_signs_the_same(sender, delivered):
    _, attempt = delivered
    headers = attempt["headers"]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), timezone.utc)
    assert Webhook(sender.receiver.secret).sign(headers["webhook-id"], at, attempt["body"]) in headers["webhook-signature"].split(" ")
    assert sender.receiver.verdict(attempt)[0] == 204, "the untouched webhook still passes"


def test_a_tampered_body_is_refused(sender, delivered):
    _, attempt = delivered
    assert sender.receiver.verdict(attempt, body=attempt["body"].replace("COMPLETED", "FAILED", 1))[0] == 401


def test_another_id_is_refused(sender, delivered):
    _, attempt = delivered
    assert sender.receiver.verdict(attempt, webhook_id="msg_of_somebody_else")[0] == 401


def test_the_v1a_signature_alone_is_no_v1(sender, delivered):
    _, attempt = delivered
    v1a = attempt["headers"]["webhook-signature"].split(" ")[1]
    assert sender.receiver.verdict(attempt, webhook_signature=v1a)[0] == 401
    assert sender.receiver.verdict(attempt, webhook_signature=v1a.replace("v1a,", "v1,"))[0] == 401


def test_an_old_timestamp_is_refused(sender, delivered):
    _, attempt = delivered
    hour_ago = int(time.time()) - 3600
    at = datetime.fromtimestamp(hour_ago, timezone.utc)
    signature = Webhook(sender.receiver.secret).sign(attempt["headers"]["webhook-id"], at, attempt["body"])
    status, reason = sender.receiver.verdict(attempt, webhook_timestamp=str(hour_ago), webhook_signature=signature)
    assert status == 401 and b"old" in reason


def test_a_wrong_secret_is_refused(sender):
    done = sender.announced_with_another_secret()
    attempt = sender.receiver.first(done["id"])
    assert not attempt["verified"] and attempt["status"] == 401


def test_a_retry_keeps_the_webhook_id(sender):
    done = sender.announced("/later")
    attempts = sender.receiver.attempts
    first, second = wait_until("the webhook is repeated", lambda: (a := attempts(done["id"]))[1:] and a[:2], 60)
    assert (first["status"], second["status"]) == (503, 204)
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["body"] == second["body"]
    assert int(second["headers"]["webhook-timestamp"]) > int(first["headers"]["webhook-timestamp"])


def test_a_failure_is_announced_too(sender):
    failed = sender.announced(s3_bucket="no-such-bucket-here")
    attempt = sender.receiver.first(failed["id"])
    assert attempt["verified"] and json.loads(attempt["body"])["type"] == "export.failed"


@pytest.mark.parametrize("library", COMMANDS)
def test_while_a_secret_is_rotated_the_old_and_the_new_one_verify(place, library):
    label, port = {"interop": f"rotation-{library}"}, free_port()
    made = endpoint(place, f"http://127.0.0.1:{port}", label)
    with receiver(library, made["secret"], port) as old:
        new_secret = rotate(place, made, overlap="1h")
        attempt = old.first(export(place, labels=label)["id"])
        versions = [one.split(",")[0] for one in attempt["headers"]["webhook-signature"].split(" ")]
        assert versions == ["v1", "v1", "v1a"]
        assert attempt["verified"], "the old secret verifies"
        with receiver(library, new_secret) as new:
            assert new.verdict(attempt)[0] == 204, "the new secret verifies"
            assert new.verdict(attempt, body=attempt["body"] + " ")[0] == 401
            # From now on neither of the two is used.
            newest_secret = rotate(place, made, overlap="0s")
            after = old.first(export(place, labels=label)["id"])
            assert not after["verified"], "the old secret does not verify any more"
            assert new.verdict(after)[0] == 401, "nor does the one after it"
            with receiver(library, newest_secret) as newest:
                assert newest.verdict(after)[0] == 204
    change_endpoint(place, made, disabled=True)
