"""Receives webhooks: checks each request, and takes each event once.

TASKFLOW_WEBHOOK_KEYS=whsec_... python webhook_receiver.py    # or whpk_..., with ED25519
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from taskflow_client import WebhookInvalid, verify_webhook

MAX_BYTES = 1_000_000
keys = os.environ["TASKFLOW_WEBHOOK_KEYS"].split()
seen: set[str] = set()  # a real receiver keeps this where it keeps what it does with the events


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers["content-length"] or 0), MAX_BYTES))
        try:
            event = verify_webhook(body, dict(self.headers), keys)
        except WebhookInvalid as error:
            self.send_error(400, str(error))
            return
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            subject = event.data.task.id or event.data.execution.id
            print(event.timestamp.ToJsonString(), event.type, subject, flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    host, _, port = os.environ.get("RECEIVER_ADDRESS", "127.0.0.1:8000").rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Receiver)
    print(f"listening on {host}:{server.server_port}", flush=True)
    server.serve_forever()
