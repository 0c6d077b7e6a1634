"""A root behind a name, by the host's own resolver: found at the start, found again after it moved and its name followed; a name that leads
nowhere is said in status."""
import contextlib
import os
import shutil

from lab import now, until

LONG = True

NAME, WRONG = 'root.lab.test', 'nobody.lab.test'
FOLLOW_S = 70.0  # one look-up a minute
STOP_S = 2.0


def names(host, **entries):
    """The host's /etc/hosts: ip netns binds the file, so it is written in place."""
    with open(f'/etc/netns/{host.ns}/hosts', 'w', encoding='utf-8') as file:
        file.write('127.0.0.1 localhost\n' + ''.join(f'{at} {name}\n' for name, at in entries.items()))


def root_of(node):
    return node.json('status')['roots'][0]


def threads(node):
    """Names of the daemon's threads."""
    folder = f'/proc/{node.process.pid}/task'
    return [open(f'{folder}/{task}/comm', encoding='utf-8').read().strip() for task in os.listdir(folder)]


def moves(lab, a, root):
    fresh = '198.18.0.99'
    root.kill()
    with contextlib.suppress(FileNotFoundError):  # it may not have been written yet
        os.unlink(os.path.join(root.home, 'peers.cache'))  # or the root would call its nodes from its new place
    root.host.addr('del', root.host.address)
    root.host.addr('add', fresh)
    names(a.host, **{NAME: fresh})
    root.host.address = fresh
    root.options[root.options.index('--listen') + 1] = root.host.endpoint()
    root.start()
    begun = now()
    until('A is at the root again', lambda: root_of(a)['online'] and root_of(a)['endpoint'] == root.host.endpoint(), 2 * FOLLOW_S, every=0.2)
    lab.within(now() - begun, FOLLOW_S + 30, 'a root that moved: its start to the node being back')


def run(lab):
    root, line = lab.start_root()
    who, options = line.split('@')[0], line.partition('#')[2]
    named = f'{who}@{NAME}:9993' + (f'#{options}' if options else '')
    host = lab.host('A')
    folder = f'/etc/netns/{host.ns}'
    os.makedirs(folder)
    try:
        names(host, **{NAME: root.host.address})
        with open(f'{folder}/resolv.conf', 'w', encoding='utf-8') as file:
            file.write('nameserver 127.0.0.1\noptions timeout:1 attempts:1\n')  # nobody listens there: refused at once
        lab.root_line = named
        a = lab.start_node('A').online()
        lab.equal(root_of(a)['endpoint'], root.host.endpoint(), 'where the name led')
        lab.check(named in root.cli('root-line', f'{NAME}:9993').stdout, 'the root says its line with a name')
        moves(lab, a, root)
        a.stop()
        lab.root_line = named.replace(NAME, WRONG)
        a.options[a.options.index('--add-root') + 1] = lab.root_line
        os.unlink(os.path.join(a.home, 'peers.cache'))
        a.start()
        until('the reason names it', lambda: WRONG in root_of(a).get('reason', ''), 15)
        lab.check(not root_of(a)['online'], 'a root of a wrong name is online')
        a.stop()
        with open(f'{folder}/resolv.conf', 'w', encoding='utf-8') as file:
            file.write('nameserver 198.18.0.98\noptions timeout:5 attempts:3\n')  # nobody is there: an answer would take 15 s
        a.start()
        until('the name is looked up', lambda: 'lookup' in threads(a), 5)
        begun = now()
        a.stop()
        lab.within(now() - begun, STOP_S, 'the end of a node whose resolver does not answer')
    finally:
        shutil.rmtree(folder)
