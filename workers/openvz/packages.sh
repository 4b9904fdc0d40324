# Upgrades a container's packages from inside; sent over stdin by workers/openvz/packages.py, never installed.
# Paths are relative: exec2 begins in the container's /. Lines that begin with `vzq:` are for vzq, all others for people.
# $1 what: upgrade or check   $2 security only: yes or no   $3 families that are wanted, or any   $4 proxy, or none
# $5 seconds a held lock is waited for   $6 KiB and $7 inodes that must be free   $8… packages, all that can be upgraded if none
what=$1 security=$2 families=$3 proxy=$4 patience=$5 least_kib=$6 least_inodes=$7
shift 7
export LC_ALL=C DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=a ZYPP_LOCK_TIMEOUT="$patience"
[ "$proxy" = none ] || export http_proxy="$proxy" https_proxy="$proxy"

end() {  # OUTCOME WHY
    echo "vzq: outcome $1 $2"
    case $1 in failed) exit 1 ;; *) exit 0 ;; esac
}

release() {  # FIELD of etc/os-release
    sed -n "s/^$1=//p" etc/os-release 2>/dev/null | tr -d "\"'" | head -n 1
}

# The first one that is there and runs; dnf before yum, which is a link to it on newer systems.
family() {
    for tool in apt-get dnf yum zypper apk; do
        "$tool" --version >/dev/null 2>&1 && { echo "${tool%-get}"; return; }
    done
}

kin=$(family)
[ -n "$kin" ] || end skipped "no package manager that is known (apt, dnf, yum, zypper, apk)"
echo "vzq: family $kin $(release ID)-$(release VERSION_ID)"
case " $families " in *" any "*|*" $kin "*) ;; *) end skipped "its packages are $kin's, which are not asked for" ;; esac

case $kin-$security-$# in zypper-yes-0) ;; zypper-yes-*) end skipped "zypper has security patches, which cannot be had for named packages alone" ;; esac

folder=$(mktemp -d ./tmp/vzq.XXXXXX 2>/dev/null || mktemp -d) || end failed "no folder can be made in /tmp"
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' HUP INT TERM

# ---- what each family calls it -----------------------------------------------------------------------------------

# Without a terminal of its own dpkg stays in our session, and ends with it.
apt="apt-get -q -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=$patience"
KERNELS='linux-\(image\|headers\|generic\|virtual\)'
dnf="-y -q --exclude=kernel* --setopt=exit_on_lock=1"

installed() {
    case $kin in
    apt) dpkg-query -W -f '${Package}:${Architecture} ${Version}\n' ;;
    apk) apk info -v 2>/dev/null | sed 's/-\([0-9][^-]*-r[0-9]*\)$/ \1/' ;;
    *) rpm -qa --qf '%{NAME}.%{ARCH} %{VERSION}-%{RELEASE}\n' ;;
    esac | sort
}

broken() {  # an earlier run was interrupted
    case $kin in
    apt) [ -n "$(dpkg --audit 2>&1)" ] || [ -n "$(ls -A var/lib/dpkg/updates 2>/dev/null)" ] ;;
    yum) command -v yum-complete-transaction >/dev/null 2>&1 && ls var/lib/yum/transaction-all* >/dev/null 2>&1 ;;
    *) return 1 ;;
    esac
}

repair() {
    case $kin in
    apt) dpkg --configure -a --force-confdef --force-confold && $apt -f install ;;
    yum) yum-complete-transaction -y --cleanup-only ;;
    esac
}

refresh() {
    case $kin in
    apt) $apt update ;;
    dnf) dnf -q --refresh --setopt=exit_on_lock=1 --setopt=skip_if_unavailable=False makecache ;;  # else lists of two days ago are fresh enough for it
    yum) yum -q --setopt=exit_on_lock=1 clean expire-cache && yum -q --setopt=exit_on_lock=1 makecache ;;
    zypper) zypper -n ref ;;  # a key that nobody has accepted there is an error: it is not for us to trust it
    apk) apk --wait "$patience" update ;;
    esac
}

