<?php

/** For cron, each minute: php -q /path/to/whmcs/modules/servers/vzq/finish.php */

if (PHP_SAPI !== 'cli') {
    http_response_code(404);
    exit;
}

require dirname(__DIR__, 3) . '/init.php';
require_once __DIR__ . '/lib/autoload.php';

// Two at once would do no harm, but wait for each other.
$lock = fopen(sys_get_temp_dir() . '/vzq-finish-' . md5(__DIR__) . '.lock', 'c');
if ($lock === false || !flock($lock, LOCK_EX | LOCK_NB)) {
    exit(0);
}
$ended = Vzq\Finisher::run();
if ($ended > 0) {
    echo "vzq: $ended orders came to an end\n";
}
