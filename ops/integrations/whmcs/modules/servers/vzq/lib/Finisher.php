<?php

namespace Vzq;

/** Goes after the orders that were pending when WHMCS was told so, and brings WHMCS up to date with what became of them. */
final class Finisher
{
    // With these WHMCS itself does the rest: status, mails, hooks. The others change nothing in it but perhaps the password.
    const COMMANDS = [
        'create-container' => 'ModuleCreate',
        'suspend-container' => 'ModuleSuspend',
        'unsuspend-container' => 'ModuleUnsuspend',
        'terminate-container' => 'ModuleTerminate',
    ];
    // Where WHMCS changed its mind meanwhile, its status is not changed back.
    const FITTING = [
        'create-container' => ['Pending'],
        'suspend-container' => ['Active', 'Pending'],
        'unsuspend-container' => ['Suspended'],
        'terminate-container' => ['Pending', 'Active', 'Suspended', 'Cancelled', 'Fraud', 'Completed'],
    ];
    const AT_ONCE = 200;
    const TENDED_S = 60;

    /** Go through the open orders, or only that of one job; how many came to an end. */
    public static function run(string $job = ''): int
    {
        Ledger::found();
        $ended = 0;
        $away = [];
        foreach (Ledger::open(self::AT_ONCE, $job) as $order) {
            if (isset($away[$order->serverid]) || !Ledger::tend($order, self::TENDED_S)) {
                continue;
            }
            try {
                $ended += self::finish($order) ? 1 : 0;
            } catch (Unanswered $unanswered) {
                $away[$order->serverid] = true;  // the next order would only wait as long again
                Ledger::note($order, ['said' => $unanswered->getMessage()]);
            } catch (Held | Refused $error) {
                Ledger::note($order, ['said' => $error->getMessage()]);
            } finally {
                Ledger::note($order, ['tended_until' => 0, 'at' => time()]);
            }
        }
        return $ended;
    }

    private static function finish(object $order): bool
    {
        $serviceId = (int) $order->serviceid;
        $status = Whmcs::status($serviceId);
        $fits = in_array($status, self::FITTING[$order->verb] ?? ['Pending', 'Active', 'Suspended'], true);
        if ($order->job === '' && (!$fits || self::overtaken($order)) && !$order->unsure) {
            return self::over($order, 'forgotten', "not sent again: the service is $status in WHMCS");
        }
        $api = Api::of(Whmcs::server((int) $order->serverid));
        $why = Provisioning::placed($api, $order);
        if ($why !== '') {
            return $order->state !== 'open' && self::told($order, $why);
        }
        if (!in_array($api->job($order->job)['state'], ['done', 'failed', 'cancelled'], true)) {
            return false;
        }
        $command = self::COMMANDS[$order->verb] ?? '';
        if ($command !== '' && $fits && !self::overtaken($order)) {
            return self::throughWhmcs($order, $command);
        }
        $said = Provisioning::carryOn($api, $order, 0);
        if ($said !== Provisioning::SUCCESS) {
            return $order->state !== 'open' && self::told($order, $said);
        }
        return self::told($order, $command === '' ? "{$order->verb} is done" : "{$order->verb} is done, but the service is $status and stays so; see whether that is right");
    }

    /** The module's own function is called by WHMCS, sees that the job has ended, and says what came of it. */
    private static function throughWhmcs(object $order, string $command): bool
    {
        Ledger::note($order, ['tended_until' => 0]);
        $reason = (string) preg_replace('/\AWHMCS service \d+(?:: )?/', '', $order->because);
        $more = $order->verb === 'suspend-container' ? ['suspendreason' => $reason] : [];
        $error = Ledger::carry($order, static function () use ($order, $command, $more) {
            return Whmcs::run($command, (int) $order->serviceid, $more);
        });
        Whmcs::tell((int) $order->serviceid, $error === '' ? "{$order->verb} is done" : "{$order->verb}: $error");
        return $error === '';
    }

    private static function overtaken(object $order): bool
    {
        return in_array($order->verb, Ledger::STANDING, true) && Ledger::overtaken($order, Ledger::STANDING);
    }

    private static function over(object $order, string $state, string $said): bool
    {
        Ledger::close($order, $state, $said);
        return self::told($order, $said);
    }

    private static function told(object $order, string $said): bool
    {
        Whmcs::tell((int) $order->serviceid, $said);
        return true;
    }
}
