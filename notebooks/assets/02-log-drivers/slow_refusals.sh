# Three drivers that this engine may not have. It looks for a plugin of that name for a long while, so they wait side
# by side, in the background: `start` starts them, `read` waits for them and shows what each was told.
for driver in etwlogs logentries jsonfile; do
    said=/tmp/refused-$driver
    if [ "$1" = start ]; then
        {
            began=$(cut -d' ' -f1 /proc/uptime)
            docker run --rm --log-driver $driver lab/toolbox true >$said.said 2>&1
            echo "exit code $? after $(awk -v began="$began" '{printf "%.0f", $1 - began}' /proc/uptime) s" >>$said.said
            mv $said.said $said
        } </dev/null >/dev/null 2>&1 &
    else
        until [ -e $said ]; do sleep 0.1; done
        echo "$driver | $(grep . $said | grep -v "run --help" | tr '\n' ';')"
    fi
done
