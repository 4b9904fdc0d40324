<?php

/**
 * WHMCS provisioning module for vzq: VPSs on OpenVZ nodes, ordered over vzq's HTTP API.
 *
 * Every function here is called by WHMCS by its name. What they do is in lib/: Plan (what is wanted), Ledger (what was
 * ordered, under which key), Provisioning (what is told), Finisher (what was pending). See README.md.
 */

use Vzq\Api;
use Vzq\Held;
use Vzq\Ledger;
use Vzq\Plan;
use Vzq\Provisioning;
use Vzq\Refused;
use Vzq\Unanswered;
use Vzq\Whmcs;
use WHMCS\Database\Capsule;

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

require_once __DIR__ . '/lib/autoload.php';

function vzq_MetaData()
{
    return ['DisplayName' => 'vzq (OpenVZ)', 'APIVersion' => '1.1', 'RequiresServer' => true, 'DefaultNonSSLPort' => '9080', 'DefaultSSLPort' => '443'];
}

/** At most 24, in the order of Plan::FIELDS: WHMCS stores them by number, so add at the end only. */
function vzq_ConfigOptions()
{
    $text = static function ($name, $default, $description) {
        return ['FriendlyName' => $name, 'Type' => 'text', 'Size' => '40', 'Default' => $default, 'Description' => $description];
    };
    return [
        'plan' => $text('Plan', '', 'As `vzq plan list` names it'),
        'template' => $text('OS template', '', 'As the nodes name it, e.g. debian-12-x86_64-minbase; a configurable option named template goes first'),
        'pool' => $text('Address pool', '', 'Empty: any pool of the site'),
        'site' => $text('Site', '', 'Empty: vzq\'s own'),
        'customer' => $text('Customer label', 'client-{clientid}', 'How vzq knows whose it is'),
        'suffix' => $text('Host name suffix', '', 'For services without a host name: vps123.SUFFIX'),
        'wait' => $text('Wait', '20', 'Seconds that a page waits before it says pending, 0 to 60'),
        'grace' => $text('Grace', '168', 'Hours during which a terminated VPS can be revived; 0: none'),
        'nameservers' => $text('Name servers', '', 'Addresses, with commas; empty: the pool\'s'),
        'require' => $text('Node labels', '', 'What the node must have, e.g. disk=ssd'),
        'spread' => ['FriendlyName' => 'Spread', 'Type' => 'yesno', 'Description' => 'On a node without another VPS of the same customer'],
    ];
}

function vzq_CreateAccount(array $params)
{
    try {
        return Provisioning::bring($params, Plan::create($params), 'ordered', Plan::password($params));
    } catch (Held $held) {
        return $held->getMessage();
    }
}

function vzq_SuspendAccount(array $params)
{
    return Provisioning::bring($params, ['kind' => 'suspend-container'], (string) ($params['suspendreason'] ?? ''));
}

function vzq_UnsuspendAccount(array $params)
{
    return Provisioning::bring($params, ['kind' => 'unsuspend-container'], 'unsuspended');
}

function vzq_TerminateAccount(array $params)
{
    return Provisioning::terminate($params);
}

function vzq_ChangePackage(array $params)
{
    try {
        return Provisioning::bring($params, ['kind' => 'resize-container', 'plan' => Plan::plan($params)], 'package changed');
    } catch (Held $held) {
        return $held->getMessage();
    }
}

function vzq_ChangePassword(array $params)
{
    $password = (string) ($params['password'] ?? '');
    if (!preg_match('/\A[!-~]{8,128}\z/', $password)) {
        return 'nothing was ordered: a password has 8 to 128 letters, digits and signs, without blanks and umlauts';
    }
    return Provisioning::bring($params, ['kind' => 'set-password'], 'password changed', $password);
}

/** A VPS has no term in vzq: it runs until it is suspended or terminated. Nothing to do, and nothing is claimed. */
function vzq_Renew(array $params)
{
    return 'success';
}

function vzq_start(array $params)
{
    return Provisioning::bring($params, ['kind' => 'start-container'], 'started');
}

function vzq_stop(array $params)
{
    return Provisioning::bring($params, ['kind' => 'stop-container'], 'stopped');
}

function vzq_restart(array $params)
{
    return Provisioning::bring($params, ['kind' => 'restart-container'], 'restarted');
}

/** Its template is the one that is chosen now; its password the one that WHMCS shows. */
function vzq_reinstall(array $params)
{
    try {
        $order = ['kind' => 'reinstall-container', 'template' => Plan::template($params)];
        return Provisioning::bring($params, $order, 'reinstalled', Plan::password($params));
    } catch (Held $held) {
        return $held->getMessage();
    }
}

function vzq_revive(array $params)
{
    return Provisioning::bring($params, ['kind' => 'revive-container'], 'revived');
}

/** The way out when nobody can tell what became of an order: look in vzq first. */
function vzq_forget(array $params)
{
    Ledger::found();
    $order = Ledger::newest((int) $params['serviceid']);
    if ($order === null || $order->state !== 'open') {
        return 'nothing is open for this service';
    }
    Ledger::close($order, 'forgotten', 'forgotten by a person');
    Whmcs::tell((int) $params['serviceid'], "order {$order->idempotency_key} forgotten; what vzq made of it stays as it is");
    return 'success';
}

function vzq_AdminCustomButtonArray()
{
    return ['Start' => 'start', 'Stop' => 'stop', 'Restart' => 'restart', 'Reinstall' => 'reinstall', 'Revive' => 'revive', 'Forget order' => 'forget'];
}

