# One container under every log driver, all at once. Each writes one line to each stream, and ends.
# More options for all of them: sh everywhere.sh PREFIX [OPTION…]
prefix=$1
shift
more=$*

under() {
    driver=$1
    shift
    docker run --name "$prefix-$driver" --log-driver "$driver" "$@" $more \
        --label app=shop --env STAGE=test lab/toolbox \
        sh -c 'echo to stdout; echo to stderr >&2' >/dev/null 2>"/tmp/$prefix-$driver" ||
        echo "$driver: $(grep . "/tmp/$prefix-$driver" | head -n 1)" &
}

added='--log-opt labels=app --log-opt env=STAGE --log-opt tag={{.Name}}'
under json-file $added
under local $added
under syslog $added
under fluentd $added
under gelf $added --log-opt gelf-address=udp://127.0.0.1:12201
under splunk $added --log-opt splunk-url=http://127.0.0.1:8088 \
    --log-opt splunk-token=11111111-2222-3333-4444-555555555555
under awslogs --log-opt tag={{.Name}} --log-opt awslogs-endpoint=http://127.0.0.1:5000 \
    --log-opt awslogs-region=us-east-1 --log-opt awslogs-group=lab --log-opt awslogs-create-group=true
more= # the driver `none` takes no options
under none
wait
