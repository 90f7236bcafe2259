# Two containers write 8000 lines each to one Fluentd collector, which stalls for three seconds: it keeps its port open,
# and reads nothing. Prints when the stall began and ended, in seconds since the machine started.
# The kernel of this machine is told to keep less for a connection, or the stall would be felt some megabytes later.
buffers=/proc/sys/net/ipv4/tcp_wmem
before=$(cat $buffers)
echo 4096 16384 131072 >$buffers
for mode in blocking non-blocking; do
    docker run --detach --name stall-$mode --log-driver fluentd --log-opt tag={{.Name}} --log-opt mode=$mode \
        lab/toolbox sh -c "$(cat assets/02-log-drivers/writer.sh)" writer 100 80 >/dev/null
done
collector=$(cat /run/receivers/fluentd.pid)
sleep 1
kill -STOP "$collector"
echo "stalled $(cut -d' ' -f1 /proc/uptime)"
sleep 3
kill -CONT "$collector"
echo "resumed $(cut -d' ' -f1 /proc/uptime)"
docker wait stall-blocking stall-non-blocking >/dev/null
# Both have said all they had to. On its way to the collector, at port 24224, is what these queues hold.
while ss --tcp --numeric --no-header '( sport = :24224 or dport = :24224 )' | awk '{ left += $2 + $3 } END { exit !left }'; do
    sleep 0.1
done
echo "$before" >$buffers
