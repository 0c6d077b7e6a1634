"""Shows 2: pending, approved by the command line and by a click, ping by managed IPv4 and by derived IPv6."""
import os
import subprocess

import lab as labs
from lab import BIN, TREE, now, until


def approve_measured(lab, name):
    node = lab.nodes[name]
    waiting = node.host.popen(os.path.join(BIN, 'farlan'), '--home', node.home, 'wait', lab.nwid,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until('the waiter runs', lambda: waiting.poll() is None, 1)
    begun = now()
    lab.controller.cli('member', 'approve', lab.nwid, node.address(), '--name', name)
    code = waiting.wait(20)
    lab.within(now() - begun, 1.0, f'{name}: approve begun to wait ended')
    lab.equal(code, 0, f'{name}: exit of wait')
    dev = node.network(lab.nwid)
    lab.equal(dev['state'], 'joined', f'{name}: state')
    # wait 0 means: device up, addresses and routes set, now and not soon
    shown = labs.run('ip', '-n', node.host.ns, 'addr', 'show', 'dev', dev['dev']).stdout
    for address in dev['addresses']:
        lab.check(address.split('/')[0] in shown, f'{name}: {address} is not on {dev["dev"]}:\n{shown}')
    managed = [line for line in shown.splitlines() if 'inet6' in line and 'scope global' in line]
    lab.check(managed and not any('tentative' in line for line in managed), f'{name}: IPv6 waits for duplicate address detection: {managed}')


def click(lab, name):
    node = lab.nodes[name]
    url = lab.controller.cli('page').stdout.split()[-1]
    env = {**os.environ, 'FARLAN_PAGE_URL': url, 'FARLAN_NWID': lab.nwid, 'FARLAN_MEMBER': node.address(), 'FARLAN_STEP': 'approve'}
    lab.controller.host.run('node', os.path.join(TREE, 'test/web/page_test.mjs'), env=env, timeout=120)
    node.cli('wait', lab.nwid, '--wait', '60')
    lab.equal(lab.members()[node.address()]['state'], 'approved', f'{name}: state after the click')


def pings(lab, names):
    for a in names:
        for b in names:
            if a == b:
                continue
            for version in (4, 6):
                begun = now()
                lab.nodes[a].host.reaches(lab.ip(b, version), 10)
                lab.check(True, '')
                if version == 4 and a == names[0]:
                    lab.note(f'{a} -> {b}: first answer after {(now() - begun) * 1000:.0f} ms')


def run(lab):
    lab.start('ABD', join=False)
    for name in 'ABD':
        node = lab.nodes[name]
        node.cli('join', lab.nwid, '--wait', '0', code=None)
        until(f'{name} knows that it waits', lambda node=node: node.network(lab.nwid)['state'] == 'pending', 10)
        done = node.cli('join', lab.nwid, '--wait', '1', code=None)
        lab.equal(done.returncode, 6, f'{name}: exit of join --wait 1 while pending')
        lab.equal(node.network(lab.nwid)['state'], 'pending', f'{name}: state')
        lab.check(node.address() in done.stderr, f'{name}: who waits is told its address:\n{done.stderr}')
    lab.equal(lab.controller.cli('member', 'approve', lab.nwid, '7f3a91c04e', code=None).returncode, 5, 'exit of approving a stranger')
    for name in 'AB':
        approve_measured(lab, name)
    click(lab, 'D')
    pings(lab, 'ABD')
    for name in 'ABD':
        lab.equal(lab.nodes[name].cli('join', lab.nwid, '--wait', '20', code=None).returncode, 0, f'{name}: join again')
