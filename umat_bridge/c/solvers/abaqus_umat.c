/* UMAT of Abaqus/Standard, which CalculiX calls as well.

   Components 11 22 33 12 13 23 with engineering shear, in the material's local system where the deck has an orientation.
   3D (NTENS 6), plane strain and axisymmetric (NTENS 4), and plane stress (NTENS 3, the strains across are found here).
   State variables: the state of the network (docs/online.md), nothing but zeros at the start. The temperature TEMP + DTEMP
   counts if a phase has thermal expansion. On failure PNEWDT asks for half the increment. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "entry.h"

#define CUT 0.5
#define PLANE_STRESS_TOL 1e-9 /* of the stress in the plane */
enum { MOST_PLANE_STRESS_ITERATIONS = 30, MOST_COMPONENTS = 6 };

/* Which of the six components the solver has, and which are found so that their stress is zero. */
typedef struct {
    int n, own[6];
    int n_free, free[3];
} components;

static const components solid = {6, {0, 1, 2, 3, 4, 5}, 0, {0, 0, 0}};
static const components plane_strain = {4, {0, 1, 2, 3, 0, 0}, 0, {0, 0, 0}};
static const components plane_stress = {3, {0, 1, 3, 0, 0, 0}, 3, {2, 4, 5}};

static const components *components_of(int ndi, int nshr) {
    if (ndi == 3 && nshr == 3) return &solid;
    if (ndi == 3 && nshr == 1) return &plane_strain;
    if (ndi == 2 && nshr == 1) return &plane_stress;
    matnet_entry_stop("elements with NDI = %d and NSHR = %d, expected 3D (3, 3), plane strain or axisymmetric (3, 1) or "
                      "plane stress (2, 1) elements.",
                      ndi, nshr);
    return NULL;
}

/* Inverse of the 3 x 3 block of a tangent at rows and columns `at`; 0 if it has none. */
static int invert_block(const double *tangent, const int *at, double inverse[3][3]) {
    double c[3][3];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) c[i][j] = tangent[6 * at[i] + at[j]];
    }
    for (int i = 0; i < 3; i++) {
        int i1 = (i + 1) % 3, i2 = (i + 2) % 3;
        for (int j = 0; j < 3; j++) {
            int j1 = (j + 1) % 3, j2 = (j + 2) % 3;
            inverse[j][i] = c[i1][j1] * c[i2][j2] - c[i1][j2] * c[i2][j1];
        }
    }
    double det = c[0][0] * inverse[0][0] + c[0][1] * inverse[1][0] + c[0][2] * inverse[2][0];
    double size = fabs(c[0][0] * c[1][1] * c[2][2]);
    for (int i = 0; i < 9; i++) inverse[i / 3][i % 3] /= det;
    return fabs(det) > 1e-14 * size; /* false for NaN, too */
}

/* Take the free components out of the tangent, whose stresses stay zero: C_pp - C_pf C_ff^-1 C_fp. */
static void condense(const components *which, double inverse[3][3], double *tangent) {
    double full[36];
    memcpy(full, tangent, sizeof full);
    for (int a = 0; a < 6; a++) {
        for (int b = 0; b < 6; b++) {
            for (int i = 0; i < 3; i++) {
                for (int j = 0; j < 3; j++) {
                    tangent[6 * a + b] -= full[6 * a + which->free[i]] * inverse[i][j] * full[6 * which->free[j] + b];
                }
            }
        }
    }
}

/* Update with Newton's method for the free components of strain; 0 or what failed. */
static int update(matnet_entry *entry, const components *which, double *strain, double dt, double temperature,
                  const double *state_n, double *stress, double *tangent, double *state) {
    double inverse[3][3];
    for (int f = 0; f < which->n_free; f++) strain[which->free[f]] = entry->n_state > 0 ? state_n[which->free[f]] : 0.0;
    for (int iteration = 0; iteration < MOST_PLANE_STRESS_ITERATIONS; iteration++) {
        int failed = matnet_entry_update(entry, strain, dt, temperature, state_n, stress, tangent, state);
        if (failed != 0 || which->n_free == 0) return failed;
        double left = 0.0, size = 0.0, round_off = 0.0;
        for (int f = 0; f < 3; f++) left = fmax(left, fabs(stress[which->free[f]]));
        for (int c = 0; c < 6; c++) size = fmax(size, fabs(stress[c]));
        for (int c = 0; c < 6; c++) round_off = fmax(round_off, 1e-14 * fabs(tangent[7 * c] * strain[c]));
        if (!invert_block(tangent, which->free, inverse)) return 1;
        if (left <= fmax(PLANE_STRESS_TOL * size, round_off)) {
            condense(which, inverse, tangent);
            return 0;
        }
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) strain[which->free[i]] -= inverse[i][j] * stress[which->free[j]];
        }
    }
    return 1;
}

/* Total strain at the end (Mandel) of the solver's components; the others are zero. */
static void total_strain(const components *which, const double *stran, const double *dstran, double *strain) {
    double engineering[6] = {0.0};
    for (int a = 0; a < which->n; a++) engineering[which->own[a]] = (stran != NULL ? stran[a] : 0.0) + dstran[a];
    matnet_strain_from_engineering(engineering, strain);
}

static void give_tangent(const components *which, const double *tangent, double *ddsdde) {
    double engineering[36];
    matnet_tangent_to_engineering(tangent, engineering);
    for (int b = 0; b < which->n; b++) {
        for (int a = 0; a < which->n; a++) ddsdde[b * which->n + a] = engineering[6 * which->own[a] + which->own[b]];
    }
}

