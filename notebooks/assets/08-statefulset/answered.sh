# Asks for a name from the pod `probe` until there is an answer: lists of addresses reach DNS a moment after a pod is
# ready, as any client may find that comes early.
until kubectl exec probe -- nslookup "$1" >/dev/null 2>&1; do sleep 0.1; done
