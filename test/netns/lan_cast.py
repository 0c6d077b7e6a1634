"""One sender and 39 hearers: broadcast reaches each of them once, one frame or a thousand in a second; a group's frames reach those who
joined it and nobody else.

Hearers are packet sockets that are not promiscuous: what a member's device gets is what they count. The sender keeps below its own storm
limit of 1000 a second by nothing: a thousand is what it may.
"""
import json
import os
import signal
import subprocess
import time

from lab import Failure, now, tool, until
from lab import run as command
from scenarios.forty import acquaint

TITLE = '40 members of one network: broadcast to everybody, multicast to those who want it'

N = 40
BROADCAST = 'ff:ff:ff:ff:ff:ff'
GROUPS = {'non-IP group': '03:00:00:77:00:01', 'IP group by the kernel\'s own report': '01:00:5e:4d:00:01'}
IP_GROUP = '239.77.0.1'
SHARE = 0.999
REACH_S = 3.0
AWAY_S = 3.0
SUBSCRIBED_S = 1.5
JOIN = ('import socket, struct, sys, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); '
        's.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(sys.argv[1]) + socket.inet_aton(sys.argv[2])); '
        'print("joined", flush=True); time.sleep(300)')


def network(lab):
    names = [f'n{i}' for i in range(N)]
    for name in ('R', 'C', *names):
        lab.host(name)
    acquaint(lab)
    lab.start_root()
    lab.start_controller()
    lab.controller.online()
    lab.nwid = lab.create()
    for name in names:
        lab.start_node(name, ready=False)
    for name in names:
        lab.nodes[name].ready()
    for name in names:
        lab.nodes[name].online(60)
        lab.nodes[name].cli('join', lab.nwid, '--wait', '0', code=None)
    for name in names:
        lab.wait_member(lab.nodes[name], 'pending', 30)
        lab.controller.cli('member', 'approve', lab.nwid, lab.nodes[name].address(), '--name', name)
    for name in names:
        lab.nodes[name].cli('wait', lab.nwid, '--wait', '30')
    return names


def cpu(lab):
    """Seconds that the members' daemons have used so far."""
    ticks = 0
    for node in lab.nodes.values():
        with open(f'/proc/{node.process.pid}/stat', encoding='ascii') as file:
            ticks += sum(map(int, file.read().rsplit(')', 1)[1].split()[11:13]))
    return ticks / os.sysconf('SC_CLK_TCK')


