"""Shows 10: 40 nodes of one /24 join and are approved within 30 s in all."""
from lab import now, until
from lab import run as command

ALONE = True

N = 40


def acquaint(lab):
    """Every host of the underlay knows the others' MACs for good. The kernel's table of IPv4 neighbours has 1 024 places (gc_thresh3) for all
    namespaces together, and 42 hosts on one link need 1 722: what does not fit is lost without a word, so that pairs find no direct path and a
    ping's ARP fails for as long as the table is full. Permanent entries are not counted; on machines of their own nobody would notice."""
    hosts = list(lab.hosts.values())
    macs = {host.address: host.mac('u') for host in hosts}
    for host in hosts:
        lines = [f'neigh replace {a} lladdr {mac} dev u nud permanent' for a, mac in macs.items() if a != host.address]
        command('ip', '-n', host.ns, '-batch', '-', input='\n'.join(lines) + '\n')


def run(lab):
    lab.start_root()
    lab.start_controller()
    lab.controller.online()
    lab.nwid = lab.create(ipv4='10.77.0.0/24')
    names = [f'n{i}' for i in range(N)]
    for i, name in enumerate(names):
        lab.host(name, f'198.18.7.{i + 1}')
    acquaint(lab)
    begun = now()
    for name in names:
        lab.start_node(name, ready=False)
    for name in names:
        lab.nodes[name].ready()
    up = now()
    lab.note(f'{N} daemons made their identities and answer after {up - begun:.1f} s')
    for name in names:
        lab.nodes[name].cli('join', lab.nwid, '--wait', '0', code=None)
    todo, took = set(names), {}
    while todo:
        members = until('members that wait', lambda: {a: m for a, m in lab.members().items() if m['state'] == 'pending'}, 30)
        for name in sorted(todo):
            address = lab.nodes[name].address()
            if address in members:
                lab.controller.cli('member', 'approve', lab.nwid, address, '--name', name)
                took[name] = now() - up
                todo.discard(name)
    lab.note(f'all approved after {now() - up:.1f} s')
    for name in names:
        lab.nodes[name].cli('wait', lab.nwid, '--wait', '80')
    lab.within(now() - up, 30.0, f'{N} nodes: join to all devices up')
    for i in (0, 13, 26):
        lab.nodes[names[i]].host.reaches(lab.ip(names[N - 1 - i]), 20)
    lab.equal(len({lab.ip(n) for n in names}), N, 'different addresses')
