"""Three cells of `make nat`: direct by plain punching, direct because the source of an authentic packet is believed, and by a
relay since nothing else is possible."""
from nat_cells import Slot, World, pair_cell

CELLS = (('port', 'port'), ('address', 'symmetric'), ('symmetric', 'cgnat-symmetric'))


def run(lab):
    slot = Slot(World(lab), 1)
    slot.members()
    for kinds in CELLS:
        result = pair_cell(slot, *kinds)
        lab.note(result.line())
        lab.check(not result.wrong, '\n       '.join([result.line(), *result.detail]))
