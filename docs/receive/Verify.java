import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Checks what Postrider sends. Java 17, no libraries.
 *
 * <p>As a program it reads {"secret": …, "headers": {…}, "body": …} from standard input and exits with 0 when it is valid,
 * with 1 when not; "now" (seconds) stands in for the clock. With the argument "contract" it checks X-Whisperer-Signature.
 */
public final class Verify {
    /** Seconds between the sender's clock and ours. */
    private static final long TOLERANCE = 300;

    /** Whether one of the signatures in webhook-signature is ours. `body`: the bytes as they came; `now`: seconds. */
    public static boolean verify(String secret, Map<String, String> headers, byte[] body, long now) {
        Map<String, String> found = anyCase(headers);
        String sentAt = found.getOrDefault("webhook-timestamp", "");
        if (!sentAt.matches("[0-9]{1,18}") || Math.abs(now - Long.parseLong(sentAt)) > TOLERANCE) {
            return false;
        }
        byte[] start = (found.getOrDefault("webhook-id", "") + "." + sentAt + ".").getBytes(UTF_8);
        String expected = "v1," + Base64.getEncoder().encodeToString(hmac(keyOf(secret), start, body));
        boolean valid = false;
        for (String signature : found.getOrDefault("webhook-signature", "").split(" ")) {
            valid |= same(signature, expected);
        }
        return valid;
    }

    /** Behind "whsec_" the key is base64; any other secret is taken as it is. */
    private static byte[] keyOf(String secret) {
        if (secret.startsWith("whsec_")) {
            try {
                return Base64.getDecoder().decode(secret.substring("whsec_".length()));
            } catch (IllegalArgumentException notBase64) {
                // Plain text that begins like that.
            }
        }
        return secret.getBytes(UTF_8);
    }

    /** Whether X-Whisperer-Signature is ours. It has no time: an old message is as good as a new one. */
    public static boolean verifyContract(String secret, Map<String, String> headers, byte[] body) {
        String expected = "sha256=" + HexFormat.of().formatHex(hmac(secret.getBytes(UTF_8), body));
        return same(anyCase(headers).getOrDefault("X-Whisperer-Signature", ""), expected);
    }

    private static Map<String, String> anyCase(Map<String, String> headers) {
        Map<String, String> found = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        found.putAll(headers);
        return found;
    }

    private static byte[] hmac(byte[] key, byte[]... parts) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            for (byte[] part : parts) {
                mac.update(part);
            }
            return mac.doFinal();
        } catch (GeneralSecurityException impossible) {
            throw new IllegalStateException("every Java has HmacSHA256", impossible);
        }
    }

    /** In the same time wherever they differ. */
    private static boolean same(String found, String expected) {
        return MessageDigest.isEqual(found.getBytes(UTF_8), expected.getBytes(UTF_8));
    }

    /** The program. */
    public static void main(String[] args) throws Exception {
        Request request = new Request(new String(System.in.readAllBytes(), UTF_8));
        byte[] body = request.texts.get("body").getBytes(UTF_8);
        String secret = request.texts.get("secret");
        boolean valid = args.length > 0 && args[0].equals("contract")
                ? verifyContract(secret, request.headers, body)
                : verify(secret, request.headers, body, request.now);
        System.exit(valid ? 0 : 1);
    }

    /** The program's request: just as much JSON as it has. Your framework brings a real reader. */
    private static final class Request {
        final Map<String, String> texts = new TreeMap<>();
        final Map<String, String> headers = new TreeMap<>();
        long now = Instant.now().getEpochSecond();
        private final String json;
        private int at;

        Request(String json) {
            this.json = json;
            object(texts);
        }

        private void object(Map<String, String> into) {
            expect('{');
            while (peek() != '}') {
                String name = text();
                expect(':');
                if (peek() == '{') {
                    object(headers);
                } else if (peek() == '"') {
                    into.put(name, text());
                } else {
                    now = number();
                }
                if (peek() == ',') {
                    at++;
                }
            }
            expect('}');
        }

        private long number() {
            int start = at;
            while (Character.isDigit(json.charAt(at))) {
                at++;
            }
            return Long.parseLong(json.substring(start, at));
        }

        private String text() {
            expect('"');
            StringBuilder text = new StringBuilder();
            for (char next = json.charAt(at++); next != '"'; next = json.charAt(at++)) {
                text.append(next == '\\' ? escaped() : next);
            }
            return text.toString();
        }

        private char escaped() {
            char next = json.charAt(at++);
            if (next == 'u') {
                at += 4;
                return (char) Integer.parseInt(json.substring(at - 4, at), 16);
            }
            int known = "bfnrt".indexOf(next);
            return known < 0 ? next : "\b\f\n\r\t".charAt(known);
        }

        private char peek() {
            while (Character.isWhitespace(json.charAt(at))) {
                at++;
            }
            return json.charAt(at);
        }

        private void expect(char wanted) {
            if (peek() != wanted) {
                throw new IllegalArgumentException("expected " + wanted + " at " + at);
            }
            at++;
        }
    }
}
