#!/usr/bin/env python3
"""nat.py [WHAT...]: nodes behind NATs. WHAT: prove matrix v6 lan upnp fallback (all of them without a word),
"returns" (the first cells of fallback), or "cell LEFT RIGHT [v6|v6slow|v6left|v6right]". One line for each cell; the last line is "N passed, N
failed"."""
import os
import signal
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import lab as labs  # noqa: E402
import nat_cells as cells  # noqa: E402
import nat_more as more  # noqa: E402
import nat_prove  # noqa: E402

PARTS = ('prove', 'matrix', 'v6', 'lan', 'upnp', 'fallback')
SLOTS = int(os.environ.get('NAT_SLOTS', 3))
LIMIT_S = 900
SIX = {'v6': (True, True), 'v6slow': (True, True), 'v6left': (True, False), 'v6right': (False, True)}


def titled(title, function, *args):
    return title, lambda slot: function(slot, *args)


def pair(left, right, v6=(False, False), dad=False):
    return titled(f'{left} x {right}', cells.pair_cell, left, right, v6, dad)


def of_part(part):
    if part == 'matrix':
        return [pair(*kinds) for kinds in cells.PAIRS]
    if part == 'v6':
        one = [pair(*kinds, (bool(i % 2), not i % 2)) for i, kinds in enumerate(cells.PAIRS)]
        slow = [pair('symmetric', kind, (True, True), True) for kind in ('port', 'symmetric')]
        return one + [pair(*kinds, (True, True)) for kinds in cells.PAIRS] + slow
    if part == 'lan':
        return [titled(f'lan {kind}', cells.lan_cell, kind) for kind in cells.TYPES]
    if part == 'upnp':
        return [titled(f'upnp {" ".join(kinds)}', more.upnp_cell, *kinds) for kinds in more.UPNP]
    if part == 'fallback':
        pairs = [titled(f'fallback {" ".join(kinds)}', more.fallback_cell, *kinds) for kinds in more.FALLBACK]
        return [*of_part('returns'), *pairs]
    if part == 'returns':
        return [titled(f'UDP returns after {kind}', more.returns_cell, kind) for kind in ('noudp', 'tcp443')]
    return []


def words():
    """(parts, cells) that are asked for; None = usage."""
    asked = sys.argv[1:]
    if asked and asked[0] == 'cell':
        kinds, six = tuple(asked[1:3]), asked[3:]
        if len(kinds) != 2 or not set(kinds) <= {*cells.TYPES, *more.BLOCKED} or not set(six) <= set(SIX) or len(six) > 1:
            return None
        if set(kinds) & set(more.BLOCKED):
            return [], [titled(' x '.join(kinds), more.fallback_cell, *kinds)]
        return [], [pair(*kinds, SIX[six[0]] if six else (False, False), 'v6slow' in six)]
    if asked == ['returns']:
        return [], of_part('returns')
    if not set(asked) <= set(PARTS):
        return None
    parts = [part for part in PARTS if part in asked or not asked]
    return parts, [cell for part in parts for cell in of_part(part)]


def show(result):
    print(result.line(), flush=True)
    for line in result.detail:
        print(f'      {line}', flush=True)


def work(lab, parts, wanted):
    results = []
    if 'prove' in parts:
        for result in nat_prove.routers(lab):
            show(result)
            results.append(result)
    if wanted:
        world = cells.World(lab)
        slots = [cells.Slot(world, i + 1) for i in range(min(SLOTS, len(wanted)))]
        for slot in slots:
            slot.members()
        print(f'{labs.now() - lab.began:.0f} s: {len(wanted)} cells in {len(slots)} slots', cells.HEAD, sep='\n', flush=True)
        results += cells.run_cells(slots, wanted, show)
    return results


def late(_signal, _frame):
    raise labs.Failure(f'not done after {LIMIT_S} s')


def ended(_signal, _frame):
    raise KeyboardInterrupt


def main():
    asked = words()
    if not asked:
        print(__doc__ + f'\nKinds: {" ".join((*cells.TYPES, *more.BLOCKED))}', file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print('nat.py: network namespaces need root: sudo make nat', file=sys.stderr)
        return 2
    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, ended)
    signal.alarm(LIMIT_S)
    lab = labs.Lab('nat')
    lab.began = labs.now()
    results = []
    try:
        results = work(lab, *asked)
    except labs.Failure as failure:
        lab.fail(str(failure))
    except Exception:  # a bug of ours is a failure too
        lab.fail(traceback.format_exc())
    finally:
        signal.alarm(0)
        lab.close()
    for failure in lab.failures:
        print(f'  - {failure}')
    bad = sum(bool(result.wrong) for result in results) + len(lab.failures)
    print(f'{labs.now() - lab.began:.0f} s')
    print(f'{len(results) - sum(bool(result.wrong) for result in results)} passed, {bad} failed')
    return 1 if bad or not results else 0


if __name__ == '__main__':
    sys.exit(main())
