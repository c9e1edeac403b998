/* Von Mises flow with backstresses and flow rates; the C twin of matnet/phases/general_return_lanes.py.

   The equations are in matnet/phases/radial_return.py, whose names are used here: with theta_i = 1 / (1 + gamma_i dp),
   B = trial deviator - sum theta_i X_i, q(B) = sqrt(3/2) |B|, the increment dp solves
   q(B) - (3 G + sum theta_i C_i) dp - flow stress = 0 (Kobayashi & Ohno, Int. J. Numer. Methods Eng. 53, 2002). Rows
   of the tangent hold B and W until the tangent is known. */
#ifndef MATNET_LAWS_GENERAL_RETURN_H
#define MATNET_LAWS_GENERAL_RETURN_H

#include "../law.h"
#include "../solver/lane.h"
#include "hardening.h"
#include "lane_math.h"
#include "return_parameters.h"

/* One node: parameters, length of the step, its rows of the arrays. */
typedef struct {
    const double *par;
    lane dt;
    const double *state_n; /* [m][L] */
    double *stress;        /* [6][L], the trial deviator on entry */
    double *state;         /* [m][L] */
    double *tangent;       /* [36][L] */
    double *energy;        /* [2][L] */
} general_return_place;

/* What the residual knows at a point. */
typedef struct {
    lane r, fall; /* the residual and -dr/dx */
    lane dp, flow, d, q_b;
} general_return_point;

/* B and W in 12 rows of the tangent; q(B), sqrt(3/2) m : W, and the sums of theta C. */
static inline void general_return_relative(const general_return_place *at, lane dp, lane *q_b, lane *turn, lane *drag,
                                           lane *drag_slope) {
    const double *par = at->par;
    lane b[6], w[6], zero = lane_of(0.0);
    load6(at->stress, 0, b);
    for (int k = 0; k < 6; k++) w[k] = zero;
    *drag = *drag_slope = zero;
    for (int i = 0; i < (int)par[RETURN_N_BACK]; i++) {
        double modulus = par[RETURN_BACK + 2 * i], gamma = par[RETURN_BACK + 2 * i + 1];
        lane theta = 1.0 / (1.0 + gamma * dp), recall = gamma * theta * theta;
        *drag = *drag + theta * modulus;
        *drag_slope = *drag_slope + theta * theta * modulus;
        for (int k = 0; k < 6; k++) {
            lane x = load(at->state_n, RETURN_X + 6 * i + k);
            b[k] = b[k] - theta * x;
            w[k] = w[k] + recall * x;
        }
    }
    store6(at->tangent, 0, b);
    store6(at->tangent, 6, w);
    lane norm = lane_math_sqrt(dot6(b, b));
    *turn = choose(less(zero, norm), return_root_3_2 * dot6(b, w) / norm, zero);
    *q_b = return_root_3_2 * norm;
}

/* At x, which is (dp / dt)^(1/n) for overstress, else dp. Lanes outside `flows` get dp = 0; `fast` are those above the
   kink of Johnson and Cook's rate factor. */
static inline general_return_point general_return_residual(const general_return_place *at, lane x, mask flows,
                                                           mask fast) {
    const double *par = at->par;
    int rate = (int)par[RETURN_RATE];
    double n = par[RETURN_RATE_B], a = par[RETURN_RATE_A];
    lane zero = lane_of(0.0), dp = x, turn, drag, drag_slope, slope;
    general_return_point out;
    if (rate == RETURN_VISCOUS) dp = n == 1.0 ? at->dt * x : at->dt * lane_math_power(x, n);
    out.dp = dp = choose(flows, dp, zero);
    general_return_relative(at, dp, &out.q_b, &turn, &drag, &drag_slope);
    hardening_yield((int)par[RETURN_SHAPE], par, RETURN_NUMBERS, RETURN_BACK + 2 * (int)par[RETURN_N_BACK],
                    load(at->state_n, RETURN_P) + dp, &out.flow, &slope);
    lane stiff = 3.0 * par[RETURN_SHEAR] + drag_slope - turn;
    out.d = out.fall = stiff + slope;
    if (rate == RETURN_VISCOUS) {
        out.flow = out.flow + a * x;
        out.d = out.fall + choose(less(zero, dp), a * x / (n * dp), lane_of(INFINITY));
        out.fall = out.fall * n * dp / x + a;
    } else if (rate == RETURN_LOGARITHMIC) {
        lane factor = choose(fast, 1.0 + a * lane_math_log(dp / (at->dt * n)), lane_of(1.0));
        out.d = out.fall = stiff + slope * factor + choose(fast, out.flow * a / dp, zero);
        out.flow = out.flow * factor;
    }
    out.r = out.q_b - (3.0 * par[RETURN_SHEAR] + drag) * dp - out.flow;
    return out;
}

