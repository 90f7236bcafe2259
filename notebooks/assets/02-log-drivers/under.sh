# Prints the options of `docker run` for a name such as syslog-tcp: driver and address, the tag, the mode.
#   sh under.sh NAME TAG MODE
case $1 in
syslog-tcp) echo "--log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:514" ;;
syslog-udp) echo "--log-driver syslog --log-opt syslog-address=udp://127.0.0.1:514" ;;
fluentd) echo "--log-driver fluentd" ;;
fluentd-async) echo "--log-driver fluentd --log-opt fluentd-async=true" ;;
gelf-tcp) echo "--log-driver gelf --log-opt gelf-address=tcp://127.0.0.1:12201" ;;
gelf-udp) echo "--log-driver gelf --log-opt gelf-address=udp://127.0.0.1:12201" ;;
splunk)
    echo "--log-driver splunk --log-opt splunk-url=http://127.0.0.1:8088" \
        "--log-opt splunk-token=11111111-2222-3333-4444-555555555555"
    ;;
esac
echo "--log-opt tag=$2 --log-opt mode=$3"
