// Receives webhooks: checks each request, and takes each event once.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

import { timestampDate } from "@bufbuild/protobuf/wkt";

import { verifyWebhook, WebhookInvalid } from "./verify.js";

const MAX_BYTES = 1_000_000;

const keys = (process.env["TASKFLOW_WEBHOOK_KEYS"] ?? "").split(" ").filter(Boolean);
if (!keys.length) {
  throw new Error("set TASKFLOW_WEBHOOK_KEYS to the secret that CreateWebhook answered with, or to its public key");
}
const seen = new Set<string>(); // a real receiver keeps this where it keeps what it does with the events

async function read(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BYTES) throw new WebhookInvalid("the body is too large");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function take(request: IncomingMessage): Promise<void> {
  const event = verifyWebhook(await read(request), request.headers, keys);
  const id = String(request.headers["webhook-id"]);
  if (seen.has(id)) return;
  seen.add(id);
  const subject = event.data?.task?.id ?? event.data?.execution?.id ?? "";
  console.log(event.timestamp ? timestampDate(event.timestamp).toISOString() : "", event.type, subject);
}

const server = createServer((request, response) => {
  take(request).then(
    () => response.writeHead(204).end(),
    (error: unknown) => {
      const isInvalid = error instanceof WebhookInvalid;
      if (!isInvalid) console.error(error);
      response.writeHead(isInvalid ? 400 : 500).end(isInvalid ? error.message : "");
    },
  );
});
const [host, port] = (process.env["RECEIVER_ADDRESS"] ?? "127.0.0.1:8000").split(":");
server.listen(Number(port), host, () => {
  const address = server.address() as AddressInfo;
  console.log(`listening on ${address.address}:${address.port}`);
});
