/* Generalised Maxwell model, integrated exactly for strains linear over the step; the C twin of
   matnet/phases/viscoelastic.py (Kaliske & Rothert, Computational Mechanics 19, 1997, 228-239).

   Parameters: K, G, 0 of the long-term spring, then K, G, tau of each branch. State: strain, then the strain of each
   branch's spring. */
#ifndef MATNET_LAWS_VISCOELASTIC_H
#define MATNET_LAWS_VISCOELASTIC_H

#include <math.h>

#include "../law.h"
#include "../solver/lane.h"
#include "lane_math.h"

/* Of one branch: what is kept of the spring strain h, the weight of the increment d, and the dissipation over the
   modulus, lost_mean (h + shift d)^2 + lost_step d^2. */
typedef struct {
    lane kept, phi, shift, lost_mean, lost_step;
} viscoelastic_weights;

/* p = 1 - exp(-x), p / x and (x - p - p^2 / 2) / x^3; their limits at x = 0 are 0, 1 and 1/3. */
static inline void viscoelastic_ramp(double x, double *p, double *phi, double *psi) {
    *p = 0.0;
    *phi = 1.0;
    *psi = 1.0 / 3.0;
    if (x <= 0.0) return;
    *p = -expm1(-x);
    *phi = *p / x;
    *psi = (1.0 - *phi * (1.0 + 0.5 * *p)) / x / x;
    if (x > 0.5) return;
    /* the difference cancels for short steps: its series, sum (2^(k-1) - 2) (-x)^(k-3) / k! */
    double series = 0.0, term = 1.0 / 6.0, power = 4.0;
    for (int k = 3; k < 20; k++) {
        series += (power - 2.0) * term;
        term *= -x / (k + 1.0);
        power *= 2.0;
    }
    *psi = series;
}

/* The weights for the steps of all lanes; those of lanes that are not active are zero. */
static viscoelastic_weights viscoelastic_branch(unsigned active, const double *dt, double tau) {
    lane weights[5] = {lane_of(0.0), lane_of(0.0), lane_of(0.0), lane_of(0.0), lane_of(0.0)};
    double *rows = (double *)weights;
    int first = -1;
    for (int k = 0; k < MATNET_LANES; k++) {
        if (!(active >> k & 1u)) continue;
        if (first >= 0 && dt[k] == dt[first]) { /* mostly so */
            for (int i = 0; i < 5; i++) lane_math_put(rows, i, k, lane_math_get(rows, i, first));
            continue;
        }
        first = k;
        double x = dt[k] / tau, p, phi, psi;
        if (!(x <= 1e100)) x = x == x ? 1e100 : x;
        viscoelastic_ramp(x, &p, &phi, &psi);
        double a = phi * (1.0 - 0.5 * p), shift = 0.5 * phi * phi / a, rest = psi - 0.5 * phi * phi * shift;
        lane_math_put(rows, 0, k, 1.0 - p);
        lane_math_put(rows, 1, k, phi);
        lane_math_put(rows, 2, k, shift);
        lane_math_put(rows, 3, k, x * a);
        lane_math_put(rows, 4, k, x * (rest > 0.0 ? rest : 0.0));
    }
    viscoelastic_weights out = {weights[0], weights[1], weights[2], weights[3], weights[4]};
    return out;
}

/* The long-term spring at one node: stress, strain in the state, energies. */
static inline void viscoelastic_spring(double K, double G, const double *strain, double *stress, double *state,
                                       double *energy) {
    lane eps[6];
    load6(strain, 0, eps);
    lane v = eps[0] + eps[1] + eps[2], stored = 0.5 * K * v * v;
    for (int k = 0; k < 6; k++) {
        lane dev = k < 3 ? eps[k] - 1.0 / 3.0 * v : eps[k];
        stored = stored + G * dev * dev;
        store(stress, k, k < 3 ? K * v + 2.0 * G * dev : 2.0 * G * dev);
        store(state, k, eps[k]);
    }
    store(energy, 0, stored);
    store(energy, 1, 0.0 * v);
}

