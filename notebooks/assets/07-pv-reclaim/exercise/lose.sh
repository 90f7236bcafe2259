# Makes a volume, a claim, and a pod that writes to it; then somebody deletes the claim. The argument says which volume.
set -e
folder=assets/07-pv-reclaim/exercise
kubectl apply -f $folder/lost-$1.yaml -f $folder/claim.yaml -f $folder/cashier.yaml
kubectl wait --for=condition=Ready pod/cashier --timeout=60s
kubectl delete persistentvolumeclaim ledger --wait=false
# In the third case the pod goes on, and with it the claim: for the moment.
test "$1" = 2 || kubectl delete pod cashier
