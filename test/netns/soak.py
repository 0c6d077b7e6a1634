#!/usr/bin/env python3
"""soak.py [--hours 1] [--seed N]: a network that lives: what happens to real ones happens to it, over and over.

A pings all others ten times a second: B and D directly, E by the root only. Sessions renew their keys every two minutes by themselves;
beside that something is done every PAUSE_S: a member or the root is killed and comes back, a member gets another address, a
direct way is blocked and opened, a member leaves and joins, the controller restarts. Each deed opens a window for those it concerns, and
pings may be lost inside such windows alone. At the same point of every round memory and descriptors are read: descriptors never
grow, memory grows by SLOPE_KIB an hour at most (a line through all readings behind the first quarter).

FARLAN_BIN may be a build with sanitizers: their reports fail the run, memory is then only told.
"""
import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import lab as labs  # noqa: E402

INTERVAL_S = 0.1
PAUSE_S = 20.0
SETTLE_S = 8.0
SLOPE_KIB = 1024
SLOPE_LEAST_S = 1500  # shorter runs say nothing about an hour
ANSWER_S = 2.0
TARGETS = 'BDE'
LINE = re.compile(r'\[(\d+\.\d+)\].*icmp_seq=(\d+).*time=')


class Pinger:
    """Ten pings a second for ever; which were lost, and when they were sent."""

    def __init__(self, host, name, to):
        self.name, self.answers, self.lock = name, [], threading.Lock()
        self.process = host.popen('ping', '-n', '-D', '-i', INTERVAL_S, '-W', ANSWER_S, to, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.begun, self.high, self.last_at = time.time(), 0, 0.0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        turns = last = 0
        for line in self.process.stdout:
            got = LINE.search(line)
            if not got or 'DUP' in line:
                continue
            seq = int(got[2])
            if seq < last - 32768:
                turns += 1
            last = seq
            with self.lock:
                self.answers.append((turns * 65536 + seq, float(got[1])))

    def lost(self):
        """[(answer before, answer after, how many were lost between them)] since the last call; what is still under way is left for the next."""
        with self.lock:
            until = time.time() - ANSWER_S
            ready = sorted(a for a in self.answers if a[1] < until)
            self.answers = [a for a in self.answers if a[1] >= until]
        told = []
        for seq, at in ready:
            if seq > self.high + 1:
                told.append((self.last_at or self.begun, at, seq - self.high - 1))
            self.high, self.last_at = max(self.high, seq), at
        return told


class Soak:
    def __init__(self, lab, seed):
        self.lab, self.random = lab, random.Random(seed)
        self.windows = []  # (from, to, members, what)
        self.readings = []  # (time, {name: (KiB, descriptors)})
        self.fresh = 0
        self.lost_inside = self.sent = 0

    def window(self, what, members, seconds):
        now = time.time()
        self.windows.append((now - ANSWER_S, now + seconds, members, what))
        print(f'{labs.now() - self.readings[0][0]:6.1f} s {what}', flush=True)

    def prolong(self, seconds):
        begin, _, members, what = self.windows[-1]
        self.windows[-1] = (begin, time.time() + seconds, members, what)

    # ---- deeds

    def member_killed(self):
        name = self.random.choice(TARGETS)
        self.window(f'{name} killed', name, 60)
        node = self.lab.nodes[name]
        node.kill()
        time.sleep(1.0)
        node.start()
        self.prolong(5.0)

    def root_killed(self):
        self.window('root killed', 'E', 60)
        self.lab.root.kill()
        time.sleep(1.0)
        self.lab.root.start()
        self.prolong(6.0)

    def controller_killed(self):
        self.window('controller killed', '', 60)
        self.lab.controller.kill()
        time.sleep(1.0)
        self.lab.controller.start()
        self.prolong(1.0)

    def roams(self):
        name = self.random.choice('BD')
        self.window(f'{name} moves', name, 5.0)
        node = self.lab.nodes[name]
        self.fresh += 1
        fresh = f'198.19.{self.fresh // 250}.{self.fresh % 250 + 1}'
        node.host.addr('add', fresh)
        node.host.addr('del', node.host.address)
        node.host.address = fresh

    def blocked(self):
        self.window('A and B blocked', 'B', 5.0)
        self.lab.block('A', 'B')
        time.sleep(10.0)
        self.lab.unblock('A', 'B')  # nothing may be lost on the way up

    def leaves(self):
        name = self.random.choice('DE')
        self.window(f'{name} leaves and joins', name, 60)
        node = self.lab.nodes[name]
        node.cli('leave', self.lab.nwid)
        time.sleep(1.0)
        node.cli('join', self.lab.nwid, '--wait', 20 * self.lab.slow)
        self.prolong(5.0)

    DEEDS = [member_killed, root_killed, controller_killed, roams, blocked, leaves]

    # ---- what is seen

    def daemons(self):
        return {'R': self.lab.root, 'C': self.lab.controller, **self.lab.nodes}

    def read(self):
        now = {}
        for name, daemon in self.daemons().items():
            daemon.alive()
            now[name] = (daemon.process.pid, daemon.rss_kib(), daemon.descriptors())
        self.readings.append((labs.now(), now))

    def account(self, pingers):
        for pinger in pingers:
            for before, after, n in pinger.lost():
                if any(pinger.name in members and begin <= before and after <= end for begin, end, members, _ in self.windows):
                    self.lost_inside += n
                    continue
                what = max((w for w in self.windows if w[0] <= after), default=(0, 0, '', 'nothing'))[3]
                self.lab.fail(f'{n} pings to {pinger.name} lost in {after - before:.1f} s from {before - pinger.begun:.1f} s on, not inside of a window of it; '
                              f'the last deed: {what}')
            self.sent = max(self.sent, pinger.high)

    def run(self, seconds):
        lab = self.lab
        pingers = [Pinger(lab.hosts['A'], name, lab.ip(name)) for name in TARGETS]
        end, rounds = labs.now() + seconds, 0
        while labs.now() < end:
            deeds = list(self.DEEDS)
            self.random.shuffle(deeds)
            for deed in deeds:
                begun = labs.now()
                deed(self)
                time.sleep(max(SETTLE_S, PAUSE_S - (labs.now() - begun)))
                self.account(pingers)
                if labs.now() > end:
                    break
            self.read()
            rounds += 1
            print(f'{self.readings[-1][0] - self.readings[0][0]:6.0f} s ' + ' '.join(f'{n} {r} KiB {f} fds' for n, (_, r, f) in self.readings[-1][1].items()) +
                  f', {len(lab.failures)} failures', flush=True)
        time.sleep(ANSWER_S + 1)
        self.account(pingers)
        for pinger in pingers:
            lab.check(pinger.high > 0.8 * (seconds / INTERVAL_S), f'pings to {pinger.name}: only {pinger.high} in {seconds:.0f} s')
            lab.check(time.time() - pinger.last_at < 3 * ANSWER_S + 2, f'{pinger.name} does not answer at the end')
        lab.note(f'{rounds} rounds; {self.sent} pings to each, {self.lost_inside} lost inside of windows')

    def verdict(self):
        """Each life of a daemon by itself: who was killed begins anew."""
        lab = self.lab
        for name in self.daemons():
            lives = {}
            for at, reading in self.readings:
                pid, rss, fds = reading[name]
                lives.setdefault(pid, []).append((at, rss, fds))
            longest = max(lives.values(), key=lambda life: life[-1][0] - life[0][0])
            for life in lives.values():
                settled = life[1:]  # the first may be of a moment after the start
                if len(settled) >= 2:
                    lab.check(settled[-1][2] <= settled[0][2] + 1, f'{name}: descriptors went from {settled[0][2]} to {settled[-1][2]}')
            self.slope(name, longest[len(longest) // 4:])

    def slope(self, name, life):
        span = life[-1][0] - life[0][0] if len(life) > 2 else 0
        if span <= 0:
            return
        mean_t = sum(p[0] for p in life) / len(life)
        mean_r = sum(p[1] for p in life) / len(life)
        slope = sum((p[0] - mean_t) * (p[1] - mean_r) for p in life) / sum((p[0] - mean_t) ** 2 for p in life) * 3600
        self.lab.note(f'{name}: {life[0][1]} to {life[-1][1]} KiB in {span:.0f} s ({slope:+.0f} KiB an hour)')
        if span >= SLOPE_LEAST_S and not self.lab.sanitized:
            self.lab.check(slope <= SLOPE_KIB, f'{name}: memory grows by {slope:.0f} KiB an hour')


def soak(lab, hours, seed):
    for name in 'RCABDE':
        lab.host(name).run('sysctl', '-qw', 'net.ipv4.conf.u.promote_secondaries=1')
    lab.block('A', 'E')
    lab.start('ABDE')
    lab.meshed('ABDE')
    a = lab.nodes['A']
    for name in 'BD':
        labs.until(f'A and {name} direct', lambda name=name: a.path(lab.nodes[name]) == 'direct', 20)
    lab.equal(a.path(lab.nodes['E']), 'relay', 'path of E at A')
    time.sleep(2.0)
    run = Soak(lab, seed)
    run.read()
    run.run(hours * 3600)
    run.verdict()


def ended(_signal, _frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description='a network that lives, for hours')
    parser.add_argument('--hours', type=float, default=1)
    parser.add_argument('--seed', type=int, default=int.from_bytes(os.urandom(4), 'big'))
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.exit(2, 'soak.py: network namespaces need root: sudo make soak\n')
    signal.signal(signal.SIGTERM, ended)
    began, lab = labs.now(), labs.Lab('soak')
    print(f'soak: {options.hours:g} hours, seed {options.seed}', flush=True)
    try:
        soak(lab, options.hours, options.seed)
    except labs.Failure as failure:
        lab.fail(str(failure))
    except Exception:
        lab.fail(traceback.format_exc())
    finally:
        lab.close()
    print(f'{"FAIL" if lab.failures else "ok  "} soak ({labs.now() - began:.0f} s, {lab.passed} checks)')
    for note in lab.notes:
        print(f'       {note}')
    for failure in lab.failures:
        print(f'     - {failure}', flush=True)
    return 1 if lab.failures else 0


if __name__ == '__main__':
    sys.exit(main())
