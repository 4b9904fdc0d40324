<?php

/**
 * Where vzq's webhook may post to, so that what is pending is finished within a second:
 * https://your.whmcs/modules/servers/vzq/callback.php?server=ID
 * The webhook's secret (whsec_…) is in the server's Access Hash, two of them on two lines while it is being changed.
 */

require dirname(__DIR__, 3) . '/init.php';
require_once __DIR__ . '/lib/autoload.php';

use Vzq\Finisher;
use Vzq\Held;
use Vzq\Webhook;
use Vzq\Whmcs;

if (($_SERVER['REQUEST_METHOD'] ?? '') !== 'POST' || (int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > 1048576) {
    http_response_code(400);
    exit;
}
$headers = [];
foreach (['webhook-id', 'webhook-timestamp', 'webhook-signature'] as $name) {
    $headers[$name] = (string) ($_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? '');
}
try {
    $secrets = preg_split('/\s+/', Whmcs::server((int) ($_GET['server'] ?? 0))['serveraccesshash'], -1, PREG_SPLIT_NO_EMPTY);
} catch (Held $held) {
    $secrets = [];
}
$event = Webhook::read($headers, (string) file_get_contents('php://input'), $secrets ?: [], time());
if ($event === null) {
    http_response_code(401);
    exit;
}
if (in_array($event['data']['state'] ?? '', ['done', 'failed', 'cancelled'], true)) {
    Finisher::run((string) $event['data']['job']);  // only a hint: it asks vzq itself what became of the job
}
http_response_code(204);