class Cast:
    """Numbered frames from one member to a group, and who got how many."""
    flows = 0

    def __init__(self, lab, sender, hearers, group, rate, seconds, settle):
        Cast.flows += 1
        self.got, flow = {}, str(Cast.flows)
        processes = {n: lab.nodes[n].host.popen(tool('numbered'), 'recv', lab.dev(n), flow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                     for n in hearers}
        for n, process in processes.items():
            if process.stderr.readline() != 'ready\n':
                raise Failure(f'numbered recv on {n}: {process.stderr.read()}')
        host, before, began = lab.nodes[sender].host, cpu(lab), now()
        done = host.run(tool('numbered'), 'send', lab.dev(sender), group, flow, rate, seconds)
        self.sent = json.loads(done.stdout)['sent']
        self.took = now() - began
        time.sleep(settle)
        self.cpu = cpu(lab) - before
        for n, process in processes.items():
            process.send_signal(signal.SIGTERM)
        for n, process in processes.items():
            out, err = process.communicate(timeout=20)
            if process.returncode != 0:
                raise Failure(f'numbered recv on {n}: exit {process.returncode}: {err}')
            self.got[n] = json.loads(out)

    def sum(self, what, names):
        return sum(self.got[n][what] for n in names)

    def share(self, names):
        return self.sum('received', names) / (self.sent * len(names))

    def worst(self, names):
        name = min(names, key=lambda n: self.got[n]['received'])
        return f'{name} {self.got[name]["received"]} of {self.sent}'


def drops(lab):
    """Of all members together."""
    told = {}
    for node in lab.nodes.values():
        for reason, n in node.drops().items():
            told[reason] = told.get(reason, 0) + n
    return told


def one_frame(table, sender, names, what):
    others = [n for n in names if n != sender]
    cast = Cast(table.lab, sender, others, BROADCAST, 1, 1, REACH_S)
    table.equal(f'{what}: one broadcast of {sender}, members that got it', sum(cast.got[n]['received'] == 1 for n in others), len(others))
    table.equal(f'{what}: of them more than once', cast.sum('twice', others), 0)


def thousand(table, sender, names):
    others, before = [n for n in names if n != sender], drops(table.lab)
    cast = Cast(table.lab, sender, others, BROADCAST, 1000, 1, REACH_S)
    table.equal('a thousand broadcasts of one second, sent', cast.sent, 1000)
    table.least('of them delivered to all others', cast.share(others) * 100, SHARE * 100, ' %', 3)
    table.equal('of them more than once', cast.sum('twice', others), 0)
    table.equal('dropped by a hearer\'s own socket', cast.sum('socket_drops', others), 0)
    table.note(f'least at one member: {cast.worst(others)}; {cast.took:.2f} s to send; all daemons '
               f'{cast.cpu * 1e6 / (cast.sent * len(others)):.1f} us of processor for each delivery')
    more = {k: n - before.get(k, 0) for k, n in drops(table.lab).items() if n > before.get(k, 0)}
    table.note(f'dropped by members meanwhile, by reason: {more}')


def joined(lab, name, what):
    if what != 'non-IP group':
        process = lab.nodes[name].host.popen('python3', '-c', JOIN, IP_GROUP, lab.ip(name), stdout=subprocess.PIPE)
        if process.stdout.readline() != b'joined\n':
            raise Failure(f'{name} does not join {IP_GROUP}')
    else:
        command('ip', '-n', lab.nodes[name].host.ns, 'maddr', 'add', GROUPS[what], 'dev', lab.dev(name))


def group(table, what, sender, names):
    takers = names[3::4]
    others = [n for n in names if n != sender and n not in takers]
    for name in takers:
        joined(table.lab, name, what)
    time.sleep(SUBSCRIBED_S)
    cast = Cast(table.lab, sender, [*takers, *others], GROUPS[what], 500, 2, REACH_S)
    table.least(f'{what}: delivered to its {len(takers)} members', cast.share(takers) * 100, SHARE * 100, ' %', 3)
    table.equal(f'{what}: more than once', cast.sum('twice', takers), 0)
    table.equal(f'{what}: frames at the {len(others)} others', cast.sum('received', others), 0)


def some_away(table, sender, names):
    """A third of the members is away: half of those said so, the others fell silent. Nobody else is to feel it."""
    away = names[2::3]
    for i, name in enumerate(away):
        (table.lab.nodes[name].stop if i % 2 else table.lab.nodes[name].kill)()
    time.sleep(AWAY_S)
    others = [n for n in names if n != sender and n not in away]
    for name in away:
        del table.lab.nodes[name]
    cast = Cast(table.lab, sender, others, BROADCAST, 1000, 1, REACH_S)
    table.least(f'{len(away)} members are away: a thousand broadcasts, delivered', cast.share(others) * 100, SHARE * 100, ' %', 3)
    table.equal(f'{len(away)} members are away: more than once', cast.sum('twice', others), 0)
    table.note(f'least at one member: {cast.worst(others)}; {cast.took:.2f} s to send; the sender dropped {table.lab.nodes[sender].drops()}')


def run(table):
    lab, began = table.lab, now()
    names = network(lab)
    table.note(f'{N} members stand after {now() - began:.0f} s')
    one_frame(table, names[0], names, 'at once')
    one_frame(table, names[-1], names, 'at once')
    thousand(table, names[0], names)
    for what in GROUPS:
        group(table, what, names[0], names)
    one_frame(table, names[20], names, 'at the end')
    some_away(table, names[0], names)
    until('all members are alive', lambda: all(node.alive() for node in lab.nodes.values()), 5)