/* A bracket of the root and where to start. */
static inline void general_return_bracket(const general_return_place *at, lane q_bound, lane overstress, mask flows,
                                          lane *low, lane *high, lane *x, mask *fast) {
    const double *par = at->par;
    *low = *x = lane_of(0.0);
    *high = q_bound / (3.0 * par[RETURN_SHEAR]);
    *fast = flows;
    if (par[RETURN_RATE] == RETURN_VISCOUS) { /* r is concave: from the upper end, Newton's method is monotone */
        lane most = *high / at->dt;
        if (par[RETURN_RATE_B] != 1.0) most = lane_math_power(most, 1.0 / par[RETURN_RATE_B]);
        *x = *high = lane_math_least(overstress / par[RETURN_RATE_A], most);
    } else if (par[RETURN_RATE] == RETURN_LOGARITHMIC) { /* each side of the kink is smooth */
        lane kink = at->dt * par[RETURN_RATE_B];
        lane r = general_return_residual(at, kink, flows, *fast).r;
        *fast = flows & less(lane_of(0.0), r) & less(kink, *high);
        *x = *low = choose(*fast, kink, *low);
        *high = choose(*fast | less(*high, kink), *high, kink);
    }
}

/* The root; the lanes where none was found. */
static inline mask general_return_solve(const general_return_place *at, lane q_bound, lane overstress, mask flows,
                                        general_return_point *out) {
    lane low, high, x, zero = lane_of(0.0);
    mask fast, left = flows;
    general_return_bracket(at, q_bound, overstress, flows, &low, &high, &x, &fast);
    *out = general_return_residual(at, x, flows, fast);
    for (int iteration = 0; iteration < RETURN_ITERATIONS; iteration++) {
        left = left & less(return_tolerance * q_bound, size_of(out->r));
        mask is_short = less(zero, out->r);
        low = choose(is_short, x, low);
        high = choose(is_short, high, x);
        lane next = x + out->r / out->fall, middle = 0.5 * (low + high);
        next = choose(less(low, next) & less(next, high), next, middle);
        if (iteration > RETURN_NEWTON_ITERATIONS && iteration % 2 == 0) next = middle;
        left = left & less(4e-16 * x, size_of(next - x)); /* else there is no closer number */
        if (!lane_math_any(left)) break;
        x = choose(left, next, x);
        *out = general_return_residual(at, x, flows, fast);
    }
    mask solved = less(size_of(out->r), lane_of(INFINITY)) & less(zero, out->q_b);
    return left | (flows & opposite(solved));
}

/* 2G, or less for a Maxwell fluid at zero stress. */
static inline lane general_return_standing_shear(const general_return_place *at, lane q_trial, lane yield_now) {
    const double *par = at->par;
    double stiff = 3.0 * par[RETURN_SHEAR], back = 0.0;
    lane shear2 = lane_of(2.0 * par[RETURN_SHEAR]), zero = lane_of(0.0);
    if (par[RETURN_RATE] != RETURN_VISCOUS || par[RETURN_RATE_B] != 1.0) return shear2;
    for (int i = 0; i < (int)par[RETURN_N_BACK]; i++) back += par[RETURN_BACK + 2 * i];
    lane soft = shear2 * (1.0 - stiff / (stiff + back + par[RETURN_RATE_A] / at->dt));
    return choose(at_most(q_trial, zero) & at_most(yield_now, zero), soft, shear2);
}

/* Stress, state and energies at the end; the plastic strain grows by `step` times B. */
static inline void general_return_finish(const general_return_place *at, lane v, lane dp, lane flow, lane step) {
    const double *par = at->par;
    double bulk = par[RETURN_BULK], shear = par[RETURN_SHEAR];
    lane grown[6], square = lane_of(0.0);
    for (int k = 0; k < 6; k++) {
        grown[k] = step * load(at->tangent, k);
        store(at->state, k, load(at->state_n, k) + grown[k]);
        lane dev = load(at->stress, k) - 2.0 * shear * grown[k];
        square = square + dev * dev;
        store(at->stress, k, k < 3 ? dev + bulk * v : dev);
    }
    store(at->state, RETURN_P, load(at->state_n, RETURN_P) + dp);
    lane stored = 0.5 * bulk * v * v + square / (4.0 * shear), lost = flow * dp;
    for (int i = 0; i < (int)par[RETURN_N_BACK]; i++) {
        double modulus = par[RETURN_BACK + 2 * i], gamma = par[RETURN_BACK + 2 * i + 1];
        lane theta = 1.0 / (1.0 + gamma * dp);
        square = lane_of(0.0);
        for (int k = 0; k < 6; k++) {
            int row = RETURN_X + 6 * i + k;
            lane x = theta * (load(at->state_n, row) + 2.0 / 3.0 * modulus * grown[k]);
            store(at->state, row, x);
            square = square + x * x;
        }
        stored = stored + 0.75 * square / modulus;
        lost = lost + 1.5 * gamma * square / modulus * dp;
    }
    store(at->energy, 0, stored);
    store(at->energy, 1, lost);
}

