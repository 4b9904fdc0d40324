"""What vzctl 4.11.1 prints without a command."""

VERSION = "vzctl version 4.11.1-3.ga3f732ef"
USAGE = (
    VERSION
    + """
Copyright (C) 2000-2013, Parallels, Inc.
This program may be distributed under the terms of the GNU GPL License.

Usage: vzctl [options] <command> <ctid> [parameters]

vzctl create <ctid> [--ostemplate <name>] [--config <name>]
   [--layout ploop|simfs] [--hostname <name>] [--name <name>] [--ipadd <addr>]
   [--diskspace <kbytes>] [--diskinodes <NUM> [--private <path>] [--root <path>]
   [--local_uid <UID>] [--local_gid <GID>]
vzctl start <ctid> [--force] [--wait] [--skip-fsck] [--skip-remount]
vzctl destroy | mount | umount | stop | restart | status <ctid>
vzctl convert <ctid> [--layout ploop[:mode]]
vzctl compact <ctid>
vzctl snapshot <ctid> [--id <uuid>] [--name <name>] [--description <desc>]
   [--skip-suspend]
vzctl snapshot-switch <ctid> --id <uuid> [--skip-resume | --must-resume]
   [--skip-config]
vzctl snapshot-delete <ctid> --id <uuid>
vzctl snapshot-mount <ctid> --id <uuid> --target <dir>
vzctl snapshot-umount <ctid> --id <uuid>
vzctl snapshot-list <ctid> [-H] [-o field[,field...]] [--id <uuid>]
vzctl quotaon | quotaoff | quotainit <ctid>
vzctl console <ctid> [ttyno]
vzctl enter <ctid> [--exec <command> [arg ...]]
vzctl exec | exec2 <ctid> <command> [arg ...]
vzctl runscript <ctid> <script>
vzctl suspend | resume <ctid> [--dumpfile <name>]
vzctl set <ctid> [--save] [--force] [--setmode restart|ignore]
   [--ram <bytes>[KMG]] [--swap <bytes>[KMG]]
   [--ipadd <addr>] [--ipdel <addr>|all] [--hostname <name>]
   [--nameserver <addr>] [--searchdomain <name>]
   [--onboot yes|no] [--bootorder <N>]
   [--userpasswd <user>:<passwd>]
   [--cpuunits <N>] [--cpulimit <N>] [--cpus <N>]
   [--cpumask <cpus>] [--nodemask <nodes>]
   [--diskspace <soft>[:<hard>]] [--diskinodes <soft>[:<hard>]]
   [--quotatime <N>] [--quotaugidlimit <N>] [--mount_opts <opt>[,<opt>...]]
   [--offline-resize] [--capability <name>:on|off ...]
   [--devices b|c:major:minor|all:r|w|rw]
   [--devnodes device:r|w|rw|none]
   [--netif_add <ifname[,mac,host_ifname,host_mac,bridge]]>]
   [--netif_del <ifname>]
   [--applyconfig <name>] [--applyconfig_map <name>]
   [--features <name:on|off>] [--name <vename>]
   [--ioprio <N>] [--iolimit <N>] [--iopslimit <N>]
   [--pci_add [<domain>:]<bus>:<slot>.<func>] [--pci_del <d:b:s.f>]
   [--iptables <name>] [--disabled <yes|no>]
   [--stop-timeout <seconds>
   [UBC parameters]

UBC parameters (N - items, P - pages, B - bytes):
Two numbers divided by colon means barrier:limit.
In case the limit is not given it is set to the same value as the barrier.
   --numproc N[:N]\t--numtcpsock N[:N]\t--numothersock N[:N]
   --vmguarpages P[:P]\t--kmemsize B[:B]\t--tcpsndbuf B[:B]
   --tcprcvbuf B[:B]\t--othersockbuf B[:B]\t--dgramrcvbuf B[:B]
   --oomguarpages P[:P]\t--lockedpages P[:P]\t--privvmpages P[:P]
   --shmpages P[:P]\t--numfile N[:N]\t\t--numflock N[:N]
   --numpty N[:N]\t--numsiginfo N[:N]\t--dcachesize N[:N]
   --numiptent N[:N]\t--physpages P[:P]\t--avnumproc N[:N]
   --swappages P[:P]"""
)
