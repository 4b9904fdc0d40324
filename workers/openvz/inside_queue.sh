# Sent into containers by workers/openvz/inside.py, ahead of inside_around.sh or inside_stop.sh; told in front: job.
# Everybody who wants the container appends a line to one file, and the first whose process lives has it. So whoever dies lets go,
# and neither taking nor leaving costs a process. Paths are relative: exec2 begins in /.
for place in run var/run root; do [ ! -w $place ] || break; done
queue=$place/vzq.queue

began() {  # PID; sets start, empty where there is no such process
    start= p3=
    read -r p1 p2 p3 p4 p5 p6 p7 p8 p9 p10 p11 p12 p13 p14 p15 p16 p17 p18 p19 p20 p21 start rest 2>/dev/null <"/proc/$1/stat"
    [ "$p3" != Z ] || start=
}

alive() {  # PID START
    began "$1"
    [ -n "$start" ] && [ "$start" = "$2" ]
}
