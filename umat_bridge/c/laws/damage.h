/* Elastic-brittle damage: what the strain does to it lane by lane, the rest at once; the C twin of
   matnet/phases/damage.py.

   Parameters: K, G, measure, ratio, softening, kappa_0, kappa_f, d_max, tau. State: kappa, d. */
#ifndef MATNET_LAWS_DAMAGE_H
#define MATNET_LAWS_DAMAGE_H

#include <math.h>

#include "../law.h"
#include "../solver/lane.h"
#include "lane_math.h"
#include "return_parameters.h"

enum {
    DAMAGE_BULK,
    DAMAGE_SHEAR,
    DAMAGE_MEASURE,
    DAMAGE_RATIO,
    DAMAGE_SOFTENING,
    DAMAGE_KAPPA_0,
    DAMAGE_KAPPA_F,
    DAMAGE_MOST,
    DAMAGE_TAU,
    DAMAGE_PARAMETERS
};
enum { DAMAGE_MAZARS, DAMAGE_ENERGY, DAMAGE_VON_MISES };
enum { DAMAGE_EXPONENTIAL, DAMAGE_LINEAR };

static const double damage_root_2 = 1.41421356237309504880;

static inline double damage_largest(double a, double b) { return a > b ? a : b; }

/* Jacobi rotation that takes a[p][q] of a symmetric matrix away and turns the columns of v along; r is the third
   index. */
static inline void damage_rotate(double a[3][3], double v[3][3], int p, int q, int r) {
    if (a[p][q] == 0.0) return;
    double ratio = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    double t = 1.0 / (fabs(ratio) + sqrt(1.0 + ratio * ratio));
    if (!(ratio >= 0.0)) t = -t;
    double c = 1.0 / sqrt(1.0 + t * t), s = t * c, a_pr = a[p][r], a_qr = a[q][r];
    a[p][p] -= t * a[p][q];
    a[q][q] += t * a[p][q];
    a[p][q] = a[q][p] = 0.0;
    a[p][r] = a[r][p] = c * a_pr - s * a_qr;
    a[q][r] = a[r][q] = s * a_pr + c * a_qr;
    for (int k = 0; k < 3; k++) {
        double x = v[k][p], y = v[k][q];
        v[k][p] = c * x - s * y;
        v[k][q] = s * x + c * y;
    }
}

/* Sum of <eps_i> n_i n_i over the principal values of a Mandel vector, by cyclic Jacobi iteration (Golub & Van Loan,
   Matrix Computations, 2013, section 8.5), which is accurate for equal ones too. */
static void damage_positive_part(const double *eps, double *part) {
    double d = eps[3] / damage_root_2, e = eps[4] / damage_root_2, f = eps[5] / damage_root_2;
    double a[3][3] = {{eps[0], d, e}, {d, eps[1], f}, {e, f, eps[2]}};
    double v[3][3] = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}};
    for (int sweep = 0; sweep < 20; sweep++) {
        double off = fabs(a[0][1]) + fabs(a[0][2]) + fabs(a[1][2]);
        if (off <= 1e-17 * (fabs(a[0][0]) + fabs(a[1][1]) + fabs(a[2][2]))) break;
        damage_rotate(a, v, 0, 1, 2);
        damage_rotate(a, v, 0, 2, 1);
        damage_rotate(a, v, 1, 2, 0);
    }
    for (int i = 0; i < 6; i++) part[i] = 0.0;
    for (int k = 0; k < 3; k++) {
        double value = damage_largest(a[k][k], 0.0), x = v[0][k], y = v[1][k], z = v[2][k];
        part[0] += value * x * x;
        part[1] += value * y * y;
        part[2] += value * z * z;
        part[3] += damage_root_2 * value * x * y;
        part[4] += damage_root_2 * value * x * z;
        part[5] += damage_root_2 * value * y * z;
    }
}

/* slope = a eps + b I. */
static inline void damage_combine(double a, const double *eps, double b, double *slope) {
    for (int i = 0; i < 6; i++) slope[i] = i < 3 ? a * eps[i] + b : a * eps[i];
}

