# Starts an engine that has no setting, asks it which cgroup driver it chose, and ends it. Folders of its own and no
# network: another engine may run on this machine.
folder=$(mktemp -d)
echo '{}' >"$folder/daemon.json"
dockerd --config-file="$folder/daemon.json" --data-root="$folder/data" --exec-root="$folder/exec" \
    --pidfile="$folder/pid" --host="unix://$folder/socket" --bridge=none --iptables=false --ip6tables=false \
    >"$folder/log" 2>&1 </dev/null &
tries=600
until docker --host "unix://$folder/socket" info >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] && kill -0 $! || { tail -n 3 "$folder/log" >&2; exit 1; }
    sleep 0.1
done
systemd=no
[ -d /run/systemd/system ] && systemd=yes
docker --host "unix://$folder/socket" info --format "systemd: $systemd, cgroup v{{.CgroupVersion}}: {{.CgroupDriver}}"
# Nothing runs on it. Asked politely, it would look only once a second whether its containerd has ended.
kill -KILL $!
wait
