/* No stress whatever the strain; no parameters. The C twin of matnet/phases/void.py. */
#ifndef MATNET_LAWS_VOID_H
#define MATNET_LAWS_VOID_H

#include "../law.h"
#include "../solver/lane.h"

static unsigned void_kernel(int n, unsigned active, const double *strain, const double *dt, const double *temperature,
                            const double *parameters, int n_parameters, const double *state_n, int n_state,
                            double *stress, double *state, double *tangent, double *energy) {
    (void)dt, (void)temperature, (void)parameters, (void)n_parameters, (void)state_n, (void)n_state, (void)state;
    mask sound = mask_of(~0u);
    for (int node = 0; node < n; node++) {
        for (int i = 0; i < 6; i++) {
            store(stress, 6 * node + i, lane_of(0.0));
            sound = sound & less(size_of(load(strain, 6 * node + i)), lane_of(INFINITY));
        }
        for (int i = 0; i < 36; i++) store(tangent, 36 * node + i, lane_of(0.0));
        for (int i = 0; i < 2; i++) store(energy, 2 * node + i, lane_of(0.0));
    }
    return ~bits_of(sound) & active;
}

static int void_check(const double *parameters, int n_parameters, int n_state) {
    (void)parameters;
    return n_parameters != 0 || n_state != 0;
}

static int void_nature(const double *parameters) {
    (void)parameters;
    return MATNET_SYMMETRIC;
}

#endif
