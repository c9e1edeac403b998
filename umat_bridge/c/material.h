/* Inside the library: a material laid out as the tree solver walks it, and the solver's scratch. */
#ifndef MATNET_MATERIAL_H
#define MATNET_MATERIAL_H

#include <fenv.h>
#include <stddef.h>

#include "law.h"
#include "matnet_umat.h"

enum { MATNET_VOID, MATNET_LINEAR, MATNET_NONLINEAR };
enum { MATNET_HEADER = 14 }; /* columns of the state before the jumps; matnet/online/layout.py */

/* A phase and the base nodes first_node .. first_node + n_nodes - 1 (sorted by phase) that it fills. */
typedef struct {
    char *name;
    int kind;
    int first_node, n_nodes;
    int first_row, n_state; /* internal variables per point begin at first_row, n_state per base node */
    int is_local;           /* strains are turned, or thermal strain is taken off, before the law */
    int isotropic, symmetric, rate_dependent;
    int n_parameters;
    double *parameters;
    double *initial_state;
    double expansion[6];  /* law's frame */
    double stiffness[36]; /* initial, law's frame */
    double reference;     /* temperature of zero thermal strain */
    const matnet_law *law_wide, *law_1;
} matnet_phase;

/* Nodes of the tree are base nodes 0 .. n_base - 1, sorted by phase, then blocks: block k is node n_base + k. */
struct matnet_material {
    int n_base, n_blocks, n_phases;
    int n_rows;  /* internal variables of all base nodes */
    int n_local; /* most base nodes of a phase with is_local */
    int n_state; /* numbers in the state of a point */
    int linear, symmetric, rate_dependent;
    matnet_phase *phases;
    int *nodes;            /* [n_blocks][2] children */
    double *fraction;      /* [n_blocks] of the first child */
    double *normals;       /* [n_blocks][3] */
    double *block_weight;  /* [n_blocks] volume times f1 f2, the weight of a squared traction jump */
    double *concentration; /* [n_blocks][3][6] jump per macroscopic strain at the initial stiffness */
    double *base_weight;   /* [n_base] volume fractions */
    double *stiffness;     /* [n_base][6][6] initial, global frame */
    double *turns;         /* [n_base][6][6] Mandel rotation out of the frame in which the law is evaluated */
    double *expansion;     /* [n_base][6] thermal expansion in that frame */
    double effective[36];  /* initial stiffness of the network */
    double tol;
    int max_iterations, max_cuts;
};

/* Points in and out, as in matnet_update. */
typedef struct {
    int n;
    double dt;
    const double *strain, *temperature, *state_n;
    double *stress, *tangent, *state;
    int *status;
} matnet_points;

/* Scratch of the solver for a block of points, and the solver itself, for MATNET_WIDE points and for 1; in lanes_wide.c
   and lanes_1.c. */
typedef struct MATNET_WIDE_NAME(matnet_work) matnet_work_wide;
matnet_work_wide *MATNET_WIDE_NAME(matnet_make_work)(const matnet_material *m); /* NULL: no memory */
void MATNET_WIDE_NAME(matnet_free_work)(matnet_work_wide *work);
void MATNET_WIDE_NAME(matnet_solve)(const matnet_material *m, const matnet_points *points, matnet_work_wide *work);
const matnet_law *MATNET_WIDE_NAME(matnet_find_law)(const char *name);
typedef struct matnet_work_1 matnet_work_1;
matnet_work_1 *matnet_make_work_1(const matnet_material *m);
void matnet_free_work_1(matnet_work_1 *work);
void matnet_solve_1(const matnet_material *m, const matnet_points *points, matnet_work_1 *work);
const matnet_law *matnet_find_law_1(const char *name);

/* Keep the caller's floating-point environment and take the default one: an FE code may have set traps for division by
   zero or NaN, with which lanes that are of no interest are computed here, another rounding, or numbers below 1e-308
   as zero. fesetenv(callers) ends it. In update.c. */
void matnet_enter(fenv_t *callers);

/* Fill what follows from the tree, the base nodes and the phases; in plan.c. The arrays are allocated; `children` and
   `base_phase` are as in the file, `weights` and `rotations` (or NULL) in its order of base nodes. */
typedef struct {
    const int *children;     /* [n_blocks][2] */
    const int *base_phase;   /* [n_base] */
    const double *weights;   /* [n_base] */
    const double *rotations; /* [n_base][9] or NULL */
} matnet_tree;
int matnet_make_plan(matnet_material *m, const matnet_tree *tree);

#endif
