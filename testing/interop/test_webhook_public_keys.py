"""Checks that `v1a` signatures can be verified without a shared secret: by two third-party ed25519 libraries, PyPI's `cryptography`
and Node's own crypto, with only the keys from GET /v1/webhook-public-keys."""

import base64
import json
import subprocess

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from programs import HERE, WEBHOOK_SECRET, Http, free_port
from webhook_receivers import change_endpoint, endpoint, export, receiver


def by_cryptography(public_key, signed):
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_"), validate=True))
    content = f"{signed['id']}.{signed['timestamp']}.{signed['body']}".encode()

    def is_of_key(one):
        version, encoded = one.split(",")
        try:
            return version == "v1a" and key.verify(base64.b64decode(encoded, validate=True), content) is None
        except InvalidSignature:
            return False

    return any(is_of_key(one) for one in signed["signatures"].split(" "))


def by_node(public_key, signed):
    given = json.dumps({"public_key": public_key} | signed)
    done = subprocess.run(["node", HERE / "receivers" / "ed25519.cjs"], input=given, capture_output=True, text=True, timeout=30, check=True)
    return {"true": True, "false": False}[done.stdout.strip()]


@pytest.fixture(params=[by_cryptography, by_node], ids=["cryptography", "node"])
def is_verified(request):
    return request.param


@pytest.fixture(scope="module")
def public_key(place):
    status, _, answer = Http(place.url).call("GET", "/v1/webhook-public-keys")
    assert status == 200
    (key,) = answer["keys"]
    assert key["public_key"].startswith("whpk_") and key["expires_at"] is None
    return key["public_key"]


@pytest.fixture(scope="module", params=["callback", "endpoint"])
def signed(request, place):
    """The headers and body of a webhook."""
    port, label = free_port(), {"interop": "public-keys"}
    with receiver("PyPI", WEBHOOK_SECRET, port) as found:
        if request.param == "endpoint":
            made = endpoint(place, found.url, label)
            done = export(place, labels=label)
            attempt = found.first(done["id"])
            change_endpoint(place, made, disabled=True)
        else:
            attempt = found.first(export(place, callback_url=found.url)["id"])
    headers = attempt["headers"]
    return {
        "id": headers["webhook-id"],
        "timestamp": headers["webhook-timestamp"],
        "signatures": headers["webhook-signature"],
        "body": attempt["body"],
    }


def test_a_webhook_is_verified(is_verified, public_key, signed):
    assert is_verified(public_key, signed)


def test_a_tampered_body_is_refused(is_verified, public_key, signed):
    assert not is_verified(public_key, signed | {"body": signed["body"].replace("COMPLETED", "FAILED", 1)})


def test_another_timestamp_is_refused(is_verified, public_key, signed):
    assert not is_verified(public_key, signed | {"timestamp": str(int(signed["timestamp"]) + 1)})


def test_another_id_is_refused(is_verified, public_key, signed):
    assert not is_verified(public_key, signed | {"id": "msg_of_somebody_else"})


def test_another_key_is_refused(is_verified, signed):
    raw = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert not is_verified("whpk_" + base64.b64encode(raw).decode(), signed)
