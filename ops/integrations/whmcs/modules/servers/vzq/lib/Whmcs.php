<?php

namespace Vzq;

use WHMCS\Database\Capsule;

/** What this module asks of WHMCS: its API, its logs, and the rows of servers and services. */
final class Whmcs
{
    /** For Utilities, Logs, Module Log; the masks are replaced by stars wherever they appear. @param mixed $request @param mixed $answer @param string[] $masks */
    public static function log(string $what, $request, $answer, array $masks): void
    {
        $masks = array_values(array_filter($masks, static function ($mask) { return (string) $mask !== ''; }));
        logModuleCall('vzq', $what, $request, $answer, null, $masks);
    }

    /** For the activity log that every member of staff reads. */
    public static function tell(int $serviceId, string $text): void
    {
        logActivity("vzq: service $serviceId: $text");
    }

    /** A secret as it may lie in a table. */
    public static function seal(string $secret): string
    {
        return self::secret('EncryptPassword', $secret);
    }

    public static function open(string $sealed): string
    {
        return self::secret('DecryptPassword', $sealed);
    }

    /** Write what the customer needs into the service; raises Held when WHMCS does not keep it. @param array<string, string> $fields */
    public static function keep(int $serviceId, array $fields): void
    {
        $answer = localAPI('UpdateClientProduct', ['serviceid' => $serviceId] + $fields);
        if (($answer['result'] ?? '') !== 'success') {
            throw new Held('vzq did its part, but WHMCS could not keep it: ' . ($answer['message'] ?? 'UpdateClientProduct failed') . '; try again');
        }
    }

    /** Run the module's function the way WHMCS does, with all that follows (status, mails, hooks); its error, or '' when it went well. @param array<string, mixed> $more */
    public static function run(string $command, int $serviceId, array $more = []): string
    {
        $answer = localAPI($command, ['serviceid' => $serviceId] + $more);
        return ($answer['result'] ?? '') === 'success' ? '' : (string) ($answer['message'] ?? "$command failed");
    }

    /** Pending, Active, Suspended, Terminated, Cancelled, Fraud, Completed; '' when the service is gone. */
    public static function status(int $serviceId): string
    {
        return (string) Capsule::table('tblhosting')->where('id', $serviceId)->value('domainstatus');
    }

    /** The server's row as WHMCS hands it to modules. @return array<string, mixed> */
    public static function server(int $serverId): array
    {
        $row = Capsule::table('tblservers')->where('id', $serverId)->first();
        if (!$row || $row->type !== 'vzq') {
            throw new Held("there is no vzq server $serverId any more");
        }
        return [
            'serverid' => $serverId,
            'serverhostname' => $row->hostname,
            'serverip' => $row->ipaddress,
            'serverpassword' => self::open((string) $row->password),
            'serveraccesshash' => (string) $row->accesshash,
            'serversecure' => $row->secure,
            'serverport' => $row->port,
        ];
    }

    private static function secret(string $command, string $text): string
    {
        $answer = localAPI($command, ['password2' => $text]);
        if (($answer['result'] ?? '') !== 'success' || !isset($answer['password'])) {
            throw new Held("WHMCS could not do $command: " . ($answer['message'] ?? 'no reason given'));
        }
        return (string) $answer['password'];
    }
}
