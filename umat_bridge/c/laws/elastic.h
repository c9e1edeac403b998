/* Hooke's law of any anisotropy; parameters: the stiffness by rows (36). The C twin of matnet/phases/elastic.py. */
#ifndef MATNET_LAWS_ELASTIC_H
#define MATNET_LAWS_ELASTIC_H

#include "../law.h"
#include "../solver/lane.h"

static unsigned elastic_kernel(int n, unsigned active, const double *strain, const double *dt,
                               const double *temperature, const double *parameters, int n_parameters,
                               const double *state_n, int n_state, double *stress, double *state, double *tangent,
                               double *energy) {
    (void)dt, (void)temperature, (void)n_parameters, (void)state_n, (void)n_state, (void)state;
    mask sound = mask_of(~0u);
    for (int node = 0; node < n; node++) {
        lane eps[6], work = lane_of(0.0), size = lane_of(0.0);
        load6(strain, 6 * node, eps);
        for (int i = 0; i < 6; i++) {
            const double *row = parameters + 6 * i;
            lane sig = eps[0] * row[0] + eps[1] * row[1] + eps[2] * row[2] + eps[3] * row[3] + eps[4] * row[4] +
                       eps[5] * row[5];
            store(stress, 6 * node + i, sig);
            for (int j = 0; j < 6; j++) store(tangent, 36 * node + 6 * i + j, lane_of(row[j]));
            work = work + 0.5 * sig * eps[i];
            size = size + size_of(sig);
        }
        store(energy, 2 * node, work);
        store(energy, 2 * node + 1, lane_of(0.0));
        sound = sound & less(size, lane_of(INFINITY));
    }
    return ~bits_of(sound) & active;
}

static int elastic_check(const double *parameters, int n_parameters, int n_state) {
    (void)parameters;
    return n_parameters != 36 || n_state != 0;
}

static int elastic_nature(const double *parameters) {
    (void)parameters;
    return MATNET_SYMMETRIC;
}

#endif
