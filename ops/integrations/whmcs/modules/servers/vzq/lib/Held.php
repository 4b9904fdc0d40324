<?php

namespace Vzq;

/** The module itself does not place this order now; the text is for the person who asked. */
final class Held extends \RuntimeException
{
}
