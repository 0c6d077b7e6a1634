"""Invitations: a machine that knows no root joins by the link alone; spent, expired and withdrawn links let nobody in; the key is gone once it
did its work; ephemeral members go; the roots of a link go with the network."""
import base64
import json
import os
import subprocess
import time

from lab import BIN, SLOW, Daemon, now, run as command, until

WAIT = 20 * SLOW


def private_root(lab):
    """The link has to bring the gate, too."""
    home = os.path.join(lab.folder, 'R')
    os.makedirs(home, 0o700)
    gate = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')
    with open(os.path.join(home, 'farland.conf'), 'w', encoding='ascii', opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(f'root-gate = {gate}\ntls = none\n')
    lab.start_root()


def bare(lab, name):
    """A node that nobody told of any root."""
    lab.nodes[name] = Daemon(lab, lab.host(name)).start()
    lab.equal(lab.nodes[name].json('status')['roots'], [], f'{name}: roots before it joins')
    return lab.nodes[name]


def invite(lab, *options):
    return lab.controller.cli('invite', 'create', lab.nwid, *options).stdout


def listed(lab):
    return {i['id']: i for i in lab.controller.json('invite', 'list', lab.nwid)['invites']}


def join(node, link, wait=WAIT, code=None):
    """By standard input, as people should."""
    return command(os.path.join(BIN, 'farlan'), '--home', node.home, 'join', '-', '--wait', wait, code=code, input=link, timeout=wait + 30)


def secret_of(link):
    return base64.urlsafe_b64decode(link.split('?k=')[1].split('&')[0] + '==')[8:]


def state_file(lab, node):
    path = os.path.join(node.home, 'networks', lab.nwid)
    with open(path, 'rb') as file:
        return path, file.read()


def by_link_alone(lab):
    link = invite(lab).strip()
    lab.check(link.startswith('farlan://v1/') and '\n' not in link, f'the link is not alone: {link!r}')
    lab.check(len(link) < 1024, f'{len(link)} characters')
    b = bare(lab, 'B')
    begun = now()
    done = join(b, link)
    lab.equal(done.returncode, 0, f'exit of join by a link: {done.stderr}')
    lab.within(now() - begun, 5.0 * SLOW, 'from the link to a device with addresses')
    until('A answers B', lambda: b.host.ping(lab.ip('A')), 15)
    lab.check(b.json('status')['online'], 'B is online by the root of its link')
    member = lab.members()[b.address()]
    lab.equal(member['state'], 'approved', 'state of who came by a link')
    spent = next(iter(listed(lab).values()))
    lab.equal([spent['state'], spent['uses_left'], member['invite']], ['spent', 0, spent['id']], 'what the controller says of it')
    until('the key is gone from the state of B', lambda: secret_of(link) not in state_file(lab, b)[1], 5)
    lab.equal(os.stat(state_file(lab, b)[0]).st_mode & 0o777, 0o600, 'mode of the state of B')
    again = join(b, link)  # who is in is in, whatever became of the link
    lab.equal(again.returncode, 0, f'exit of joining again by a link that is spent: {again.stderr}')
    return link


def roots_stay(lab):
    b = lab.nodes['B']
    b.kill()
    b.start()
    b.online(20)
    until('A answers B after its restart', lambda: b.host.ping(lab.ip('A')), 20)


def not_let_in(lab, spent):
    d = bare(lab, 'D')
    waiting = d.host.popen(os.path.join(BIN, 'farlan'), '--home', d.home, 'join', spent, '--wait', '8', stderr=subprocess.DEVNULL)
    until('D waits', lambda: d.json('networks')['networks'], 10)
    with open(f'/proc/{waiting.pid}/cmdline', 'rb') as file:
        lab.check(b'farlan://' not in file.read(), 'the link stands in the list of processes')
    lab.wait_member(d, 'pending')
    lab.equal(waiting.wait(30), 6, 'exit of joining by a spent link')
    lab.check('invitation' in d.network(lab.nwid)['reason'], f'D is told why: {d.network(lab.nwid)["reason"]}')
    short = invite(lab, '--expires', '2s').strip()
    withdrawn = json.loads(lab.controller.cli('-o', 'json', 'invite', 'create', lab.nwid, '--uses', 'any').stdout)
    lab.equal(lab.controller.cli('invite', 'revoke', lab.nwid, withdrawn['id']).returncode, 0, 'exit of revoke')
    until('an invitation ends by itself', lambda: any(i['state'] == 'expired' for i in listed(lab).values()), 10)
    for what, link in (('expired', short), ('withdrawn', withdrawn['link'])):
        lab.equal(join(d, link, 2).returncode, 6, f'exit of joining by a link that is {what}')
    lab.equal(lab.members()[d.address()]['state'], 'pending', 'D')
    # who waits already comes in by one that is good
    done = join(d, invite(lab, '--tag', 'late', '--name', 'for D'))
    lab.equal(done.returncode, 0, f'exit of join by a good link at last: {done.stderr}')
    lab.equal(lab.members()[d.address()]['tags'], ['late'], 'the tag of the invitation')


def hurt(lab, link):
    """What mail does to a link is told by name, and asks no daemon."""
    for wrong, word in ((link[:-4], 'end is missing'), (link.lower(), 'capital'), (link[:80] + ('y' if link[80] == 'x' else 'x') + link[81:], 'changed'), ('farlan://', 'capital')):
        done = join(lab.nodes['A'], wrong, 1)
        lab.equal(done.returncode, 2, f'exit of {wrong[:40]}')
        lab.check(word in done.stderr, f'{word} is not in: {done.stderr}')


def codes(lab):
    out = invite(lab, '--qr')
    lines = out.splitlines()
    lab.check(lines[0].startswith('farlan://') and len(lines) > 25 and '█' in out, 'the code below the link')
    drawn = command(os.path.join(BIN, 'farlan'), 'invite', 'qr', input=lines[0] + '\n').stdout
    lab.equal(drawn.splitlines(), lines[1:], 'invite qr draws the same')
    made = json.loads(lab.controller.cli('-o', 'json', 'invite', 'create', lab.nwid).stdout)
    lab.check(made['qr_svg'].startswith('<svg') and 'script' not in made['qr_svg'], 'the picture for the page')
    lab.check(all('link' not in i and 'qr_svg' not in i for i in listed(lab).values()), 'the list shows no link')


def ephemeral(lab):
    e = bare(lab, 'E')
    lab.equal(join(e, invite(lab, '--ephemeral', '10s', '--uses', 'any')).returncode, 0, 'exit of join as an ephemeral member')
    address = e.address()
    lab.check(lab.members()[address]['ephemeral'], 'it is known as ephemeral')
    time.sleep(13 * SLOW)
    lab.equal(lab.members()[address]['state'], 'approved', 'an ephemeral member that is there')
    e.stop()
    begun = now()
    until('the ephemeral member is gone', lambda: address not in lab.members(), 120)
    lab.note(f'gone {now() - begun:.0f} s after it stopped')
    lab.check(now() - begun > 7, 'it went too early')


def leaving(lab):
    b = lab.nodes['B']
    b.cli('leave', lab.nwid)
    lab.equal(b.json('status')['roots'], [], 'roots of B when the network is left')
    lab.check(not os.path.exists(os.path.join(b.home, 'networks', lab.nwid)), 'the state of a network that was left')


def run(lab):
    private_root(lab)
    lab.start_controller()
    lab.start_node('A').online()
    lab.controller.online()
    lab.nwid = lab.create()
    lab.join('A')
    link = by_link_alone(lab)
    hurt(lab, link)
    codes(lab)
    roots_stay(lab)
    not_let_in(lab, link)
    ephemeral(lab)
    leaving(lab)
