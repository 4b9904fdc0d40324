<?php

namespace Vzq;

use WHMCS\Database\Capsule;

/**
 * What this module remembers: which container belongs to a service, and every order it placed, under which key.
 *
 * A row of mod_vzq_orders is written before the order is sent, so that an answer that never came changes nothing:
 * while the row is open, the same wish is sent again under the same key. Rows are kept; they are the service's history.
 */
final class Ledger
{
    const SERVICES = 'mod_vzq_services';
    const ORDERS = 'mod_vzq_orders';
    const PASSWORDS = ['set-password', 'reinstall-container'];
    const STANDING = ['create-container', 'suspend-container', 'unsuspend-container', 'terminate-container', 'revive-container'];

    /** @var array<int, int> service → generation that the finisher is carrying through WHMCS at this moment */
    private static $carried = [];

    /** Make the tables where they are missing. */
    public static function found(): void
    {
        $schema = Capsule::schema();
        try {
            if (!$schema->hasTable(self::SERVICES)) {
                $schema->create(self::SERVICES, static function ($table) {
                    $table->integer('serviceid')->primary();
                    $table->integer('generation')->default(0);  // of the newest order
                    $table->bigInteger('ctid')->nullable();  // its container, from the moment the order is accepted
                    $table->bigInteger('last_ctid')->nullable();  // the one that was terminated, revivable while its grace lasts
                    $table->string('address', 64)->default('');
                    $table->string('month', 7)->default('');  // that bandwidth is counted for
                    $table->bigInteger('counted')->default(0);  // vzq's counter when that month began here
                });
            }
            if (!$schema->hasTable(self::ORDERS)) {
                $schema->create(self::ORDERS, static function ($table) {
                    $table->increments('id');
                    $table->integer('serviceid');
                    $table->integer('generation');
                    $table->integer('serverid');
                    $table->string('verb', 32);
                    $table->string('idempotency_key', 120)->unique();
                    $table->text('body');  // as it is sent, without the password
                    $table->text('sealed');  // the password, as WHMCS encrypts; '' when there is none or it has been handed on
                    $table->string('because', 300)->default('');
                    $table->string('job', 26)->default('');  // '' until vzq has said that it has it
                    $table->string('state', 16)->default('open');  // open, done, failed, refused, overtaken, forgotten
                    $table->integer('unsure')->default(0);  // it was sent and no answer came
                    $table->integer('tended_until')->default(0);  // a process is waiting for it; nobody else concludes it before
                    $table->text('said');  // what was told last
                    $table->integer('at');
                    $table->unique(['serviceid', 'generation']);
                    $table->index(['state', 'at']);
                });
            }
        } catch (\Exception $error) {
            if (!$schema->hasTable(self::SERVICES) || !$schema->hasTable(self::ORDERS)) {  // else somebody made them at this moment
                throw $error;
            }
        }
    }

    /** What is remembered of a service; null when nothing is. */
    public static function service(int $serviceId): ?object
    {
        return Capsule::table(self::SERVICES)->where('serviceid', $serviceId)->first() ?: null;
    }

    /** The newest order of a service; null when there was none. */
    public static function newest(int $serviceId): ?object
    {
        return Capsule::table(self::ORDERS)->where('serviceid', $serviceId)->orderBy('generation', 'desc')->first() ?: null;
    }

    /** Open orders, the ones that waited longest first. @return object[] */
    public static function open(int $limit, string $job = ''): array
    {
        $query = Capsule::table(self::ORDERS)->where('state', 'open');
        if ($job !== '') {
            $query = $query->where('job', $job);
        }
        return $query->orderBy('at')->limit($limit)->get()->all();
    }

    /**
     * The row under which this wish is to be sent: the open one when it is the same wish, else one of a new generation.
     * Null when a service that is to be created has its container already. Raises Held.
     *
     * @param array<string, mixed> $body
     */
    public static function begin(int $serviceId, int $serverId, array $body, string $secret, string $because): ?object
    {
        self::found();
        $sealed = $secret === '' ? '' : Whmcs::seal($secret);
        Capsule::table(self::SERVICES)->insertOrIgnore(['serviceid' => $serviceId]);  // outside: its lock and the next one would block each other
        return Capsule::connection()->transaction(static function () use ($serviceId, $serverId, $body, $secret, $sealed, $because) {
            $service = Capsule::table(self::SERVICES)->where('serviceid', $serviceId)->lockForUpdate()->first();  // eight clicks pass one by one
            $open = Capsule::table(self::ORDERS)->where('serviceid', $serviceId)->where('state', 'open')->orderBy('generation')->get()->all();
            $verb = $body['kind'];
            foreach ($open as $order) {
                if ((self::$carried[$serviceId] ?? 0) === (int) $order->generation && $order->verb === $verb) {
                    return $order;
                }
            }
            $same = self::same($open, $service, $body, $secret);
            if ($same !== null) {
                return $same;
            }
            if ($verb === 'create-container') {
                if ($service->ctid !== null) {
                    return null;
                }
            } elseif ($verb === 'revive-container') {
                $body['ctid'] = self::known($service->last_ctid);
            } else {
                $body['ctid'] = self::known($service->ctid);
            }
            $generation = (int) $service->generation + 1;
            // Of a verb also some letters: were this table put back from a backup, a new suspend must not pass for an old one.
            // Of a create not: there the old one is what is meant.
            $key = "whmcs-$serviceId-$verb-$generation" . ($verb === 'create-container' ? '' : '-' . bin2hex(random_bytes(4)));
            Capsule::table(self::SERVICES)->where('serviceid', $serviceId)->update(['generation' => $generation]);
            if ($verb === 'terminate-container') {  // whatever was under way ends with it; vzq keeps their turn
                $over = ['state' => 'overtaken', 'sealed' => '', 'said' => 'the service is being terminated'];
                Capsule::table(self::ORDERS)->where('serviceid', $serviceId)->where('state', 'open')->update($over);
            }
            Capsule::table(self::ORDERS)->insert([
                'serviceid' => $serviceId,
                'generation' => $generation,
                'serverid' => $serverId,
                'verb' => $verb,
                'idempotency_key' => $key,
                'body' => json_encode($body, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES),
                'sealed' => $sealed,
                'because' => substr($because, 0, 300),
                'said' => '',
                'at' => time(),
            ]);
            return Capsule::table(self::ORDERS)->where('idempotency_key', $key)->first();
        });
    }

