docker run --detach --name shop \
    --log-driver awslogs \
    --log-opt awslogs-endpoint=http://127.0.0.1:5000 \
    --log-opt awslogs-region=us-east-1 \
    --log-opt awslogs-group=shop \
    lab/toolbox echo the shop is open
