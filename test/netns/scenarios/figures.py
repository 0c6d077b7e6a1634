"""Shows 11: approved to first ping, and what each program takes of memory."""
import subprocess

from lab import now


def run(lab):
    lab.start('AB', join=False)
    lab.join('A')
    b = lab.nodes['B']
    b.cli('join', lab.nwid, '--wait', '0', code=None)
    lab.wait_member(b, 'pending')
    a_ip = lab.ip('A')
    begun = now()
    lab.controller.cli('member', 'approve', lab.nwid, b.address())
    b.cli('wait', lab.nwid)
    up = now()
    pinging = b.host.popen('ping', '-n', '-i', '0.01', '-c', '400', a_ip, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in pinging.stdout:
        if b'bytes from' in line:
            break
    else:
        lab.fail('no ping answered within 4 s')
    lab.within(now() - begun, 2.0, 'approve begun to first ping answered (three programs started on the way)')
    lab.check(b'icmp_seq=1 ' in line, f'the first ping is queued while sessions are made, not lost: {line}')
    pinging.kill()
    for n in 'AB':
        lab.note(f'{n} {lab.nodes[n].drops()}')
    lab.note(f'of it approve to device up: {(up - begun) * 1000:.0f} ms')
    for what, daemon in (('root', lab.root), ('controller', lab.controller), ('node', lab.nodes['A'])):
        lab.note(f'RSS {what}: {daemon.rss_kib()} KiB')
        lab.check(daemon.rss_kib() < 64 * 1024 or lab.sanitized, f'{what}: {daemon.rss_kib()} KiB')