/* With the initial stiffness: where there is no time in which to integrate a law with rates, and after a failure. */
static void give_elastic_tangent(const matnet_entry *entry, const components *which, double *tangent, double *ddsdde) {
    double inverse[3][3];
    memcpy(tangent, entry->stiffness, sizeof entry->stiffness);
    if (which->n_free > 0 && invert_block(tangent, which->free, inverse)) condense(which, inverse, tangent);
    give_tangent(which, tangent, ddsdde);
}

static void add_elastic(const components *which, const double *tangent, const double *dstran, double *stress) {
    double increment[6];
    total_strain(which, NULL, dstran, increment);
    for (int a = 0; a < which->n; a++) {
        int row = which->own[a];
        double sum = 0.0;
        for (int b = 0; b < which->n; b++) sum += tangent[6 * row + which->own[b]] * increment[which->own[b]];
        stress[a] += row < 3 ? sum : sum / sqrt(2.0);
    }
}

static void give_energies(const matnet_entry *entry, const double *stress, const double *strain, const double *state,
                          double *sse, double *spd) {
    *sse = entry->n_state > 0 ? state[6] : 0.0;
    *spd = entry->n_state > 0 ? state[7] : 0.0;
    for (int c = 0; c < 6 && entry->n_state == 0; c++) *sse += 0.5 * stress[c] * strain[c];
}

typedef struct {
    double *stress, *statev, *ddsdde, *sse, *spd, *pnewdt;
    const double *stran, *dstran;
    double dtime, temperature;
    const char *cmname;
    size_t cmname_len;
    int ndi, nshr, nstatv;
} call;

static void point(const call *c) {
    const components *which = components_of(c->ndi, c->nshr);
    matnet_entry *entry = matnet_entry_take(c->cmname, c->cmname_len);
    double strain[6], stress[6], tangent[36], *state = entry->scratch;
    if (c->nstatv < entry->n_state) {
        matnet_entry_stop("the material has %d state variables, the deck gives room for %d. Write %d below *DEPVAR.",
                          entry->n_state, c->nstatv, entry->n_state);
    }
    if (entry->rate_dependent && !(c->dtime > 0.0)) {
        give_elastic_tangent(entry, which, tangent, c->ddsdde);
        add_elastic(which, tangent, c->dstran, c->stress);
        matnet_entry_give(entry);
        return;
    }
    matnet_entry_start(entry, c->statev);
    total_strain(which, c->stran, c->dstran, strain);
    if (update(entry, which, strain, c->dtime, c->temperature, c->statev, stress, tangent, state) != 0) {
        give_elastic_tangent(entry, which, tangent, c->ddsdde);
        *c->pnewdt = CUT;
    } else {
        double engineering[6];
        matnet_stress_to_engineering(stress, engineering);
        for (int a = 0; a < which->n; a++) c->stress[a] = engineering[which->own[a]];
        give_tangent(which, tangent, c->ddsdde);
        give_energies(entry, stress, strain, state, c->sse, c->spd);
        for (int a = 0; a < entry->n_state; a++) c->statev[a] = state[a];
    }
    matnet_entry_give(entry);
}

/* The call of Abaqus: arrays as they come, and a length at the end that each Fortran passes in its own type. */
#define ARGUMENTS                                                                                                       \
    double *stress, double *statev, double *ddsdde, double *sse, double *spd, double *scd, double *rpl, double *ddsddt, \
        double *drplde, double *drpldt, const double *stran, const double *dstran, const double *time,                  \
        const double *dtime, const double *temp, const double *dtemp, const double *predef, const double *dpred,        \
        const char *cmname, const int *ndi, const int *nshr, const int *ntens, const int *nstatv, const double *props,  \
        const int *nprops, const double *coords, const double *drot, double *pnewdt, const double *celent,              \
        const double *dfgrd0, const double *dfgrd1, const int *noel, const int *npt, const int *layer, const int *kspt, \
        const int *kstep, const int *kinc, int cmname_len

/* The length is 80 in all of them, its upper half is not looked at. Rates of heat are those of a material without any. */
#define BODY                                                                                                             \
    call c = {stress, statev, ddsdde, sse, spd, pnewdt, stran, dstran, *dtime, *temp + *dtemp, cmname, 80, *ndi, *nshr, \
              *nstatv};                                                                                                  \
    (void)scd, (void)time, (void)predef, (void)dpred, (void)props, (void)nprops, (void)coords, (void)drot;               \
    (void)celent, (void)dfgrd0, (void)dfgrd1, (void)noel, (void)npt, (void)layer, (void)kspt, (void)kstep, (void)kinc;   \
    (void)cmname_len;                                                                                                    \
    *rpl = *drpldt = 0.0;                                                                                                \
    for (int a = 0; a < *ntens && a < MOST_COMPONENTS; a++) ddsddt[a] = drplde[a] = 0.0;                                 \
    point(&c)

MATNET_EXPORTED void umat_(ARGUMENTS);
MATNET_EXPORTED void UMAT(ARGUMENTS);

/* gfortran and Intel on Linux, CalculiX. */
void umat_(ARGUMENTS) { BODY; }

/* Intel on Windows; @ABAQUS_<library>_UMAT of CalculiX. */
void UMAT(ARGUMENTS) { BODY; }
