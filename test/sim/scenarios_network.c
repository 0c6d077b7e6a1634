#include "test/sim/sim.h"
const struct scenario scenarios_network[] = {{0}};
