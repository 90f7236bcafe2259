# %% [markdown]
# # CNI plugins: how a pod gets its network
#
# A pod has an address, and every other pod can reach it, also from another node. Kubernetes itself does not do that:
# a *network plugin* does. There are many, and they do it in very different ways.
#
# First you call a plugin by hand, then take the network away from a cluster. Then several ways to connect pods take
# turns on the same two nodes, and the same questions go to each; one table holds all answers in the end. About 40
# minutes. Nothing outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from pathlib import Path

from labsupport import open_lab
from labsupport.experiments.checks import all_of, any_of, contains, differs, equals, exit_code_is
from labsupport.lessons import cni
from labsupport.lessons.cni import BETWEEN

lab = open_lab("05-cni-plugins", engine=engine, cluster=cluster, seed=seed)

# %%
dataplanes, paths = {}, {}  # what is found, by the name of each way to connect pods

# %% [markdown]
# The lab's cluster has two nodes. `on="node-1"` below means: a root shell on that node.

# %% [markdown]
# ## 1. A plugin, called by hand
#
# **Ask.** A CNI plugin is a program. Whoever starts a pod calls it with a few variables and a little JSON. What does
# it do, what does it answer, and what if it is called twice?

# %%
# !cat assets/05-cni-plugins/by-hand.json

# %% [markdown]
# **Predict.** There is an empty network namespace, `pod`. After `ADD`: which interfaces, addresses and routes are in
# it, and what is new on the node? Will `DEL` fail when there is nothing left to delete?

# %%
trial = lab.trial("by-hand")
trial.predict("")

# %% [markdown]
# **Do.** Make the namespace, look, call the plugin `bridge`, look again.

# %%
trial.run("ip netns add pod", on="node-1")
inside_before = trial.run("ip -netns pod -brief address", on="node-1")
node_before = trial.run("ip -brief link", on="node-1")
configuration = Path("assets/05-cni-plugins/by-hand.json").read_text()

# %%
added = trial.run(
    "env CNI_COMMAND=ADD CNI_CONTAINERID=pod CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0 "
    "CNI_PATH=/opt/cni/bin /opt/cni/bin/bridge",
    stdin=configuration,
    on="node-1",
)
added

# %%
inside_after = trial.run("ip -netns pod -brief address", on="node-1")
node_after = trial.run("ip -brief link", on="node-1")
routes = trial.run("ip -netns pod route", on="node-1")
routes

# %%
address = added.json()["ips"][0]["address"]
changes = {
    "in the pod": cni.lines_changed(inside_before, inside_after),
    "on the node": cni.lines_changed(node_before, node_after),
}
cni.changes_table("What ADD has changed", changes)

# %% [markdown]
# Now `CHECK`, with what `ADD` answered as `prevResult`; then `DEL`, twice.

# %%
with_result = cni.with_previous(configuration, added)
checked = trial.run(
    "env CNI_COMMAND=CHECK CNI_CONTAINERID=pod CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0 "
    "CNI_PATH=/opt/cni/bin /opt/cni/bin/bridge",
    stdin=with_result,
    on="node-1",
)

# %%
delete = (
    "env CNI_COMMAND=DEL CNI_CONTAINERID=pod CNI_NETNS=/run/netns/pod CNI_IFNAME=eth0 "
    "CNI_PATH=/opt/cni/bin /opt/cni/bin/bridge"
)
deleted = trial.run(delete, stdin=configuration, on="node-1")
deleted_again = trial.run(delete, stdin=configuration, on="node-1")
inside_in_the_end = trial.run("ip -netns pod -brief address", on="node-1")

# %% [markdown]
# And with a configuration that is wrong: no JSON at all; a program for addresses that is not there; two ranges of
# addresses that overlap. An `ADD` that fails may have done half of its work, so `DEL` is called after it too.

# %%
add = delete.replace("DEL", "ADD")
no_json = trial.run(add, stdin="{", on="node-1")
no_program = trial.run(add, stdin=cni.with_ipam(configuration, type="host-loacl"), on="node-1")
half_done = trial.run("ip -netns pod -brief address", on="node-1")
trial.run(delete, stdin=configuration, on="node-1")

# %%
ranges = [[{"subnet": "10.99.0.0/24"}], [{"subnet": "10.99.0.128/25"}]]
overlap = trial.run(add, stdin=cni.with_ipam(configuration, ranges=ranges), on="node-1")
trial.run("sh -c 'ip netns delete pod; ip link delete by-hand0'", on="node-1")
broken = {"no JSON": no_json, "no such program": no_program, "ranges overlap": overlap}
cni.refusals_table("What the plugin says", broken)

# %% [markdown]
# **See.**

# %%
gone = equals(inside_in_the_end.lines, inside_before.lines, "what is in the pod after DEL")
trial.check(contains(inside_after.output, address, "the pod's interfaces after ADD"))

# %%
trial.check(contains(routes.output, "default via 10.99.0.1", "the pod's routes after ADD"))

# %%
trial.check(all_of(exit_code_is(checked, 0), exit_code_is(deleted, 0), gone))

# %%
trial.check(exit_code_is(deleted_again, 0))

# %%
trial.check(all_of(*(exit_code_is(each, 1) for each in broken.values())))

# %%
trial.check(contains(no_program.json()["msg"], "host-loacl", "what it says of the program"))

# %%
trial.check(contains(overlap.json()["msg"], "overlap", "what it says of the ranges"))

# %%
trial.check(contains(half_done.output, "eth0", "what a failed ADD has left in the pod"))

