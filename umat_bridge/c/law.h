/* What stands between the tree solver and the phase laws.

   Lanes. The solver works on MATNET_LANES points at once, the points innermost in every array, so that plain loops over
   lanes become vector instructions. The same sources are compiled twice: lanes_wide.c (as many points as the processor's
   registers hold) and lanes_1.c define MATNET_LANES and include the solver and laws/laws.c, which includes every law.
   Hence the rules for files in laws/:

   - nothing in them is compiled on its own, but each begins with  #include "../law.h"  and would compile alone;
   - they hold for any MATNET_LANES > 0, the length of the innermost index (a compile-time constant);
   - functions seen by other files are named MATNET_NAME(f), which becomes f_8, f_4 or f_1; everything else at file scope is
     static and begins with the file's name (j2_...), since all laws meet in one translation unit; macros are undefined
     at the end of the file;
   - no global mutable state, no allocation, no output, no errno; libm only.

   solver/lane.h has arithmetic on lanes, which laws may use. */
#ifndef MATNET_LAW_H
#define MATNET_LAW_H

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "NaN and infinity have a meaning here: compile without -ffast-math, -Ofast, -ffinite-math-only (Intel: -fp-model=precise)"
#endif

/* Points at once: doubles in the widest registers, where the compiler has them and vectors too, and they pay. Some other
   compilers call themselves gcc; gcc for Windows does not align its stack for these registers. */
#if !defined(__GNUC__) || defined(__INTEL_COMPILER) || defined(__NVCOMPILER) || (defined(_WIN32) && !defined(__clang__))
#define MATNET_WIDE 1
#elif defined(__AVX512F__)
#define MATNET_WIDE 8
#elif defined(__AVX__)
#define MATNET_WIDE 4
#else
#define MATNET_WIDE 1
#endif

#ifndef MATNET_LANES
#define MATNET_LANES 8
#endif

#define MATNET_PASTE_EXPANDED(f, lanes) f##_##lanes
#define MATNET_PASTE(f, lanes) MATNET_PASTE_EXPANDED(f, lanes)
#define MATNET_NAME(f) MATNET_PASTE(f, MATNET_LANES)
#define MATNET_WIDE_NAME(f) MATNET_PASTE(f, MATNET_WIDE)

/* A law at n nodes of MATNET_LANES points each; the C twin of LANE_KERNEL in matnet/phases/calls.py. With L for
   MATNET_LANES, arrays are C-contiguous, do not overlap, and begin at multiples of 8 L bytes (parameters excepted):

   strain       [n][6][L]     strain at the end of the step, Mandel (11 22 33 12 13 23, sqrt 2 on shear), in the law's
                              frame, thermal strain taken off
   dt           [L]           length of the step
   temperature  [L]           temperature at its end
   parameters   [k]           PhaseLaw.parameters
   state_n      [n][m][L]     state at the start, read only
   stress       [n][6][L]     filled: stress at the end
   state        [n][m][L]     filled: state at the end
   tangent      [n][36][L]    filled: d stress / d strain, exact for this step, 6 x 6 row by row; laws with a symmetric
                              tangent fill at least the upper triangle
   energy       [n][2][L]     filled: stored energy density; energy density dissipated in the step

   `active` has a bit per lane. Returns the failed lanes among them as bits (0: all have a solution). What is left in the
   results of other lanes is of no interest; their inputs may be anything, NaN included, and must not make a loop endless.
   Arrays of m = 0 variables must not be read; their pointers mean nothing. */
typedef unsigned matnet_law_kernel(int n, unsigned active, const double *strain, const double *dt,
                                   const double *temperature, const double *parameters, int n_parameters,
                                   const double *state_n, int n_state, double *stress, double *state, double *tangent,
                                   double *energy);

/* What a law is like, by its parameters: its tangent is symmetric in every state; it depends on the length of the step. */
enum { MATNET_SYMMETRIC = 1, MATNET_RATE_DEPENDENT = 2 };

typedef struct {
    const char *name; /* as in the header key phase.<i>.kernel of a .matnet file */
    matnet_law_kernel *kernel;
    /* 0 when the counts and codes make sense; called once per phase when a file is read, with parameters that are finite
       but otherwise anything. After it says 0, the kernel must not read or write out of bounds. */
    int (*check)(const double *parameters, int n_parameters, int n_state);
    /* The bits above, called after check. */
    int (*nature)(const double *parameters);
} matnet_law;

/* The law of that name, NULL if there is none; in laws/laws.c. */
const matnet_law *MATNET_NAME(matnet_find_law)(const char *name);

#endif