    /** Take the row for so many seconds; false when somebody else has it. */
    public static function tend(object $order, int $seconds): bool
    {
        $row = Capsule::table(self::ORDERS)->where('id', $order->id)->where('state', 'open')->where('tended_until', '<', time());
        return $row->update(['tended_until' => time() + $seconds]) === 1;
    }

    /** Note something of an open order. @param array<string, mixed> $fields */
    public static function note(object $order, array $fields): void
    {
        Capsule::table(self::ORDERS)->where('id', $order->id)->update($fields);
        foreach ($fields as $name => $value) {
            $order->$name = $value;
        }
    }

    /** vzq has it: from here on the job is asked for, not the order sent again. @param array<string, mixed> $job */
    public static function accepted(object $order, array $job): void
    {
        self::note($order, ['job' => $job['id'], 'unsure' => 0]);
        if ($order->verb === 'create-container' && !empty($job['ctid'])) {
            self::remember((int) $order->serviceid, ['ctid' => (int) $job['ctid']]);
        }
    }

    /** The order is over; a password is kept no longer. */
    public static function close(object $order, string $state, string $said): void
    {
        self::note($order, ['state' => $state, 'said' => $said, 'sealed' => '', 'tended_until' => 0, 'at' => time()]);
        if ($order->verb === 'create-container' && in_array($state, ['failed', 'refused'], true)) {
            self::remember((int) $order->serviceid, ['ctid' => null]);
        }
    }

    /** @param array<string, mixed> $fields */
    public static function remember(int $serviceId, array $fields): void
    {
        Capsule::table(self::SERVICES)->where('serviceid', $serviceId)->update($fields);
    }

    /** While WHMCS runs this order's function on the finisher's behalf, that order is meant and no new one. */
    public static function carry(object $order, callable $work): string
    {
        self::$carried[(int) $order->serviceid] = (int) $order->generation;
        try {
            return $work();
        } finally {
            unset(self::$carried[(int) $order->serviceid]);
        }
    }

    /** A newer order of one of these verbs is open or done: what this one leaves in WHMCS would be out of date. @param string[] $verbs */
    public static function overtaken(object $order, array $verbs): bool
    {
        $newer = Capsule::table(self::ORDERS)->where('serviceid', $order->serviceid)->where('generation', '>', $order->generation);
        foreach ($newer->get()->all() as $other) {
            if (in_array($other->verb, $verbs, true) && in_array($other->state, ['open', 'done'], true)) {
                return true;
            }
        }
        return false;
    }

    /** The open order that the same wish belongs to. @param object[] $open @param array<string, mixed> $body */
    private static function same(array $open, object $service, array $body, string $secret): ?object
    {
        $verb = $body['kind'];
        foreach ($open as $order) {  // these two go first, whatever else is wished for
            if ($order->verb === 'create-container' && $verb === $order->verb) {
                return $order;
            }
            if ($order->verb === 'create-container' && $verb !== 'terminate-container') {
                throw new Held(self::waits($order, 'its VPS is still being made'));
            }
            if ($order->verb === 'terminate-container' && $verb !== $order->verb) {
                throw new Held(self::waits($order, 'its VPS is being terminated'));
            }
        }
        $newest = end($open) ?: null;
        if ($newest === null || (int) $newest->generation !== (int) $service->generation || $newest->verb !== $verb) {
            return null;
        }
        $asked = json_decode($newest->body, true);
        unset($asked['ctid']);
        $alike = $asked == $body && ($newest->sealed === '' ? '' : Whmcs::open($newest->sealed)) === $secret;
        return $alike ? $newest : null;
    }

    private static function waits(object $order, string $what): string
    {
        return "nothing was ordered: $what (" . ($order->job ? "vzq job {$order->job}" : "key {$order->idempotency_key}, not yet accepted") . '); try again when that is over';
    }

    /** @param mixed $ctid */
    private static function known($ctid): int
    {
        if ($ctid === null) {
            throw new Held('nothing was ordered: this module knows no VPS of this service; if there is one, enter its container id on the service\'s page and save');
        }
        return (int) $ctid;
    }

    /**
     * Where vzq's counter stood when this month began: WHMCS wants a month's traffic, vzq counts for ever. The first
     * month of a service begins at 0; a counter that is lower belongs to another container.
     */
    public static function countedFrom($service, int $total, string $month): int
    {
        $from = (int) $service->counted;
        if ($service->month === $month && $from <= $total) {
            return $from;
        }
        $from = $service->month === '' || $from > $total ? 0 : $total;
        Capsule::table(self::SERVICES)->where('serviceid', $service->serviceid)->update(['month' => $month, 'counted' => $from]);
        return $from;
    }
}