# %% [markdown]
# **Explain.** `ADD` makes a wire (a *veth* pair) with one end in the pod, hangs the other on a bridge, has a second
# plugin, `host-local`, choose an address, and sets the route. It answers what it has done, as JSON, also when it
# fails; then half of it may be there. `DEL` takes it all back, and must not fail when there is nothing: whoever calls
# it may have lost count. That is the whole contract. (CNI specification 1.0: *Execution protocol*.)

# %% [markdown]
# ## 2. A cluster without a network
#
# **Ask.** What is a node worth without any plugin? Can anything run on it?
#
# **Predict.** Two pods, one as usual, one with `hostNetwork: true`. Which will run?

# %%
trial = lab.trial("none", settles="cn-01")
trial.predict("")

# %% [markdown]
# **Do.** We take the plugins' configuration away from both nodes, and wait until they notice.

# %%
with_network = trial.run("kubectl get node node-1 --output json")
lab.connect_pods(trial, "none")
trial.run("kubectl wait --for=condition=Ready=false node/node-1 node/node-2 --timeout=60s")
node = trial.run("kubectl get node node-1 --output json")
message = cni.condition(node, "Ready")["message"]
message

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/lonely.yaml")
ready = "--for=condition=Ready --timeout=60s"
trial.run(f"kubectl wait {ready} pod/has-the-hosts")
pods = trial.run("kubectl get pods --output json")
trial.run("kubectl get pods --output wide")

# %% [markdown]
# Then a network again, plain routes this time, and the same pod:

# %%
lab.connect_pods(trial, "plain")
started = trial.run(f"kubectl wait {ready} pod/needs-network")
has_one = trial.run("kubectl get pod needs-network --output jsonpath={.status.podIP}")

# %% [markdown]
# **See.**

# %%
phases = cni.phases(pods)
without = {"has-the-hosts": "Running", "needs-network": "Pending"}
pods_so = equals(phases, without, "the pods of a node without a network")
said = contains(message, "cni plugin not initialized", "the node's own words")
gets_one = differs(has_one.output, "", "the address of needs-network in the end")
was_ready = equals(cni.condition(with_network, "Ready")["status"], "True", "Ready, before")

# %%
trial.expect(
    "cn-01",
    confirmed=all_of(pods_so, said, exit_code_is(started, 0), gets_one),
    refuted=equals(phases.get("needs-network"), "Running", "the pod that needs a network"),
    given=was_ready,
)

# %% [markdown]
# **Explain.** The kubelet asks the container runtime whether the network is ready; the runtime says no as long as its
# folder of configurations is empty, and the node turns NotReady. Pods that share the node's own network need no
# plugin: that is how most plugins are installed themselves, as DaemonSets with `hostNetwork: true`. (Kubernetes
# documentation: *Network plugins*.)

# %% [markdown]
# ## 3. Flannel
#
# **Ask.** Flannel is said to be a simple overlay, by VXLAN or UDP, and quick to set up. What does it put on the wire?
# And what does it do with a NetworkPolicy?
#
# This is the real `flanneld`, on both nodes. Its plugin, which only hands flanneld's answer to the plugin `bridge`,
# is replaced by the lab.
#
# Three pods take part: `here` and `near` on node-1, `far` on node-2, behind the Service `web`. What `here` asks is a
# script:

# %%
# !head -30 assets/05-cni-plugins/pods.yaml

# %% [markdown]
# **Predict.** `here` asks `far`, on the other node. Which address will `far` see? How large may a packet be, if the
# wire takes 1500 bytes? And after `deny.yaml`, which forbids everybody to talk to `far`?

# %%
trial = lab.trial("flannel", settles=["cn-02", "cn-03"])
trial.predict("")

# %% [markdown]
# **Do.** First with VXLAN. `cni.ask` runs the script `matrix` in the pod `here`.

# %%
lab.connect_pods(trial, "flannel-vxlan")
trial.run("kubectl apply -f assets/05-cni-plugins/pods.yaml")
trial.run("kubectl wait --for=condition=Ready pod --all --timeout=60s")
trial.run("ip route", on="node-1")

# %%
recording = cni.record_path(lab, trial, "flannel-vxlan")
vxlan = cni.ask(trial, and_node=True)
paths["flannel-vxlan"] = recording.read()
cni.wire_figure("Flannel with VXLAN: a packet between the nodes", paths["flannel-vxlan"][BETWEEN])

# %% [markdown]
# Now two policies: nobody may talk to `far`, and `here` to nobody. They come while `here` keeps asking.

# %%
# !cat assets/05-cni-plugins/deny.yaml

# %%
trial.run("kubectl exec here -- sh /probe/keep-asking")
policies = "-f assets/05-cni-plugins/deny.yaml -f assets/05-cni-plugins/deny-out.yaml"
denied = trial.run(f"kubectl apply {policies}")
after_deny = cni.ask(trial)
kept_asking = trial.run("kubectl exec here -- sh /probe/keep-asking enough")
trial.run(f"kubectl delete --force -f assets/05-cni-plugins/pods.yaml {policies}")
cni.matrix_table("Flannel, before and after the policies", {"before": vxlan, "after": after_deny})

# %% [markdown]
# Flannel can do it in other ways: as plain routes (`host-gw`), and by a program that hands on each packet (`udp`).

# %%
columns = {"flannel-vxlan": vxlan}
for name in ["flannel-host-gw", "flannel-udp"]:
    lab.connect_pods(trial, name)
    trial.run("kubectl apply -f assets/05-cni-plugins/pods.yaml")
    trial.run("kubectl wait --for=condition=Ready pod --all --timeout=60s")
    recording = cni.record_path(lab, trial, name)
    columns[name] = cni.ask(trial, and_node=True)
    paths[name] = recording.read()
    trial.run("kubectl delete --force -f assets/05-cni-plugins/pods.yaml")

