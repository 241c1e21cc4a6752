#!/usr/bin/env python3
"""A webhook assistant for Bellhop in Python's standard library: python3 assistant.py [PORT]

It checks the signature, tells caller and conversation apart by the context that comes back, and hands callers over to an
agent. The turn API is in docs/webhook-assistant.md.
"""

import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("BELLHOP_SECRET", "change-me").encode()
CLOCK_SKEW_SECONDS = 300


def text(words):
    return {"response_type": "text", "text": words}


def answer(turn):
    """One turn: what the caller did, and what was kept of the call so far, become what is done next."""
    said = turn["input"]["text"].strip().lower()
    kept = turn["context"].get("kept", {"turns": 0})
    kept["turns"] += 1
    kind = turn["turn"]["type"]
    if kind == "start":
        items = [text("Hello, this is the example assistant."), text("Say agent to talk to a person.")]
    elif kind == "post_response_timeout":
        items = [text("Are you still there?")] if kept["turns"] < 5 else [text("Good bye."), {"response_type": "end_session"}]
    elif kind == "dtmf" and said == "0" or "agent" in said:
        items = [{
            "response_type": "connect_to_agent",
            "agent_available": {"message": "One moment, please."},
            "message_to_human_agent": f"The caller asked for an agent after {kept['turns']} turns.",
            "transfer_info": {"target": {"amazon_connect": {"custom_data": {"turns": str(kept["turns"])}}}},
        }]
    elif "bye" in said:
        items = [text("Good bye."), {"response_type": "end_session"}]
    else:
        items = [text("You said: " + turn["input"]["text"])]
    return {"output": {"generic": items}, "context": {**turn["context"], "kept": kept}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        stamp = self.headers.get("X-Bellhop-Timestamp", "0")
        expected = "v1=" + hmac.new(SECRET, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        fresh = stamp.isdigit() and abs(time.time() - int(stamp)) < CLOCK_SKEW_SECONDS
        if not fresh or not hmac.compare_digest(expected, self.headers.get("X-Bellhop-Signature", "")):
            return self.reply(401, {"error": "the signature is wrong or too old"})
        self.reply(200, answer(json.loads(body)))

    def reply(self, status, message):
        body = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """What callers say is nobody's to log."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8090), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