function vzq_ClientAreaCustomButtonArray()
{
    return ['Start' => 'start', 'Stop' => 'stop', 'Restart' => 'restart'];
}

/** On the service's page: what is known, and the container id, so that an existing VPS can be tied to a service. */
function vzq_AdminServicesTabFields(array $params)
{
    Ledger::found();
    $service = Ledger::service((int) $params['serviceid']);
    $order = Ledger::newest((int) $params['serviceid']);
    $ctid = $service === null ? '' : (string) $service->ctid;
    $last = $order === null ? 'none' : "{$order->verb}, {$order->state}" . ($order->job ? ", vzq job {$order->job}" : '') . ($order->said ? ": {$order->said}" : '');
    return [
        'Container id' => '<input type="text" name="vzq_ctid" size="12" value="' . htmlspecialchars($ctid, ENT_QUOTES) . '"> known by vzq; empty: none',
        'Last order' => htmlspecialchars($last, ENT_QUOTES),
    ];
}

function vzq_AdminServicesTabFieldsSave(array $params)
{
    $given = trim((string) ($_REQUEST['vzq_ctid'] ?? ''));
    $serviceId = (int) $params['serviceid'];
    Ledger::found();
    $service = Ledger::service($serviceId);
    if ($given === ($service === null ? '' : (string) $service->ctid) || !preg_match('/\A\d{0,10}\z/', $given)) {
        return;
    }
    Capsule::table(Ledger::SERVICES)->insertOrIgnore(['serviceid' => $serviceId]);
    Ledger::remember($serviceId, ['ctid' => $given === '' ? null : (int) $given]);
    Whmcs::tell($serviceId, $given === '' ? 'tied to no container any more, by hand' : "tied to container $given by hand");
}

/** Places the order that goes the whole way through the queue and does nothing. */
function vzq_TestConnection(array $params)
{
    try {
        $job = Api::of($params)->order(['kind' => 'check-queue'], '', 'WHMCS: test connection', 10);
        $error = $job['state'] === 'done' ? '' : "vzq took the test order, but after 10 s it is {$job['state']}: does a worker run? See `vzq job why {$job['id']}`";
    } catch (Held | Unanswered | Refused $problem) {
        $error = $problem->getMessage();
    }
    return ['success' => $error === '', 'error' => $error];
}

/** Disk use as vzq saw it last. OpenVZ does not count traffic per container, so bandwidth is left as it is. */
function vzq_UsageUpdate(array $params)
{
    Ledger::found();
    try {
        $seen = [];
        foreach (Api::of($params)->containers() as $container) {
            $seen[(int) $container['ctid']] = $container;
        }
    } catch (Held | Unanswered | Refused $problem) {
        return $problem->getMessage();
    }
    foreach (Capsule::table('tblhosting')->where('server', (int) $params['serverid'])->get()->all() as $service) {
        $known = Ledger::service((int) $service->id);
        $container = $known === null || $known->ctid === null ? null : ($seen[(int) $known->ctid] ?? null);
        if ($container === null) {
            continue;
        }
        $fields = ['disklimit' => intdiv((int) $container['disk_bytes'], 1048576), 'lastupdate' => date('Y-m-d H:i:s')];
        if (isset($container['disk_used_bytes'])) {  // null until the node has been looked at
            $fields['diskusage'] = (int) ceil($container['disk_used_bytes'] / 1048576);
        }
        if (isset($container['net_in_bytes'], $container['net_out_bytes'])) {  // null where the node cannot count: left alone
            $total = $container['net_in_bytes'] + $container['net_out_bytes'];
            $fields['bwusage'] = (int) ceil(($total - Ledger::countedFrom($known, $total, date('Y-m'))) / 1048576);
        }
        Capsule::table('tblhosting')->where('id', $service->id)->update($fields);
    }
    return 'success';
}

function vzq_ClientArea(array $params)
{
    Ledger::found();
    $service = Ledger::service((int) $params['serviceid']);
    $order = Ledger::newest((int) $params['serviceid']);
    $container = $job = null;
    $trouble = '';
    try {
        $api = Api::of($params);
        if ($order !== null && $order->state === 'open' && $order->job !== '') {
            $job = $api->job($order->job);
        }
        if ($service !== null && $service->ctid !== null) {
            $container = $api->container((int) $service->ctid);
        }
    } catch (Held | Unanswered | Refused $problem) {
        $trouble = 'The state of your server cannot be shown at this moment.';  // the reason is for the staff: it is in the module log
    }
    return [
        'tabOverviewModuleOutputTemplate' => 'templates/clientarea.tpl',
        'templateVariables' => [
            'vzq' => [
                'trouble' => $trouble,
                'container' => $container === null ? null : [
                    'hostname' => $container['hostname'],
                    'addresses' => $container['addresses'],
                    'standing' => $container['standing'],
                    'template' => $container['template'],
                    'ram_mib' => intdiv((int) $container['ram_bytes'], 1048576),
                    'disk_mib' => intdiv((int) $container['disk_bytes'], 1048576),
                    'disk_used_mib' => isset($container['disk_used_bytes']) ? (int) ceil($container['disk_used_bytes'] / 1048576) : null,
                    'cpus' => $container['cpus'],
                ],
                'job' => $job === null ? null : ['verb' => strtok($job['kind'], '-'), 'percent' => (int) round(100 * $job['progress'])],
            ],
        ],
    ];
}