# %%
carriers = {name: cni.carried_by(paths[name][BETWEEN]) for name in columns}
cni.matrix_table("Three ways of Flannel", columns, [["carried by", *carriers.values()]])

# %%
cni.wire_figure("Flannel with udp: a packet between the nodes", paths["flannel-udp"][BETWEEN])

# %% [markdown]
# **See.**

# %%
overlays = {"flannel-vxlan": "VXLAN", "flannel-udp": "UDP"}
seen = {name: carriers[name] for name in overlays}
trial.expect(
    "cn-02",
    confirmed=equals(seen, overlays, "what carries the pods' packets"),
    refuted=any_of(*(differs(seen[name], overlays[name], name) for name in overlays)),
    given=equals([each.silent for each in columns.values()], [[], [], []], "what got no answer"),
)

# %%
ignored = equals(after_deny.silent, [], "what got no answer after “deny”")
trial.expect(
    "cn-03",
    confirmed=ignored,
    refuted=contains(after_deny.silent, "other node", "what got no answer after “deny”"),
    given=all_of(exit_code_is(denied, 0), equals(vxlan.silent, [], "no answer, before")),
)

# %%
plain = "nothing: as the pod sent it"
trial.check(equals(carriers["flannel-host-gw"], plain, "host-gw on the wire"))

# %%
sizes = {name: 1500 - matrix.largest for name, matrix in columns.items()}
headers = {"flannel-vxlan": 50, "flannel-host-gw": 0, "flannel-udp": 28}
trial.check(equals(sizes, headers, "bytes that each way takes of 1500"))

# %%
meanwhile = cni.what_became_of(kept_asking)
dataplanes |= {name: cni.Findings(columns[name], carriers[name]) for name in columns}
ignored = {"deny": after_deny, "no egress": after_deny}
dataplanes["flannel-vxlan"] = cni.Findings(vxlan, "VXLAN", ignored, meanwhile)
trial.check(equals(meanwhile, "goes on as before", "a pod that asks while policies are added"))

# %% [markdown]
# **Explain.** `vxlan` wraps the whole frame: 14 bytes of Ethernet, 8 of VXLAN, 8 of UDP and 20 of IPv4 are gone from
# every packet, and pods are told so (their interface is smaller). `udp`, the oldest way, wraps the packet only, but a
# program touches each. Both travel in UDP: the wire between the nodes knows nodes, and no pods. `host-gw` wraps
# nothing, which takes nodes that are neighbours on one wire. In all three the pod at the other end sees the asker's
# own address.
#
# The policy was *accepted*: the API server stores it and asks nobody. Flannel does not read policies, so nothing has
# changed. No message says so. (Flannel documentation: *Backends*; Kubernetes documentation: *Network policies*,
# *Prerequisites*.)

# %% [markdown]
# ## 4. Routes by BGP, and policies
#
# **Ask.** Calico is said to route with BGP instead of an overlay, and to enforce policies. How does that work?
#
# Calico itself is not here: it is not to be had without the internet (section 9). Here is its *way*: the BGP daemon
# BIRD, of which Calico ships a copy, on both nodes; and an agent of this lab that keeps sets of addresses in the
# firewall as the policies say. So this shows the mechanism (cn-04-a, cn-04-b), and settles nothing about the product.
#
# **Predict.** Who writes the route to the other node's pods now? What is on the wire? And after `deny.yaml`?

# %%
trial = lab.trial("bgp")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
lab.connect_pods(trial, "bgp")
trial.run("kubectl apply -f assets/05-cni-plugins/pods.yaml")
trial.run("kubectl wait --for=condition=Ready pod --all --timeout=60s")
routes = trial.run("ip route", on="node-1")
routes

# %%
trial.run("birdc -s /run/bird.ctl show protocols all node_2", on="node-1")

# %%
recording = cni.record_path(lab, trial, "bgp")
open_to_all = cni.ask(trial, and_node=True)
paths["bgp"] = recording.read()
carrier = cni.carried_by(paths["bgp"][BETWEEN])
cni.wire_figure("Routes by BGP: a packet between the nodes", paths["bgp"][BETWEEN])

# %% [markdown]
# The policies, one after the other: nobody may talk to `far`; then `here` may, on its one port; then `here` may talk
# to nobody. Where silence is to be expected, `here` waits for it less long: TCP asks again after a second, so that in
# two of them the silence is to two questions.

# %%
trial.run("kubectl exec here -- sh /probe/keep-asking")
trial.run("kubectl apply -f assets/05-cni-plugins/deny.yaml")
lab.wait_for_policy(trial, "deny-to-web", "node-2")
denied = cni.ask(trial, silence=2)
kept_asking = trial.run("kubectl exec here -- sh /probe/keep-asking enough")

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/allow.yaml")
lab.wait_for_policy(trial, "allow-here-to-web", "node-2")
allowed = cni.ask(trial)
trial.run("kubectl apply -f assets/05-cni-plugins/deny-out.yaml")
lab.wait_for_policy(trial, "deny-from-here", "node-1")
mute = cni.ask(trial, silence=1, silence_of_near=1)

# %%
policies = {"deny": denied, "allow": allowed, "no egress": mute}
cni.matrix_table("Policies, one after the other", {"no policy": open_to_all, **policies})

# %%
rules = trial.run("nft list table inet lab-policy", on="node-2")
rules

# %% [markdown]
# **See.**

# %%
trial.check(contains(routes.output, "10.244.1.0/24 via 10.200.0.3 dev eth0 proto bird", "routes"))

# %%
trial.check(equals(carrier, plain, "what carries packets"))

# %%
trial.check(equals(open_to_all.largest, 1500, "the largest packet"))