pending() {  # a line a package that would be upgraded: name, version
    case $kin in
    apt)
        case $# in 0) set -- upgrade ;; *) set -- install --only-upgrade "$@" ;; esac
        apt-get -s -q -o Debug::NoLocking=true "$@" >"$folder/check" || return
        sed -n "/^Inst $KERNELS/d; s/^Inst \([^ ]*\) .*(\([^ ]*\) \(.*\)).*/\1 \2 \3/p" "$folder/check" |
            if [ "$security" = yes ]; then sed -n '/[Ss]ecurity/p'; else cat; fi
        ;;
    dnf|yum)
        $kin -q --exclude='kernel*' --setopt=exit_on_lock=1 $([ "$security" = no ] || echo --security) check-update "$@" >"$folder/check"
        rc=$?
        [ $rc = 0 ] || [ $rc = 100 ] || return $rc
        sed -n '/^Obsoleting/q; s/^\([^ ]*\.[^ ]*\)  *\([^ ]*\)  *[^ ]*$/\1 \2/p' "$folder/check"
        ;;
    zypper)
        if [ "$security" = yes ]; then zypper -n --no-refresh lp --category security; else zypper -n --no-refresh lu; fi >"$folder/check"
        rc=$?
        case $rc in 0|100|101) ;; *) return $rc ;; esac
        sed -n 's/^v *|[^|]*| *\([^ ]*\) *|[^|]*| *\([^ ]*\) .*/\1 \2/p; s/^[^|]*| *\([^ ]*\) *| *security .*/\1 patch/p' "$folder/check" | while read -r name version; do
            case $#$security" $* " in 0*|*yes*|*" $name "*) echo "$name $version" ;; esac
        done
        ;;
    apk)
        apk version -l '<' >"$folder/check" || return
        sed -n 's/^\(.*\)-[0-9][^ ]* *< *\(.*\)$/\1 \2/p' "$folder/check" | while read -r name version; do
            case $#" $* " in 0*|*" $name "*) echo "$name $version" ;; esac
        done
        ;;
    esac
}

upgrade() {
    case $kin in
    apt)
        # Kernels are of no use in a container, and their hooks fail there. What was held before stays held.
        kernels=$(dpkg-query -W -f '${Package} ${Status}\n' 2>/dev/null | sed -n "s/^\($KERNELS[^ ]*\) install ok .*/\1/p")
        [ -z "$kernels" ] || apt-mark hold $kernels >/dev/null
        if [ "$security" = yes ]; then
            $apt install --only-upgrade $(cut -d' ' -f1 "$folder/pending")
        elif [ $# -gt 0 ]; then
            $apt install --only-upgrade "$@"
        else
            $apt upgrade
        fi
        rc=$?
        [ -z "$kernels" ] || apt-mark unhold $kernels >/dev/null
        return $rc
        ;;
    dnf|yum)
        verb=update
        [ $kin = yum ] || verb=upgrade
        $kin $dnf $([ "$security" = no ] || echo --security) $verb "$@"
        ;;
    zypper)
        if [ "$security" = yes ]; then
            zypper -n --no-refresh patch --category security --auto-agree-with-licenses
        else
            zypper -n --no-refresh up --auto-agree-with-licenses "$@"
        fi
        ;;
    apk) apk --wait "$patience" upgrade "$@" ;;
    esac
}

# What the code of an upgrade means, as a word: ok, again, reboot, locked, or the reason why not.
meaning() {  # CODE
    case $kin-$1 in
    *-0) echo ok ;;
    zypper-100|zypper-101) echo ok ;;
    zypper-102) echo reboot ;;
    zypper-103) echo again ;;  # zypper itself was upgraded; the rest waits for the next run
    zypper-7|yum-200|dnf-200) echo locked ;;
    zypper-106) echo "a repository could not be read" ;;
    zypper-107) echo "a package's script failed" ;;
    *-124|*-137) echo "it took too long" ;;
    *)
        if grep -qiE 'could not get lock|unable to lock|is another process using it|locked by another process|database.*locked' "$folder/said"; then echo locked
        elif grep -qi 'no space left on device' "$folder/said"; then echo "no space is left"
        else echo "$kin ended with $1"
        fi
        ;;
    esac
}

