# What `docker logs` still shows of each container: sh read_back.sh PREFIX
for driver in json-file local none syslog fluentd gelf splunk awslogs; do
    echo "$driver | $(docker logs "$1-$driver" 2>&1 | tr '\n' ';')"
done
