<?php

namespace Vzq;

/** What a product, its configurable options and the service say, as vzq wants it. */
final class Plan
{
    const LABEL = 'whmcs-service';

    // The order of vzq_ConfigOptions: WHMCS numbers them.
    const FIELDS = ['plan', 'template', 'pool', 'site', 'customer', 'suffix', 'wait', 'grace', 'nameservers', 'require', 'spread'];

    /** The create order of a service, without its password; raises Held. @param array<string, mixed> $params @return array<string, mixed> */
    public static function create(array $params): array
    {
        $order = [
            'kind' => 'create-container',
            'plan' => self::needed($params, 'plan'),
            'template' => self::needed($params, 'template'),
            'hostname' => self::hostname($params),
            'labels' => [self::LABEL => (string) $params['serviceid']],
        ];
        $customer = str_replace('{clientid}', (string) ($params['userid'] ?? $params['clientsdetails']['userid'] ?? ''), self::asked($params, 'customer'));
        $order += array_filter(['pool' => self::asked($params, 'pool'), 'site' => self::asked($params, 'site'), 'customer' => $customer], 'strlen');
        $nameservers = self::list(self::asked($params, 'nameservers'));
        if ($nameservers) {
            $order['nameservers'] = $nameservers;
        }
        foreach (self::list(self::asked($params, 'require')) as $label) {
            [$name, $value] = array_map('trim', explode('=', $label, 2)) + [1 => ''];
            $order['require'][$name] = $value;
        }
        if (in_array(self::asked($params, 'spread'), ['on', 'yes', '1'], true)) {
            $order['spread'] = true;
        }
        return $order;
    }

    /** @param array<string, mixed> $params */
    public static function plan(array $params): string
    {
        return self::needed($params, 'plan');
    }

    /** @param array<string, mixed> $params */
    public static function template(array $params): string
    {
        return self::needed($params, 'template');
    }

    /** How long a page waits for the job, seconds. @param array<string, mixed> $params */
    public static function wait(array $params): int
    {
        $wait = self::asked($params, 'wait');
        return max(0, min(60, $wait === '' ? 20 : (int) $wait));
    }

    /** @param array<string, mixed> $params */
    public static function grace(array $params): float
    {
        $grace = self::asked($params, 'grace');
        return max(0.0, min(8760.0, $grace === '' ? 168.0 : (float) $grace));
    }

    /** The service's password where vzq can take it, else one that is made up; 116 bits, without letters that look alike. @param array<string, mixed> $params */
    public static function password(array $params): string
    {
        $given = (string) ($params['password'] ?? '');
        if (preg_match('/\A[!-~]{8,128}\z/', $given)) {
            return $given;
        }
        $alphabet = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
        $made = '';
        while (strlen($made) < 20) {
            $made .= $alphabet[random_int(0, strlen($alphabet) - 1)];
        }
        return $made;
    }

    /** A configurable option or custom field named so goes before the product's own setting. @param array<string, mixed> $params */
    private static function asked(array $params, string $field): string
    {
        foreach ([$params['configoptions'] ?? [], $params['customfields'] ?? []] as $chosen) {
            foreach ((array) $chosen as $name => $value) {
                if (strtolower((string) $name) === $field && trim((string) $value) !== '') {
                    return trim((string) $value);
                }
            }
        }
        return trim((string) ($params['configoption' . (array_search($field, self::FIELDS, true) + 1)] ?? ''));
    }

    /** @param array<string, mixed> $params */
    private static function needed(array $params, string $field): string
    {
        $value = self::asked($params, $field);
        if ($value === '') {
            throw new Held("nothing was ordered: the product says no $field; enter it under Module Settings, or offer a configurable option of that name");
        }
        return $value;
    }

    /** @param array<string, mixed> $params */
    private static function hostname(array $params): string
    {
        $domain = strtolower(trim((string) ($params['domain'] ?? '')));
        if (preg_match('/\A(?=.{1,253}\z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\z/', $domain)) {
            return $domain;
        }
        $suffix = ltrim(self::asked($params, 'suffix'), '.');
        if ($suffix === '') {
            throw new Held('nothing was ordered: the service has no host name (' . ($domain === '' ? 'empty' : 'not a valid one') . ') and the product no host name suffix');
        }
        return "vps{$params['serviceid']}.$suffix";
    }

    /** @return string[] */
    private static function list(string $text): array
    {
        return array_values(array_filter(array_map('trim', preg_split('/[,\n]/', $text) ?: []), 'strlen'));
    }
}
