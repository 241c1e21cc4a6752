#!/usr/bin/env python3
"""A recognizer worker for Bellhop on Python's standard library: python3 worker.py [PORT] [--hears "words"]

It finds utterances by loudness and asks `transcribe` for their words: with the package vosk installed (pip install vosk) that
is Vosk's; with --hears it is always the words given, to try the wiring. The protocol is in docs/recognizer-worker.md.
"""

import array
import asyncio
import base64
import hashlib
import hmac
import json
import os
import struct
import sys

TOKEN = os.environ.get("WORKER_TOKEN")  # with it, whoever connects has to have it: Authorization: Bearer …
RATE = {"audio/mulaw;rate=8000": 8000, "audio/l16;rate=16000": 16000}
LOUD = 500  # mean magnitude of a frame that is speech
SPEECH_SECONDS, SILENCE_SECONDS = 0.2, 0.6


def mulaw(code):
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


MULAW = [mulaw(code) for code in range(256)]


def load_vosk():
    """Words and confidence of 16-bit samples, by Vosk."""
    import vosk

    model = vosk.Model(lang="en-us")

    def transcribe(samples, rate, phrases):
        grammar = [json.dumps([*phrases, "[unk]"])] if phrases else []
        recognizer = vosk.KaldiRecognizer(model, rate, *grammar)
        recognizer.AcceptWaveform(samples.tobytes())
        return json.loads(recognizer.FinalResult()).get("text", ""), 0.8

    return transcribe


class Session:
    """One call."""

    def __init__(self, transcribe, say):
        self.transcribe, self.say = transcribe, say
        self.rate, self.index, self.phrases = None, 0, None
        self.clear()

    def clear(self):
        self.samples, self.loud, self.quiet, self.begun = array.array("h"), 0.0, 0.0, False

    async def text(self, message):
        order = json.loads(message)
        if order.get("action") == "start":
            self.rate = RATE.get(order.get("content-type"))
            if self.rate is None:
                return await self.say({"error": f"unsupported content-type; one of {sorted(RATE)}"})
            self.mulaw = "mulaw" in order["content-type"]
            await self.say({"state": "listening"})
        elif order.get("action") == "expect":
            self.phrases = order.get("phrases")
        elif order.get("action") == "stop":
            await self.end_utterance()
            await self.say({"state": "listening"})

    async def audio(self, data):
        if self.rate is None:
            return await self.say({"error": "no start message"})
        samples = array.array("h", (MULAW[code] for code in data)) if self.mulaw else array.array("h", data)
        if not self.mulaw and sys.byteorder == "big":
            samples.byteswap()
        self.samples.extend(samples)
        frame = self.rate // 50
        for at in range(0, len(samples), frame):
            piece = samples[at : at + frame]
            seconds = len(piece) / self.rate
            if sum(map(abs, piece)) / len(piece) > LOUD:
                self.loud, self.quiet = self.loud + seconds, 0.0
            else:
                self.quiet += seconds
        if self.loud >= SPEECH_SECONDS and not self.begun:
            self.begun = True
            await self.result("", False)  # somebody speaks: no words yet
        if self.begun and self.quiet >= SILENCE_SECONDS:
            await self.end_utterance()
        elif not self.begun and len(self.samples) > self.rate:
            self.samples = self.samples[-self.rate // 2 :]
            self.loud = 0.0

    async def end_utterance(self):
        samples, begun = self.samples, self.begun
        self.clear()
        if begun:
            words, confidence = await asyncio.to_thread(self.transcribe, samples, self.rate, self.phrases)
            await self.result(words, True, confidence)
            self.index += 1

    async def result(self, words, final, confidence=None):
        alternative = {"transcript": words + " " if words else ""}
        if confidence is not None:
            alternative["confidence"] = confidence
        await self.say({"result_index": self.index, "results": [{"final": final, "alternatives": [alternative]}]})


async def serve_one(transcribe, reader, writer):
    """The WebSocket of RFC 6455, as far as a server needs it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])}
    if TOKEN and not hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {TOKEN}".encode()):
        return writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    magic = headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode()
    writer.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )

    async def send(opcode, payload):
        length = len(payload)
        size = bytes([length]) if length < 126 else struct.pack("!BH", 126, length)
        writer.write(bytes([0x80 | opcode]) + size + payload)
        await writer.drain()

    session = Session(transcribe, lambda message: send(1, json.dumps(message).encode()))
    parts, kind = b"", 0
    while True:
        first, second = await reader.readexactly(2)
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        mask = await reader.readexactly(4)
        payload = await reader.readexactly(length)
        payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        opcode = first & 0x0F
        if opcode == 8:
            return await send(8, payload)
        if opcode == 9:
            await send(10, payload)
        elif opcode in (0, 1, 2):
            kind, parts = opcode or kind, parts + payload
            if first & 0x80:
                await (session.text(parts.decode()) if kind == 1 else session.audio(parts))
                parts = b""


async def main():
    arguments = sys.argv[1:]
    if "--hears" in arguments:
        at = arguments.index("--hears")
        words = arguments[at + 1]
        del arguments[at : at + 2]
        transcribe = lambda samples, rate, phrases: (words, 0.9)
    else:
        transcribe = load_vosk()

    async def handle(reader, writer):
        try:
            await serve_one(transcribe, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", int(arguments[0]) if arguments else 8010)
    print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
