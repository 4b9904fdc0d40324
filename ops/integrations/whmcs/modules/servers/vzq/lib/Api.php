<?php

namespace Vzq;

/** vzq's HTTP API. TLS certificates are verified, redirects are not followed, the token is never logged. */
final class Api
{
    const PATIENCE_S = 15;  // on top of the time that vzq itself was asked to wait
    const CONNECT_S = 5;
    const NEVER_SENT = [CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, 35, 51, 53, 58, 60, 77, 83, 90, 91];  // the rest: TLS and its certificates

    /** @var string */
    private $base;
    /** @var string */
    private $token;

    public function __construct(string $base, string $token)
    {
        $this->base = $base;
        $this->token = $token;
    }

    /** The API of a server as WHMCS hands it to a module; raises Held when it is not set up. @param array<string, mixed> $params */
    public static function of(array $params): self
    {
        $host = trim((string) (($params['serverhostname'] ?? '') ?: ($params['serverip'] ?? '')));
        $token = trim((string) ($params['serverpassword'] ?? ''));
        if (!preg_match('/\A(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])\z/', $host)) {
            throw new Held('no vzq server is set up for this: enter its host name under System Settings, Servers');
        }
        if ($token === '') {
            throw new Held('the server has no token: enter the one of `vzq token create whmcs --scope order` as its password');
        }
        $secure = !in_array(strtolower((string) ($params['serversecure'] ?? '')), ['', '0', 'off', 'no'], true);
        if (!$secure && !in_array($host, ['localhost', '127.0.0.1', '[::1]'], true)) {
            throw new Held("the token would cross the network in the clear: tick Secure for server $host, and give vzq a certificate");
        }
        $port = (int) ($params['serverport'] ?? 0) ?: ($secure ? 443 : 9080);
        return new self(($secure ? 'https' : 'http') . "://$host:$port", $token);
    }

    /** Place an order; the job, ended or not after `$wait` seconds. The same key gives the same job. @param array<string, mixed> $order @return array<string, mixed> */
    public function order(array $order, string $key, string $because, int $wait): array
    {
        $because = substr((string) preg_replace('/[^\x20-\x7e]+/', ' ', $because), 0, 300);
        return $this->ask('POST', '/v1/orders', ['wait' => $wait, 'because' => $because], $order, $key, $wait);
    }

    /** A job with its whole story. @return array<string, mixed> */
    public function job(string $id, int $wait = 0): array
    {
        return $this->ask('GET', '/v1/jobs/' . rawurlencode($id), ['wait' => $wait], null, '', $wait);
    }

    /** A container, or null when there is none. @return array<string, mixed>|null */
    public function container(int $ctid): ?array
    {
        try {
            return $this->ask('GET', "/v1/containers/$ctid");
        } catch (Refused $refused) {
            if ($refused->getCode() === 404) {
                return null;
            }
            throw $refused;
        }
    }

    /** All containers that the token may see. @return \Generator<array<string, mixed>> */
    public function containers(): \Generator
    {
        $cursor = null;
        do {
            $page = $this->ask('GET', '/v1/containers', ['limit' => 500] + ($cursor === null ? [] : ['cursor' => $cursor]));
            yield from $page['items'];
            $cursor = $page['next_cursor'] ?? null;
        } while ($cursor !== null);
    }

    /**
     * @param array<string, mixed> $query
     * @param array<string, mixed>|null $body
     * @return array<string, mixed>
     */
    private function ask(string $method, string $path, array $query = [], ?array $body = null, string $key = '', int $wait = 0): array
    {
        $headers = ['Accept: application/json, application/problem+json', "Authorization: Bearer {$this->token}"];
        $curl = curl_init($this->base . $path . ($query ? '?' . http_build_query($query, '', '&', PHP_QUERY_RFC3986) : ''));
        if ($body !== null) {
            $headers[] = 'Content-Type: application/json';
            curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES));
        }
        if ($key !== '') {
            $headers[] = "Idempotency-Key: $key";
        }
        curl_setopt_array($curl, [
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $headers,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            CURLOPT_CONNECTTIMEOUT => self::CONNECT_S,
            CURLOPT_TIMEOUT => $wait + self::PATIENCE_S,
            CURLOPT_USERAGENT => 'vzq-whmcs/1',
        ]);
        $text = curl_exec($curl);
        $status = (int) curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        $connected = curl_getinfo($curl, CURLINFO_PRETRANSFER_TIME) > 0;
        $errno = curl_errno($curl);
        $error = curl_error($curl);
        $answer = is_string($text) ? json_decode($text, true) : null;
        Whmcs::log("$method $path", ['key' => $key, 'order' => self::masked($body)], $errno ? $error : "$status $text", [$this->token, $body['password'] ?? '']);
        if ($errno !== 0) {
            throw new Unanswered("no answer from {$this->base}: $error", $connected && !in_array($errno, self::NEVER_SENT, true));
        }
        return $this->read($status, $answer);
    }

    /** @param mixed $answer @return array<string, mixed> */
    private function read(int $status, $answer): array
    {
        if (is_array($answer) && $status >= 200 && $status < 300) {
            return $answer;
        }
        $problem = is_array($answer) ? $answer : [];
        $said = (string) ($problem['detail'] ?? "status $status without an explanation that can be read");
        if ($status === 401) {
            throw new Unanswered("vzq does not accept the token of this server: $said", false);
        }
        $ours = strpos((string) ($problem['type'] ?? ''), 'urn:vzq:problem:') === 0;
        $again = in_array($status, [408, 425, 429], true) || $status >= 500 || ($problem['type'] ?? '') === 'urn:vzq:problem:conflict';
        if ($again || $status < 400 || !$ours) {
            // Only vzq itself can say that nothing was accepted: a proxy's own 502 may hide an accepted order.
            $nothing = $ours && in_array($status, [408, 409, 429, 503], true);
            throw new Unanswered("{$this->base} cannot serve now: $said", !$nothing);
        }
        throw new Refused($status, $problem);
    }

    /** @param array<string, mixed>|null $body @return array<string, mixed>|null */
    private static function masked(?array $body): ?array
    {
        return isset($body['password']) ? ['password' => '***'] + $body : $body;
    }
}
