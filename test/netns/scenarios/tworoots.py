"""Two roots; one is killed: members that only talk by a relay, nodes that join and nodes that start go on by the other one
within 5 s. Then the first comes back and the second is killed, so that the relay in use dies once for certain."""
import subprocess
import time

from lab import now, until

LIMIT_S = 5.0


def answers(process):
    out = process.communicate(timeout=40)[0]
    return [float(line[1:line.index(']')]) for line in out.splitlines() if 'icmp_seq' in line and 'time=' in line]


def joins(lab, name, begun):
    """Joined, approved, and an answer of A: all of it by the root that is left."""
    node = lab.nodes[name]
    node.cli('join', lab.nwid, '--wait', '0', code=None)
    lab.wait_member(node, 'pending')
    lab.controller.cli('member', 'approve', lab.nwid, node.address(), '--name', name)
    node.cli('wait', lab.nwid, '--wait', 20 * lab.slow)
    node.host.reaches(lab.ip('A'), 10)
    lab.within(now() - begun, LIMIT_S * lab.slow, f'{name}: root killed to joined and answered')


def killed(lab, root, left, name, seconds, meanwhile):
    a, b = lab.nodes['A'], lab.nodes['B']
    lab.equal((a.path(b), b.path(a)), ('relay', 'relay'), f'paths before {name} is killed')
    pinging = a.host.popen('ping', '-n', '-D', '-i', '0.05', '-W', '1', '-w', seconds, lab.ip('B'), stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)  # answers before, so that there is a gap to measure
    begun, at = now(), time.time()
    root.kill()
    meanwhile(begun)
    got = answers(pinging)
    lab.check(got and got[0] < at and got[-1] > at + seconds - 2, f'{name} killed: {len(got)} answers, not before and after')
    lab.within(max(y - x for x, y in zip(got, got[1:])), LIMIT_S, f'{name} killed: longest pause of pings by a relay')
    lab.equal((a.endpoint(b), b.endpoint(a)), (left.host.endpoint(),) * 2, f'{name} killed: relays in use')


def run(lab):
    root, line = lab.start_root()
    other, second = lab.start_root(name='S')
    both = ('--add-root', second)
    lab.start_controller(*both)
    for name in 'ABDE':
        lab.host(name)
    lab.block('A', 'B')
    for name in 'ABD':
        lab.start_node(name, *both)
    for daemon in (lab.controller, *lab.nodes.values()):
        daemon.online()
    for daemon in (lab.controller, *lab.nodes.values()):
        until(f'{daemon.host.name} is at both roots', lambda daemon=daemon: daemon.roots() == 2, 10)
    lab.nwid = lab.create()
    for name in 'AB':
        lab.join(name)
    lab.meshed('AB')

    def first(begun):
        joins(lab, 'D', begun)
        lab.start_node('E', *both)
        joins(lab, 'E', begun)
    killed(lab, root, other, 'the first root', 8, first)
    root.start()
    for name in 'AB':
        until(f'{name} is at both roots again', lambda name=name: lab.nodes[name].roots() == 2, 40)
    killed(lab, other, root, 'the second root', 8, lambda begun: None)
    lab.equal(lab.nodes['D'].host.ping(lab.ip('E'), count=20, interval=0.02), 20, 'pings D -> E with the first root alone')
