"""Starts and stops the programs of a check, and waits on conditions with a deadline."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
BINARIES = HERE.parent.parent / (os.environ.get("CARGO_TARGET_DIR") or "target") / "debug"

ACCOUNT = "123456789012"
REGION = "us-east-1"
AWS_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
WEBHOOK_SECRET = "whsec_b3BlcmF0b3ItZGVmYXVsdC1zZWNyZXQtb2YtaW50ZXJvcA=="


def table_arn(name):
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def wait_until(what, condition, seconds=30):
    """Polls until `condition` returns a true value, and returns it; exceptions count as false."""
    deadline = time.monotonic() + seconds
    trouble = None
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except (OSError, ValueError) as error:
            trouble = error
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds} s: {what}" + (f" ({trouble})" if trouble else ""))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def own_environment(**more):
    """The environment without the user's settings for AWS, Tableferry or a proxy."""
    foreign = ("AWS_", "TABLEFERRY_", "CARGO_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}
    return kept | AWS_CREDENTIALS | {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "NO_PROXY": "*"} | more


def _die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)


@contextmanager
def program(name, command, environment=None, ready=None):
    """Runs a program until the block ends. Its output goes to .work/logs/NAME.log."""
    logs = WORK / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment or own_environment(),
            cwd=HERE,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
    try:
        if ready:

            def is_ready():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}; the end of {log}:\n{log.read_text()[-2000:]}")
                return ready()

            wait_until(f"{name} is ready; see {log}", is_ready)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Http:
    """JSON over HTTP with only the standard library, never through a proxy."""

    def __init__(self, base):
        self.base = base
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method, path, body=None, headers=None, timeout=60):
        """Returns status, headers and body; a JSON body is parsed."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        given = {"content-type": "application/json"} if isinstance(body, dict) else {}
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=given | (headers or {}))
        try:
            answer = self.opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read()
            status, answered = answer.status, answer.headers
        try:
            return status, answered, json.loads(text)
        except ValueError:
            return status, answered, text

    def is_ok(self, path):
        return self.call("GET", path, timeout=2)[0] == 200


@contextmanager
def simulator(name, *options):
    """Yields the DynamoDB and S3 URLs of an empty simulator. Exports take no noticeable time."""
    dynamodb, s3 = free_port(), free_port()
    data = WORK / "data" / f"{name}-{os.getpid()}"
    command = [BINARIES / "tableferry-simulator", "--listen", f"127.0.0.1:{dynamodb}", "--s3-listen", f"127.0.0.1:{s3}"]
    command += ["--data-dir", data, "--speed", "2000", *options]
    dynamodb, s3 = f"http://127.0.0.1:{dynamodb}", f"http://127.0.0.1:{s3}"
    with program(name, command, ready=lambda: Http(dynamodb).is_ok("/_control/health")):
        yield dynamodb, s3


@contextmanager
def service(name, dynamodb, s3, key_scope=None, **more):
    """Yields the URL of a service with a fresh database and `more` settings, whose AWS is at these URLs, and None. With a scope, callers must authenticate,
    and the second value is an API key with this scope."""
    database = f"interop_{name.replace('-', '_')}_{os.getpid()}"
    admin = os.environ["DATABASE_URL"]
    subprocess.run(["psql", "-X", "-q", "-c", f"create database {database}", admin], check=True, stdin=subprocess.DEVNULL, timeout=60)
    address = f"127.0.0.1:{free_port()}"
    environment = own_environment(
        DATABASE_URL=_with_database(admin, database),
        TABLEFERRY_LISTEN=address,
        TABLEFERRY_AUTH="required" if key_scope else "none",
        TABLEFERRY_RATE_LIMIT_PER_S="100000",
        TABLEFERRY_RATE_LIMIT_BURST="100000",
        TABLEFERRY_POLL_INTERVAL_MIN_MS="50",
        TABLEFERRY_POLL_INTERVAL_MAX_MS="200",
        # The simulator has no limits here, so the service needs no pacing.
        TABLEFERRY_START_BURST="1000",
        TABLEFERRY_START_RATE_PER_S="1000",
        TABLEFERRY_LOOK_BURST="1000",
        TABLEFERRY_LOOK_RATE_PER_S="1000",
        TABLEFERRY_WEBHOOK_SECRET=WEBHOOK_SECRET,
        TABLEFERRY_WEBHOOK_ALLOW_PRIVATE="true",
        AWS_ENDPOINT_URL_DYNAMODB=dynamodb,
        AWS_ENDPOINT_URL_S3=s3,
    ) | more
    url = f"http://{address}"
    key = _new_key(environment, key_scope) if key_scope else None
    with program(name, [BINARIES / "tableferry", "serve"], environment, ready=lambda: Http(url).is_ok("/readyz")):
        yield url, key


def _new_key(environment, scope):
    def tableferry(*arguments):
        command = [BINARIES / "tableferry", *arguments]
        return subprocess.run(command, env=environment, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, text=True).stdout

    tableferry("migrate")
    return tableferry("keys", "create", "--name", "interop", "--scope", scope).strip()


def _with_database(url, database):
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(path=f"/{database}"))
