# %% [markdown]
# # CNI plugins: how a pod gets its network
#
# A pod has an address, and every other pod can reach it, also from another node. Kubernetes itself does not do that:
# a *network plugin* does. There are many, and they do it in very different ways.
#
# First you call a plugin by hand, then take the network away from a cluster. Then several ways to connect pods take
# turns on the same two nodes, and the same questions go to each. About 40 minutes. Nothing outside the lab is
# touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from pathlib import Path

from labsupport import open_lab
from labsupport.experiments.checks import all_of, any_of, contains, differs, equals, exit_code_is
from labsupport.lessons import cni

lab = open_lab("05-cni-plugins", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The lab's cluster has two nodes. `on="node-1"` below means: a root shell on that node.
#
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
# And with a configuration that is no JSON:

# %%
broken = trial.run(delete.replace("DEL", "ADD"), stdin="{", on="node-1")
trial.run("sh -c 'ip netns delete pod; ip link delete by-hand0'", on="node-1")
broken

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
trial.check(exit_code_is(broken, 1))

# %%
trial.check(contains(broken.json(), "msg", "what it says of a broken configuration"))

# %% [markdown]
# **Explain.** `ADD` makes a wire (a *veth* pair) with one end in the pod, hangs the other on a bridge, has a second
# plugin, `host-local`, choose an address, and sets the route. It answers what it has done, as JSON, also when it
# fails. `DEL` takes it all back, and must not fail when there is nothing: whoever calls it may have lost count. That
# is the whole contract. (CNI specification 1.0: *Execution protocol*.)

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
print(message)

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
# !head -26 assets/05-cni-plugins/pods.yaml

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
frames = lab.record_frames(trial, "vxlan", "node-1", "eth0")
vxlan = cni.ask(trial)
on_the_wire = {"vxlan": frames.read().value}
cni.wire_figure("Flannel with VXLAN: one packet between the nodes", on_the_wire["vxlan"])

# %% [markdown]
# Now the policy: nobody may talk to `far`.

# %%
# !cat assets/05-cni-plugins/deny.yaml

# %%
denied = trial.run("kubectl apply -f assets/05-cni-plugins/deny.yaml")
after_deny = cni.ask(trial)
trial.run("kubectl delete --force -f assets/05-cni-plugins/pods.yaml")
trial.run("kubectl delete -f assets/05-cni-plugins/deny.yaml")
cni.matrix_table("Flannel, before and after “deny”", {"before": vxlan, "after": after_deny})

# %% [markdown]
# Flannel can do it in other ways: as plain routes (`host-gw`), and by a program that hands on each packet (`udp`).

# %%
columns = {"flannel-vxlan": vxlan}
for backend in ["host-gw", "udp"]:
    lab.connect_pods(trial, f"flannel-{backend}")
    trial.run("kubectl apply -f assets/05-cni-plugins/pods.yaml")
    trial.run("kubectl wait --for=condition=Ready pod --all --timeout=60s")
    frames = lab.record_frames(trial, backend, "node-1", "eth0")
    columns[f"flannel-{backend}"] = cni.ask(trial)
    on_the_wire[backend] = frames.read().value
    trial.run("kubectl delete --force -f assets/05-cni-plugins/pods.yaml")

# %%
carriers = {name: cni.carried_by(seen) for name, seen in on_the_wire.items()}
cni.matrix_table("Three ways of Flannel", columns, [["carried by", *carriers.values()]])

# %%
cni.wire_figure("Flannel with udp: one packet between the nodes", on_the_wire["udp"])

# %% [markdown]
# **See.**

# %%
overlays = {"vxlan": "VXLAN", "udp": "UDP"}
seen = {name: carriers[name] for name in overlays}
trial.expect(
    "cn-02",
    confirmed=equals(seen, overlays, "what carries the pods' packets"),
    refuted=any_of(differs(seen["vxlan"], "VXLAN", "vxlan"), differs(seen["udp"], "UDP", "udp")),
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
trial.check(equals(carriers["host-gw"], "nothing: as the pod sent it", "host-gw on the wire"))

# %%
sizes = {name: 1500 - matrix.largest for name, matrix in columns.items()}
headers = {"flannel-vxlan": 50, "flannel-host-gw": 0, "flannel-udp": 28}
trial.check(equals(sizes, headers, "bytes that each way takes of 1500"))

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
# Calico itself is not here: it is not to be had without the internet. What is here is its *way*: the BGP daemon BIRD,
# of which Calico ships a copy, on both nodes; and an agent of this lab that keeps sets of addresses in the firewall
# as the policies say. So this shows the mechanism, and settles nothing about the product.
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
frames = lab.record_frames(trial, "bgp", "node-1", "eth0")
open_to_all = cni.ask(trial)
wire = frames.read().value
cni.wire_figure("Routes by BGP: one packet between the nodes", wire)

# %% [markdown]
# The policies, one after the other: nobody may talk to `far`; then `here` may, on its one port; then `here` may talk
# to nobody.

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/deny.yaml")
lab.wait_for_policy(trial, "deny-to-web", "node-2")
denied = cni.ask(trial)
trial.run("kubectl apply -f assets/05-cni-plugins/allow.yaml")
lab.wait_for_policy(trial, "allow-here-to-web", "node-2")
allowed = cni.ask(trial)

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/deny-out.yaml")
lab.wait_for_policy(trial, "deny-from-here", "node-1")
mute = cni.ask(trial)
columns = {
    "no policy": open_to_all,
    "deny": denied,
    "allow here": allowed,
    "here: no egress": mute,
}
cni.matrix_table("Policies enforced, one after the other", columns)

# %%
rules = trial.run("nft list table inet lab-policy", on="node-2")
rules

# %% [markdown]
# **See.**

# %%
trial.check(contains(routes.output, "10.244.1.0/24 via 10.200.0.3 dev eth0 proto bird", "routes"))

# %%
trial.check(equals(cni.carried_by(wire), "nothing: as the pod sent it", "what carries packets"))

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
trial.check(
    equals(allowed.answers["packet of the largest size"], "no answer", "ping after “allow”")
)

# %% [markdown]
# **Explain.** Each daemon announces the range of its node's pods to the others, and writes what it hears into the
# kernel (`proto bird`). From then on it is plain routing: nothing is wrapped, nothing is lost of the packet's size,
# and a router of your own that speaks BGP can take part. A range that goes is taken back in the same way.
#
# Policies are something else, at each node's end of the pods' wires. An agent watches pods and policies and keeps
# sets of addresses; few rules ask these sets. “Deny” means: this pod is *isolated*, and only what a rule allows
# passes. One port is allowed, so HTTP passes and ping does not. And DNS goes through the same door: a pod without
# egress has no names either. Calico's own default today is an overlay (VXLAN across subnets), and routes by BGP are a
# choice. (Calico documentation: *Networking*, *Overlay networking*; RFC 4271.)

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
# **Do.** When it starts, the agent compiles its programs for this kernel; that takes most of the time.

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
frames = lab.record_frames(trial, "cilium, between the nodes", "node-1", "eth0")
open_to_all = cni.ask(trial)
wire = frames.read().value
counted.append(cni.packets(trial.run(metrics, on="node-2")))
cni.wire_figure("Cilium: one packet between the nodes", wire)

# %% [markdown]
# The Service, from both sides: who answers, and what the kernel's map has for its address.

# %%
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
trial.run("kubectl apply -f assets/05-cni-plugins/deny.yaml")
lab.wait_for_policy(trial, "deny-to-web", "node-2")
denied = cni.ask(trial)
counted.append(cni.packets(trial.run(metrics, on="node-2")))
trial.run("kubectl apply -f assets/05-cni-plugins/allow.yaml")
lab.wait_for_policy(trial, "allow-here-to-web", "node-2")
allowed = cni.ask(trial)

# %%
trial.run("kubectl apply -f assets/05-cni-plugins/deny-out.yaml")
lab.wait_for_policy(trial, "deny-from-here", "node-1")
mute = cni.ask(trial)
columns = {
    "no policy": open_to_all,
    "deny": denied,
    "allow here": allowed,
    "here: no egress": mute,
}
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
cut_off = cni.ask(trial)
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
trial.check(equals(cni.carried_by(wire), "nothing: as the pod sent it", "what carries packets"))

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
# ## A packet's path
#
# Choose a dataplane and a place, predict, and look at the headers of a real packet there.

# %%
trial = lab.trial("path-by-hand")
lab.explore(cni.path_explorer(lab, trial))

# %% [markdown]
# ## What is not here
#
# **Weave** joined nodes to a mesh by itself. Its company closed, and the project was archived in June 2024: nothing
# new should be built on it. The names that it is praised for are the work of CoreDNS in every cluster.
# **Antrea** (Open vSwitch) is not shown in this edition; its claim stays open in the ledger. Which plugin most people
# use, no experiment can tell.

# %% [markdown]
# ## Exercise: name the plugin and the fault
#
# Five clusters of this kind were broken, and asked. `seed`, in the second cell, chooses whose results you get. (They
# were recorded from real nodes.)

# %%
# !cat assets/05-cni-plugins/exercise/case-{seed % 5}.txt

# %% [markdown]
# Write down which dataplane it is (`plain`, `flannel-vxlan`, `flannel-host-gw`, `flannel-udp` or `bgp`), and what is
# wrong:
#
# - `overlay-blocked`: a firewall between the nodes drops the overlay's packets
# - `daemon-ended`: the daemon of one node has ended
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
