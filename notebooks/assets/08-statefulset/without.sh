# What still works? Run on the node, since a cluster without etcd answers no kubectl.  sh without.sh old-3
# Ends the container of the pod, gives its kubelet 3 seconds to start it again, then reads what the client says.
notes=/var/lib/old/$1
before=$(wc -l <"$notes/starts")
touch "$notes/end"
tries=30
until [ "$(wc -l <"$notes/starts")" -gt "$before" ] || [ $tries -eq 0 ]; do
  sleep 0.1
  tries=$((tries - 1))
done
[ $tries -gt 0 ] && echo "container: started again" || echo "container: not started again"
rm -f /var/lib/client/said
tries=50
until [ -e /var/lib/client/said ] || [ $tries -eq 0 ]; do
  sleep 0.1
  tries=$((tries - 1))
done
sed 's/, /\n/' /var/lib/client/said
