/* Von Mises plasticity of the effective stress, then damage lane by lane; the C twin of
   matnet/phases/ductile_damage.py.

   Parameters: kind, p_D, d_c, two numbers of the kind, tau, then those of return_parameters.h. State: plastic strain,
   p, d and, with tau > 0, the damage without viscosity. */
#ifndef MATNET_LAWS_DUCTILE_DAMAGE_H
#define MATNET_LAWS_DUCTILE_DAMAGE_H

#include <math.h>

#include "../law.h"
#include "../solver/lane.h"
#include "damage.h"
#include "hardening.h"
#include "lane_math.h"
#include "radial_return.h"
#include "return_parameters.h"

enum {
    DUCTILE_DAMAGE_KIND,
    DUCTILE_DAMAGE_THRESHOLD,
    DUCTILE_DAMAGE_MOST,
    DUCTILE_DAMAGE_FIRST,
    DUCTILE_DAMAGE_SECOND,
    DUCTILE_DAMAGE_TAU,
    DUCTILE_DAMAGE_OWN
};
enum { DUCTILE_DAMAGE_EXPONENTIAL, DUCTILE_DAMAGE_LEMAITRE };
enum { DUCTILE_DAMAGE_D = 7, DUCTILE_DAMAGE_TARGET = 8 };

/* Damage without viscosity, and its derivatives with respect to p and the energy release. */
static double ductile_damage_growth(const double *par, double p_n, double p, double target_n, double release,
                                    double *by_p, double *by_release) {
    double p_d = par[DUCTILE_DAMAGE_THRESHOLD], d_c = par[DUCTILE_DAMAGE_MOST], start = damage_largest(p_n, p_d);
    double first = par[DUCTILE_DAMAGE_FIRST], second = par[DUCTILE_DAMAGE_SECOND];
    *by_p = *by_release = 0.0;
    if (p <= start) return target_n;
    if (par[DUCTILE_DAMAGE_KIND] == DUCTILE_DAMAGE_EXPONENTIAL) {
        double kept = d_c * exp(-(p - p_d) / first);
        *by_p = kept / first;
        return damage_largest(d_c - kept, target_n);
    }
    double speed = exp(second * log(release / first)), target = target_n + speed * (p - start);
    if (!(target < d_c)) return damage_largest(d_c, target_n);
    *by_p = speed;
    *by_release = second * speed * (p - start) / release;
    return target;
}

/* Derivative (6) of the damage from those with respect to p and the energy release; `tangent` is the effective one. */
static void ductile_damage_slope(const double *plastic, double p, double by_p, double by_release, const double *elastic,
                                 const double *stress, double tangent[6][6], double *growth) {
    double mean = (stress[0] + stress[1] + stress[2]) / 3.0, square = 0.0, dev[6];
    for (int i = 0; i < 6; i++) {
        dev[i] = i < 3 ? stress[i] - mean : stress[i];
        square += dev[i] * dev[i];
    }
    if (by_p > 0.0) { /* d p / d strain = sqrt(6) G n / (3 G + slope) with the flow direction n */
        double slope = hardening_slope((int)plastic[RETURN_SHAPE], plastic, RETURN_NUMBERS, RETURN_BACK, p);
        by_p *= sqrt(6.0 / square) * plastic[RETURN_SHEAR] / (3.0 * plastic[RETURN_SHEAR] + slope);
    }
    for (int j = 0; j < 6; j++) {
        growth[j] = by_p * dev[j];
        if (!(by_release > 0.0)) continue;
        for (int i = 0; i < 6; i++) growth[j] += by_release * elastic[i] * tangent[i][j];
    }
}

/* Effective stress and tangent (its upper triangle) in, stress and tangent out, at one node and lane. */
static void ductile_damage_degrade(const double *par, int k, const double *strain, const double *state, double d,
                                   double by_p, double by_release, double *stress, double *tangent) {
    double sig[6], elastic[6], effective[6][6], growth[6];
    for (int i = 0; i < 6; i++) {
        sig[i] = lane_math_get(stress, i, k);
        elastic[i] = lane_math_get(strain, i, k) - lane_math_get(state, i, k);
        for (int j = 0; j < 6; j++) effective[i][j] = lane_math_get(tangent, i <= j ? 6 * i + j : 6 * j + i, k);
    }
    double p = lane_math_get(state, RETURN_P, k);
    ductile_damage_slope(par + DUCTILE_DAMAGE_OWN, p, by_p, by_release, elastic, sig, effective, growth);
    for (int i = 0; i < 6; i++) {
        lane_math_put(stress, i, k, (1.0 - d) * sig[i]);
        for (int j = 0; j < 6; j++) {
            lane_math_put(tangent, 6 * i + j, k, (1.0 - d) * effective[i][j] - growth[j] * sig[i]);
        }
    }
}

