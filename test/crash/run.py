#!/usr/bin/env python3
"""run.py [--quick] [--seconds N] [PART...]: the controller killed, starved and damaged. Parts: birth, points, power, invites, faults, disk,
flips.

birth    a start in an empty folder is killed at each act on a file (points.c), then started again.
points   a script of an admin's edits is killed at each act, before it and in the middle of it; started again, everything that was
         acknowledged must be there, what was not is there whole or not at all, and the script goes on to the same end. No version, serial
         or revocation epoch goes back, no serial is given twice, head.bak is not ahead of the database, the audit has one entry for each act
         and its chain holds.
power    the same, and with the kill goes the power: all that was written and not synced is lost, or a part of it by chance. (Names that
         were not synced are not lost here.)
faults   every act fails for a while (ENOSPC, EROFS, EIO) from one of these points on; then none does any more.
disk     a real full disk (tmpfs) and a read-only one.
invites  sixty-four come by a key for one (keyhole.c), killed at each act, with power or without; started again the member, the use and the audit
         are one story, who was told is in, and when all ask again one is in.
flips    one byte changed at 200 places of the database and of its log: it works and nothing went back, or refuses with a sentence; a
         process that dies otherwise fails.

Points are visited in an order that covers all of the script evenly, until the time is over; the line of each part says how many of how many.
The last line is "N passed, N failed".
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import random
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
BIN = os.path.abspath(os.environ.get('FARLAN_BIN', os.path.join(TREE, 'build')))
IDENTITIES = os.path.join(TREE, 'build', 'identities')
SLOTS = 2
PATIENCE = 30
QUIET = {'ENOSPC': 28, 'EROFS': 30, 'EIO': 5}


class Failure(Exception):
    pass


class Socket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Controller:
    """One in a folder of its own; points: the preloaded library and what it is to do."""

    def __init__(self, work, home, port):
        self.work, self.home, self.port = work, home, port
        self.socket = os.path.join(home, 'farlan-controller.sock')
        self.log = os.path.join(work.folder, os.path.basename(home) + '.log')
        self.process = None

    def start(self, at=0, half=False, lose=0, count=None, fail=None, wait=True):
        env = dict(os.environ)
        if at or count or fail:
            env |= {'LD_PRELOAD': self.work.points, 'CRASH_HOME': self.home, 'CRASH_AT': str(at)}
            env |= {'CRASH_HALF': '1'} if half else {}
            env |= {'CRASH_LOSE': str(lose)} if lose else {}
            env |= {'CRASH_COUNT': count} if count else {}
            env |= {'CRASH_FAIL': fail} if fail else {}
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([os.path.join(BIN, 'farlan-controller'), '--home', self.home, '--http', 'none',
                                             '--listen', f'127.0.0.1:{self.port}'], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        end = time.monotonic() + PATIENCE
        while wait and self.process.poll() is None:
            try:
                if os.path.exists(self.socket) and self.ask('GET', '/v1/status')[0] == 200:
                    return self
            except OSError:
                pass
            except http.client.HTTPException:
                pass
            if time.monotonic() > end:
                raise Failure(f'does not start\n{self.tail()}')
            time.sleep(0.01)
        return self

    def ask(self, method, path, body=None):
        connection = Socket(self.socket)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {'Content-Type': 'application/json'} if body is not None else {})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def get(self, path):
        status, answer = self.ask('GET', path)
        if status != 200:
            raise Failure(f'GET {path}: {status} {answer}')
        return answer

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(PATIENCE) if self.process else 0
        if code != 0:
            raise Failure(f'ended with {code}\n{self.tail()}')

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def tail(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return ''.join(file.readlines()[-15:])

    def rows(self, sql):
        db = sqlite3.connect(f'file:{self.home}/controller.db?mode=ro', uri=True, timeout=10)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()


# ---- the script: edits of an admin. Each names what it acts on, so that it can go on after a restart.

def networks(c):
    return {n['name']: n['id'] for n in c.get('/v1/networks')['networks']}


def on(name, path=''):
    return lambda c: f'/v1/networks/{networks(c)[name]}{path}'


def member(n, verb=''):
    return on('home', f'/members/{0x1000000000 + n:010x}{verb}')


SCRIPT = [
    # (method, path, body, the audit's action)
    ('POST', member(1, '/approve'), {}, 'member.approve'),
    ('POST', member(2, '/approve'), {'name': 'two'}, 'member.approve'),
    ('PATCH', on('home'), {'mtu': 1500}, 'network.set'),
    ('POST', lambda c: '/v1/networks', {'name': 'second', 'ipv4': '10.30.0.0/24'}, 'network.create'),
    ('PATCH', member(2), {'ip': '10.20.0.77'}, 'member.set'),
    ('POST', member(1, '/revoke'), {}, 'member.revoke'),
    ('POST', member(3, '/deny'), {}, 'member.deny'),
    ('POST', member(4, '/approve'), {}, 'member.approve'),
    ('PATCH', on('home'), {'ipv4': '10.40.0.0/16'}, 'network.set'),
    ('DELETE', member(1), None, 'member.delete'),
    ('DELETE', on('second'), None, 'network.delete'),
    ('POST', member(3, '/approve'), {}, 'member.approve'),
    ('PATCH', on('home'), {'name': 'house'}, 'network.set'),
]
FIELDS_NETWORK = ('name', 'ipv4', 'mtu', 'public', 'members', 'pending')
FIELDS_MEMBER = ('address', 'name', 'state', 'ips')


def state(c):
    """What an admin sees, without what chance or time decides."""
    seen = []
    for network in sorted(c.get('/v1/networks')['networks'], key=lambda n: n['name']):
        members = c.get(f'/v1/networks/{network["id"]}/members')['members']
        seen.append(([network[f] for f in FIELDS_NETWORK], sorted([m[f] for f in FIELDS_MEMBER] for m in members)))
    return seen


def counters(c):
    """{nwid: (version, rev_epoch, serials)} and {(nwid, address): serial}, from the file."""
    def unsigned(n):
        return n & (1 << 64) - 1
    return ({unsigned(r[0]): r[1:] for r in c.rows('SELECT nwid, version, rev_epoch, serials FROM network')},
            {(unsigned(r[0]), r[1]): r[2] for r in c.rows('SELECT nwid, address, serial FROM member WHERE serial > 0')})


def forward(was, now, what):
    for nwid, before in was.items():
        if nwid in now and any(a < b for a, b in zip(now[nwid], before)):
            raise Failure(f'{what}: counters of {nwid:016x} went back from {before} to {now[nwid]}')


def head_bak(c):
    path = os.path.join(c.home, 'head.bak')
    marks = {}
    if os.path.exists(path):
        with open(path, encoding='ascii') as file:
            for line in file:
                w = line.split()
                if len(w) == 7 and w[1] == 'version':
                    marks[int(w[0], 16)] = (int(w[2]), int(w[6]), int(w[4]))
    return marks


def acts(c):
    """How often each action stands in the audit, the chain verified."""
    status, verdict = c.ask('POST', '/v1/audit/verify', {})
    if status != 200 or not verdict['ok']:
        raise Failure(f'audit: {status} {verdict}')
    entries = c.get('/v1/audit?limit=10000')['entries']
    if len(entries) != verdict['entries']:
        raise Failure(f'audit: {len(entries)} entries listed, {verdict["entries"]} verified')
    return sorted(e['action'] for e in entries)


def sound(c):
    status = c.get('/v1/status')
    if status['health'] != 'ok':
        raise Failure(f'health: {status["health"]}')
    check = c.rows('PRAGMA quick_check')
    if check != [('ok',)]:
        raise Failure(f'quick_check: {check[:3]}')
    marks, now = head_bak(c), counters(c)
    forward(marks, now[0], 'head.bak is ahead')
    serials = [(nwid, serial) for (nwid, _), serial in now[1].items()]
    if len(set(serials)) != len(serials):
        raise Failure(f'a serial was given twice: {sorted(serials)}')
    for (nwid, address), serial in now[1].items():
        if serial >= now[0][nwid][2]:
            raise Failure(f'serial {serial} of {address:x} was never reserved ({now[0][nwid]})')
    return now


def op_do(c, op):
    method, path, body, _ = op
    status, answer = c.ask(method, path(c), body)
    if not 200 <= status < 300:
        raise Failure(f'{method} {op[3]}: {status} {answer}')


class Work:
    def __init__(self, seconds):
        self.folder = tempfile.mkdtemp(prefix='farlan-crash-')
        self.points = os.path.join(self.folder, 'points.so')
        self.seconds = seconds
        self.passed, self.failures = 0, []
        self.lock = threading.Lock()
        subprocess.run([os.environ.get('CC', 'cc'), '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-shared', '-fPIC', '-o', self.points,
                        os.path.join(HERE, 'points.c'), '-ldl'], check=True)
        self.ports = list(range(21000, 21000 + 64))
        self.identity = self.identity_make()
        self.template = self.template_make()
        self.reference = self.reference_make()

    def port(self):
        with self.lock:
            self.ports.append(self.ports.pop(0))
            return self.ports[-1]

    def fresh(self, name, source=None):
        home = os.path.join(self.folder, name)
        shutil.rmtree(home, ignore_errors=True)
        if source:
            shutil.copytree(source, home, ignore=shutil.ignore_patterns('*.sock'))
        else:
            os.mkdir(home, 0o700)
            shutil.copy2(self.identity, os.path.join(home, 'identity.secret'))
        return Controller(self, home, self.port())

    def identity_make(self):
        """Seconds of work: kept between runs."""
        kept = os.path.join(IDENTITIES, 'crash.secret')
        if not os.path.exists(kept):
            home = os.path.join(self.folder, 'identity')
            c = Controller(self, home, self.port())
            c.start()
            c.stop()
            os.makedirs(IDENTITIES, 0o700, exist_ok=True)
            shutil.copy2(os.path.join(home, 'identity.secret'), f'{kept}.{os.getpid()}')
            os.rename(f'{kept}.{os.getpid()}', kept)
        return kept

    def template_make(self):
        """A controller with a network and four who ask: their rows are written here, as joins would."""
        c = self.fresh('template')
        c.start()
        status, network = c.ask('POST', '/v1/networks', {'name': 'home', 'ipv4': '10.20.0.0/24'})
        if status != 201:
            raise Failure(f'no network: {status} {network}')
        c.stop()
        db = sqlite3.connect(os.path.join(c.home, 'controller.db'))
        columns = db.execute('PRAGMA table_info(member)').fetchall()
        nwid, = db.execute('SELECT nwid FROM network').fetchone()
        for n in range(1, 5):
            row = {'nwid': nwid, 'key_hash': bytes([n]) * 32, 'keys': bytes([n]) * 64, 'address': 0x1000000000 + n, 'state': 0,
                   'hostname': f'host{n}'}
            for _, name, kind, must, default, key in columns:
                if name not in row and must and default is None and not key:
                    row[name] = {'INTEGER': 0, 'TEXT': '', 'BLOB': b''}[kind]
            db.execute(f'INSERT INTO member ({", ".join(row)}) VALUES ({", ".join("?" * len(row))})', list(row.values()))
        db.commit()
        db.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        db.close()
        return c.home

    def reference_make(self):
        """The script without any accident: what is seen after each edit, which acts are noted, and how many points there are."""
        count = os.path.join(self.folder, 'count')
        with open(count, 'wb') as file:
            file.write(bytes(8))
        c = self.fresh('reference', self.template).start(count=count)
        seen, noted = [state(c)], [acts(c)]
        for op in SCRIPT:
            op_do(c, op)
            seen.append(state(c))
            noted.append(acts(c))
            missing = list(noted[-1])
            for action in noted[-2]:
                missing.remove(action)
            if missing != [op[3]]:
                raise Failure(f'{op[3]} is noted as {missing}')
        sound(c)
        c.stop()
        with open(count, 'rb') as file:
            points, = struct.unpack('=Q', file.read())
        return {'seen': seen, 'noted': noted, 'points': points}

    # ---- a verdict

    def judge(self, what, run):
        try:
            run()
            with self.lock:
                self.passed += 1
        except Exception as error:  # whatever it is, it is a failure of this point
            with self.lock:
                self.failures.append(f'{what}: {type(error).__name__ if not isinstance(error, Failure) else ""} {error}')

    def spread(self, part, jobs, seconds):
        """jobs: [(what, run)], in an order that covers them evenly, until the time is over."""
        order = sorted(range(len(jobs)), key=lambda i: int(f'{i:016b}'[::-1], 2))
        end, done = time.monotonic() + seconds, [0]

        def one(i):
            if time.monotonic() < end and len(self.failures) < 20:
                self.judge(*jobs[i])
                with self.lock:
                    done[0] += 1
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(SLOTS) as pool:
            list(pool.map(one, order))
        print(f'{part}: {done[0]} of {len(jobs)} in {time.monotonic() - began:.0f} s', flush=True)


# ---- birth and points

def script_to_death(c, begin):
    """Edits until one is not answered. How many were acknowledged."""
    for i in range(begin, len(SCRIPT)):
        try:
            op_do(c, SCRIPT[i])
        except (OSError, http.client.HTTPException):
            if c.process.wait(PATIENCE) != -9:
                raise Failure(f'ended with {c.process.returncode}, not by the kill\n{c.tail()}')
            return i
    return len(SCRIPT)


def resume(work, c, acknowledged, before):
    """After the restart: which state is it, and does everything go on from there?"""
    seen, noted = work.reference['seen'], work.reference['noted']
    now = sound(c)
    forward(before, now[0], 'after the restart')
    there, actions = state(c), acts(c)
    fits = [i for i in (acknowledged, acknowledged + 1) if i < len(seen) and seen[i] == there]
    if not fits:
        raise Failure(f'{acknowledged} edits were acknowledged; what is there is neither that nor one more: {there}')
    if not any(noted[i] == actions for i in fits):
        raise Failure(f'the audit says {actions}, what is there is after {fits} edits')
    at = next(i for i in fits if noted[i] == actions)
    old = set(now[1].items())
    largest = {nwid: max([s for (n, _), s in now[1].items() if n == nwid], default=0) for nwid in now[0]}
    for op in SCRIPT[at:]:
        op_do(c, op)
    if state(c) != seen[-1]:
        raise Failure(f'the end is another one: {state(c)}')
    later = sound(c)
    forward(now[0], later[0], 'to the end')
    for key, serial in set(later[1].items()) - old:
        if serial <= largest.get(key[0], 0):
            raise Failure(f'serial {serial} of {key[1]:x} is not new')
    if acts(c) != noted[-1]:
        raise Failure(f'the audit ends as {acts(c)}')


def point_run(work, at, half, lose=0):
    c = work.fresh(f'point-{at}-{half:d}-{lose}', work.template)
    try:
        c.start(at=at, half=half, lose=lose)
        done, before = 0, {}
        if c.process.poll() is None:
            done = script_to_death(c, 0)
        if c.process.poll() is None:
            c.process.terminate()
            if c.process.wait(PATIENCE) not in (0, -9):
                raise Failure(f'ended with {c.process.returncode}\n{c.tail()}')
        before = {n: m for n, m in head_bak(c).items()}
        c.start()
        if c.process.poll() is not None:
            raise Failure(f'does not start again\n{c.tail()}')
        resume(work, c, done, before)
        c.stop()
    finally:
        c.kill()
        shutil.rmtree(c.home, ignore_errors=True)


def birth_run(work, at, half):
    c = work.fresh(f'birth-{at}-{half:d}')
    try:
        c.start(at=at, half=half)
        if c.process.poll() is None:
            c.kill()
        c.start()
        if c.process.poll() is not None:
            raise Failure(f'does not start again\n{c.tail()}')
        status, answer = c.ask('POST', '/v1/networks', {'name': 'first'})
        if status != 201:
            raise Failure(f'no network: {status} {answer}')
        sound(c)
        if acts(c) != ['network.create']:
            raise Failure(f'audit: {acts(c)}')
        c.stop()
    finally:
        c.kill()
        shutil.rmtree(c.home, ignore_errors=True)


def part_birth(work, seconds):
    count = os.path.join(work.folder, 'births')
    with open(count, 'wb') as file:
        file.write(bytes(8))
    c = work.fresh('birth').start(count=count)
    with open(count, 'rb') as file:
        n, = struct.unpack('=Q', file.read())
    c.stop()
    work.spread('birth', [(f'birth, {"in" if half else "before"} act {at}', lambda at=at, half=half: birth_run(work, at, half))
                          for at in range(1, n + 1) for half in (False, True)], seconds)


def part_points(work, seconds):
    work.spread('points', [(f'points, {"in" if half else "before"} act {at}', lambda at=at, half=half: point_run(work, at, half))
                           for at in range(1, work.reference['points'] + 1) for half in (False, True)], seconds)


def part_power(work, seconds):
    work.spread('power', [(f'power, at act {at}, lost by {lose}', lambda at=at, lose=lose: point_run(work, at, False, lose))
                          for at in range(1, work.reference['points'] + 1) for lose in (1, 7 * at)], seconds)


# ---- invitations

def keyhole(work, *argv, **env):
    """The tool under a name that the preloaded library knows."""
    tool = os.path.join(work.folder, 'farlan-controller-keyhole')
    if not os.path.exists(tool):
        shutil.copy2(os.path.join(BIN, 'test/netns/keyhole'), tool)
    return subprocess.run([tool, *argv], env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
                          check=False)


def invites_run(work, source, words, at, half, lose):
    home = os.path.join(work.folder, f'invites-{at}-{half:d}-{lose}')
    shutil.copytree(source, home)
    try:
        env = {'LD_PRELOAD': work.points, 'CRASH_HOME': home, 'CRASH_AT': str(at)}
        if half:
            env['CRASH_HALF'] = '1'
        if lose:
            env['CRASH_LOSE'] = str(lose)
        died = keyhole(work, 'crowd', home, *words, **env)
        if died.returncode != -9:
            raise Failure(f'ended with {died.returncode}, not by the kill\n{died.stdout}')
        judged = keyhole(work, 'judge', home, *words)
        if judged.returncode:
            raise Failure(judged.stdout)
        told = {line.split()[1] for line in died.stdout.splitlines() if line.startswith('told ')}
        if told and f'in {told.pop()}\n' not in judged.stdout or told:
            raise Failure(f'told: {died.stdout}in: {judged.stdout}')
    finally:
        shutil.rmtree(home, ignore_errors=True)


def part_invites(work, seconds):
    source, count = os.path.join(work.folder, 'keyhole'), os.path.join(work.folder, 'keyhole-acts')
    os.mkdir(source, 0o700)
    words = keyhole(work, 'make', source).stdout.split()
    with open(count, 'wb') as file:
        file.write(bytes(8))
    whole = shutil.copytree(source, source + '-whole')
    done = keyhole(work, 'crowd', whole, *words, LD_PRELOAD=work.points, CRASH_HOME=whole, CRASH_COUNT=count)
    with open(count, 'rb') as file:
        n, = struct.unpack('=Q', file.read())
    if done.returncode or len(words) != 3 or n < 10:
        raise Failure(f'no crowd: {words} {done.stdout}, {n} acts')
    work.spread('invites', [(f'invites, act {at}, {what}', lambda at=at, half=half, lose=lose: invites_run(work, source, words, at, half, lose))
                            for at in range(1, n + 1) for what, half, lose in (('before', False, 0), ('in', True, 0), ('no power', False, 7 * at))],
                seconds)


# ---- faults

def fault_set(path, error):
    with open(path, 'r+b') as file:
        file.write(struct.pack('=i', error))


def refused(c, op):
    status, answer = c.ask(op[0], op[1](c), op[2])
    if 200 <= status < 300:
        return False
    if status not in (503, 507) or not answer.get('detail') or len(answer['detail']) < 20:
        raise Failure(f'{op[3]} is answered with {status} {answer}')
    return True


def fault_run(work, at, name, error):
    """From the at-th edit on nothing reaches the disk, for two edits and a second."""
    c = work.fresh(f'fault-{at}-{name}', work.template)
    fail = os.path.join(work.folder, f'fail-{at}-{name}')
    with open(fail, 'wb') as file:
        file.write(bytes(4))
    try:
        c.start(fail=fail)
        for op in SCRIPT[:at]:
            op_do(c, op)
        was = counters(c)
        fault_set(fail, error)
        if not refused(c, SCRIPT[at]):
            raise Failure(f'an edit was acknowledged that cannot be on the disk ({name})')
        time.sleep(1.1)  # what is tried again each second fails too
        if not refused(c, SCRIPT[at]):
            raise Failure(f'an edit was acknowledged that cannot be on the disk ({name})')
        health = c.get('/v1/status')['health']
        if health == 'ok' or 'disk' not in health and 'database' not in health:
            raise Failure(f'its health is told as "{health}"')
        if state(c) != work.reference['seen'][at]:
            raise Failure(f'what was refused is there: {state(c)}')
        fault_set(fail, 0)
        time.sleep(1.1)
        for op in SCRIPT[at:]:
            op_do(c, op)
        end = time.monotonic() + 5
        while c.get('/v1/status')['health'] != 'ok' and time.monotonic() < end:
            time.sleep(0.1)
        forward(was[0], sound(c)[0], 'after the fault')
        if state(c) != work.reference['seen'][-1] or acts(c) != work.reference['noted'][-1]:
            raise Failure('the end is another one')
        c.stop()
    finally:
        c.kill()
        shutil.rmtree(c.home, ignore_errors=True)


def part_faults(work, seconds):
    work.spread('faults', [(f'faults, {name} from edit {at}', lambda at=at, name=name, error=error: fault_run(work, at, name, error))
                           for at in range(len(SCRIPT)) for name, error in QUIET.items()], seconds)


# ---- a real full disk, a real read-only one: mounts of a namespace of our own

def disk_full(work):
    c = work.fresh('full')
    saved = os.path.join(work.folder, 'saved')
    shutil.copytree(work.template, saved)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'none', c.home], check=True)
    try:
        shutil.copytree(saved, c.home, dirs_exist_ok=True)
        c.start()
        filler = os.path.join(c.home, 'filler')
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(fd, bytes(4096)):
                pass
        except OSError:
            pass
        os.close(fd)
        done = 0
        for op in SCRIPT:  # the log may have room for one more
            if refused(c, op):
                break
            done += 1
        if done == len(SCRIPT):
            raise Failure('a full disk took all edits')
        if 'full' not in c.get('/v1/status')['health']:
            raise Failure(f'its health is told as "{c.get("/v1/status")["health"]}"')
        if state(c) != work.reference['seen'][done]:
            raise Failure('what was refused is there')
        os.unlink(filler)
        time.sleep(1.2)
        for op in SCRIPT[done:]:
            op_do(c, op)
        time.sleep(1.2)
        sound(c)
        if state(c) != work.reference['seen'][-1] or acts(c) != work.reference['noted'][-1]:
            raise Failure('the end is another one')
        c.stop()
    finally:
        c.kill()
        subprocess.run(['umount', '-l', c.home], check=False)


def disk_readonly(work):
    c = work.fresh('readonly', work.template)
    subprocess.run(['mount', '--bind', c.home, c.home], check=True)
    subprocess.run(['mount', '-o', 'remount,ro,bind', c.home], check=True)
    try:
        c.start()
        code = c.process.wait(PATIENCE)
        if code <= 0:
            raise Failure(f'on a read-only folder it ended with {code}')
        if 'ead-only' not in c.tail() and 'permission' not in c.tail():
            raise Failure(f'it does not say why: {c.tail()}')
        subprocess.run(['mount', '-o', 'remount,rw,bind', c.home], check=True)
        c.start()
        sound(c)
        c.stop()
    finally:
        c.kill()
        subprocess.run(['umount', '-l', c.home], check=False)


def part_disk(work, seconds):
    if os.geteuid() != 0 or subprocess.run(['mount', '--make-rprivate', '/'], capture_output=True, check=False).returncode:
        work.failures.append('disk: mounts need root')
        return
    work.spread('disk', [('disk, full', lambda: disk_full(work)), ('disk, read-only', lambda: disk_readonly(work))], seconds)


# ---- flips

def flip_run(work, source, name, at, bit, before):
    c = work.fresh(f'flip-{name}-{at}', source)
    try:
        with open(os.path.join(c.home, name), 'r+b') as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ bit]))
        c.start()
        code = c.process.poll()
        if code is None:
            health = c.get('/v1/status')['health']
            if health == 'ok':  # it signs: then from a whole database in which nothing went back
                forward(before, counters(c)[0], f'{name} byte {at}')
                if c.rows('PRAGMA quick_check') != [('ok',)]:
                    raise Failure('it signs from a damaged database')
                same = state(c) == work.reference['seen'][-1] and c.ask('POST', '/v1/audit/verify', {})[1]['ok']
            elif 'head.bak' not in health and 'damaged' not in health and 'database' not in health:
                raise Failure(f'its health is told as "{health}"')
            c.process.terminate()
            code = c.process.wait(PATIENCE)
            if code != 0:
                raise Failure(f'ended with {code}\n{c.tail()}')
            return 'asks' if health != 'ok' else 'works' if same else 'works with what it reads'
        if code < 0:
            raise Failure(f'died of signal {-code}\n{c.tail()}')
        if 'database' not in c.tail():
            raise Failure(f'it does not say why: {c.tail()}')
        return 'refuses'
    finally:
        c.kill()
        shutil.rmtree(c.home, ignore_errors=True)


def part_flips(work, seconds):
    """The database of one that was stopped, the log of one that was killed."""
    sources = {}
    for name, end in (('controller.db', Controller.stop), ('controller.db-wal', Controller.kill)):
        c = work.fresh(f'whole-{name}', work.template).start()
        for op in SCRIPT:
            op_do(c, op)
        time.sleep(0.5)
        sources[name] = c, counters(c)[0]
        end(c)
    verdicts, chance = {}, random.Random(7)

    def flip(name, at, bit):
        c, before = sources[name]
        verdict = flip_run(work, c.home, name, at, bit, before)
        with work.lock:
            key = f'{name} {verdict}'
            verdicts[key] = verdicts.get(key, 0) + 1
    jobs = []
    for name, (c, _) in sources.items():
        size = os.path.getsize(os.path.join(c.home, name))
        places = list(range(0, 32)) + [chance.randrange(size) for _ in range(168)]
        jobs += [(f'flips, {name} byte {at}', lambda name=name, at=at, bit=1 << chance.randrange(8): flip(name, at, bit)) for at in places]
    work.spread('flips', jobs, seconds)
    print('flips: ' + ', '.join(f'{n} {verdict}' for verdict, n in sorted(verdicts.items())), flush=True)


PARTS = {'birth': (part_birth, 1), 'points': (part_points, 5), 'power': (part_power, 4), 'invites': (part_invites, 2), 'faults': (part_faults, 2), 'disk': (part_disk, 1), 'flips': (part_flips, 2)}


def main():
    parser = argparse.ArgumentParser(description='the controller killed, starved and damaged')
    parser.add_argument('--quick', action='store_true', help='half a minute of it')
    parser.add_argument('--seconds', type=float, default=180)
    parser.add_argument('parts', nargs='*', choices=[*PARTS, []], help=', '.join(PARTS))
    options = parser.parse_args()
    if os.geteuid() == 0 and not os.environ.get('CRASH_APART'):  # a mount namespace of our own, gone with us
        os.environ['CRASH_APART'] = '1'
        os.execvp('unshare', ['unshare', '-m', '--propagation', 'private', sys.executable, *sys.argv])
    names = options.parts or list(PARTS)
    seconds = 30 if options.quick else options.seconds
    work = Work(seconds)
    try:
        for name in names:
            PARTS[name][0](work, seconds * PARTS[name][1] / sum(PARTS[n][1] for n in names))
        for failure in work.failures:
            print(f'  - {failure}')
        print(f'{work.passed} passed, {len(work.failures)} failed')
        return 1 if work.failures or not work.passed else 0
    finally:
        shutil.rmtree(work.folder, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