/* The tangent from B and W in its own rows; m is `scale` times B. */
static inline void general_return_tangent(double *tangent, double bulk, lane diagonal, lane scale, lane mm, lane wm) {
    lane m[6], w[6], side = bulk - 1.0 / 3.0 * diagonal;
    load6(tangent, 0, m);
    load6(tangent, 6, w);
    for (int k = 0; k < 6; k++) m[k] = scale * m[k];
    mm = mm - wm * dot6(m, w);
    for (int i = 0; i < 6; i++) {
        lane a = mm * m[i] + wm * w[i];
        for (int j = 0; j < 6; j++) {
            lane c = a * m[j];
            if (i < 3 && j < 3) c = c + side;
            if (i == j) c = c + diagonal;
            store(tangent, 6 * i + j, c);
        }
    }
}

/* The trial deviator into `stress`; its q, and the trace of the strain. */
static inline lane general_return_trial(const general_return_place *at, const double *strain, lane *v) {
    double shear2 = 2.0 * at->par[RETURN_SHEAR];
    lane b[6];
    load6(strain, 0, b);
    *v = b[0] + b[1] + b[2];
    for (int k = 0; k < 6; k++) {
        lane dev = b[k] - load(at->state_n, k);
        b[k] = shear2 * (k < 3 ? dev - 1.0 / 3.0 * *v : dev);
    }
    store6(at->stress, 0, b);
    return return_root_3_2 * lane_math_sqrt(dot6(b, b));
}

/* Sum of q(X) over the backstresses. */
static inline lane general_return_back_size(const general_return_place *at) {
    lane sum = lane_of(0.0), x[6];
    for (int i = 0; i < (int)at->par[RETURN_N_BACK]; i++) {
        load6(at->state_n, RETURN_X + 6 * i, x);
        sum = sum + return_root_3_2 * lane_math_sqrt(dot6(x, x));
    }
    return sum;
}

/* One node; returns the failed lanes. */
static inline mask general_return_node(const general_return_place *at, mask running, const double *strain) {
    const double *par = at->par;
    double shear = par[RETURN_SHEAR];
    lane zero = lane_of(0.0), v, turn, drag, drag_slope, q_b, yield_now, slope, p_n = load(at->state_n, RETURN_P);
    lane q_trial = general_return_trial(at, strain, &v), q_bound = general_return_back_size(at) + q_trial;
    mask failed = opposite(less(size_of(v) + q_bound + p_n, lane_of(INFINITY)));
    general_return_relative(at, zero, &q_b, &turn, &drag, &drag_slope);
    hardening_yield((int)par[RETURN_SHAPE], par, RETURN_NUMBERS, RETURN_BACK + 2 * (int)par[RETURN_N_BACK], p_n,
                    &yield_now, &slope);
    mask flows = less(yield_now, q_b) & running;
    general_return_point end = {zero, zero, zero, zero, lane_of(1.0), q_b};
    if (lane_math_any(flows)) failed = failed | general_return_solve(at, q_bound, q_b - yield_now, flows, &end);
    lane scale = choose(flows, return_root_3_2 / end.q_b, zero);
    lane drop = choose(flows, 6.0 * shear * shear * end.dp / end.q_b, zero);
    lane mm = choose(flows, drop - 6.0 * shear * shear / end.d, zero);
    lane wm = choose(flows, 0.0 - return_root_3_2 * drop / end.d, zero);
    lane dp = choose(flows, end.dp, zero), flow = choose(flows, end.flow, zero);
    general_return_finish(at, v, dp, flow, return_root_3_2 * dp * scale);
    lane standing = general_return_standing_shear(at, q_trial, yield_now);
    general_return_tangent(at->tangent, par[RETURN_BULK], choose(flows, 2.0 * shear - drop, standing), scale, mm, wm);
    return failed;
}

static unsigned general_return_kernel(int n, unsigned active, const double *strain, const double *dt,
                                      const double *temperature, const double *parameters, int n_parameters,
                                      const double *state_n, int n_state, double *stress, double *state,
                                      double *tangent, double *energy) {
    (void)temperature, (void)n_parameters;
    mask running = mask_of(active), failed = mask_of(0u);
    for (int node = 0; node < n; node++) {
        long i = (long)MATNET_LANES * node;
        general_return_place at = {parameters,         load(dt, 0),       state_n + n_state * i, stress + 6 * i,
                                   state + n_state * i, tangent + 36 * i, energy + 2 * i};
        failed = failed | general_return_node(&at, running, strain + 6 * i);
    }
    return bits_of(failed) & active;
}

static int general_return_nature(const double *parameters) {
    int nature = parameters[RETURN_RATE] == RETURN_INSTANT ? 0 : MATNET_RATE_DEPENDENT, recall = 0;
    for (int i = 0; i < (int)parameters[RETURN_N_BACK]; i++) recall |= parameters[RETURN_BACK + 2 * i + 1] != 0.0;
    return recall ? nature : nature | MATNET_SYMMETRIC;
}

#endif
