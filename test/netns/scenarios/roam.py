"""A member gets another underlay address: first the new one, then the old one goes. Talk across the overlay pauses 1.5 s at
most, goes directly again, and the controller is asked for nothing."""
import subprocess
import time

from lab import until

LIMIT_S = 1.5
BEFORE_S, AFTER_S = 1.0, 4.0


class Pinger:
    """20 pings a second; gap() ends it and says how long no answer came."""

    def __init__(self, host, to):
        self.process = host.popen('ping', '-n', '-D', '-i', '0.05', '-W', '1', '-w', int(BEFORE_S + AFTER_S + 2), to,
                                  stdout=subprocess.PIPE, text=True)

    def answers(self):
        out = self.process.communicate(timeout=30)[0]
        return [float(line[1:line.index(']')]) for line in out.splitlines() if 'icmp_seq' in line and 'time=' in line]


def roams(lab, name, other, fresh):
    node, peer = lab.nodes[name], lab.nodes[other]
    old, row = node.host.address, lab.members()[node.address()]
    pingers = {'to': Pinger(peer.host, lab.ip(name)), 'from': Pinger(node.host, lab.ip(other))}
    time.sleep(BEFORE_S)  # answers before, so that there is a gap to measure
    node.host.addr('add', fresh)
    moved = time.time()
    node.host.addr('del', old)
    node.host.address = fresh
    for what, pinger in pingers.items():
        at = pinger.answers()
        lab.check(len(at) >= 60 and at[0] < moved - 0.5 and at[-1] > moved + AFTER_S - 1, f'pings {what} {name}: {len(at)} answers, not around the move')
        gap = max(later - earlier for earlier, later in zip(at, at[1:]))
        lab.within(gap, LIMIT_S, f'pings {what} {name} while its address goes from {old} to {fresh}: longest pause')
    until(f'{other} sees {name} directly', lambda: peer.path(node) == 'direct', 5)
    lab.equal(peer.endpoint(node), node.host.endpoint(), f'endpoint of {name} at {other}')
    lab.equal(node.path(peer), 'direct', f'path of {other} at {name}')
    lab.equal(node.endpoint(peer), peer.host.endpoint(), f'endpoint of {other} at {name}')
    after = lab.members()[node.address()]
    for key in ('state', 'ips', 'name', 'key_hash'):
        lab.equal(after[key], row[key], f'{key} of {name} at the controller')
    lab.equal(after['online'], True, f'{name} online at the controller')


def run(lab):
    for name in 'RCAB':  # else the kernel takes all addresses of a prefix away with its first
        lab.host(name).run('sysctl', '-qw', 'net.ipv4.conf.u.promote_secondaries=1')
    a, b = lab.start('AB')
    lab.meshed('AB')
    for x, y in ((a, b), (b, a)):
        until(f'{x.host.name} sees {y.host.name} directly', lambda x=x, y=y: x.path(y) == 'direct', 15)
    roams(lab, 'B', 'A', '198.19.5.5')
    roams(lab, 'A', 'B', '198.19.6.6')
