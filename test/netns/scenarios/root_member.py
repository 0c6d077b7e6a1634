"""A root that is a member too: approved within 1 s, reachable by all, and it relays for two that cannot talk directly."""
from lab import until
from scenarios.join_approve import approve_measured


def run(lab):
    lab.start_root()
    lab.start_controller()
    lab.nodes['R'] = lab.root
    for name in 'AB':
        lab.host(name)
    lab.block('A', 'B')
    for name in 'AB':
        lab.start_node(name).online()
    lab.controller.online()
    lab.nwid = lab.create()
    lab.equal(lab.root.cli('join', lab.nwid, '--wait', '1', code=None).returncode, 6, 'exit of join --wait 1 while pending')
    lab.wait_member(lab.root, 'pending')
    approve_measured(lab, 'R')
    for name in 'AB':
        lab.join(name)
    names = 'RAB'
    lab.meshed(names)
    a, b = lab.nodes['A'], lab.nodes['B']
    until('A sees B by a relay', lambda: a.path(b) == 'relay', 5)
    for x in names:
        for y in names:
            for version in (4, 6):
                if x != y:
                    lab.equal(lab.nodes[x].host.ping(lab.ip(y, version), count=20, interval=0.02), 20, f'IPv{version} pings {x} -> {y}')
    lab.equal((a.path(b), b.path(a)), ('relay', 'relay'), 'paths between A and B')
    for node in (a, b):
        lab.equal(node.path(lab.root), 'direct', f'path of R at {node.host.name}')
    lab.root.cli('leave', lab.nwid)
    until('the device of R is gone', lambda: not lab.root.taps(), 2)
    lab.equal(a.host.ping(lab.ip('B'), count=50, interval=0.02), 50, 'pings by the relay after it left the network')
