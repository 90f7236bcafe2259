# Eight containers write 300 numbered lines each, some five seconds long. After one second every collector is killed.
for driver in syslog-tcp syslog-udp fluentd fluentd-async gelf-tcp gelf-udp splunk; do
    docker run --detach --name die-$driver $(sh assets/02-log-drivers/under.sh $driver die-$driver blocking) \
        lab/toolbox sh -c "$(cat assets/02-log-drivers/writer.sh)" writer 3 100 >/dev/null &
done
docker run --detach --name stubborn --log-driver fluentd lab/toolbox \
    sh -c "$(cat assets/02-log-drivers/writer.sh)" writer 3 100 >/dev/null &
wait
sleep 1
for collector in syslog fluentd gelf splunk; do
    kill -KILL "$(cat /run/receivers/$collector.pid)"
done
# By then each of the eight has had something to say, and a driver that waits for its collector waits.
sleep 0.5
