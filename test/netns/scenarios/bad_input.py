"""Bad input of issue "First light": each with its exit code and a message that tells the mend."""
import os
import re
import shutil
import sqlite3
import subprocess

from lab import BIN, Daemon, run as command, until

NWID = '7f3a91c04e000001'


def refused(lab, what, done, code, *words):
    lab.equal(done.returncode, code, f'{what}: exit ({done.stderr.strip()[:200]})')
    for word in words:
        lab.check(re.search(word, done.stderr), f'{what}: no /{word}/ in {done.stderr.strip()[:300]!r}')


def start(lab, program, home, *options, argv=()):
    """A start that should fail at once; one that does not is ended and gives exit None."""
    host = lab.host('X')
    try:
        return command(*host.argv(*argv, os.path.join(BIN, program), '--home', home, *options), code=None, timeout=15)
    except subprocess.TimeoutExpired as error:
        return subprocess.CompletedProcess(error.cmd, None, '', f'it started and ran on: {error.stderr}')


def home(lab, name, config=None, program='farland'):
    path = os.path.join(lab.folder, name)
    os.makedirs(path, 0o700, exist_ok=True)
    if config is not None:
        with open(os.path.join(path, f'{program}.conf'), 'w', encoding='ascii') as file:
            file.write(config)
    return path


def words(lab):
    node = lab.nodes['A']
    for bad in ('7f3a', NWID + '0', '7f3a91c04e00000g', '', 'network'):
        refused(lab, f'join {bad!r}', node.cli('join', bad, '--wait', '0', code=None), 2, '16 hex')
    lab.nwid = lab.create()
    for bad in ('7f3a91c04', '7f3a91c04e1', 'zzzzzzzzzz', ''):
        refused(lab, f'approve {bad!r}', lab.controller.cli('member', 'approve', lab.nwid, bad, code=None), 2, 'address|10 hex')
    refused(lab, 'an address out of the pool', lab.controller.cli('network', 'create', 'x', '--ipv4', '10.0.0.0/33', code=None), 2)
    refused(lab, 'an MTU of 100', lab.controller.cli('network', 'create', 'x', '--mtu', '100', code=None), 2)
    for option, bad, says in (('--storm', '-1', 'up to 1000000'), ('--storm', '1000001', 'up to 1000000'), ('--multicast-rate', '50', '50M'), ('--multicast-rate', '50T', '50M'),
                              ('--multicast-rate', '-1M', '50M'), ('--multicast-rate', '101G', '100000000'), ('--multicast-limit', '1001', 'up to 1000'),
                              ('--ip-guard', 'yes', 'on or off'), ('--mtu', '9001', '9000')):
        refused(lab, f'network set {option} {bad}', lab.controller.cli('network', 'set', lab.nwid, option, bad, code=None), 2, says)
    refused(lab, 'network set of nothing', lab.controller.cli('network', 'set', lab.nwid, code=None), 2, 'nothing to set')
    refused(lab, 'a stranger', lab.controller.cli('member', 'approve', lab.nwid, '7f3a91c04e', code=None), 5)
    refused(lab, 'no such network', lab.controller.cli('network', 'show', NWID, code=None), 5)
    refused(lab, 'a verb misspelt', node.cli('jion', NWID, code=None), 2, 'did you mean .*join')
    refused(lab, 'an option misspelt', node.cli('join', NWID, '--wiat', '1', code=None), 2, 'did you mean --wait')
    refused(lab, 'no daemon', command(os.path.join(BIN, 'farlan'), '--home', home(lab, 'nobody'), 'join', NWID, code=None), 3)
    for bad in ('', '198.18.0.1', '198.18.0.1:0', '198.18.0.1:70000', '1.2.3:9993', 'host', '-host:9993'):
        refused(lab, f'root-line {bad!r}', lab.root.cli('root-line', bad, code=None), 2)


def roots_and_config(lab):
    line = lab.root_line
    for bad in ('', 'nonsense', line[:40] + line[41:], line.replace(':9993', ':99930'), line[:30], line.replace('fln1:', 'fln2:')):
        refused(lab, f'--add-root {bad!r}', start(lab, 'farland', home(lab, 'rootline'), '--add-root', bad), 2)
        path = home(lab, 'conf-root', f'# roots\nadd-root = {bad}\n')
        refused(lab, f'add-root = {bad!r}', start(lab, 'farland', path), 2, r'farland\.conf:2:\d+: ')
    for program in ('farland', 'farlan-controller'):
        path = home(lab, f'conf-{program}', '# a comment\n\n  lisen = 127.0.0.1:9993\n', program)
        refused(lab, f'{program}: unknown key', start(lab, program, path), 2, rf'{program}\.conf:3:\d+: .*', 'did you mean .*listen')
        path = home(lab, f'conf2-{program}', 'listen 127.0.0.1:9993\n', program)
        refused(lab, f'{program}: a line without =', start(lab, program, path), 2, rf'{program}\.conf:1:\d+: ')
        path = home(lab, f'conf3-{program}', 'listen = 127.0.0.1:port\n', program)
        refused(lab, f'{program}: a bad value', start(lab, program, path), 2, rf'{program}\.conf:1:\d+: ')
    refused(lab, 'an unknown option', start(lab, 'farland', home(lab, 'o'), '--lisen', '127.0.0.1:1'), 2, 'did you mean --listen')


