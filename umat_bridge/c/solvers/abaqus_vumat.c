/* VUMAT of Abaqus/Explicit, for 3D, plane strain and axisymmetric elements in double precision.

   Components 11 22 33 12 23 31, plain (tensor) shear, arrays of a block of points one component after the other. State
   variables: the state of the network (docs/online.md), nothing but zeros at the start. The temperature tempNew counts if
   a phase has thermal expansion. In the call before the first increment, the answer is elastic, as Abaqus asks. A point
   without a solution ends the analysis, for there is no step to cut. */
#include <math.h>
#include <stddef.h>

#include "entry.h"

static const int mandel_of[6] = {0, 1, 2, 3, 5, 4}; /* component of the solver -> ours */

/* A block as Abaqus hands it over: element [c * n + i] is component c of point i. */
typedef struct {
    int n, n_components, n_statev;
    double dt;
    const double *density, *strain_increment, *temperature, *stress_old, *state_old, *intern_old, *inelastic_old;
    double *stress, *state, *intern, *inelastic;
} block;

static void increment_of(const block *b, int i, double *mandel) {
    for (int c = 0; c < 6; c++) mandel[c] = 0.0;
    for (int c = 0; c < b->n_components; c++) {
        mandel[mandel_of[c]] = b->strain_increment[(size_t)c * (size_t)b->n + (size_t)i] * (c < 3 ? 1.0 : sqrt(2.0));
    }
}

/* Stress, and what the step did: the trapezoidal work, of which `dissipated` was lost; both per mass. */
static void give_point(const block *b, int i, const double *increment, const double *stress, double dissipated) {
    double work = 0.0;
    for (int c = 0; c < b->n_components; c++) {
        size_t at = (size_t)c * (size_t)b->n + (size_t)i;
        double plain = stress[mandel_of[c]] / (c < 3 ? 1.0 : sqrt(2.0));
        work += 0.5 * (b->stress_old[at] + plain) * (c < 3 ? 1.0 : sqrt(2.0)) * increment[mandel_of[c]];
        b->stress[at] = plain;
    }
    b->intern[i] = b->intern_old[i] + work / b->density[i];
    b->inelastic[i] = b->inelastic_old[i] + dissipated / b->density[i];
}

/* Old stress plus initial stiffness times the increment; the state stays. */
static void elastic_point(const matnet_entry *entry, const block *b, int i) {
    double increment[6], stress[6];
    increment_of(b, i, increment);
    matnet_entry_elastic(entry, increment, stress);
    for (int c = 0; c < b->n_components; c++) {
        double old = b->stress_old[(size_t)c * (size_t)b->n + (size_t)i];
        stress[mandel_of[c]] += old * (c < 3 ? 1.0 : sqrt(2.0));
    }
    give_point(b, i, increment, stress, 0.0);
    for (int a = 0; a < b->n_statev; a++) {
        size_t at = (size_t)a * (size_t)b->n + (size_t)i;
        b->state[at] = b->state_old[at];
    }
}

/* Points first .. first + n - 1, at most MATNET_BLOCK, in one call of the material. */
static void update_points(matnet_entry *entry, const block *b, int first, int n) {
    double increment[MATNET_BLOCK][6], strain[MATNET_BLOCK][6], stress[MATNET_BLOCK][6], dissipated[MATNET_BLOCK];
    double tangent[MATNET_BLOCK * 36];
    int status[MATNET_BLOCK];
    size_t n_state = (size_t)entry->n_state, length = (size_t)b->n;
    for (int i = 0; i < n; i++) {
        double *state = entry->scratch + n_state * (size_t)i;
        for (size_t a = 0; a < n_state; a++) state[a] = b->state_old[a * length + (size_t)(first + i)];
        matnet_entry_start(entry, state);
        increment_of(b, first + i, increment[i]);
        for (int c = 0; c < 6; c++) strain[i][c] = state[c] + increment[i][c];
        dissipated[i] = state[7];
    }
    int failed = matnet_update_with(entry->workspace, n, strain[0], b->dt, entry->expands ? b->temperature + first : NULL,
                                    entry->scratch, stress[0], tangent, entry->scratch, status);
    for (int i = 0; i < n; i++) {
        double *state = entry->scratch + n_state * (size_t)i;
        if (failed != 0 && status[i] != MATNET_POINT_OK) {
            matnet_entry_stop("no solution in a step with the strain increment %.3g %.3g %.3g %.3g %.3g %.3g (11 22 33 12 13 "
                              "23, Mandel). Softening phases need a smaller time step or some viscosity.",
                              increment[i][0], increment[i][1], increment[i][2], increment[i][3], increment[i][4],
                              increment[i][5]);
        }
        give_point(b, first + i, increment[i], stress[i], state[7] - dissipated[i]);
        for (size_t a = 0; a < n_state; a++) b->state[a * length + (size_t)(first + i)] = state[a];
    }
}

#define ARGUMENTS                                                                                                         \
    const int *nblock, const int *ndir, const int *nshr, const int *nstatev, const int *nfieldv, const int *nprops,       \
        const int *lanneal, const double *stepTime, const double *totalTime, const double *dt, const char *cmname,        \
        const double *coordMp, const double *charLength, const double *props, const double *density,                      \
        const double *strainInc, const double *relSpinInc, const double *tempOld, const double *stretchOld,               \
        const double *defgradOld, const double *fieldOld, const double *stressOld, const double *stateOld,                \
        const double *enerInternOld, const double *enerInelasOld, const double *tempNew, const double *stretchNew,        \
        const double *defgradNew, const double *fieldNew, double *stressNew, double *stateNew, double *enerInternNew,     \
        double *enerInelasNew, int cmname_len

MATNET_EXPORTED void vumat_(ARGUMENTS);

void vumat_(ARGUMENTS) {
    (void)nfieldv, (void)nprops, (void)lanneal, (void)coordMp, (void)charLength, (void)props, (void)relSpinInc;
    (void)tempOld, (void)stretchOld, (void)defgradOld, (void)fieldOld, (void)stretchNew, (void)defgradNew;
    (void)fieldNew, (void)cmname_len;
    if (*ndir != 3 || (*nshr != 3 && *nshr != 1)) {
        matnet_entry_stop("elements with NDIR = %d and NSHR = %d, expected 3D (3, 3) or plane strain or axisymmetric (3, 1) "
                          "elements.",
                          *ndir, *nshr);
    }
    matnet_entry *entry = matnet_entry_take(cmname, 80);
    if (*nstatev < entry->n_state) {
        matnet_entry_stop("the material has %d state variables, the deck gives room for %d. Write %d below *DEPVAR.",
                          entry->n_state, *nstatev, entry->n_state);
    }
    block b = {*nblock,    *ndir + *nshr, *nstatev,      *dt,           density,   strainInc, tempNew,      stressOld,
               stateOld,   enerInternOld, enerInelasOld, stressNew,     stateNew,  enerInternNew, enerInelasNew};
    int before_the_first = *stepTime == 0.0 && *totalTime == 0.0;
    if (before_the_first || entry->n_state == 0 || (entry->rate_dependent && !(*dt > 0.0))) {
        for (int i = 0; i < b.n; i++) elastic_point(entry, &b, i);
    } else {
        for (int first = 0; first < b.n; first += MATNET_BLOCK) {
            update_points(entry, &b, first, b.n - first < MATNET_BLOCK ? b.n - first : MATNET_BLOCK);
        }
    }
    matnet_entry_give(entry);
}
