"""Receives webhooks: checks each request, and takes each event once.

python webhook_receiver.py whsec_...    # or whpk_...; listens on port 8000
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from taskflow_client import WebhookInvalid, verify_webhook

MAX_BYTES = 1_000_000
seen: set[str] = set()  # a real receiver keeps this where it keeps what it does with the events


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers["content-length"] or 0), MAX_BYTES))
        try:
            event = verify_webhook(body, dict(self.headers), sys.argv[1:])
        except WebhookInvalid as error:
            self.send_error(400, str(error))
            return
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            print(event.timestamp.ToJsonString(), event.type, event.data.task.id, flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8000), Receiver).serve_forever()
