# Starts a second engine on this machine, with the cgroupfs driver, and on it a container like the one of the first.
folder=$(mktemp -d)
echo '{ "exec-opts": ["native.cgroupdriver=cgroupfs"] }' >"$folder/daemon.json"
setsid dockerd --config-file="$folder/daemon.json" --data-root="$folder/data" --exec-root="$folder/exec" \
    --pidfile=/run/beside.pid --host=unix:///run/beside.sock --bridge=none --iptables=false --ip6tables=false \
    >"$folder/log" 2>&1 </dev/null &
tries=600
until docker --host unix:///run/beside.sock info >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { tail -n 3 "$folder/log" >&2; exit 1; }
    sleep 0.1
done
docker save lab/toolbox | docker --host unix:///run/beside.sock load --quiet >/dev/null
docker --host unix:///run/beside.sock run --detach --cgroupns host --network none --name watched --memory 64m \
    lab/toolbox sleep 300
