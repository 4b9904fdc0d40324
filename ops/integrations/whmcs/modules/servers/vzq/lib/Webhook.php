<?php

namespace Vzq;

/** Checks what vzq posts: Standard Webhooks signatures. Stands alone; copy it into a billing system of your own. */
final class Webhook
{
    const TOLERANCE_S = 300;

    /**
     * The event in a post, or null when it was not signed with one of these secrets, or not just now.
     *
     * @param array<string, string> $headers names in small letters
     * @param string[] $secrets whsec_…; two while a secret is being changed
     * @return array<string, mixed>|null
     */
    public static function read(array $headers, string $body, array $secrets, int $now): ?array
    {
        $id = $headers['webhook-id'] ?? '';
        $stamp = $headers['webhook-timestamp'] ?? '';
        if ($id === '' || !preg_match('/\A\d{1,12}\z/', $stamp) || abs($now - (int) $stamp) > self::TOLERANCE_S) {
            return null;
        }
        foreach (explode(' ', $headers['webhook-signature'] ?? '') as $signature) {
            foreach ($secrets as $secret) {
                $key = base64_decode((string) preg_replace('/\Awhsec_/', '', $secret), true);
                if ($key === false || strlen($key) < 24) {
                    continue;
                }
                $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$stamp.$body", $key, true));
                if (hash_equals($expected, $signature)) {
                    $event = json_decode($body, true);
                    return is_array($event) ? $event : null;
                }
            }
        }
        return null;
    }
}
