docker run --detach --name shop \
    --log-driver json-file \
    --log-opt max-sise=10m \
    lab/toolbox echo the shop is open
