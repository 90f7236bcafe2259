"""What the network of a machine is right now: namespaces, interfaces, wires, routes, rules, and frames on the wire."""