# %%
trial.check(equals(open_to_all.asker_seen("other node"), "pod here", "whom `far` sees"))

# %%
not_far = ["other node", "service", "name"]
trial.check(equals(denied.silent, not_far, "no answer after “deny”"))

# %%
trial.check(equals(allowed.silent, [], "no answer after “allow”"))

# %%
trial.check(equals(mute.silent, ["same node", *not_far], "no answer without egress"))

# %%
largest = allowed.answers["packet of the largest size"]
trial.check(equals(largest, "no answer", "ping after “allow”"))

# %%
meanwhile = cni.what_became_of(kept_asking)
dataplanes["bgp"] = cni.Findings(open_to_all, carrier, policies, meanwhile)
trial.check(equals(meanwhile, "cut off", "a pod that asks while “deny” is added"))

# %% [markdown]
# **Explain.** Each daemon announces the range of its node's pods to the others, and writes what it hears into the
# kernel (`proto bird`). From then on it is plain routing: nothing is wrapped, nothing is lost of the packet's size,
# and a router of your own that speaks BGP can take part. A range that goes is taken back in the same way.
#
# Policies are something else, at each node's end of the pods' wires. An agent watches pods and policies and keeps
# sets of addresses; few rules ask these sets. “Deny” means: this pod is *isolated*, and only what a rule allows
# passes. One port is allowed, so HTTP passes and ping does not. And DNS goes through the same door: a pod without
# egress has no names either.
#
# Calico is published with two defaults, and both have an overlay. Its operator is given VXLAN between nodes of
# different subnets. Its manifest `calico.yaml` says IP-in-IP between all nodes: there BIRD tells the ranges as here,
# but the routes it writes lead into the tunnel (`dev tunl0 proto bird`). Nothing but routes is a choice. (Calico
# documentation: *Networking*, *Overlay networking*; RFC 4271.)

# %% [markdown]
# ## 5. A program in the kernel, by hand
#
# **Ask.** eBPF is said to be what Cilium is made of: programs that the kernel itself runs wherever a packet passes.
# What is such a program, and what can it do with a packet? Here is one:

# %%
# !cat assets/05-cni-plugins/count.c

# %% [markdown]
# **Predict.** It will sit where packets of a pod come out of their wire onto the node. The pod pings the node, three
# times. Then somebody writes a 1 into the second place of the map, and the pod pings again. What are the numbers in
# the end?

# %%
trial = lab.trial("ebpf-by-hand")
trial.predict("")

# %% [markdown]
# **Do.** Compile it, for a processor that does not exist; have the kernel check and take it; put it onto the wire of
# a pod.

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/lonely.yaml")
trial.run("kubectl wait --for=condition=Ready --timeout=60s pod/needs-network")
address = trial.run("kubectl get pod needs-network --output jsonpath={.status.podIP}").output
route = trial.run(f"ip -oneline route get {address}", on="node-1")
wire = cni.interface_to(route)

# %%
source = "assets/05-cni-plugins/count.c"
trial.run(f"clang -O2 -g --target=bpf -c {source} -o /run/count.o", on="node-1")
trial.run("mount -t bpf bpf /sys/fs/bpf", on="node-1")
load = "bpftool prog load /run/count.o /sys/fs/bpf/count pinmaps /sys/fs/bpf"
trial.run(load, on="node-1")

# %%
trial.run(f"tc qdisc add dev {wire} clsact", on="node-1")
attach = "ingress protocol ip bpf direct-action object-pinned /sys/fs/bpf/count"
trial.run(f"tc filter add dev {wire} {attach}", on="node-1")
ping = "kubectl exec needs-network -- ping -c 3 -i 0.2 -W 1 10.200.0.2"
passed = trial.run(ping)

# %%
look = "bpftool --json map dump pinned /sys/fs/bpf/numbers"
counted = trial.run(look, on="node-1")
drop = "map update pinned /sys/fs/bpf/numbers key 1 0 0 0 value 1 0 0 0 0 0 0 0"
trial.run(f"bpftool {drop}", on="node-1")
dropped = trial.run(ping)
counted_then = trial.run(look, on="node-1")

# %% [markdown]
# What the kernel made of it, and then away with it:

# %%
program = trial.run("bpftool prog dump xlated pinned /sys/fs/bpf/count", on="node-1")
trial.run(f"sh -c 'tc qdisc delete dev {wire} clsact; umount /sys/fs/bpf'", on="node-1")
after = trial.run(ping)
program

# %% [markdown]
# **See.**

# %%
trial.check(equals(cni.numbers(counted), [3, 0], "the map after three pings"))

# %%
trial.check(equals(cni.numbers(counted_then), [6, 1], "the map in the end"))

# %%
trial.check(all_of(exit_code_is(passed, 0), exit_code_is(dropped, 1), exit_code_is(after, 0)))

# %% [markdown]
# **Explain.** The kernel takes a program only if its *verifier* can prove that it ends and reads nothing it must not.
# Then it is machine code like the kernel's own, run for each packet, and its answer is what happens to it. It talks
# to the world by *maps*: no rule was added when packets began to be dropped, only a number changed. A name in a `bpf`
# file system (a *pin*) is all that keeps it; without pin and wire it is gone.

# %% [markdown]
# ## 6. Cilium
#
# **Ask.** Cilium is said to process packets with such programs, to balance the load of Services, and to enforce
# policies. What is left for a firewall to do?
#
# This is the real `cilium-agent`, on both nodes, with its own plugin, `cilium-cni`. Of its operator nothing is needed
# here but the kinds of objects that it makes. And kube-proxy, which translates Services everywhere else, is stopped.
#
# **Predict.** Will a node's firewall have rules about pods? Three pods stand behind the Service `many`, and `here`
# asks it thirty times: who answers how often? To which address go the packets that leave `here` for the Service?

