# What still works? Run on the node, since a cluster without etcd answers no kubectl.  sh without.sh old-3
# Reads what the client says by now, ends the container of the pod, and gives its kubelet 6 seconds to start it again.
# Without a pod it only reads what the client says.
for time in 1 2; do # what it says first it may have asked before
  rm -f /var/lib/client/said
  tries=100
  until [ -e /var/lib/client/said ] || [ $tries -eq 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
done
says=$(sed 's/, /\n/' /var/lib/client/said)
if [ -z "$1" ]; then
  echo "$says"
  exit
fi
notes=/var/lib/old/$1
before=$(wc -l <"$notes/starts")
touch "$notes/end"
tries=60
until [ "$(wc -l <"$notes/starts")" -gt "$before" ] || [ $tries -eq 0 ]; do
  sleep 0.1
  tries=$((tries - 1))
done
[ $tries -gt 0 ] && echo "container: started again" || echo "container: not started again"
echo "$says"
