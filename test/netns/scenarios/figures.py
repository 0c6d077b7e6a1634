"""Shows 11: approved to first ping, and what each program takes of memory."""
from lab import now

ALONE = True


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
    lab.equal(b.host.ping(a_ip, wait=5), 1, 'the first ping: queued while sessions are made, not lost')
    lab.within(now() - begun, 0.8 * (4 if lab.sanitized else 1), 'approve begun to first ping answered (three programs started on the way)')
    lab.note(f'of it approve to device up: {(up - begun) * 1000:.0f} ms')
    for what, daemon in (('root', lab.root), ('controller', lab.controller), ('node', lab.nodes['A'])):
        lab.note(f'RSS {what}: {daemon.rss_kib()} KiB')
        lab.check(daemon.rss_kib() < 64 * 1024 or lab.sanitized, f'{what}: {daemon.rss_kib()} KiB')
