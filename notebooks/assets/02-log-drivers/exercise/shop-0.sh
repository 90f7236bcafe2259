docker run --detach --name shop \
    --log-driver fluentd \
    --log-opt fluentd-address=127.0.0.1:24225 \
    lab/toolbox echo the shop is open
