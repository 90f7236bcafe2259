# What is known of the lines of those containers: which its collector has; how many `docker logs` shows.
for driver in syslog-tcp syslog-udp fluentd fluentd-async gelf-tcp gelf-udp splunk; do
    arrived=$(sh assets/02-log-drivers/arrived.sh die-$driver)
    echo "$driver | $(echo $arrived) | $(docker logs die-$driver 2>/dev/null | wc -l)"
done