/* A branch at one node, its rows in state_n and state given as h_n and h; adds to stress and energies. */
static inline void viscoelastic_add(double K, double G, const viscoelastic_weights *w, const double *strain,
                                    const double *strain_n, const double *h_n, double *stress, double *h,
                                    double *energy) {
    lane old[6], d[6], zero = lane_of(0.0), squares[3] = {zero, zero, zero};
    for (int k = 0; k < 6; k++) {
        old[k] = load(h_n, k);
        d[k] = load(strain, k) - load(strain_n, k);
    }
    lane tr_h = old[0] + old[1] + old[2], tr_d = d[0] + d[1] + d[2];
    lane tr_new = w->kept * tr_h + w->phi * tr_d, tr_mean = tr_h + w->shift * tr_d;
    for (int k = 0; k < 6; k++) {
        double third = k < 3 ? 1.0 / 3.0 : 0.0;
        lane grown = w->kept * old[k] + w->phi * d[k], dev = grown - third * tr_new;
        lane mean = old[k] + w->shift * d[k] - third * tr_mean, step = d[k] - third * tr_d;
        store(h, k, grown);
        store(stress, k, load(stress, k) + 3.0 * third * K * tr_new + 2.0 * G * dev);
        squares[0] = squares[0] + dev * dev;
        squares[1] = squares[1] + mean * mean;
        squares[2] = squares[2] + step * step;
    }
    lane lost_mean = K * tr_mean * tr_mean + 2.0 * G * squares[1];
    lane lost_step = K * tr_d * tr_d + 2.0 * G * squares[2];
    store(energy, 0, load(energy, 0) + (0.5 * K * tr_new * tr_new + G * squares[0]));
    store(energy, 1, load(energy, 1) + (w->lost_mean * lost_mean + w->lost_step * lost_step));
}

/* Isotropic tangent of bulk and shear modulus at one node. */
static inline void viscoelastic_tangent(lane K, lane G, double *tangent) {
    lane side = K - 2.0 * G / 3.0, zero = lane_of(0.0);
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) store(tangent, 6 * i + j, i < 3 && j < 3 ? side : zero);
        store(tangent, 7 * i, i < 3 ? side + 2.0 * G : 2.0 * G);
    }
}

static unsigned viscoelastic_kernel(int n, unsigned active, const double *strain, const double *dt,
                                    const double *temperature, const double *parameters, int n_parameters,
                                    const double *state_n, int n_state, double *stress, double *state, double *tangent,
                                    double *energy) {
    (void)temperature;
    double K = parameters[0], G = parameters[1];
    lane bulk = lane_of(K), shear = lane_of(G);
    for (int node = 0; node < n; node++) {
        long i = (long)MATNET_LANES * node;
        viscoelastic_spring(K, G, strain + 6 * i, stress + 6 * i, state + n_state * i, energy + 2 * i);
    }
    for (int at = 3; at < n_parameters; at += 3) {
        const double *branch = parameters + at;
        viscoelastic_weights w = viscoelastic_branch(active, dt, branch[2]);
        bulk = bulk + w.phi * branch[0];
        shear = shear + w.phi * branch[1];
        for (int node = 0; node < n; node++) {
            long i = (long)MATNET_LANES * node, row = n_state * i + (long)MATNET_LANES * 2 * at;
            viscoelastic_add(branch[0], branch[1], &w, strain + 6 * i, state_n + n_state * i, state_n + row,
                             stress + 6 * i, state + row, energy + 2 * i);
        }
    }
    mask sound = mask_of(~0u);
    for (int node = 0; node < n; node++) {
        viscoelastic_tangent(bulk, shear, tangent + (long)36 * MATNET_LANES * node);
        lane sum = load(energy, 2 * node) + load(energy, 2 * node + 1) + bulk;
        sound = sound & less(sum, lane_of(INFINITY));
    }
    return ~bits_of(sound) & active;
}

static int viscoelastic_check(const double *parameters, int n_parameters, int n_state) {
    if (n_parameters < 6 || n_parameters % 3 != 0 || n_state != 2 * n_parameters) return 1;
    for (int i = 0; i < n_parameters; i += 3) {
        if (!(parameters[i] >= 0.0) || !(parameters[i + 1] >= 0.0)) return 1;
        if (i > 0 && !(parameters[i + 2] > 0.0)) return 1;
    }
    return 0;
}

static int viscoelastic_nature(const double *parameters) {
    (void)parameters;
    return MATNET_SYMMETRIC | MATNET_RATE_DEPENDENT;
}

#endif
