"""Live streams in the EventSource of a browser (Chromium) and of Node (npm's eventsource): from the first connection, over a closed
one, to the end, where they stop by themselves. Directly, through nginx with Debian's settings, and from a page of another origin."""

import functools
import http.server
import json
import os
import subprocess
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from conftest import Place
from programs import HERE, WORK, Http, own_environment, service, simulator, wait_until
from reverse_proxy import Relay, nginx
from test_swagger_ui import QUIET

ALL = [["1", "export.created", "PENDING"], ["2", "export.started", "IN_PROGRESS"], ["3", "export.completed", "COMPLETED"]]

FOLLOW = """
url => {
    window.seen = { opens: 0, events: [], closed: false };
    const source = new EventSource(url);
    source.onopen = () => seen.opens++;
    source.onerror = () => { seen.closed = source.readyState === EventSource.CLOSED; };
    for (const type of ["export.created", "export.started", "export.completed", "export.failed"]) {
        source.addEventListener(type, event => seen.events.push([event.lastEventId, event.type, JSON.parse(event.data).export_status]));
    }
}
"""


class OtherOrigin(http.server.BaseHTTPRequestHandler):
    """A page of another origin."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def page_elsewhere():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherOrigin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def slow(page_elsewhere):
    """A service whose exports end only when the check ends them, and which allows one foreign origin."""
    more = {"TABLEFERRY_CORS_ORIGINS": page_elsewhere}
    with simulator("streams", "--no-limits") as (dynamodb, s3), service("streams", dynamodb, s3, **more) as (url, _):
        place = Place(url, dynamodb, s3)
        Http(dynamodb).call("POST", "/_control/clock", {"frozen": True})
        place.finish = lambda: Http(dynamodb).call("POST", "/_control/exports/finish", {})
        yield place


@contextmanager
def way_to(place, by):
    """A relay to the service, with or without nginx."""
    if by == "nginx":
        with nginx("streams", place.url) as url, Relay(urlsplit(url).port) as relay:
            yield relay
    else:
        with Relay(urlsplit(place.url).port) as relay:
            yield relay


def create(place):
    status, _, export = Http(place.url).call("POST", "/v1/exports", {"table_arn": place.table, "s3_bucket": place.bucket})
    assert status == 202, export
    return f"/v1/exports/{export['id']}/events/stream"


@contextmanager
def browser_page():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["CHROMIUM"], args=QUIET, chromium_sandbox=False, env=own_environment(), timeout=60_000
        )
        yield browser.new_page()
        browser.close()


@pytest.mark.parametrize("by", ["straight", "nginx"])
def test_a_browser_follows_to_the_end_and_stops(slow, by):
    with way_to(slow, by) as relay, browser_page() as page:
        asked = []
        page.on("response", lambda answer: asked.append(answer.status) if "/stream" in answer.url else None)
        page.goto(f"{relay.url}/docs/")
        page.evaluate(FOLLOW, relay.url + create(slow))
        page.wait_for_function("seen.events.length == 2", timeout=20_000)
        relay.cut()
        page.wait_for_function("seen.opens == 2", timeout=20_000)
        slow.finish()
        page.wait_for_function("seen.closed", timeout=30_000)
        seen = page.evaluate("seen")
    # No event twice and none missed, over the closed connection and the end of the stream, after which the response was 204.
    assert seen["events"] == ALL
    assert asked == [200, 200, 204]


def test_a_page_of_another_origin_may_follow(slow, page_elsewhere):
    with browser_page() as page:
        page.goto(page_elsewhere)
        page.evaluate(FOLLOW, f"{slow.url}{create(slow)}?lastEventId=1")
        page.wait_for_function("seen.events.length == 1", timeout=20_000)
        slow.finish()
        page.wait_for_function("seen.closed", timeout=30_000)
        assert page.evaluate("seen.events") == ALL[1:]
        # A call with a preflight, and response headers that the page may read.
        answer = page.evaluate(
            """async ([url, body]) => {
                const headers = { "content-type": "application/json", "idempotency-key": "from-a-page" };
                const answer = await fetch(url, { method: "POST", headers, body });
                return [answer.status, answer.headers.get("location"), (await answer.json()).id];
            }""",
            [f"{slow.url}/v1/exports", json.dumps({"table_arn": slow.table, "s3_bucket": slow.bucket})],
        )
        assert answer[0] == 202 and answer[1] == f"/v1/exports/{answer[2]}", answer


@pytest.mark.parametrize("by", ["straight", "nginx"])
def test_node_follows_to_the_end_and_stops(slow, by):
    with way_to(slow, by) as relay:
        command = ["node", HERE / "streams" / "follow.cjs", relay.url + create(slow)]
        environment = own_environment(NODE_PATH=str(WORK / "node_modules"))
        log = WORK / "logs" / f"follow-{by}.log"
        with log.open("wb") as said, subprocess.Popen(
            [str(part) for part in command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        ) as node:
            try:
                wait_until("it has seen the start", lambda: "export.started" in log.read_text())
                before = len(relay.pairs)
                relay.cut()
                wait_until("it is back", functools.partial(len, relay.pairs))
                slow.finish()
                out, _ = node.communicate(timeout=60)
            finally:
                node.kill()
        assert before == 1
        seen = json.loads(out)
        assert seen["events"] == ALL
        assert seen["code"] == 204, seen
