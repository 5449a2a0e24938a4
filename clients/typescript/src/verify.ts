// What a receiver does with a webhook before it believes it: Standard Webhooks, `v1`.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

import { fromJsonString } from "@bufbuild/protobuf";
import { WebhookEventSchema, type WebhookEvent } from "taskflow-contract/taskflow/v1/webhook_pb";

// Seconds that a request may be old, or ahead of this machine's clock.
const TOLERANCE = 300;

// The request is not, or no longer, to be believed: answer 400.
export class WebhookInvalid extends Error {}

// The event in a request, if one of the secrets signed it and it is at most five minutes old.
//
// The body is what came over the wire, to the byte. The same event may come more than once, always with the same
// `webhook-id`: keep that to tell. Unknown fields are passed over, so that new ones break no receiver. Throws
// WebhookInvalid.
export function verifyWebhook(
  body: Uint8Array,
  headers: IncomingHttpHeaders,
  secrets: readonly string[],
  now: Date = new Date(),
): WebhookEvent {
  const [id, timestamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => {
    const value = headers[name];
    if (typeof value !== "string") throw new WebhookInvalid(`the header ${name} is missing`);
    return value;
  }) as [string, string, string];
  if (!/^\d+$/.test(timestamp)) throw new WebhookInvalid("webhook-timestamp is not a number");
  if (Math.abs(now.getTime() / 1000 - Number(timestamp)) > TOLERANCE) {
    throw new WebhookInvalid("webhook-timestamp is too far from now");
  }
  const given = signatures
    .split(" ")
    .filter((signature) => signature.startsWith("v1,"))
    .map((signature) => Buffer.from(signature.slice("v1,".length), "base64"));
  const wanted = secrets.map((secret) =>
    createHmac("sha256", keyOf(secret)).update(`${id}.${timestamp}.`).update(body).digest(),
  );
  const fits = given.some((one) => wanted.some((other) => one.length === other.length && timingSafeEqual(one, other)));
  if (!fits) throw new WebhookInvalid("no signature fits");
  try {
    return fromJsonString(WebhookEventSchema, new TextDecoder().decode(body), { ignoreUnknownFields: true });
  } catch (error) {
    throw new WebhookInvalid("the body is no event", { cause: error });
  }
}

function keyOf(secret: string): Buffer {
  const text = secret.replace(/^whsec_/, "");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new TypeError("a secret is whsec_ and base64");
  return Buffer.from(text, "base64");
}
