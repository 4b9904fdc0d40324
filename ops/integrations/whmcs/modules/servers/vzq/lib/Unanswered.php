<?php

namespace Vzq;

/** No answer that says yes or no: the same order under the same key is to be sent again. */
final class Unanswered extends \RuntimeException
{
    /** @var bool it may have arrived all the same */
    public $unsure;

    public function __construct(string $why, bool $unsure)
    {
        $this->unsure = $unsure;
        parent::__construct($why);
    }
}
