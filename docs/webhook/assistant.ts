// A webhook assistant for Bellhop in TypeScript, on Node's standard library: npx tsx assistant.ts [PORT]
//
// It streams: the first sentence is spoken while the rest is made. The turn API is in docs/webhook-assistant.md.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.BELLHOP_SECRET ?? "change-me";
const clockSkewSeconds = 300;

type Item = Record<string, unknown>;

interface Turn {
  conversation: string;
  turn: { number: number; type: string };
  input: { text: string };
  context: Record<string, unknown>;
}

const text = (words: string): Item => ({ response_type: "text", text: words });

async function* answer(turn: Turn): AsyncGenerator<Item> {
  const said = turn.input.text.trim().toLowerCase();
  if (turn.turn.type === "start") {
    yield text("Hello, this is the example assistant.");
    yield text("Say agent to talk to a person.");
  } else if (said.includes("agent") || said === "0") {
    yield { response_type: "connect_to_agent", agent_available: { message: "One moment, please." } };
  } else if (said.includes("bye")) {
    yield text("Good bye.");
    yield { response_type: "end_session" };
  } else {
    yield text(`You said: ${turn.input.text}`);
  }
}

function isGenuine(stamp: string, signature: string, body: Buffer): boolean {
  const fresh = Math.abs(Date.now() / 1000 - Number(stamp)) < clockSkewSeconds;
  const expected = "v1=" + createHmac("sha256", secret).update(stamp).update(".").update(body).digest("hex");
  return fresh && signature.length === expected.length && timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const header = (name: string): string => String(request.headers[name] ?? "");
  if (!isGenuine(header("x-bellhop-timestamp"), header("x-bellhop-signature"), body)) {
    response.writeHead(401, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ error: "the signature is wrong or too old" }));
    return;
  }
  const turn: Turn = JSON.parse(body.toString("utf8"));
  response.writeHead(200, { "Content-Type": "application/x-ndjson" });
  for await (const item of answer(turn)) response.write(JSON.stringify({ item }) + "\n");
  response.end(JSON.stringify({ output: { generic: [] }, context: turn.context }) + "\n");
});

server.listen(Number(process.argv[2] ?? 8090), "127.0.0.1", () => {
  const address = server.address();
  console.log(`listening on http://127.0.0.1:${typeof address === "object" ? address?.port : address}/`);
});