# %%
trial = lab.trial("cilium", settles=["cn-06-a", "cn-06-b", "cn-06-c"])
trial.predict("")

# %% [markdown]
# **Do.** When it starts, the agent has its programs compiled for its node. What the compiler made of the same text in
# an earlier lab was kept; the first time that takes most of the time.

# %%
lab.connect_pods(trial, "cilium")
trial.run("cilium-agent --version", on="node-1")
trial.run("kubectl apply -f assets/05-cni-plugins/pods.yaml -f assets/05-cni-plugins/many.yaml")
trial.run("kubectl wait --for=condition=Ready pod --all --timeout=90s", within_seconds=100)
proxies = trial.run("sh -c 'pgrep -x kube-proxy || true'", on="node-1")
trial.run("cilium-dbg status", on="node-1")

# %%
metrics = "cilium-dbg bpf metrics list --output json"
counted = [cni.packets(trial.run(metrics, on="node-2"))]
recording = cni.record_path(lab, trial, "cilium")
open_to_all = cni.ask(trial, and_node=True)
paths["cilium"] = recording.read()
counted.append(cni.packets(trial.run(metrics, on="node-2")))
cni.wire_figure("Cilium: a packet between the nodes", paths["cilium"][BETWEEN])

# %% [markdown]
# The Service, from both sides: who answers, and what the kernel's map has for its address.

# %%
third = 'cilium-dbg bpf lb list | grep -q "8080/TCP ([0-9]*) (3)"'  # the last of the three
trial.run(f"timeout 60 sh -c 'until {third}; do sleep 0.2; done'", on="node-1", within_seconds=70)
frames = lab.record_frames(trial, "cilium, at the pod", "node-1", "pod here")
ask_often = "for n in $(seq 30); do wget -qO- http://many/hostname; echo; done"
answers = trial.run(["kubectl", "exec", "here", "--", "sh", "-c", ask_often])
at_the_pod = frames.read().value
address = trial.run("kubectl get service many --output jsonpath={.spec.clusterIP}").output
services = trial.run("cilium-dbg bpf lb list --output json", on="node-1")

# %%
pods = trial.run("kubectl get pods --selector app=many --output json")
behind = cni.named(cni.backends(services, address), pods)
answered = cni.shares(answers)
cni.shares_table("Thirty requests to one Service", answered, behind)

# %% [markdown]
# The policies, as before: nobody may talk to `far`; then `here` may, on its one port; then `here` may talk to nobody.

# %%
trial.run("kubectl exec here -- sh /probe/keep-asking")
trial.run("kubectl apply -f assets/05-cni-plugins/deny.yaml")
lab.wait_for_policy(trial, "deny-to-web", "node-2")
denied = cni.ask(trial, silence=2)
kept_asking = trial.run("kubectl exec here -- sh /probe/keep-asking enough")
counted.append(cni.packets(trial.run(metrics, on="node-2")))

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/allow.yaml")
lab.wait_for_policy(trial, "allow-here-to-web", "node-2")
allowed = cni.ask(trial)
trial.run("kubectl apply -f assets/05-cni-plugins/deny-out.yaml")
lab.wait_for_policy(trial, "deny-from-here", "node-1")
mute = cni.ask(trial, silence=1, silence_of_near=1)

# %%
policies = {"deny": denied, "allow": allowed, "no egress": mute}
columns = {"no policy": open_to_all, **policies}
cni.matrix_table("Cilium: policies, one after the other", columns)

# %% [markdown]
# What a node's firewall holds now; and what the programs on node-2 counted meanwhile:

# %%
firewall = trial.run("nft list ruleset", on="node-2")
passed, dropped = cni.more(*counted[:2]), cni.more(*counted[1:])
cni.counts_table("Packets on node-2, by its programs", {"no policy": passed, "deny": dropped})

# %% [markdown]
# At last, `here` still forbidden to talk, we take the programs off: first off the wires of the pods on node-1, then
# off the node's own wire. They are gone with their names in the file system; nothing else is touched.

# %%
trial.run("rm -r /sys/fs/bpf/cilium/endpoints", on="node-1")
freed = cni.ask(trial)
trial.run("rm -r /sys/fs/bpf/cilium/devices", on="node-1")
cut_off = cni.ask(trial, silence=1, silence_of_near=1)
columns = {"policy and programs": mute, "none at the pods": freed, "none at all": cut_off}
cni.matrix_table("Cilium: programs taken off node-1, one after the other", columns)

# %% [markdown]
# **See.**

# %%
from labsupport.experiments.checks import lacks, more_than

not_far = ["other node", "service", "name"]
nobody = ["same node", *not_far]
all_answer = equals(open_to_all.silent, [], "no answer, without a policy")

# %%
trial.expect(
    "cn-06-a",
    confirmed=all_of(
        more_than(passed.get("forwarded", 0), 0, "packets that programs on node-2 have let pass"),
        equals(cut_off.silent, nobody, "no answer without the programs"),
    ),
    refuted=equals(cut_off.silent, [], "no answer without the programs"),
    given=all_answer,
)

# %%
three = ["many-1", "many-2", "many-3"]
trial.expect(
    "cn-06-b",
    confirmed=all_of(
        equals(sorted(answered), three, "who answered the thirty requests"),
        equals(sorted(behind), three, "whom the map has behind the Service"),
    ),
    refuted=equals(len(answered), 1, "how many answered the thirty requests"),
    given=equals(proxies.output, "", "what runs of kube-proxy"),
)

