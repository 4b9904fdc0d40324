<?php

/**
 * What a person, the cron or a page of WHMCS does, one deed a process: `php harness.php DEED JSON`. Prints JSON.
 * It lies beside init.php in the root of a WHMCS that has the real module under modules/servers/vzq.
 */

use WHMCS\Database\Capsule;

error_reporting(E_ALL);
set_error_handler(static function (int $number, string $text, string $file, int $line): bool {
    throw new ErrorException($text, 0, $number, $file, $line);  // a notice is a fault
});
require __DIR__ . '/init.php';
[, $deed, $json] = $argv + [2 => '{}'];
$given = json_decode($json, true, 16, JSON_THROW_ON_ERROR);

function show(int $serviceId): array
{
    $service = (array) Capsule::table('tblhosting')->where('id', $serviceId)->first();
    $service['password'] = decrypted($service['password']);
    $service['mails'] = array_map(
        fn ($mail) => ['address' => $mail->address, 'password' => decrypted($mail->password)],
        Capsule::table('mails')->where('serviceid', $serviceId)->get()->all()
    );
    return $service;
}

switch ($deed) {
    case 'install':
        foreach ([
            'tblservers (id integer primary key, type text, hostname text, ipaddress text default "", port int, secure text, password text, accesshash text default "")',
            'tblproducts (id integer primary key, ' . implode(', ', array_map(fn ($number) => "configoption$number text default ''", range(1, 24))) . ')',
            'tblhosting (id integer primary key, userid int, packageid int, server int, domain text, username text default "", password text, dedicatedip text default "",
                assignedips text default "", domainstatus text, configoptions text default "{}", diskusage int default 0, disklimit int default 0, bwusage int default 0,
                bwlimit int default 0, lastupdate text default "")',
            'mails (serviceid int, address text, password text)',
        ] as $table) {
            Capsule::pdo()->exec("create table $table");
        }
        $answer = true;
        break;
    case 'put':  // rows as a person enters them on WHMCS's pages
        foreach ($given as $table => $rows) {
            foreach ($rows as $row) {
                if (isset($row['password'])) {
                    $row['password'] = encrypted($row['password']);
                }
                if (Capsule::table($table)->where('id', $row['id'])->first()) {
                    Capsule::table($table)->where('id', $row['id'])->update($row);
                } else {
                    Capsule::table($table)->insert($row);
                }
            }
        }
        $answer = true;
        break;
    case 'call':
        $result = moduleCall($given['function'], $given['service'], $given['more'] ?? []);
        $answer = ['result' => $result] + show($given['service']);
        break;
    case 'page':  // functions that give more than a word
        require_once __DIR__ . '/modules/servers/vzq/vzq.php';
        $answer = ('vzq_' . $given['function'])(isset($given['service']) ? params($given['service']) : serverParams($given['server']));
        break;
    case 'plain':  // functions without parameters
        require_once __DIR__ . '/modules/servers/vzq/vzq.php';
        $answer = ('vzq_' . $given['function'])();
        break;
    case 'save':  // the service's page, saved by a member of staff
        require_once __DIR__ . '/modules/servers/vzq/vzq.php';
        $_REQUEST = $given['fields'];
        vzq_AdminServicesTabFieldsSave(params($given['service']));
        $answer = true;
        break;
    case 'cron':
        require __DIR__ . '/modules/servers/vzq/hooks.php';
        foreach ($hooks['AfterCronJob'] as $hook) {
            $hook([]);
        }
        $answer = true;
        break;
    case 'show':
        $answer = show($given['service']);
        break;
    case 'rows':
        $answer = array_map(fn ($row) => (array) $row, Capsule::table($given['table'])->get()->all());
        break;
    case 'verify':
        require __DIR__ . '/modules/servers/vzq/lib/Webhook.php';
        $answer = Vzq\Webhook::read($given['headers'], $given['body'], $given['secrets'], $given['now']);
        break;
    default:
        throw new RuntimeException("unknown deed $deed");
}
echo json_encode($answer, JSON_THROW_ON_ERROR);
