"""The controller is killed in the middle of its writes, its disk is full, its disk is read-only: members talk on without a lost frame, edits
are refused with a sentence and nothing else, and what the members hold afterwards never went back (a node itself says so in its log when
two HEADs of one version were signed).
"""
import os
import struct
import subprocess

from lab import TREE, Failure, Pinging, until

FORK = 'two different HEADs'
KILLS = (3, 7, 11, 16, 23, 29, 34)  # acts on files after the start; see test/crash for all of them


def run(lab):
    if lab.sanitized:  # they want to be the first of what is preloaded
        raise Failure('this scenario is for builds without sanitizers')
    a, _ = lab.start('AB')
    lab.meshed('AB')
    c = lab.controller
    points, fail = os.path.join(lab.folder, 'points.so'), os.path.join(lab.folder, 'fail')
    subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-shared', '-fPIC', '-o', points, os.path.join(TREE, 'test/crash/points.c'), '-ldl'],
                   check=True)
    pinging = Pinging(a.host, lab.ip('B'), '-i', '0.1')
    version = a.network(lab.nwid)['version']

    preload = {'LD_PRELOAD': points, 'CRASH_HOME': c.home, 'CRASH_FAIL': fail}

    def fault(error):
        with open(fail, 'r+b' if os.path.exists(fail) else 'wb') as file:
            file.write(struct.pack('=i', error))

    def caught_up(what):
        nonlocal version
        at = until(f'{what}: A has a newer HEAD', lambda: (lambda v: v if v > version else 0)(a.network(lab.nwid)['version']), 40)
        version = at

    for n, at in enumerate(KILLS):
        c.kill()
        c.env = {**preload, 'CRASH_AT': str(at)}
        c.start(ready=False)
        for i in range(20):  # some edit does not come through
            if c.process.poll() is not None:
                break
            c.cli('member', 'set', lab.nwid, a.address(), '--name', f'n{n}x{i}', code=None)
        lab.equal(c.process.wait(20), -9, f'killed at act {at}')
        c.process = None
        c.output.close()
        c.env = {}
        c.start()
        lab.equal(c.json('status')['health'], 'ok', f'health after the kill at act {at}')
        lab.check(c.json('audit', '--verify')['ok'], f'audit after the kill at act {at}')
        c.cli('member', 'set', lab.nwid, a.address(), '--name', f'after{n}')
        if n in (0, len(KILLS) - 1):
            c.online()
            caught_up(f'kill at act {at}')
    c.stop()
    fault(0)
    c.env = preload
    c.start().online()
    for name, error, says in (('full', 28, 'full'), ('read-only', 30, 'read-only'), ('broken', 5, 'disk')):
        fault(error)
        refused = c.cli('member', 'set', lab.nwid, a.address(), '--name', f'never-{name}', code=1)
        lab.check(says in refused.stderr, f'a {name} disk is told: {refused.stderr}')
        lab.check(c.json('status')['health'] != 'ok', f'health with a {name} disk')
        fault(0)
        c.cli('member', 'set', lab.nwid, a.address(), '--name', f'again-{name}')
        until(f'health after a {name} disk', lambda: c.json('status')['health'] == 'ok', 10)
        caught_up(f'after a {name} disk')
    sent, lost, last = pinging.end(0)
    lab.check(sent > 20 and lost == 0 and last <= 5, f'pings all the while: {sent}, {lost} lost, the last {last} not answered')
    lab.note(f'pings while the controller was killed {len(KILLS)} times and its disk failed: {sent}, {lost} lost')
    for node in lab.nodes.values():
        with open(node.log, encoding='utf-8', errors='replace') as log:
            lab.check(FORK not in log.read(), f'{node.host.name} saw two HEADs of one version')