/* One node and lane after the radial return; 0 if there is a solution. */
static int ductile_damage_lane(const double *par, int k, double dt, const double *strain, const double *state_n,
                               double *stress, double *state, double *tangent, double *energy) {
    double tau = par[DUCTILE_DAMAGE_TAU], release = lane_math_get(energy, 0, k), by_p, by_release;
    int at = tau > 0.0 ? DUCTILE_DAMAGE_TARGET : DUCTILE_DAMAGE_D;
    double p_n = lane_math_get(state_n, RETURN_P, k), p = lane_math_get(state, RETURN_P, k);
    double d_n = lane_math_get(state_n, DUCTILE_DAMAGE_D, k), target_n = lane_math_get(state_n, at, k);
    double target = ductile_damage_growth(par, p_n, p, target_n, release, &by_p, &by_release);
    double weight = damage_viscous_weight(dt, tau), d = d_n + weight * damage_largest(target - d_n, 0.0);
    lane_math_put(state, at, k, target);
    lane_math_put(state, DUCTILE_DAMAGE_D, k, d);
    lane_math_put(energy, 0, k, (1.0 - d) * release);
    lane_math_put(energy, 1, k,
                  (1.0 - d) * lane_math_get(energy, 1, k) + damage_largest(release, 0.0) * (d - d_n));
    if (!(target > d_n)) weight = 0.0; /* does not grow */
    ductile_damage_degrade(par, k, strain, state, d, weight * by_p, weight * by_release, stress, tangent);
    return !(d < 1.0 && release < INFINITY);
}

static unsigned ductile_damage_kernel(int n, unsigned active, const double *strain, const double *dt,
                                      const double *temperature, const double *parameters, int n_parameters,
                                      const double *state_n, int n_state, double *stress, double *state,
                                      double *tangent, double *energy) {
    (void)temperature, (void)n_parameters;
    const double *plastic = parameters + DUCTILE_DAMAGE_OWN;
    mask running = mask_of(active);
    unsigned failed = 0;
    for (int node = 0; node < n; node++) {
        long i = (long)MATNET_LANES * node, row = n_state * i;
        failed |= bits_of(radial_return_node(plastic, running, strain + 6 * i, state_n + row, stress + 6 * i,
                                             state + row, tangent + 36 * i, energy + 2 * i, 0, 0, 0, 0));
        for (int k = 0; k < MATNET_LANES; k++) {
            if (!((active & ~failed) >> k & 1u)) continue;
            failed |= (unsigned)ductile_damage_lane(parameters, k, dt[k], strain + 6 * i, state_n + row, stress + 6 * i,
                                                    state + row, tangent + 36 * i, energy + 2 * i)
                      << k;
        }
    }
    return failed & active;
}

static int ductile_damage_check(const double *parameters, int n_parameters, int n_state) {
    if (n_parameters < DUCTILE_DAMAGE_OWN + RETURN_BACK) return 1;
    double tau = parameters[DUCTILE_DAMAGE_TAU], most = parameters[DUCTILE_DAMAGE_MOST];
    double kind = parameters[DUCTILE_DAMAGE_KIND];
    if (!return_is_count(kind, DUCTILE_DAMAGE_EXPONENTIAL, DUCTILE_DAMAGE_LEMAITRE)) return 1;
    if (!(tau >= 0.0) || !(most > 0.0) || !(most < 1.0) || !(parameters[DUCTILE_DAMAGE_FIRST] > 0.0)) return 1;
    if (n_state != DUCTILE_DAMAGE_D + (tau > 0.0 ? 2 : 1)) return 1;
    return radial_return_check(parameters + DUCTILE_DAMAGE_OWN, n_parameters - DUCTILE_DAMAGE_OWN, RETURN_X);
}

static int ductile_damage_nature(const double *parameters) {
    return parameters[DUCTILE_DAMAGE_TAU] > 0.0 ? MATNET_RATE_DEPENDENT : 0;
}

#endif