# Run it, say it, and again for as long as somebody else holds the lock. Sets `means`.
patiently() {
    waited=0
    while :; do
        { "$@"; echo $? >"$folder/code"; } 2>&1 </dev/null | tee "$folder/said"
        means=$(meaning "$(cat "$folder/code")")
        case $means in
        again) [ "${repeated:-}" ] && { means=ok; return; }; repeated=yes ;;
        locked)
            [ "$waited" -lt "$patience" ] || { means="another package manager holds its lock"; return; }
            sleep 2
            waited=$((waited + 2))
            ;;
        *) return ;;
        esac
    done
}

failures() {  # of the kernel's beancounters, `resource count` a line
    [ -r proc/user_beancounters ] && sed -n 's/^ *\([0-9]*:\)\{0,1\} *\([a-z]*\) .* \([0-9]*\)$/\2 \3/p' proc/user_beancounters
}

# ---- the way of an upgrade ---------------------------------------------------------------------------------------

free_kib=$(df -Pk . 2>/dev/null | sed -n '2s/^[^ ]*  *[0-9]*  *[0-9]*  *\([0-9]*\) .*/\1/p')
free_inodes=$(df -Pi . 2>/dev/null | sed -n '2s/^[^ ]*  *[0-9]*  *[0-9]*  *\([0-9]*\) .*/\1/p')
[ -z "$free_kib" ] || [ "$free_kib" -ge "$least_kib" ] || end failed "only $((free_kib / 1024)) MiB are free in it; $((least_kib / 1024)) are wanted before an upgrade"
[ -z "$free_inodes" ] || [ "$free_inodes" = 0 ] || [ "$free_inodes" -ge "$least_inodes" ] || end failed "only $free_inodes inodes are free in it; $least_inodes are wanted"

done_with() {  # OUTCOME WHY: the difference first
    installed >"$folder/after"
    comm -23 "$folder/before" "$folder/after" | sed 's/^/vzq: - /'
    comm -13 "$folder/before" "$folder/after" | sed 's/^/vzq: + /'
    failures | sort | comm -13 "$folder/failed-before" - | sed 's/^/vzq: failcnt /'
    if [ "$means" = reboot ] || [ -e run/reboot-required ] || [ -e var/run/reboot-required ] || [ -e run/reboot-needed ]; then
        echo "vzq: reboot wanted"
    elif command -v needs-restarting >/dev/null 2>&1; then
        needs-restarting -r >/dev/null 2>&1
        [ $? != 1 ] || echo "vzq: reboot wanted"
    fi
    end "$@"
}

installed >"$folder/before"
failures | sort >"$folder/failed-before"
repaired=no
if broken; then
    [ "$what" = upgrade ] || end ok "an earlier run was interrupted: an upgrade repairs that first; what it finds then is not known yet"
    echo "vzq: repaired an interrupted run"
    repaired=yes
    patiently repair
    [ "$means" = ok ] || done_with failed "an interrupted run could not be repaired: $means"
fi
patiently refresh
[ "$means" = ok ] || end failed "its package lists could not be read: $means"
if [ $kin = apt ] && grep -qE '^(E:|W: Failed to fetch|Err:)' "$folder/said"; then end failed "its package lists could not be read: $(grep -m1 -E '^(E:|W: Failed|Err:)' "$folder/said")"; fi
listed() { pending "$@" >"$folder/pending"; }
patiently listed "$@"
[ "$means" = ok ] || end failed "what can be upgraded could not be listed: $means"
count=$(grep -c . "$folder/pending")
echo "vzq: pending $count"
sed 's/^/vzq: would /; 500q' "$folder/pending"
[ "$what" = upgrade ] || [ "$count" = 0 ] || end ok "$count to upgrade"
if [ "$count" = 0 ]; then
    [ $repaired = no ] || done_with ok "an interrupted run was brought to its end, and there is nothing more to upgrade"
    done_with up-to-date "nothing to upgrade"
fi

patiently upgrade "$@"
if [ "$means" = ok ] && [ $repaired = no ] && installed | cmp -s - "$folder/before"; then
    done_with up-to-date "nothing was upgraded: what is pending is held back by what it depends on"
fi
case $means in ok|reboot) done_with ok "upgraded" ;; esac
broken && done_with failed "$means; its package database is left half-way, the next run repairs it"
done_with failed "$means"
