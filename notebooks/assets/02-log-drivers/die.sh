# Eight containers write 300 numbered lines each, some five seconds long. After the first 45 every collector is killed.
names="die-syslog-tcp die-syslog-udp die-fluentd die-fluentd-async die-gelf-tcp die-gelf-udp die-splunk stubborn"
rm -rf /tmp/die && mkdir /tmp/die && touch /tmp/die/wait
for name in $names; do
    options="--log-driver fluentd"
    [ $name = stubborn ] || options=$(sh assets/02-log-drivers/under.sh ${name#die-} $name blocking)
    docker run --detach --name $name --volume /tmp/die:/die $options \
        lab/toolbox sh -c "$(cat assets/02-log-drivers/writer.sh)" writer 3 100 /die/$name >/dev/null &
done
wait
# Until each of the eight has noted so many times that it has written another three lines.
until_noted() {
    for name in $names; do
        timeout 30 sh -c 'until [ -e $1 ] && [ $(wc -l <$1) -ge $0 ]; do sleep 0.05; done' "$1" /tmp/die/$name
    done
}
rm /tmp/die/wait
until_noted 15
for collector in syslog fluentd gelf splunk; do
    kill -KILL "$(cat /run/receivers/$collector.pid)"
done
# From now on each of them has something to say, and a driver that waits for its collector waits.
rm /tmp/die/*
until_noted 5
