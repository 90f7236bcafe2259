# Starts containerd as the packages of Docker and of Debian do: on its own, with its own folder, for engines to use.
setsid containerd >/tmp/containerd.log 2>&1 </dev/null &
tries=600
until [ -S /run/containerd/containerd.sock ] || [ $tries -eq 0 ]; do
    tries=$((tries - 1))
    sleep 0.05
done
ls /run/containerd/containerd.sock
