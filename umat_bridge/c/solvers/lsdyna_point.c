/* A point of LS-DYNA's umat41, in C; lsdyna_umat41.f is what LS-DYNA calls.

   History variables: the state of the network (docs/online.md), or the six total strains of a material without state; then
   the tangent [6][6], row by row, which utan41 fetches. Components xx yy zz xy yz zx, engineering shear. */
#include <math.h>
#include <string.h>

#include "entry.h"

static const int mandel_of[6] = {0, 1, 2, 3, 5, 4}; /* component of LS-DYNA -> ours */
enum { FEWEST = 6 };

int matnet_lsdyna_history(void);
int matnet_lsdyna_symmetric(void);
int matnet_lsdyna_update(const double *increment, double dt, double temperature, double *stress, double *history,
                         double *dissipated);
void matnet_lsdyna_stop(int given, int needed);
void matnet_lsdyna_stop_element(void);

static const char NAME[] = "MATNET"; /* LS-DYNA passes no name; with MATNET_DIR, the file is matnet.matnet */

static int n_before_tangent(const matnet_entry *entry) { return entry->n_state > 0 ? entry->n_state : FEWEST; }

/* Number of history variables. */
int matnet_lsdyna_history(void) {
    matnet_entry *entry = matnet_entry_take(NAME, strlen(NAME));
    int n = n_before_tangent(entry) + 36;
    matnet_entry_give(entry);
    return n;
}

int matnet_lsdyna_symmetric(void) {
    matnet_entry *entry = matnet_entry_take(NAME, strlen(NAME));
    int symmetric = entry->symmetric;
    matnet_entry_give(entry);
    return symmetric;
}

void matnet_lsdyna_stop(int given, int needed) {
    matnet_entry_stop("the deck says NHV = %d in the third material constant, expected %d for this material.", given, needed);
}

void matnet_lsdyna_stop_element(void) {
    matnet_entry_stop("umat41 was called for a shell or beam, expected solid elements or thick shells with 3D stress.");
}

static void keep_tangent(const double *tangent, double *kept) {
    double engineering[36];
    matnet_tangent_to_engineering(tangent, engineering);
    for (int a = 0; a < 6; a++) {
        for (int b = 0; b < 6; b++) kept[6 * a + b] = engineering[6 * mandel_of[a] + mandel_of[b]];
    }
}

/* With the initial stiffness and an untouched state: where there is no time in which to integrate a law with rates. */
static void elastic_point(const matnet_entry *entry, const double *increment, double *stress, double *kept) {
    double mandel[6], engineering[6];
    matnet_entry_elastic(entry, increment, mandel);
    matnet_stress_to_engineering(mandel, engineering);
    for (int a = 0; a < 6; a++) stress[a] += engineering[mandel_of[a]];
    keep_tangent(entry->stiffness, kept);
}

/* Strain of the history plus increment -> stress, history, energy dissipated so far; 0, or 1 for no solution, nothing being
   changed but the tangent, which is the initial one then. */
int matnet_lsdyna_update(const double *increment, double dt, double temperature, double *stress, double *history,
                         double *dissipated) {
    matnet_entry *entry = matnet_entry_take(NAME, strlen(NAME));
    double engineering[6], strain[6], mandel[6], tangent[36], *kept = history + n_before_tangent(entry);
    const double *state = history;
    for (int a = 0; a < 6; a++) engineering[mandel_of[a]] = increment[a];
    matnet_strain_from_engineering(engineering, strain);
    if (entry->rate_dependent && !(dt > 0.0)) {
        elastic_point(entry, strain, stress, kept);
        matnet_entry_give(entry);
        return 0;
    }
    if (entry->n_state > 0) matnet_entry_start(entry, history);
    for (int a = 0; a < 6; a++) strain[a] += state[a];
    int failed = matnet_entry_update(entry, strain, dt, temperature, state, mandel, tangent, entry->scratch);
    if (failed == 0) {
        memcpy(history, entry->n_state > 0 ? entry->scratch : strain, (size_t)n_before_tangent(entry) * sizeof(double));
        matnet_stress_to_engineering(mandel, engineering);
        for (int a = 0; a < 6; a++) stress[a] = engineering[mandel_of[a]];
        *dissipated = entry->n_state > 0 ? history[7] : 0.0;
    }
    keep_tangent(failed == 0 ? tangent : entry->stiffness, kept);
    matnet_entry_give(entry);
    return failed != 0;
}
