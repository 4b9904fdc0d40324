<?php

namespace Vzq;

/** A wish of WHMCS becomes an order, the order a job, and the job's end what WHMCS is told. `success` is said only of what is done. */
final class Provisioning
{
    const SUCCESS = 'success';

    /** What a module function returns. @param array<string, mixed> $params @param array<string, mixed> $body */
    public static function bring(array $params, array $body, string $because, string $secret = ''): string
    {
        $serviceId = (int) $params['serviceid'];
        try {
            $api = Api::of($params);
            $order = Ledger::begin($serviceId, (int) $params['serverid'], $body, $secret, "WHMCS service $serviceId" . ($because === '' ? '' : ": $because"));
            if ($order === null) {
                return self::there($api, $serviceId);
            }
            $wait = Plan::wait($params);
            if (!Ledger::tend($order, $wait + Api::PATIENCE_S + 30)) {
                return self::pending($order, 'somebody is waiting for it already');
            }
            try {
                return self::carryOn($api, $order, $wait);
            } finally {
                Ledger::note($order, ['tended_until' => 0]);
            }
        } catch (Held $held) {
            return $held->getMessage();
        } catch (Unanswered $unanswered) {
            return $unanswered->getMessage() . '; try again';
        } catch (Refused $refused) {
            return 'vzq refused: ' . $refused->getMessage();
        }
    }

    /** End a service's VPS, also one whose making is still under way; what was never made is ended already. @param array<string, mixed> $params */
    public static function terminate(array $params): string
    {
        Ledger::found();
        $serviceId = (int) $params['serviceid'];
        $newest = Ledger::newest($serviceId);
        if ($newest !== null && $newest->verb === 'create-container' && $newest->state === 'open' && $newest->job === '') {
            try {
                $said = self::placed(Api::of($params), $newest);  // did it arrive? Only the same key tells, and then there is something to end
            } catch (Held $held) {
                return $held->getMessage();
            }
            if ($newest->state !== 'refused' && $said !== '') {
                return $said;
            }
        }
        $service = Ledger::service($serviceId);
        $over = $newest !== null && in_array($newest->state, ['failed', 'refused', 'done'], true) && in_array($newest->verb, ['create-container', 'terminate-container'], true);
        if ($service !== null && $service->ctid === null && $over) {
            return self::SUCCESS;
        }
        return self::bring($params, ['kind' => 'terminate-container', 'grace_hours' => Plan::grace($params)], 'terminated');
    }

    /** See to it that vzq has the order; '' when it has, else why not. */
    public static function placed(Api $api, object $order): string
    {
        try {
            if ($order->job === '') {
                self::send($api, $order, 0);
            }
            return '';
        } catch (Unanswered $unanswered) {
            return self::unanswered($order, $unanswered);
        } catch (Refused $refused) {
            return self::refused($api, $order, $refused);
        }
    }

    /** Send the order or ask for its job, and tell what came of it. */
    public static function carryOn(Api $api, object $order, int $wait): string
    {
        try {
            $job = $order->job === '' ? self::send($api, $order, $wait) : $api->job($order->job, $wait);
        } catch (Unanswered $unanswered) {
            return self::unanswered($order, $unanswered);
        } catch (Refused $refused) {
            return self::refused($api, $order, $refused);
        }
        switch ($job['state']) {
            case 'done':
                self::concluded($api, $order, $job);
                return self::SUCCESS;
            case 'failed':
            case 'cancelled':
                $said = "vzq job {$job['id']} ({$order->verb}) {$job['state']}: {$job['error']}; the node is as it was before";
                Ledger::close($order, 'failed', $said);
                return $said;
            case 'stuck':
                return self::pending($order, "is stuck at step {$job['step']} and waits for a person at vzq: {$job['error']}");
        }
        $step = $job['step'] === '' ? 'waiting for its turn' : "at step {$job['step']}";
        return self::pending($order, "is $step" . ($job['error'] === '' ? '' : " (last trouble: {$job['error']})"));
    }

    /** @return array<string, mixed> the job */
    private static function send(Api $api, object $order, int $wait): array
    {
        $body = json_decode($order->body, true);
        if ($order->sealed !== '') {
            $body['password'] = Whmcs::open($order->sealed);
        }
        try {
            $job = $api->order($body, $order->idempotency_key, $order->because, $wait);
        } catch (Refused $refused) {
            if (!$refused->keyReused() || empty($refused->problem['job'])) {
                throw $refused;
            }
            $job = self::mine($api, $order, (string) $refused->problem['job']);  // e.g. the product was changed since, or this table was lost
        }
        Ledger::accepted($order, $job);
        return $job;
    }