# %%
trial.expect(
    "cn-06-c",
    confirmed=all_of(
        equals(denied.silent, not_far, "no answer after “deny”"),
        equals(allowed.silent, [], "no answer after “allow”"),
        equals(mute.silent, nobody, "no answer without egress"),
        equals(freed.silent, [], "no answer once the program is off the pod's wire"),
    ),
    refuted=equals(denied.silent, [], "no answer after “deny”"),
    given=all_answer,
)

# %%
carrier = cni.carried_by(paths["cilium"][BETWEEN])
trial.check(equals(carrier, plain, "what carries packets"))

# %%
meanwhile = cni.what_became_of(kept_asking)
dataplanes["cilium"] = cni.Findings(open_to_all, carrier, policies, meanwhile)
trial.check(equals(meanwhile, "cut off", "a pod that asks while “deny” is added"))

# %%
trial.check(lacks(firewall.output, "10.244.", "the firewall of node-2"))

# %%
trial.check(more_than(dropped.get("Policy denied", 0), 0, "packets dropped after “deny”"))

# %%
to_the_service = cni.goes_to(at_the_pod, address)
trial.check(equals(to_the_service, False, "a packet of `here` to the Service's address"))

# %% [markdown]
# **Explain.** A program sits at the node's end of each pod's wire, others at the node's own wire and at its sockets.
# The firewall has rules of Cilium's, and none of them knows a pod: who may talk to a pod is in a map of that pod, and
# packets that it does not allow are dropped and counted. Nor does that map have addresses: pods with the same labels
# are one *identity*, and the map has numbers of identities.
#
# The Service is translated when `here` *connects*: a program at the socket chooses one of the backends in the map, at
# random, and the packet is born with the pod's own address. kube-proxy does that later, to each connection's first
# packet. With the programs off its wire `here` may talk again, as nobody asks any more; with those at the node's wire
# off too, there is no way from wire to wire. A program lives on without its agent: that only writes the maps.
#
# By default Cilium wraps packets into VXLAN, and runs beside kube-proxy; plain routes and `kubeProxyReplacement` are
# settings. (Cilium documentation: *eBPF Datapath*, *Kubernetes Without kube-proxy*, *Routing*.)

# %% [markdown]
# ## 7. Open vSwitch, Antrea's way
#
# **Ask.** Antrea is said to be based on Open vSwitch: a switch that is a program, and does what a list of *flows* says.
# Can a list of flows be all of a pod's network: routes, Services, policies?
#
# Antrea itself is not here: it is not to be had without the internet (section 9). Here is the real Open vSwitch, with
# Geneve tunnels between the nodes, as Antrea has them; and an agent of this lab that writes flows in the order of
# Antrea's, though far fewer. So this shows the mechanism (cn-07), and settles nothing about the product. Open vSwitch
# can have the kernel forward; where the kernel has no part for it, it forwards itself, more slowly: `netdev` below.
#
# **Predict.** What on `node-1` does a pod's wire lead to? A policy comes: where will it be seen, and what will count
# the packets that it stops?

# %%
trial = lab.trial("ovs")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
lab.connect_pods(trial, "ovs")
trial.run("kubectl apply -f assets/05-cni-plugins/pods.yaml")
trial.run("kubectl wait --for=condition=Ready pod --all --timeout=60s")
switch = trial.run("ovs-vsctl show", on="node-1")
switch

# %% [markdown]
# Who forwards here? `system@…` is the kernel, `netdev@…` Open vSwitch itself.

# %%
trial.run("ovs-appctl dpif/show", on="node-1")

# %%
recording = cni.record_path(lab, trial, "ovs")
open_to_all = cni.ask(trial, and_node=True)
paths["ovs"] = recording.read()
carrier = cni.carried_by(paths["ovs"][BETWEEN])
cni.wire_figure("Open vSwitch: a packet between the nodes", paths["ovs"][BETWEEN])

# %% [markdown]
# The flows of `node-1` that choose where a packet leaves the switch. One for each pod, one for the other node; all
# else goes to the node itself.

# %%
forward = trial.run("ovs-ofctl -O OpenFlow14 --names dump-flows br-int table=60", on="node-1")
cni.flows_table("Where packets go", {"so far": forward})

# %% [markdown]
# And those of `node-2` that decide what may reach its pods, before and after “deny”.

# %%
may_reach = "ovs-ofctl -O OpenFlow14 --names dump-flows br-int table=40"
before = trial.run(may_reach, on="node-2")
trial.run("kubectl exec here -- sh /probe/keep-asking")
trial.run("kubectl apply -f assets/05-cni-plugins/deny.yaml")
lab.wait_for_policy(trial, "deny-to-web", "node-2")
denied = cni.ask(trial, silence=2)
kept_asking = trial.run("kubectl exec here -- sh /probe/keep-asking enough")
after = trial.run(may_reach, on="node-2")

# %%
cni.flows_table("What may reach a pod", {"before": before, "after “deny”": after})

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/allow.yaml")
lab.wait_for_policy(trial, "allow-here-to-web", "node-2")
allowed = cni.ask(trial)
trial.run("kubectl apply -f assets/05-cni-plugins/deny-out.yaml")
lab.wait_for_policy(trial, "deny-from-here", "node-1")
mute = cni.ask(trial, silence=1, silence_of_near=1)

# %%
policies = {"deny": denied, "allow": allowed, "no egress": mute}
cni.matrix_table("Policies as flows", {"no policy": open_to_all, **policies})

# %% [markdown]
# **See.**

# %%
trial.check(contains(switch.output, "Port here-0-", "what hangs on the switch"))

# %%
trial.check(equals(carrier, "Geneve", "what carries packets"))