/* Equivalent strain of the measure, and its derivative (6). */
static double damage_equivalent(const double *par, const double *eps, double *slope) {
    double K = par[DAMAGE_BULK], G = par[DAMAGE_SHEAR], ratio = par[DAMAGE_RATIO], square = 0.0;
    double trace = eps[0] + eps[1] + eps[2];
    if (par[DAMAGE_MEASURE] == DAMAGE_MAZARS) {
        double part[6];
        damage_positive_part(eps, part);
        for (int i = 0; i < 6; i++) square += part[i] * part[i];
        double value = sqrt(square);
        damage_combine(1.0 / damage_largest(value, 1e-300), part, 0.0, slope);
        return value;
    }
    for (int i = 0; i < 6; i++) {
        double dev = i < 3 ? eps[i] - trace / 3.0 : eps[i];
        square += dev * dev;
    }
    double E = 9.0 * K * G / (3.0 * K + G);
    if (par[DAMAGE_MEASURE] == DAMAGE_ENERGY) {
        double value = sqrt((K * trace * trace + 2.0 * G * square) / E);
        double scale = 1.0 / (E * damage_largest(value, 1e-300));
        damage_combine(2.0 * G * scale, eps, (K - 2.0 * G / 3.0) * trace * scale, slope);
        return value;
    }
    /* (1 - 2 nu) = E / 3 K and (1 + nu) = E / 2 G */
    double spherical = (ratio - 1.0) * 3.0 * K / E, deviatoric = 24.0 * ratio * (G / E) * (G / E);
    double root = sqrt(spherical * trace * spherical * trace + deviatoric * square);
    double length = damage_largest(root, 1e-300), a = deviatoric / length / (2.0 * ratio);
    double b = spherical * (1.0 + spherical * trace / length) / (2.0 * ratio);
    damage_combine(a, eps, b - a * trace / 3.0, slope);
    return damage_largest(spherical * trace + root, 0.0) / (2.0 * ratio);
}

/* Damage without viscosity; its derivative in `rate`. */
static double damage_softening(const double *par, double kappa, double *rate) {
    double kappa_0 = par[DAMAGE_KAPPA_0], kappa_f = par[DAMAGE_KAPPA_F], d;
    *rate = 0.0;
    if (kappa <= kappa_0) return 0.0;
    if (par[DAMAGE_SOFTENING] == DAMAGE_EXPONENTIAL) {
        double kept = kappa_0 / kappa * exp(-(kappa - kappa_0) / (kappa_f - kappa_0));
        d = 1.0 - kept;
        *rate = kept * (1.0 / kappa + 1.0 / (kappa_f - kappa_0));
    } else {
        double scale = kappa_f / (kappa_f - kappa_0);
        d = scale * (1.0 - kappa_0 / kappa);
        *rate = scale * kappa_0 / kappa / kappa;
    }
    if (d >= par[DAMAGE_MOST]) {
        *rate = 0.0;
        return par[DAMAGE_MOST];
    }
    return d;
}

/* Share of the way to the damage without viscosity that a step goes (backward Euler). */
static inline double damage_viscous_weight(double dt, double tau) { return tau > 0.0 ? dt / (tau + dt) : 1.0; }

/* kappa and d at the end, in `end`; the derivative of d is the returned factor times slope (6). */
static double damage_grow(const double *par, const double *eps, double dt, double kappa_n, double d_n, double *end,
                          double *slope) {
    double start = damage_largest(kappa_n, par[DAMAGE_KAPPA_0]), square = 0.0, value = 0.0, rate;
    for (int i = 0; i < 6; i++) square += eps[i] * eps[i];
    if (par[DAMAGE_MEASURE] == DAMAGE_MAZARS && square <= start * start) {
        damage_combine(0.0, eps, 0.0, slope); /* the norm bounds this measure, which costs more */
    } else {
        value = damage_equivalent(par, eps, slope);
    }
    end[0] = damage_largest(value, start);
    double target = damage_softening(par, end[0], &rate), weight = damage_viscous_weight(dt, par[DAMAGE_TAU]);
    end[1] = d_n + weight * damage_largest(target - d_n, 0.0);
    return value > start && target > d_n ? weight * rate : 0.0;
}

