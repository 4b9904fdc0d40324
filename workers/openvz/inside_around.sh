# Around an ordered script; told in front, besides job: patience_s, timeout_s, kill_after_s. The script is begun behind this, then `ended` waits for it.
exec 4>&2 2>&1
umask 022
LC_ALL=C HOME=/root
export LC_ALL HOME

first() {  # sets pid and holder, both empty where nobody in line lives; and lines
    lines=0
    [ ! -e $queue ] || while read -r pid stamp holder; do
        lines=$((lines + 1))
        ! alive "$pid" "$stamp" || return 0
    done <$queue
    pid= holder=
}

uptime() {
    now_s=0
    read -r now_s rest 2>/dev/null </proc/uptime
    now_s=${now_s%%.*}
}

began $$
mine=$start
me="$$ $start $job" waited_s=0 lines=0
# Without /proc nobody can tell who lives, and where nothing can be written there is no line: then it goes on without.
while [ -n "$mine" ] && first && [ "$pid" != $$ ]; do
    if [ -z "$pid" ] || [ $waited_s -eq 0 ]; then
        { echo "$me" >>$queue; } 2>/dev/null || break
    fi
    [ -n "$pid" ] || continue
    if [ $waited_s -ge "$patience_s" ]; then
        echo "vzq-busy $holder" >&4
        exit 75
    fi
    sleep 1
    waited_s=$((waited_s + 1))
done
[ $lines -lt 30 ] || { echo "$me" >$queue.$$ && mv -f $queue.$$ $queue; }  # whoever's line is lost so appends it again

# What the timeout of this container knows is asked once.
read -r limit 2>/dev/null <$place/vzq.limit || {
    limit=
    for can in "timeout -k $kill_after_s" timeout; do ! $can 9 true 2>/dev/null || { limit=$can; break; }; done
    { echo "$limit" >$place/vzq.limit; } 2>/dev/null
}
[ -z "$limit" ] || limit="$limit $timeout_s"
alone=setsid
command -v setsid >/dev/null || alone=
uptime
began_s=$now_s

ended() {  # the script runs as the shell's last child
    child=$!
    { wait $child; } 2>/dev/null  # a shell says there whom a signal has ended
    rc=$? late=
    case $rc in 124|137)
        uptime
        [ $((now_s - began_s)) -lt "$timeout_s" ] || late=" late"
        # what does not heed a TERM goes with the rest of its session, so that nothing of it meets the next one
        kill -KILL $(cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/^\([0-9]*\) (.*) [^ZX] [0-9]* [0-9]* $child .*/\1/p") 2>/dev/null
    esac
    echo "vzq-end $rc$late" >&4
}
