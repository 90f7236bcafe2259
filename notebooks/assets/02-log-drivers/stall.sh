# Two containers write 8000 lines each to one Fluentd collector, which stalls for three seconds or more: it keeps its
# port open, and reads nothing. Prints when the stall began and ended, in seconds since the machine started.
here=assets/02-log-drivers
sh $here/buffers.sh small
rm -rf /tmp/stall && mkdir /tmp/stall && touch /tmp/stall/wait
for mode in blocking non-blocking; do
    docker run --detach --name stall-$mode --volume /tmp/stall:/stall --log-driver fluentd --log-opt tag={{.Name}} \
        --log-opt mode=$mode lab/toolbox \
        sh -c "$(cat $here/writer.sh)" writer 100 80 /stall/$mode >/dev/null
done
collector=$(cat /run/receivers/fluentd.pid)
# However fast this computer is: stall it when the one that never waits has written 1500 lines, until it has 6000.
until_written() { timeout 60 sh -c 'until grep -q " $0$" /tmp/stall/non-blocking; do sleep 0.05; done' "$1" 2>/dev/null; }
rm /tmp/stall/wait
until_written 1500
kill -STOP "$collector"
echo "stalled $(cut -d' ' -f1 /proc/uptime)"
sleep 3
until_written 6000
kill -CONT "$collector"
echo "resumed $(cut -d' ' -f1 /proc/uptime)"
docker wait stall-blocking stall-non-blocking >/dev/null
# Both have said all they had to. On its way to the collector, at port 24224, is what these queues hold.
while ss --tcp --numeric --no-header '( sport = :24224 or dport = :24224 )' | awk '{ left += $2 + $3 } END { exit !left }'; do
    sleep 0.1
done
timeout 20 sh -c 'until grep stall-blocking /var/log/receivers/fluentd.jsonl | grep -q "8000 0"; do sleep 0.1; done'
sh $here/buffers.sh before
