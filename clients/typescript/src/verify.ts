// What a receiver does with a webhook before it believes it: Standard Webhooks, `v1` and `v1a`.
import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

import { fromJsonString } from "@bufbuild/protobuf";
import { WebhookEventSchema, type WebhookEvent } from "taskflow-contract/taskflow/v1/webhook_pb";

// Seconds that a request may be old, or ahead of this machine's clock.
const TOLERANCE = 300;

// The request is not, or no longer, to be believed: answer 400.
export class WebhookInvalid extends Error {}

// The event in a request, if one of the keys fits a signature and it is at most five minutes old. A key is the secret of
// the webhook, whsec_, or with ED25519 its public key, whpk_; give the old and the new one during a rotation.
//
// The body is what came over the wire, to the byte. The same event may come more than once, always with the same
// `webhook-id`: keep that to tell. Unknown fields are passed over, so that new ones break no receiver. Throws
// WebhookInvalid, or TypeError for what is no key.
export function verifyWebhook(
  body: Uint8Array,
  headers: IncomingHttpHeaders,
  keys: readonly string[],
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
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const given = signatures.split(" ").map((signature) => {
    const [version = "", encoded = ""] = signature.split(",", 2);
    return { version, signature: Buffer.from(encoded, "base64") };
  });
  const checks = keys.map(checkOf);
  const fits = checks.some(({ version, fits }) =>
    given.some((one) => one.version === version && fits(signed, one.signature)),
  );
  if (!fits) throw new WebhookInvalid("no signature fits");
  try {
    return fromJsonString(WebhookEventSchema, new TextDecoder().decode(body), { ignoreUnknownFields: true });
  } catch (error) {
    throw new WebhookInvalid("the body is no event", { cause: error });
  }
}

interface Check {
  version: string;
  fits: (signed: Buffer, signature: Buffer) => boolean;
}

// The version of the signatures that the key is for, and what checks one of them.
function checkOf(key: string): Check {
  if (key.startsWith("whpk_")) {
    const x = bytesOf(key, "whpk_").toString("base64url");
    const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    return { version: "v1a", fits: (signed, signature) => verify(null, signed, publicKey, signature) };
  }
  const secret = bytesOf(key, "whsec_");
  const fits = (signed: Buffer, signature: Buffer): boolean => {
    const wanted = createHmac("sha256", secret).update(signed).digest();
    return signature.length === wanted.length && timingSafeEqual(signature, wanted);
  };
  return { version: "v1", fits };
}

function bytesOf(key: string, prefix: string): Buffer {
  const text = key.replace(new RegExp(`^${prefix}`), "");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new TypeError("a key is whsec_ or whpk_, and base64");
  return Buffer.from(text, "base64");
}
