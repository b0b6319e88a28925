"""Checks what Postrider sends. Standard library only.

As a program it reads {"secret": …, "headers": {…}, "body": …} from standard input and exits with 0 when it is valid, with 1
when not; "now" (seconds) stands in for the clock. With the argument "contract" it checks X-Whisperer-Signature instead.
"""

import base64
import binascii
import hashlib
import hmac
import json
import sys
import time

TOLERANCE = 300  # seconds between the sender's clock and ours


def verify(secret, headers, body, now):
    """Whether one of the signatures in webhook-signature is ours. `body`: the bytes as they came; `now`: seconds."""
    headers = {name.lower(): value for name, value in headers.items()}
    sent_at = headers.get("webhook-timestamp", "")
    if not (sent_at.isascii() and sent_at.isdigit()) or abs(now - int(sent_at)) > TOLERANCE:
        return False
    signed = f"{headers.get('webhook-id', '')}.{sent_at}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    found = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(signature.encode(), expected) for signature in found)


def key_of(secret):
    """Behind "whsec_" the key is base64; any other secret is taken as it is."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret[len("whsec_"):], validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def verify_contract(secret, headers, body):
    """Whether X-Whisperer-Signature is ours. It has no time: an old message is as good as a new one."""
    headers = {name.lower(): value for name, value in headers.items()}
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(headers.get("x-whisperer-signature", "").encode(), expected.encode())


if __name__ == "__main__":
    request = json.load(sys.stdin.buffer)
    secret, headers, body = request["secret"], request["headers"], request["body"].encode()
    if sys.argv[1:] == ["contract"]:
        valid = verify_contract(secret, headers, body)
    else:
        valid = verify(secret, headers, body, request.get("now", time.time()))
    sys.exit(0 if valid else 1)
