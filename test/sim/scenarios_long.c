#include "test/sim/sim.h"
const struct scenario scenarios_long[] = {{0}};
