// Checks what Postrider sends. Node's own modules only.
//
// As a program it reads {"secret": …, "headers": {…}, "body": …} from standard input and exits with 0 when it is valid,
// with 1 when not; "now" (seconds) stands in for the clock. With the argument "contract" it checks X-Whisperer-Signature.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const TOLERANCE = 300; // seconds between the sender's clock and ours

/** Whether one of the signatures in webhook-signature is ours. `body`: a Buffer as it came; `now`: seconds. */
export function verify(secret, headers, body, now) {
  const sentAt = header(headers, "webhook-timestamp");
  if (!/^[0-9]+$/.test(sentAt) || Math.abs(now - Number(sentAt)) > TOLERANCE) return false;
  const hmac = createHmac("sha256", keyOf(secret));
  hmac.update(`${header(headers, "webhook-id")}.${sentAt}.`).update(body);
  const expected = "v1," + hmac.digest("base64");
  return header(headers, "webhook-signature").split(" ").some((found) => same(found, expected));
}

/** Behind "whsec_" the key is base64; any other secret is taken as it is. */
function keyOf(secret) {
  const encoded = secret.startsWith("whsec_") ? secret.slice("whsec_".length) : "";
  const key = Buffer.from(encoded, "base64");
  // Node skips what is not base64; such a secret is plain text.
  return key.length > 0 && key.toString("base64") === encoded ? key : Buffer.from(secret);
}

/** Whether X-Whisperer-Signature is ours. It has no time: an old message is as good as a new one. */
export function verifyContract(secret, headers, body) {
  const expected = "sha256=" + createHmac("sha256", secret).update(body).digest("hex");
  return same(header(headers, "x-whisperer-signature"), expected);
}

function header(headers, name) {
  const found = Object.entries(headers).find(([present]) => present.toLowerCase() === name);
  return found ? String(found[1]) : "";
}

function same(found, expected) {
  const [a, b] = [Buffer.from(found), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { secret, headers, body, now } = JSON.parse(readFileSync(0, "utf8"));
  const bytes = Buffer.from(body);
  const valid =
    process.argv[2] === "contract"
      ? verifyContract(secret, headers, bytes)
      : verify(secret, headers, bytes, now ?? Date.now() / 1000);
  process.exit(valid ? 0 : 1);
}
