"""What an admin does to members, as the machines themselves see it: reasons shown, delete and join typed anew, ban in every network,
approvals that end, preapproval, routes and DNS servers, and an approval that comes when its nodes have long been silent."""
import json
import os
import subprocess
import time

import lab as labs
from lab import BIN, now, until

PENDING_S = 12  # longer than an unfinished handshake lives, and than a letter without an answer is repeated


def state(node, nwid):
    return node.network(nwid)['state']


def refused(lab, name, reason):
    node = lab.nodes[name]
    until(f'{name} knows that it is out', lambda: state(node, lab.nwid) == 'denied', 2)
    lab.check(reason in node.network(lab.nwid)['reason'], f'{name} is told why: {node.network(lab.nwid)["reason"]}')


def deleted(lab):
    """It is gone, asks again by itself (also with a new start), and is no row; a typed join makes one."""
    b = lab.nodes['B']
    lab.controller.cli('member', 'delete', lab.nwid, b.address())
    refused(lab, 'B', 'refused')
    b.stop()
    b.start()
    b.online()
    time.sleep(3)  # what it asks when it starts is answered by now
    lab.equal(state(b, lab.nwid), 'denied', 'state after a new start')
    lab.check(b.address() not in lab.members(), 'who was deleted does not come back by asking')
    done = b.cli('join', lab.nwid, '--wait', '5', code=None)
    lab.equal(done.returncode, 6, 'exit of the join typed again: pending')
    lab.equal(lab.members()[b.address()]['state'], 'pending', 'B asks anew')
    lab.controller.cli('member', 'approve', lab.nwid, b.address(), '--tag', 'back', '--description', 'once more')
    b.cli('wait', lab.nwid, '--wait', '60')
    lab.equal(lab.members()[b.address()]['tags'], ['back'], 'tags')


def banned(lab):
    """Both networks at once; and a third one it has never been in."""
    a, b = lab.nodes['A'], lab.nodes['B']
    first = lab.nwid
    second = lab.controller.json('network', 'create', 'second', '--ipv4', '10.78.0.0/24')['id']
    b.cli('join', second, '--wait', '0', code=None)
    until('B asks there', lambda: any(m['address'] == b.address() for m in lab.controller.json('member', 'list', second)['members']), 10)
    lab.controller.cli('member', 'approve', second, b.address())
    b.cli('wait', second, '--wait', '60')
    lab.controller.cli('member', 'ban', second, b.address(), '--reason', 'stolen')
    refused(lab, 'B', 'stolen')
    until('B is out of the other network, too', lambda: state(b, second) == 'denied', 2)
    lab.equal(a.host.ping('10.77.0.2', count=3, wait=1), 0, 'answers of the banned')
    third = lab.controller.json('network', 'create', 'third', '--public', 'on')['id']
    lab.equal(b.cli('join', third, '--wait', '5', code=None).returncode, 7, 'exit of joining a public network while banned')
    lab.equal(lab.controller.json('member', 'list', third)['total'], 0, 'rows of the banned where it never was')
    lab.controller.cli('member', 'unban', first, b.address())
    until('B waits for approval', lambda: state(b, first) == 'pending', 2)
    lab.controller.cli('member', 'approve', first, b.address())
    b.cli('wait', first, '--wait', '60')
    for nwid in (second, third):
        b.cli('leave', nwid)


def ends(lab):
    b = lab.nodes['B']
    lab.controller.cli('member', 'set', lab.nwid, b.address(), '--expires', '4s')
    lab.equal(state(b, lab.nwid), 'joined', 'state before the end')
    begun = now()
    until('the approval ends', lambda: state(b, lab.nwid) == 'denied', 8)
    took = now() - begun
    lab.check(took > 2, f'it ended after {took:.1f} s of 4')
    lab.within(took, 7, 'the end of an approval of 4 s')
    refused(lab, 'B', 'run out')
    lab.equal(lab.members()[b.address()]['state'], 'revoked', 'state at the controller')
    lab.equal(lab.members()[b.address()]['expires_in'], None, 'what is left')
    lab.controller.cli('member', 'approve', lab.nwid, b.address())
    b.cli('wait', lab.nwid, '--wait', '60')


