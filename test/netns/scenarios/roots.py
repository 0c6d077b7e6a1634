"""Two roots, either of them killed: a pair that never talked connects within 3 s by the one that is left, directly or by its relay. Then
both are dead: who talks goes on, and two members that restart on a LAN of their own, with addresses nobody ever heard of, find
each other within 5 s.

The members' kernels say nothing by themselves (no IPv6, no ARP but ours), so that a pair has really never talked.
"""
import time

from lab import now, until
from measure import beacons_off, beacons_on, both, ended

LONG = True

PAIR_S, LAN_S = 3.0, 5.0
NAMES = 'ABDEFGHI'


def first_answer(lab, frm, to, limit):
    """Seconds from the first ping to the first answer; None: none. ARP asks before it, as it does for everybody."""
    begun = now()
    while now() - begun < limit:
        if lab.hosts[frm].run('ping', '-n', '-q', '-c', '1', '-W', '0.2', to, code=None).returncode == 0:
            return now() - begun
    return None


def strangers(lab, frm, to, where):
    for one, other in ((frm, to), (to, frm)):
        lab.equal(lab.nodes[one].path(lab.nodes[other]), 'none', f'{where}: path of {other} at {one} before')


def killed(lab, dead, left, name, direct, relayed):
    """Each pair has its own moment: the root dies, then it talks for the first time."""
    for frm, to, path in ((*direct, 'direct'), (*relayed, 'relay')):
        where = f'{name} killed, {frm} -> {to}, {path}'
        for root in (dead, left):
            if root.process is None:
                root.start()
        for node in (lab.nodes[n] for n in NAMES):  # a node may take a root that restarted for alive for a while
            until(f'{where}: {node.host.name} is at both roots', lambda node=node: node.roots() == 2 and
                  all(root.path(node) == 'direct' for root in (dead, left)), 60, every=0.1)
        strangers(lab, frm, to, where)
        dead.kill()
        took = first_answer(lab, frm, lab.ip(to), 15)
        if lab.check(took is not None, f'{where}: no answer in 15 s'):
            lab.within(took, PAIR_S, f'{where}: first ping to its answer')
        if path == 'relay':
            lab.equal(lab.nodes[frm].endpoint(lab.nodes[to]), left.host.endpoint(), f'{where}: relay in use')
        lab.equal(lab.hosts[frm].ping(lab.ip(to), count=20, interval=0.02), 20, f'{where}: pings after it')


def without(lab, roots):
    """No root at all."""
    until('A and B direct', lambda: (lab.nodes['A'].path(lab.nodes['B']), lab.nodes['B'].path(lab.nodes['A'])) == ('direct',) * 2, 20)
    flows = both(lab, 'A', 'B')
    time.sleep(0.5)
    for daemon in (*roots, lab.controller):
        if daemon.process:
            daemon.kill()
    time.sleep(12.0)
    for flow in ended(flows):
        lab.note(f'no root: {flow}: {flow.sent["sent"]} sent, {flow.lost()} lost')
        lab.equal((flow.lost(), flow.got['twice']), (0, 0), f'no root for 12 s: frames {flow} lost and twice')


def lan(lab):
    """A and D, which were direct as well, restart where nobody else is, each at a new address."""
    took = first_answer(lab, 'A', lab.ip('D'), 15)
    lab.note(f'no root: a new pair without a restart: {"no answer in 15 s" if took is None else f"{took:.2f} s"}')
    ips = {name: lab.ip(name) for name in 'AD'}
    for i, name in enumerate('AD'):
        node = lab.nodes[name]
        node.stop()
        fresh = f'198.19.9.{i + 1}'
        node.host.addr('add', fresh)
        node.host.addr('del', node.host.address)
        node.host.address = fresh
    for name in NAMES:  # the LAN is theirs alone: nobody can tell one of the other
        if name not in 'AD':
            lab.net.run('ip', 'link', 'set', 'dev', lab.hosts[name].port, 'down')
    beacons_on(lab)
    for name in 'AD':
        lab.nodes[name].start(ready=False)
    begun = now()
    for name in 'AD':
        until(f'{name} has its device', lambda name=name: lab.nodes[name].taps(), 5)
    took = first_answer(lab, 'A', ips['D'], 15)
    if lab.check(took is not None, 'isolated LAN pair: no answer in 15 s'):
        lab.within(now() - begun, LAN_S, 'isolated LAN pair: start to the first answer')
        lab.equal(lab.nodes['A'].path(lab.nodes['D']), 'direct', 'isolated LAN pair: path')
    for name in 'AD':
        lab.nodes[name].ready()


def run(lab):
    for name in ('C', *NAMES):
        host = lab.host(name)
        host.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1', 'net.ipv4.conf.u.promote_secondaries=1')
    for frm, to in ('FG', 'HI'):
        lab.block(frm, to)
    beacons_off(lab)
    root, line = lab.start_root()
    other, second = lab.start_root(name='S')
    both_roots = ('--add-root', second)
    lab.start_controller(*both_roots)
    for name in NAMES:
        lab.start_node(name, *both_roots)
    for daemon in (lab.controller, *lab.nodes.values()):
        daemon.online()
    lab.nwid = lab.create()
    for name in NAMES:
        lab.join(name)
    killed(lab, root, other, 'the first root', 'AB', 'FG')
    killed(lab, other, root, 'the second root', 'DE', 'HI')
    without(lab, (root, other))
    lan(lab)
