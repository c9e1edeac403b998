/* The tree solver and all phase laws for as many points at once as fit into the processor's registers. Where that is one,
   lanes_1.c is all. */
#define MATNET_LANES MATNET_WIDE

#include "law.h"

#if MATNET_WIDE > 1

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "material.h"

/* each needs the ones above it */
#include "solver/lane.h"
#include "solver/sweeps.h"
#include "solver/phases.h"
#include "solver/newton.h"
#include "solver/batch.h"

#include "laws/laws.c"

#endif
