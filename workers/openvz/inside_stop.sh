# Ends what a job runs or waits for in a container; told in front, besides job: grace_s.
found() {  # PID REST, patterns for fields of /proc/PID/stat: the living ones' numbers
    cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/^\($1\) (.*) [^ZX] $2 .*/\1/p"
}

left() {
    for leader in $leaders; do
        found "$leader" "[0-9]*"
        found "[0-9]*" "[0-9]* [0-9]* $leader"
    done | sort -u
}

sessions_below() {  # PID...: leaders of sessions that descend from these: apt gives dpkg one of its own
    while [ $# -gt 0 ]; do
        children=
        for parent in "$@"; do children="$children $(found "[0-9]*" "$parent")"; done
        set -- $children
        for child in "$@"; do found "$child" "[0-9]* [0-9]* $child"; done
    done
}

shells= leaders=
[ ! -e $queue ] || while read -r pid stamp whose; do
    [ "$whose" != "$job" ] || ! alive "$pid" "$stamp" || shells="$shells $pid"
done <$queue
# A shell whose script has begun leads a session below it; one that stands in line has at most a sleep. Both are held still while that is looked at.
for shell in $shells; do
    kill -STOP "$shell" 2>/dev/null
    below=$(found "[0-9]*" "$shell")
    [ -z "$below" ] || kill -STOP $below 2>/dev/null
    leading=$(found "[0-9]*" "$shell [0-9]* \1")
    if [ -n "$leading" ]; then
        leaders="$leaders $leading"
        kill -CONT $below "$shell" 2>/dev/null
    else
        kill -KILL $below "$shell" 2>/dev/null
    fi
done
leaders="$leaders $(sessions_below $leaders)"
for leader in $leaders; do kill -TERM "-$leader" 2>/dev/null || kill -TERM "$leader" 2>/dev/null; done
while [ -n "$(left)" ] && [ "$grace_s" -gt 0 ]; do
    sleep 1
    grace_s=$((grace_s - 1))
done
kill -KILL $(left) 2>/dev/null