def preapproved(lab):
    d = lab.nodes['D']
    lab.controller.cli('member', 'preapprove', lab.nwid, d.address(), '--name', 'desk', '--ip', '10.77.0.99', '--ip', '10.77.0.98', '--tag', 'desk')
    begun = now()
    d.cli('join', lab.nwid, '--wait', '60')
    lab.note(f'preapproved: joined in {now() - begun:.2f} s')
    row = lab.members()[d.address()]
    lab.equal((row['state'], row['name'], row['tags'], row['ips']), ('approved', 'desk', ['desk'], ['10.77.0.98/24', '10.77.0.99/24']), 'D')
    lab.equal(lab.controller.json('preapproval', 'list', lab.nwid)['preapprovals'], [], 'preapprovals left')
    for address in ('10.77.0.98', '10.77.0.99'):
        lab.nodes['A'].host.reaches(address, 10)
        lab.check(True, '')


def ways(lab):
    """A route by way of D: the others set it, D itself does not, and all know who answers for names."""
    a, d = lab.nodes['A'], lab.nodes['D']
    lab.controller.cli('network', 'set', lab.nwid, '--route', '192.168.77.0/24,10.77.0.99', '--dns', 'lab.test,10.77.0.99')

    def routes(node):
        return labs.run('ip', '-n', node.host.ns, 'route', 'show', '192.168.77.0/24').stdout

    until('A has the route', lambda: 'via 10.77.0.99' in routes(a), 5)
    until('D knows the DNS servers', lambda: d.network(lab.nwid)['dns'] == {'domain': 'lab.test', 'servers': ['10.77.0.99']}, 5)
    lab.equal(routes(d), '', 'the route at the gateway itself')
    d.host.run('ip', 'addr', 'add', '192.168.77.1/32', 'dev', 'lo')
    a.host.reaches('192.168.77.1', 10)
    lab.check(True, '')
    lab.controller.cli('network', 'set', lab.nwid, '--route', 'none', '--dns', 'none')
    until('the route is gone', lambda: routes(a) == '', 5)
    until('the servers are gone', lambda: a.network(lab.nwid)['dns'] is None, 5)


def approved_late(lab, names):
    """Who waits hears of it at once, whatever the time it waited: all of them by one batch, as the page asks for it."""
    nodes = [lab.nodes[name] for name in names]
    waiting = {node: node.host.popen(os.path.join(BIN, 'farlan'), '--home', node.home, 'join', lab.nwid, '--wait', '60', stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL) for node in nodes}
    for node in nodes:
        lab.wait_member(node, 'pending')
    time.sleep(PENDING_S)
    lab.check(all(process.poll() is None for process in waiting.values()), 'they wait until somebody decides')
    begun = now()
    done = labs.run('curl', '-s', '--unix-socket', os.path.join(lab.controller.home, 'farlan-controller.sock'), '--json',
                    json.dumps({'action': 'approve', 'members': [node.address() for node in nodes]}),
                    f'http://localhost/v1/networks/{lab.nwid}/members:batch')
    results = json.loads(done.stdout)['results']
    lab.equal([result['ok'] for result in results], [True] * len(nodes), 'what became of the batch')
    for node, process in waiting.items():
        until(f'{node.host.name}: the wait ends', lambda: process.poll() is not None, 30)
        lab.within(now() - begun, 1.0, f'{node.host.name}: batch begun to wait ended')
        lab.equal(process.returncode, 0, f'{node.host.name}: exit of the wait')


def run(lab):
    lab.start('ABD', join=False)
    approved_late(lab, 'AB')
    lab.controller.cli('member', 'revoke', lab.nwid, lab.nodes['B'].address(), '--reason', 'lost laptop')
    refused(lab, 'B', 'lost laptop')
    lab.controller.cli('member', 'approve', lab.nwid, lab.nodes['B'].address())
    lab.nodes['B'].cli('wait', lab.nwid, '--wait', '60')
    deleted(lab)
    banned(lab)
    ends(lab)
    preapproved(lab)
    ways(lab)
