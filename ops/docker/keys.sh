#!/bin/sh
# Makes every secret of the installation once, each in the volume of those who need it and of nobody else. Safe to repeat.
set -eu
umask 077

made() { # made FILE MODE: standard input becomes the file, whole or not at all, unless it is there
    if [ -s "$1" ]; then cat >/dev/null; else
        cat >"$1.new"
        chmod "$2" "$1.new"
        mv "$1.new" "$1"
    fi
}
word() { python3 -c 'import secrets; print(secrets.token_urlsafe(32))'; }

# Read by other users in their own containers; each of these volumes is mounted where it is needed alone.
word | made /keys/postgres/password 0444
word | made /keys/redis/password 0444
word | made /keys/grafana/password 0444
{
    echo "requirepass $(cat /keys/redis/password)"
    echo "appendonly yes"
    echo "maxmemory-policy noeviction"
    echo "dir /data"
} | made /keys/redis/redis.conf 0444

echo "postgresql+psycopg://vzq:$(cat /keys/postgres/password)@postgres/vzq" | made /keys/house/database-url 0400
echo "redis://:$(cat /keys/redis/password)@redis:6379/0" | made /keys/house/redis-url 0400
# `vzq key` makes the house's secret.key as well, where there is none
for site in fra ams; do
    VZQ_STATE=/keys/house VZQ_SSH_KEY=/keys/$site/id_ed25519 vzq key 2>/dev/null | made /keys/public/$site.pub 0444
done
echo "all keys are there"
