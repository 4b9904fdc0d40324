<?php

/** Finishes what was pending, at the end of each run of WHMCS's own cron; finish.php does the same each minute. */

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

require_once __DIR__ . '/lib/autoload.php';

add_hook('AfterCronJob', 1, static function ($vars) {
    try {
        Vzq\Finisher::run();
    } catch (\Throwable $error) {  // WHMCS's cron has other things to do
        logActivity('vzq: what is pending could not be finished: ' . $error->getMessage());
    }
});
