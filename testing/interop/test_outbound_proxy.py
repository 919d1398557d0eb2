"""The service behind an outbound proxy (proxy.py): HTTPS_PROXY, HTTP_PROXY and NO_PROXY apply to AWS and to the OIDC issuer, and calls that fetch
the credentials of a machine or container never use the proxy."""

import datetime
import http.server
import json
import socket
import ssl
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jwt

from conftest import Place
from programs import AWS_CREDENTIALS, HERE, WORK, Http, free_port, own_environment, program, service, simulator, wait_until
from reverse_proxy import Relay

DYNAMODB, S3, ISSUER = "dynamodb.us-east-1.aws.example", "s3.us-east-1.aws.example", "login.example"


class Outbound:
    """A proxy that logs the requested hosts."""

    def __init__(self, url, log):
        self.url, self.log = url, log

    def asked(self):
        return self.log.read_text()

    def settings(self):
        return {name: self.url for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")} | {"NO_PROXY": ""}


@contextmanager
def outbound(name):
    port = free_port()
    log = WORK / "logs" / f"{name}-access.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", port, "--num-workers", "1", "--num-acceptors", "1"]
    command += ["--plugins", "names_are_here.NamesAreHere", "--log-file", log, "--data-dir", WORK / "data" / name]
    environment = own_environment(PYTHONPATH=str(HERE), HOME=str(WORK / "data"))
    with program(name, command, environment, ready=lambda: _listens(port)):
        yield Outbound(f"http://127.0.0.1:{port}", log)


def _listens(port):
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


