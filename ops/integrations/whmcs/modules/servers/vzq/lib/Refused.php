<?php

namespace Vzq;

/** vzq said no: nothing was changed, and the same order will not pass by being sent again. */
final class Refused extends \RuntimeException
{
    /** @var array<string, mixed> the answer, application/problem+json */
    public $problem;

    /** @param array<string, mixed> $problem */
    public function __construct(int $status, array $problem)
    {
        $this->problem = $problem;
        parent::__construct(self::told($status, $problem), $status);
    }

    /** The same key stands for an order that was accepted with another body. */
    public function keyReused(): bool
    {
        return ($this->problem['type'] ?? '') === 'urn:vzq:problem:key-reused';
    }

    /** @param array<string, mixed> $problem */
    private static function told(int $status, array $problem): string
    {
        $text = (string) ($problem['detail'] ?? "it answered with status $status and no explanation");
        foreach ((array) ($problem['reasons'] ?? []) as $name => $why) {
            if (strpos($text, (string) $why) === false) {
                $text .= "; $name: $why";
            }
        }
        return $text;
    }
}