    /** The job that has our key; raises Refused when it is not about this service. @return array<string, mixed> */
    private static function mine(Api $api, object $order, string $jobId): array
    {
        $job = $api->job($jobId);
        $body = json_decode($order->body, true);
        $about = $job['order']['labels'][Plan::LABEL] ?? null;
        if ($job['kind'] !== $order->verb || ($order->verb === 'create-container' ? $about !== $body['labels'][Plan::LABEL] : $job['ctid'] !== $body['ctid'])) {
            $said = "key {$order->idempotency_key} stands for job $jobId, which is not of this service: another WHMCS uses the same token; give each its own";
            throw new Refused(422, ['detail' => $said]);
        }
        return $job;
    }

    /** The order is done: WHMCS keeps what the customer needs, then the row is closed. @param array<string, mixed> $job */
    private static function concluded(Api $api, object $order, array $job): void
    {
        $serviceId = (int) $order->serviceid;
        $keep = $order->sealed === '' || Ledger::overtaken($order, Ledger::PASSWORDS) ? [] : ['servicepassword' => Whmcs::open($order->sealed)];
        $known = [];
        if ($order->verb === 'create-container') {
            self::stillThere($api, $order, $job);
            $addresses = array_values($job['result']['addresses'] ?? []);
            $known = ['ctid' => (int) $job['ctid'], 'address' => (string) ($addresses[0] ?? '')];
            $keep += ['serviceusername' => 'root', 'dedicatedip' => $known['address'], 'assignedips' => implode("\n", array_slice($addresses, 1))];
        } elseif ($order->verb === 'terminate-container') {
            $known = ['ctid' => null, 'last_ctid' => (int) $job['ctid']];
        } elseif ($order->verb === 'revive-container') {
            $known = ['ctid' => (int) $job['ctid'], 'last_ctid' => null];
        }
        if ($keep) {
            Whmcs::keep($serviceId, $keep);
        }
        if ($known) {
            Ledger::remember($serviceId, $known);
        }
        Ledger::close($order, 'done', "vzq job {$job['id']} is done");
    }

    /** A key whose job ended long ago, because this table was lost, may stand for a VPS that was terminated since. @param array<string, mixed> $job */
    private static function stillThere(Api $api, object $order, array $job): void
    {
        $container = $api->container((int) $job['ctid']);
        $whose = $container['labels'][Plan::LABEL] ?? '';
        if ($container === null || !in_array($container['standing'], ['running', 'stopped', 'suspended'], true) || $whose !== (string) $order->serviceid) {
            $said = "vzq job {$job['id']} made an earlier VPS of this service, which is there no more; try again for a new one";
            Ledger::close($order, 'failed', $said);
            throw new Held($said);
        }
    }

    /** CreateAccount for a service that has its container. */
    private static function there(Api $api, int $serviceId): string
    {
        $service = Ledger::service($serviceId);
        $container = $api->container((int) $service->ctid);
        if ($container === null || in_array($container['standing'], ['terminated', 'gone'], true)) {
            $what = $container === null ? 'is gone' : 'is terminated';
            return "nothing was ordered: container {$service->ctid} of this service $what, and not by this module; "
                . 'clear its container id on the service\'s page for a new VPS, or revive it in vzq';
        }
        if (Whmcs::status($serviceId) === 'Pending') {
            return self::SUCCESS;  // whoever was to tell WHMCS died on the way
        }
        return "nothing was ordered: this service has its VPS, container {$service->ctid} ({$container['standing']})";
    }

    private static function pending(object $order, string $what): string
    {
        $who = $order->job === '' ? "order {$order->idempotency_key}" : "vzq job {$order->job} ({$order->verb})";
        $said = "pending: $who $what; it is finished by the hook, nothing needs to be ordered again";
        Ledger::note($order, ['said' => $said]);
        return $said;
    }

    private static function unanswered(object $order, Unanswered $unanswered): string
    {
        $said = $unanswered->getMessage() . '; nothing is lost: try again or wait for the hook, the same order is not placed twice';
        Ledger::note($order, ['said' => $said] + ($unanswered->unsure && $order->job === '' ? ['unsure' => 1] : []));
        return $said;
    }

    private static function refused(Api $api, object $order, Refused $refused): string
    {
        $said = 'vzq refused: ' . $refused->getMessage();
        if ($order->verb === 'terminate-container' && self::gone($api, $order)) {
            Ledger::remember((int) $order->serviceid, ['ctid' => null]);
            Ledger::close($order, 'done', 'it was gone already');
            return self::SUCCESS;
        }
        // vzq looks at the key before it places (409), but after it has read the order and the token's scope.
        if ($order->job !== '' || ($order->unsure && $refused->getCode() !== 409)) {
            $said .= '; an earlier try had no answer, so look at `vzq job list`, and then press Forget order';
            Ledger::note($order, ['said' => $said]);
            return $said;
        }
        Ledger::close($order, 'refused', $said);
        return $said;
    }

    private static function gone(Api $api, object $order): bool
    {
        try {
            return $api->container((int) json_decode($order->body, true)['ctid']) === null;
        } catch (Unanswered | Refused $error) {
            return false;
        }
    }
}
