<?php
// Checks what Postrider sends. What comes with PHP only.
//
// As a program it reads {"secret": …, "headers": {…}, "body": …} from standard input and exits with 0 when it is valid,
// with 1 when not; "now" (seconds) stands in for the clock. With the argument "contract" it checks X-Whisperer-Signature.

declare(strict_types=1);

const TOLERANCE = 300; // seconds between the sender's clock and ours

/** Whether one of the signatures in webhook-signature is ours. $body: file_get_contents('php://input'); $now: seconds. */
function verify(string $secret, array $headers, string $body, int $now): bool
{
    $headers = array_change_key_case($headers);
    $sentAt = $headers['webhook-timestamp'] ?? '';
    if (preg_match('/\A[0-9]+\z/', $sentAt) !== 1 || abs($now - (int) $sentAt) > TOLERANCE) {
        return false;
    }
    $signed = ($headers['webhook-id'] ?? '') . ".$sentAt.$body";
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $signed, key_of($secret), true));
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $found) {
        if (hash_equals($expected, $found)) {
            return true;
        }
    }
    return false;
}

/** Behind "whsec_" the key is base64; any other secret is taken as it is. */
function key_of(string $secret): string
{
    $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6), true) : false;
    return $key === false ? $secret : $key;
}

/** Whether X-Whisperer-Signature is ours. It has no time: an old message is as good as a new one. */
function verify_contract(string $secret, array $headers, string $body): bool
{
    $headers = array_change_key_case($headers);
    $expected = 'sha256=' . hash_hmac('sha256', $body, $secret);
    return hash_equals($expected, $headers['x-whisperer-signature'] ?? '');
}

if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__) {
    $request = json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
    ['secret' => $secret, 'headers' => $headers, 'body' => $body] = $request;
    $valid = ($argv[1] ?? '') === 'contract'
        ? verify_contract($secret, $headers, $body)
        : verify($secret, $headers, $body, $request['now'] ?? time());
    exit($valid ? 0 : 1);
}