# %%
trial.check(equals(1500 - open_to_all.largest, 50, "bytes that it takes of 1500"))

# %%
trial.check(equals(open_to_all.silent, [], "no answer without a policy"))

# %%
trial.check(equals(open_to_all.asker_seen("other node"), "pod here", "whom `far` sees"))

# %%
used = [flow.packets > 0 for flow in cni.read_flows(forward) if "tun_dst" in flow.action]
trial.check(equals(used, [True], "the flow to the other node took packets"))

# %%
trial.check(equals(cni.packets_dropped(before), 0, "packets dropped before “deny”"))

# %%
trial.check(differs(cni.packets_dropped(after), 0, "packets dropped after “deny”"))

# %%
trial.check(equals(denied.silent, not_far, "no answer after “deny”"))

# %%
trial.check(equals(allowed.silent, [], "no answer after “allow”"))

# %%
trial.check(equals(mute.silent, ["same node", *not_far], "no answer without egress"))

# %%
meanwhile = cni.what_became_of(kept_asking)
dataplanes["ovs"] = cni.Findings(open_to_all, carrier, policies, meanwhile)
trial.check(equals(meanwhile, "cut off", "a pod that asks while “deny” is added"))

# %% [markdown]
# **Explain.** The pod's wire is a port of the switch `br-int`, and the node itself hangs on it too, at `gw0`. A packet
# goes through numbered tables of flows: is its sender who it says (0), does it mean a Service, whose address is then
# changed to a pod's (10), may its pod send it (30), may the other get it (40), and out at a port (60). The flow with
# the highest priority that fits decides, and counts. A policy is a few flows more, put in place at once: one that
# drops what goes to the pod, and above it one for each packet that is allowed.
#
# Geneve wraps the whole frame as VXLAN does, and costs as much; but its header may carry further fields, which Antrea
# uses. The switch knows connections as the kernel's firewall does: what was let in once is not asked again, so that
# answers need no flow of their own. One thing you would trip over: a switch outside the kernel hands packets on as they
# are, so pods must write their checksums themselves (`ethtool -K eth0 tx off`), which the plugin sees to. (Antrea
# documentation: *OVS pipeline*; Open vSwitch documentation: `ovs-fields`, *Open vSwitch without kernel support*; RFC
# 8926.)

# %% [markdown]
# ## 8. A mesh, Weave's way
#
# **Ask.** Weave is said to be light, to find its peers by itself, and to serve names. Weave's company closed, and the
# project was archived in June 2024: nothing new should be built on it. But how can nodes find each other when nobody
# tells them? And who serves names in a cluster?
#
# Weave itself is not here. Its library for gossip is, in a program of this lab, `mesh`, one on each node; packets are
# wrapped by the kernel's VXLAN, at the port Weave used. So this shows the mechanism (cn-05).
#
# **Predict.** Each node is told a single address: that of a third member, the `seed`, which carries no packets. How
# does `node-1` get to know `node-2`? And what will its routes say of the other node's pods?

# %%
trial = lab.trial("mesh")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
lab.connect_pods(trial, "mesh")
trial.run("kubectl apply -f assets/05-cni-plugins/pods.yaml")
trial.run("kubectl wait --for=condition=Ready pod --all --timeout=60s")

# %% [markdown]
# Whom `node-1` was told, whom it knows by now, who is connected with whom, and where it sends packets of pods:

# %%
known = trial.run("cat /run/mesh.json", on="node-1")
known

# %%
entries = trial.run("bridge fdb show dev vxlan-6784", on="node-1")
routes = trial.run("ip route", on="node-1")
routes

# %%
recording = cni.record_path(lab, trial, "mesh")
open_to_all = cni.ask(trial, and_node=True)
paths["mesh"] = recording.read()
carrier = cni.carried_by(paths["mesh"][BETWEEN])
cni.wire_figure("A mesh: a packet between the nodes", paths["mesh"][BETWEEN])

# %% [markdown]
# Names: whom does a pod ask, and who answers?

# %%
lookup = trial.run("kubectl exec here -- nslookup kube-dns.kube-system.svc.cluster.local")
lookup

# %%
service = trial.run("kubectl --namespace kube-system get service kube-dns --output json").json()
asked_coredns = lab.log(trial, "coredns", "A IN kube-dns.kube-system.svc")
asked_coredns

# %% [markdown]
# And the policies, as before.

# %%
trial.run("kubectl exec here -- sh /probe/keep-asking")
trial.run("kubectl apply -f assets/05-cni-plugins/deny.yaml")
lab.wait_for_policy(trial, "deny-to-web", "node-2")
denied = cni.ask(trial, silence=2)
kept_asking = trial.run("kubectl exec here -- sh /probe/keep-asking enough")

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/allow.yaml")
lab.wait_for_policy(trial, "allow-here-to-web", "node-2")
allowed = cni.ask(trial)
trial.run("kubectl apply -f assets/05-cni-plugins/deny-out.yaml")
lab.wait_for_policy(trial, "deny-from-here", "node-1")
mute = cni.ask(trial, silence=1, silence_of_near=1)

# %% [markdown]
# **See.**

# %%
members = [each["name"] for each in known.json()["members"]]
trial.check(equals(known.json()["told"], ["10.200.0.1"], "whom node-1 was told"))

# %%
trial.check(equals(members, ["node-1", "node-2", "seed"], "whom node-1 knows"))

# %%
trial.check(equals(known.json()["wires"], ["10.200.0.3"], "where it sends pods' packets"))

# %%
trial.check(contains(entries.output, "00:00:00:00:00:00 dst 10.200.0.3", "the device's entries"))

# %%
trial.check(contains(routes.output, "10.244.0.0/16 dev weave", "routes"))