@pytest.fixture(scope="module")
def certificate():
    """Files: the authority's certificate, a certificate for all names that the checks use, and its key."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def sign(name, key, extension):
        subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, it)]) for it in (name, "authority"))
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1)).add_extension(extension, critical=False)
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    folder = WORK / "data" / "outbound"
    folder.mkdir(parents=True, exist_ok=True)
    authority, cert, secret = folder / "authority.pem", folder / "cert.pem", folder / "key.pem"
    authority.write_bytes(sign("authority", authority_key, x509.BasicConstraints(ca=True, path_length=0)))
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in (DYNAMODB, S3, ISSUER)])
    cert.write_bytes(sign("interop", key, names))
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*encoding))
    return authority, cert, secret


class TlsRelay(Relay):
    """A relay that speaks TLS to its clients."""

    def __init__(self, port, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate[1:])
        self.context.set_alpn_protocols(["http/1.1"])
        super().__init__(port)

    def greet(self, client):
        client.settimeout(10)
        client = self.context.wrap_socket(client, server_side=True)
        client.settimeout(None)
        return client


def end_of(place):
    """Exports a table and waits for the end."""
    status, _, export = Http(place.url).call("POST", "/v1/exports", {"table_arn": place.table, "s3_bucket": place.bucket})
    assert status == 202, export
    path = f"/v1/exports/{export['id']}"

    def ended():
        _, _, now = Http(place.url).call("GET", path)
        return now if now["export_status"] in ("COMPLETED", "FAILED") else None

    return wait_until("the export ends", ended)


def test_aws_is_asked_through_the_proxy(certificate):
    with simulator("outbound", "--no-limits") as (dynamodb, s3), outbound("outbound") as proxy:
        port = lambda url: int(url.rsplit(":", 1)[1])
        with TlsRelay(port(dynamodb), certificate) as to_dynamodb, TlsRelay(port(s3), certificate) as to_s3:
            far_dynamodb, far_s3 = f"{DYNAMODB}:{port(to_dynamodb.url)}", f"{S3}:{port(to_s3.url)}"
            more = proxy.settings() | {"SSL_CERT_FILE": str(certificate[0])}
            with service("outbound", f"https://{far_dynamodb}", f"https://{far_s3}", **more) as (url, _):
                place = Place(url, dynamodb, s3)
                assert end_of(place)["export_status"] == "COMPLETED"
                # Reads the bucket.
                assert Http(url).call("GET", f"/v1/exports/{_latest(url)}/manifest")[0] == 200
            # Plain http does not use a tunnel.
            more = proxy.settings()
            with service("outbound-plain", f"http://{DYNAMODB}:{port(dynamodb)}", f"http://{S3}:{port(s3)}", **more) as (url, _):
                place.url = url
                assert end_of(place)["export_status"] == "COMPLETED"
        asked = proxy.asked()
        for host in (far_dynamodb, far_s3):
            assert f"CONNECT {host}" in asked, asked
        assert f"POST {DYNAMODB}:{port(dynamodb)}" in asked, asked


def _latest(url):
    return Http(url).call("GET", "/v1/exports")[2]["exports"][0]["id"]


def test_no_proxy_names_what_is_reached_directly():
    with simulator("outbound-no", "--no-limits") as (dynamodb, s3), outbound("outbound-no") as proxy:
        port = dynamodb.rsplit(":", 1)[1]
        settings = proxy.settings() | {"NO_PROXY": ".aws.example"}
        with service("outbound-no", f"http://{DYNAMODB}:{port}", s3, **settings) as (url, _):
            place = Place(url, dynamodb, s3)
            status, _, export = Http(url).call("POST", "/v1/exports", {"table_arn": place.table, "s3_bucket": place.bucket})
            assert status == 202, export
            # The name does not resolve on this machine, so the connection fails: the proxy was not used.
            path = f"/v1/exports/{export['id']}"
            wait_until("it was tried", lambda: Http(url).call("GET", path)[2]["status_reason"])
        assert "aws.example" not in proxy.asked(), proxy.asked()


class Metadata(http.server.BaseHTTPRequestHandler):
    """The credentials endpoints of EC2 instances and, below /container, of ECS containers."""

    protocol_version = "HTTP/1.1"
    asked = []

    def do_PUT(self):
        self._answer("a-token")

    def do_GET(self):
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        credentials = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "AccessKeyId": AWS_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": AWS_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            "Token": "t",
            "Expiration": expiration,
        }
        is_list = self.path.rstrip("/").endswith("security-credentials")
        self._answer("a-role" if is_list else json.dumps(credentials))

    def _answer(self, text):
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def metadata():
    Metadata.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("kind", ["instance", "container"])
def test_credentials_are_never_asked_for_through_the_proxy(metadata, kind):
    no_others = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "false"}
    where = {
        "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata},
        "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{metadata}/container"},
    }[kind]
    name = f"outbound-{kind}"
    with simulator(name, "--no-limits") as (dynamodb, s3), outbound(name) as proxy:
        port = dynamodb.rsplit(":", 1)[1]
        settings = proxy.settings() | no_others | where
        with service(name, f"http://{DYNAMODB}:{port}", s3, **settings) as (url, _):
            assert end_of(Place(url, dynamodb, s3))["export_status"] == "COMPLETED"
        asked = proxy.asked()
    assert Metadata.asked and f"POST {DYNAMODB}" in asked
    assert not any(path in asked for path in Metadata.asked), asked


def test_the_real_addresses_are_not_asked_for_through_the_proxy():
    with simulator("outbound-real", "--no-limits") as (dynamodb, s3), outbound("outbound-real") as proxy:
        port = dynamodb.rsplit(":", 1)[1]
        no_others = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "false"}
        real = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}
        with service("outbound-real", f"http://{DYNAMODB}:{port}", s3, **(proxy.settings() | no_others | real)) as (url, _):
            place = Place(url, dynamodb, s3)
            status, _, export = Http(url).call("POST", "/v1/exports", {"table_arn": place.table, "s3_bucket": place.bucket})
            assert status == 202, export
            path = f"/v1/exports/{export['id']}"
            wait_until("credentials were missed", lambda: Http(url).call("GET", path)[2]["status_reason"], seconds=60)
        assert "169.254" not in proxy.asked(), proxy.asked()


class Issuer(http.server.BaseHTTPRequestHandler):
    """An OIDC issuer with one key."""

    key = jwk.ECKey.generate_key("P-256", {"kid": "interop", "alg": "ES256", "use": "sig"})
    url = None

    def do_GET(self):
        keys = {"keys": [self.key.as_dict(private=False)]}
        told = keys if self.path == "/keys" else {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def test_the_oidc_issuer_is_asked_through_the_proxy(certificate):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with simulator("outbound-oidc", "--no-limits") as (dynamodb, s3), outbound("outbound-oidc") as proxy:
        with TlsRelay(server.server_port, certificate) as relay:
            far = f"{ISSUER}:{relay.url.rsplit(':', 1)[1]}"
            Issuer.url = f"https://{far}"
            more = {
                "TABLEFERRY_AUTH": "required",
                "TABLEFERRY_OIDC_ISSUER": Issuer.url,
                "TABLEFERRY_OIDC_AUDIENCE": "tableferry",
                "SSL_CERT_FILE": str(certificate[0]),
            }
            claims = {"iss": Issuer.url, "aud": "tableferry", "sub": "a-program", "scope": "exports:read", "exp": int(time.time()) + 600}
            token = jwt.encode({"alg": "ES256", "kid": "interop"}, claims, Issuer.key)
            with service("outbound-oidc", dynamodb, s3, **(proxy.settings() | more)) as (url, _):
                status, _, body = Http(url).call("GET", "/v1/exports", headers={"authorization": f"Bearer {token}"})
                assert status == 200, body
            assert f"CONNECT {far}" in proxy.asked(), proxy.asked()
    server.shutdown()
