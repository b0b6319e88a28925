"""What Schemathesis does not know: how to send NDJSON."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    text = value if isinstance(value, str) else str(value)
    return text.encode(errors="replace")