/* The damage of the active lanes at one node: state, and factor and slope (7 rows). */
static void damage_grow_lanes(const double *par, unsigned active, const double *strain, const double *dt,
                              const double *state_n, double *state, double *growth) {
    for (int k = 0; k < MATNET_LANES; k++) {
        if (!(active >> k & 1u)) continue;
        double eps[6], slope[6], end[2];
        for (int i = 0; i < 6; i++) eps[i] = lane_math_get(strain, i, k);
        double factor =
            damage_grow(par, eps, dt[k], lane_math_get(state_n, 0, k), lane_math_get(state_n, 1, k), end, slope);
        for (int i = 0; i < 2; i++) lane_math_put(state, i, k, end[i]);
        lane_math_put(growth, 0, k, factor);
        for (int i = 0; i < 6; i++) lane_math_put(growth, 1 + i, k, slope[i]);
    }
}

static unsigned damage_kernel(int n, unsigned active, const double *strain, const double *dt, const double *temperature,
                              const double *parameters, int n_parameters, const double *state_n, int n_state,
                              double *stress, double *state, double *tangent, double *energy) {
    (void)temperature, (void)n_parameters, (void)n_state;
    double shear2 = 2.0 * parameters[DAMAGE_SHEAR], side = parameters[DAMAGE_BULK] - shear2 / 3.0;
    lane growth[7], infinite = lane_of(INFINITY);
    mask sound = mask_of(~0u);
    for (int i = 0; i < 7; i++) growth[i] = lane_of(0.0);
    for (int node = 0; node < n; node++) {
        long at = (long)MATNET_LANES * node;
        damage_grow_lanes(parameters, active, strain + 6 * at, dt, state_n + 2 * at, state + 2 * at, (double *)growth);
        lane eps[6], d = load(state, 2 * node + 1), density = lane_of(0.0);
        load6(strain, 6 * node, eps);
        lane pressure = side * (eps[0] + eps[1] + eps[2]);
        for (int i = 0; i < 6; i++) {
            lane effective = i < 3 ? shear2 * eps[i] + pressure : shear2 * eps[i];
            density = density + 0.5 * effective * eps[i];
            store(stress, 6 * node + i, (1.0 - d) * effective);
            lane change = growth[0] * effective;
            for (int j = 0; j < 6; j++) {
                double elastic = (i == j ? shear2 : 0.0) + (i < 3 && j < 3 ? side : 0.0);
                store(tangent, 36 * node + 6 * i + j, (1.0 - d) * elastic - change * growth[1 + j]);
            }
        }
        store(energy, 2 * node, (1.0 - d) * density);
        store(energy, 2 * node + 1, size_of(density) * (d - load(state_n, 2 * node + 1)));
        sound = sound & less(size_of(density), infinite) & less(d, lane_of(1.0));
        sound = sound & less(load(state, 2 * node), infinite);
    }
    return ~bits_of(sound) & active;
}

static int damage_check(const double *parameters, int n_parameters, int n_state) {
    if (n_parameters != DAMAGE_PARAMETERS || n_state != 2) return 1;
    if (!return_is_count(parameters[DAMAGE_MEASURE], DAMAGE_MAZARS, DAMAGE_VON_MISES)) return 1;
    if (!return_is_count(parameters[DAMAGE_SOFTENING], DAMAGE_EXPONENTIAL, DAMAGE_LINEAR)) return 1;
    if (!(parameters[DAMAGE_BULK] > 0.0) || !(parameters[DAMAGE_SHEAR] > 0.0)) return 1;
    if (!(parameters[DAMAGE_RATIO] > 0.0) || !(parameters[DAMAGE_TAU] >= 0.0)) return 1;
    if (!(parameters[DAMAGE_MOST] > 0.0) || !(parameters[DAMAGE_MOST] < 1.0)) return 1;
    return !(parameters[DAMAGE_KAPPA_0] > 0.0) || !(parameters[DAMAGE_KAPPA_F] > parameters[DAMAGE_KAPPA_0]);
}

static int damage_nature(const double *parameters) {
    int nature = parameters[DAMAGE_MEASURE] == DAMAGE_ENERGY ? MATNET_SYMMETRIC : 0;
    return parameters[DAMAGE_TAU] > 0.0 ? nature | MATNET_RATE_DEPENDENT : nature;
}

#endif
