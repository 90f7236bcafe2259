docker run --detach --name shop \
    --log-driver json-file \
    --log-opt max-size=10m --log-opt compress=true \
    lab/toolbox echo the shop is open
