docker run --detach --name shop \
    --log-driver splunk \
    --log-opt splunk-url=http://127.0.0.1:8088 \
    lab/toolbox echo the shop is open
