# Thirteen containers, all at once, whose collector is not there: nobody listens on port 9.
try() {
    name=$1
    shift
    {
        said=$(docker run --rm "$@" lab/toolbox echo started 2>&1)
        echo "$name | $(echo "$said" | grep -o -e 'Error.*' -e '^started$' | head -n 1)"
    } &
}
try "syslog, unix socket" --log-driver syslog --log-opt syslog-address=unix:///run/nobody.sock
try "syslog, TCP" --log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:9
try "syslog, UDP" --log-driver syslog --log-opt syslog-address=udp://127.0.0.1:9
try "fluentd" --log-driver fluentd --log-opt fluentd-address=127.0.0.1:9
try "fluentd, mode=non-blocking" --log-driver fluentd --log-opt fluentd-address=127.0.0.1:9 --log-opt mode=non-blocking
try "fluentd, fluentd-async" --log-driver fluentd --log-opt fluentd-address=127.0.0.1:9 --log-opt fluentd-async=true
try "gelf, TCP" --log-driver gelf --log-opt gelf-address=tcp://127.0.0.1:9
try "gelf, UDP" --log-driver gelf --log-opt gelf-address=udp://127.0.0.1:9
try "gelf, UDP, unknown name" --log-driver gelf --log-opt gelf-address=udp://collector.invalid:9
try "splunk" --log-driver splunk --log-opt splunk-token=x --log-opt splunk-url=http://127.0.0.1:9
try "splunk, not verified" --log-driver splunk --log-opt splunk-token=x --log-opt splunk-url=http://127.0.0.1:9 \
    --log-opt splunk-verify-connection=false
try "awslogs" --log-driver awslogs --log-opt awslogs-endpoint=http://127.0.0.1:9 \
    --log-opt awslogs-region=us-east-1 --log-opt awslogs-group=lab
try "journald, no systemd" --log-driver journald
wait
