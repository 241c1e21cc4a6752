#!/usr/bin/env python3
"""A receiver for Bellhop's log webhook in Python's standard library: python3 log_receiver.py [PORT]

It checks the token, takes every event once however often it is sent, and writes each as a line of JSON to standard output.
The events are in docs/log-webhook.md.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("BELLHOP_LOG_SECRET", "change-me").encode()
SEEN = set()  # a real receiver keeps these where it keeps the events


def unpadded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def is_ours(token, body):
    """Whether a token was made with our secret (HS256), lately, for this body."""
    try:
        head, claims, signature = token.split(".")
        expected = hmac.new(SECRET, f"{head}.{claims}".encode(), hashlib.sha256).digest()
        if json.loads(unpadded(head))["alg"] != "HS256" or not hmac.compare_digest(expected, unpadded(signature)):
            return False
        claims = json.loads(unpadded(claims))
        return claims["exp"] > time.time() and claims["body_sha256"] == hashlib.sha256(body).hexdigest()
    except (ValueError, KeyError):
        return False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not is_ours(self.headers.get("Authorization", ""), body):
            return self.reply(401)
        event = json.loads(body)
        if event["event"]["id"] not in SEEN:
            sys.stdout.write(json.dumps(event) + "\n")  # at once: several events come at the same time
            sys.stdout.flush()
            SEEN.add(event["event"]["id"])
        self.reply(204)  # anything else is sent again

    def reply(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """What callers say is nobody's to log."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8091), Handler)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