def identities(lab):
    good = os.path.join(lab.nodes['A'].home, 'identity.secret')
    with open(good, 'rb') as file:
        secret = file.read()
    for what, damage in (('cut', secret[:-5]), ('empty', b''), ('flipped', secret[:40] + bytes([secret[40] ^ 1]) + secret[41:]),
                         ('longer', secret + b'x'), ('binary', b'\0' * 200)):
        path = home(lab, f'identity-{what}')
        file = os.path.join(path, 'identity.secret')
        with open(file, 'wb') as f:
            f.write(damage)
        os.chmod(file, 0o600)
        done = start(lab, 'farland', path)
        lab.check(done.returncode not in (0, None), f'identity {what}: exit {done.returncode}: {done.stderr}')
        lab.check('identity.secret' in done.stderr, f'identity {what}: {done.stderr!r} does not name the file')
        with open(file, 'rb') as f:
            lab.equal(f.read(), damage, f'identity {what}: the file afterwards')
    path = home(lab, 'identity-open')
    shutil.copy(good, path)
    os.chmod(os.path.join(path, 'identity.secret'), 0o644)
    refused(lab, 'an identity everybody can read', start(lab, 'farland', path), 4, 'chmod')


def second(lab):
    a = lab.nodes['A']
    done = start(lab, 'farland', a.home, '--listen', '127.0.0.1:19993')
    lab.check(done.returncode not in (0, None) and 'already running' in done.stderr, f'a second daemon: {done.returncode} {done.stderr!r}')
    lab.equal(a.cli('status', code=None).returncode, 0, 'the first one afterwards')
    # the same port: never shared unseen
    done = command(*a.host.argv(os.path.join(BIN, 'farland'), '--home', home(lab, 'port'), '--listen', f'{a.host.address}:9993'), code=None, timeout=60)
    lab.check(done.returncode not in (0, None) and '9993' in done.stderr, f'a port in use: {done.returncode} {done.stderr!r}')
    # a socket that a killed daemon left
    a.kill()
    lab.check(os.path.exists(os.path.join(a.home, 'farland.sock')), 'kill -9 leaves the socket')
    refused(lab, 'a dead socket', a.cli('status', code=None), 3)
    a.start()
    lab.equal(a.cli('status', code=None).returncode, 0, 'a stale socket is replaced')


def databases(lab):
    c = lab.controller
    c.stop()
    database = next(f for f in sorted(os.listdir(c.home)) if f.endswith('.db'))
    with open(os.path.join(c.home, database), 'rb') as file:
        good = file.read()

    def attempt(what, spoil):
        path = os.path.join(lab.folder, f'db-{what}')
        shutil.copytree(c.home, path, ignore=shutil.ignore_patterns('*.sock'))
        file = os.path.join(path, database)
        spoil(file)
        with open(file, 'rb') as f:
            spoilt = f.read()
        done = start(lab, 'farlan-controller', path, '--http', '127.0.0.1:18080')
        lab.check(done.returncode not in (0, None), f'database {what}: exit {done.returncode}: {done.stderr}')
        lab.check(database in done.stderr or 'database' in done.stderr, f'database {what}: {done.stderr!r}')
        with open(file, 'rb') as f:
            lab.equal(f.read() == spoilt, True, f'database {what}: the file is left as it was')

    def write(file, data):
        with open(file, 'wb') as f:
            f.write(data)

    def newer(file):
        db = sqlite3.connect(file)
        version = db.execute('PRAGMA user_version').fetchone()[0]
        db.execute(f'PRAGMA user_version = {version + 1000}')
        db.commit()
        db.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        db.close()
    attempt('newer', newer)
    attempt('text', lambda file: write(file, b'this is no database\n' * 100))
    attempt('torn', lambda file: write(file, good[:4096] + os.urandom(len(good) - 4096)))
    attempt('cut', lambda file: write(file, good[:len(good) // 2 + 100]))
    c.start()
    lab.equal([n['id'] for n in c.json('network', 'list')['networks']], [lab.nwid], 'networks of the good one')


def tap(lab):
    """Without CAP_NET_ADMIN the join names what is missing; the daemon goes on."""
    host = lab.host('N')
    node = Daemon(lab, host, 'farland', ['--add-root', lab.root_line])
    real = host.argv
    host.argv = lambda *argv: real(*((['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin']
                                      if argv[0].endswith('farland') else []) + list(argv)))
    lab.nodes['N'] = node.start().online(30)
    host.argv = real
    node.cli('join', lab.nwid, '--wait', '0', code=None)
    lab.wait_member(node, 'pending', 30)
    lab.controller.cli('member', 'approve', lab.nwid, node.address())
    net = until('N says why it has no device', lambda: (n := node.network(lab.nwid))['state'] == 'error' and n, 10)
    lab.check('CAP_NET_ADMIN' in net['reason'], f'reason {net["reason"]!r}')
    done = node.cli('wait', lab.nwid, '--wait', '2', code=None)
    lab.check(done.returncode not in (0, 6) and 'CAP_NET_ADMIN' in done.stderr, f'wait: {done.returncode} {done.stderr!r}')


def run(lab):
    lab.start_root()
    lab.start_controller()
    lab.start_node('A')
    words(lab)
    roots_and_config(lab)
    identities(lab)
    second(lab)
    databases(lab)
    tap(lab)
