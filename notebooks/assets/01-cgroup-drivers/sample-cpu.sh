# sample-cpu.sh SAMPLES NAME=CONTAINER-ID …
#
# Reads, ten times a second, what the kernel counts for each container's cgroup: cpu.stat and the processor time used.
# The cgroup hierarchies of the engine's machine are mounted at /cgroups. One line for each reading:
#   seconds since the machine started, NAME, periods, throttled periods, throttled time, time used
samples=$1
shift
for container; do
    id=${container#*=}
    # With version 1 beside it, version 2 has a cpu.stat too, without any quota in it.
    set -- "$@" "${container%%=*}=$(find /cgroups -path "*$id*/cpu.stat" | xargs grep -l nr_periods | head -n 1)=$(
        find /cgroups -path "*$id*/cpuacct.usage" | head -n 1)"
    shift
done
while [ "$samples" -gt 0 ]; do
    read -r now _ </proc/uptime
    for container; do
        files=${container#*=}
        periods=0 throttled=0 waited=0 used=0
        while read -r key value; do
            case $key in
            nr_periods) periods=$value ;;
            nr_throttled) throttled=$value ;;
            throttled_usec) waited=${value}us ;;
            throttled_time) waited=${value}ns ;;
            usage_usec) used=${value}us ;;
            esac
        done <"${files%%=*}"
        [ -z "${files#*=}" ] || { read -r value <"${files#*=}" && used=${value}ns; }
        echo "$now ${container%%=*} $periods $throttled $waited $used"
    done
    samples=$((samples - 1))
    sleep 0.1
done