# %%
trial.check(equals(carrier, "VXLAN", "what carries packets"))

# %%
trial.check(equals(open_to_all.silent, [], "no answer without a policy"))

# %%
dns = service["spec"]["clusterIP"]
trial.check(equals(lookup.lines[0].split()[-1], dns, "the server that answers a lookup"))

# %%
trial.check(contains(str(asked_coredns.value), "NOERROR", "what CoreDNS has noted of it"))

# %%
policies = {"deny": denied, "allow": allowed, "no egress": mute}
silent = {name: matrix.silent for name, matrix in policies.items()}
expected = {"deny": not_far, "allow": [], "no egress": ["same node", *not_far]}
trial.check(equals(silent, expected, "what got no answer"))

# %%
meanwhile = cni.what_became_of(kept_asking)
dataplanes["mesh"] = cni.Findings(open_to_all, carrier, policies, meanwhile)
trial.check(equals(meanwhile, "cut off", "a pod that asks while “deny” is added"))

# %% [markdown]
# **Explain.** Members tell each other whom they know. The seed told `node-1` of `node-2`, and the two
# connected; a node that comes later is found in the same way, and one that goes is forgotten. For every member it has
# a connection with, the program makes one entry of the VXLAN device: to it goes whatever the device knows no better
# place for. So all pods are neighbours on one wire that spans the nodes, and there is no route to another node's pods:
# a bridge learns where each is. That is simple, and its limit: everybody's broadcasts reach every node.
#
# Names have nothing to do with it. A pod asks the address of the Service `kube-dns`; behind it is CoreDNS, which every
# cluster has, whatever connects its pods. Weave's own names were for containers without Kubernetes. (Weave Net
# documentation: *How Weave Net works*; Kubernetes documentation: *DNS for Services and Pods*.)

# %% [markdown]
# ## 9. The products themselves
#
# **Ask.** Sections 4 and 7 show how Calico and Antrea work, without them. And Flannel and Cilium lacked a part. Do the
# products, as their projects publish them, answer the same questions in the same way?
#
# Their manifests and images are on the internet. Where it can be reached, the lab downloads them (several hundred
# megabytes, once), each manifest of one version, checked against the checksum noted when it was chosen, and changes
# three things: images are on the nodes already, plugins go into a folder that nodes may write, and pods are in the
# cluster's range. Where it cannot be reached, the table says so, and nothing is shown in their place.
#
# **Predict.** Which of the four will cut off a pod that keeps asking when “deny” comes?

# %%
trial.predict("")

# %% [markdown]
# **Do.** For each, `cni.try_products` opens a trial, applies the manifest, waits for the product's configuration on
# both nodes, asks the pods as above, looks which route leads from `node-1` to the pod on `node-2`, adds `deny.yaml`,
# asks again, and removes it all.

# %%
tried = cni.try_products(lab)
dataplanes |= cni.findings_of(tried)
cni.products_table("CNI products", tried)

# %% [markdown]
# **Explain.** If they took part, they stand in the table below as “calico itself” and so on. For cn-04-a Calico's route
# has to come from BIRD (`proto bird`) *and* to lead to the wire itself (`dev eth0`): one into `tunl0` comes from BIRD
# too, and is an overlay. For cn-04-b it is “deny”, for cn-07 Antrea's own switch on the nodes. Verdicts on these claims
# wait for evidence of the products, so they stay as they are.

# %% [markdown]
# ## 10. All of them
#
# The same questions, the same pods, the same two nodes:

# %%
cni.dataplanes_table("Ways to connect pods", dataplanes)

# %% [markdown]
# What a pod sees hardly differs: everybody reaches everybody, under their own addresses. What differs is how much of a
# packet is left to it, what the wire between the nodes has to know, and whether somebody reads policies. A packet that
# is a byte too large is sent in two pieces, and arrives; but Cilium's programs let no piece of a ping pass.

# %% [markdown]
# ## Try it yourself
#
# A packet's path: choose a dataplane and a place, predict, and look at the headers of a packet that passed there in
# this run.

# %%
lab.explore(cni.path_explorer(trial, paths))

# %% [markdown]
# ## What is not here
#
# Weave itself, and Calico and Antrea where the internet is out of reach: what is shown of them is how they work. And
# which plugin most people use: no experiment can tell.

# %% [markdown]
# ## Exercise: name the plugin and the fault
#
# Seven clusters of this kind were broken, and asked. `seed`, in the second cell, chooses whose results you get. (They
# were recorded from real nodes.)

# %%
# !cat assets/05-cni-plugins/exercise/case-{seed % 7}.txt

# %% [markdown]
# Write down which dataplane it is (`plain`, `flannel-vxlan`, `flannel-host-gw`, `flannel-udp`, `bgp`, `ovs` or
# `mesh`), and what is wrong:
#
# - `overlay-blocked`: a firewall between the nodes drops the overlay's packets
# - `daemon-ended`: the daemon of one node has ended
# - `flow-missing`: the switch of one node has lost the flow that leads to the other's pods
# - `route-missing`: one node has lost its route to the other's pods
# - `policy`: a network policy forbids it
# - `wire-too-narrow`: the wire between the nodes takes smaller packets than the pods were told
#
# Stuck? `lab.exercise("diagnosis").hint()`

# %%

# %%writefile assets/05-cni-plugins/exercise/diagnosis.yaml
# ### BEGIN SOLUTION
# dataplane: flannel-vxlan
# fault: overlay-blocked
# ### END SOLUTION

# %%
lab.exercise("diagnosis").check()

# %% [markdown]
# ## What we settled
#
# First the lab ends. It says what it left behind: nothing.

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
