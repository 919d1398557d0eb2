"""Webhook receivers built on the public libraries, and helpers for the checks."""

import json
import sys
from contextlib import contextmanager

from programs import HERE, WORK, Http, free_port, own_environment, program, wait_until

COMMANDS = {
    "PyPI": [sys.executable, HERE / "receivers" / "pypi.py"],
    "npm": ["node", HERE / "receivers" / "npm.cjs"],
}
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Receiver:
    """A receiver that verifies with one secret."""

    def __init__(self, port, secret):
        self.url, self.secret = f"http://127.0.0.1:{port}", secret
        self.http = Http(self.url)

    def attempts(self, export_id):
        received = [attempt for attempt in self.http.call("GET", "/")[2] if "export" in json.loads(attempt["body"])["data"]]
        return [attempt for attempt in received if json.loads(attempt["body"])["data"]["export"]["id"] == export_id]

    def first(self, export_id):
        return wait_until("the webhook comes", lambda: self.attempts(export_id))[0]

    def verdict(self, attempt, **changed):
        """Sends it a recorded attempt, with changes; returns its status and reason."""
        headers = {name: attempt["headers"][name] for name in SIGNED}
        body = changed.pop("body", attempt["body"])
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        status, _, reason = self.http.call("POST", "/", body.encode(), headers)
        return status, reason


@contextmanager
def receiver(library, secret, port=None):
    """Runs a receiver, on this port if one is given."""
    port = port or free_port()
    environment = own_environment(RECEIVER_PORT=str(port), RECEIVER_SECRET=secret, NODE_PATH=str(WORK / "node_modules"))
    found = Receiver(port, secret)
    with program(f"receiver-{library}-{port}", COMMANDS[library], environment, ready=lambda: found.http.is_ok("/")):
        yield found


def export(place, **members):
    """An export that has ended."""
    body = {"table_arn": place.table, "s3_bucket": place.bucket} | members
    status, _, resource = Http(place.url).call("POST", "/v1/exports", body, {"Prefer": "wait=30"})
    assert status == 200, resource
    return resource


def endpoint(place, url, label, **members):
    """A webhook endpoint for the ends of exports with this label, as returned by its creation."""
    body = {"url": url, "labels": label, "event_types": ["export.completed", "export.failed"]} | members
    status, _, made = Http(place.url).call("POST", "/v1/webhook-endpoints", body)
    assert status == 201, made
    return made


def change_endpoint(place, made, **members):
    status, _, changed = Http(place.url).call("PATCH", f"/v1/webhook-endpoints/{made['id']}", members)
    assert status == 200, changed


def rotate(place, made, **members):
    """The endpoint's new secret."""
    status, _, rotated = Http(place.url).call("POST", f"/v1/webhook-endpoints/{made['id']}/rotate-secret", members)
    assert status == 200 and rotated["secret"] != made["secret"], rotated
    return rotated["secret"]
