"""A webhook receiver as the documentation of PyPI's `standardwebhooks` shows it.

POST verifies: 204, or 401 with the library's reason. POST /later answers 503 to the first attempt of each webhook-id.
GET returns what was received: [{"headers", "body", "verified", "status"}].
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["RECEIVER_SECRET"])
received = []


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = any(known["headers"].get("webhook-id") == headers.get("webhook-id") for known in received)
        reason = ""
        try:
            webhook.verify(body, headers)
            status = 503 if self.path == "/later" and not seen else 204
        except WebhookVerificationError as error:
            status, reason = 401, str(error)
        received.append({"headers": headers, "body": body.decode(), "verified": status != 401, "status": status})
        self.answer(status, reason)

    def do_GET(self):
        self.answer(200, json.dumps(received))

    def answer(self, status, text):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        if status != 204:
            self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["RECEIVER_PORT"])), Receiver)
server.serve_forever()
