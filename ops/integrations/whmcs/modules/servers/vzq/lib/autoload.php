<?php

/** Loads the classes of this module: `Vzq\Api` is lib/Api.php. */

spl_autoload_register(static function (string $class): void {
    if (preg_match('/\AVzq\\\\([A-Za-z]+)\z/', $class, $found)) {
        $file = __DIR__ . '/' . $found[1] . '.php';
        if (is_file($file)) {
            require_once $file;
        }
    }
});
