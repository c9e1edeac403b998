/* From a tree with phases to the arrays that the solver walks; the C twin of matnet/online/plan.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "material.h"

#define SQRT_HALF 0.70710678118654752440
#define PIVOT_FLOOR 1e-13 /* of the weighted trace of both children: pivots below are round-off */

/* Tensor components of the Mandel order. */
static const int row_of[6] = {0, 1, 2, 0, 0, 1}, column_of[6] = {0, 1, 2, 1, 2, 2};

/* Mandel matrix [6][6] of a rotation [3][3]: Q a Q^T becomes turn a. */
static void turn_of(const double *q, double *turn) {
    for (int a = 0; a < 6; a++) {
        int i = row_of[a], j = column_of[a];
        double scale = a < 3 ? 1.0 : 2.0 * SQRT_HALF;
        for (int b = 0; b < 6; b++) {
            int k = row_of[b], l = column_of[b];
            double value = q[3 * i + k] * q[3 * j + l];
            if (b >= 3) value = (value + q[3 * i + l] * q[3 * j + k]) * SQRT_HALF;
            turn[6 * a + b] = scale * value;
        }
    }
}

static void identity(double *turn) {
    for (int a = 0; a < 36; a++) turn[a] = a % 7 == 0 ? 1.0 : 0.0;
}

/* R C R^T */
static void turned(const double *r, const double *c, double *out) {
    double half[36];
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            half[6 * i + j] = 0.0;
            for (int k = 0; k < 6; k++) half[6 * i + j] += r[6 * i + k] * c[6 * k + j];
        }
    }
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            out[6 * i + j] = 0.0;
            for (int k = 0; k < 6; k++) out[6 * i + j] += half[6 * i + k] * r[6 * j + k];
        }
    }
}

/* out [6][3] = c [6][6] H(n), using the three nonzero entries of each column of H. */
static void apply_interface(const double *c, const double *n, double *out) {
    for (int i = 0; i < 6; i++) {
        const double *row = c + 6 * i;
        out[3 * i] = row[0] * n[0] + SQRT_HALF * (row[3] * n[1] + row[4] * n[2]);
        out[3 * i + 1] = row[1] * n[1] + SQRT_HALF * (row[3] * n[0] + row[5] * n[2]);
        out[3 * i + 2] = row[2] * n[2] + SQRT_HALF * (row[4] * n[0] + row[5] * n[1]);
    }
}

/* out [3][3] = H(n)^T a [6][3] */
static void apply_interface_transposed(const double *a, const double *n, double *out) {
    for (int j = 0; j < 3; j++) {
        out[j] = a[j] * n[0] + SQRT_HALF * (a[9 + j] * n[1] + a[12 + j] * n[2]);
        out[3 + j] = a[3 + j] * n[1] + SQRT_HALF * (a[9 + j] * n[0] + a[15 + j] * n[2]);
        out[6 + j] = a[6 + j] * n[2] + SQRT_HALF * (a[12 + j] * n[0] + a[15 + j] * n[1]);
    }
}

static double inverse_or_zero(double pivot, double floor) { return pivot > floor ? 1.0 / pivot : 0.0; }

/* Solve m x = rhs^T for rhs [6][3], x [3][6] by L D L^T, skipping pivots below the floor. */
static void semidefinite_solve(const double *m, double floor, const double *rhs, double *x) {
    double i0 = inverse_or_zero(m[0], floor), l10 = m[3] * i0, l20 = m[6] * i0;
    double i1 = inverse_or_zero(m[4] - l10 * m[3], floor), c21 = m[7] - l20 * m[3], l21 = c21 * i1;
    double i2 = inverse_or_zero(m[8] - l20 * m[6] - l21 * c21, floor);
    for (int k = 0; k < 6; k++) {
        double y0 = rhs[3 * k], y1 = rhs[3 * k + 1] - l10 * y0, y2 = rhs[3 * k + 2] - l20 * y0 - l21 * y1;
        x[12 + k] = y2 * i2;
        x[6 + k] = y1 * i1 - l21 * x[12 + k];
        x[k] = y0 * i0 - l10 * x[6 + k] - l20 * x[12 + k];
    }
}

/* One block of linear children: its stiffness c [6][6] and the jump matrix a [3][6]; see matnet/online/condense.py. */
static void laminate(const double *c1, const double *c2, double f1, const double *n, double *c, double *a) {
    double mixed[36], jump[36], mixed_h[18], jump_h[18], m[9], trace = 0.0, f2 = 1.0 - f1;
    for (int i = 0; i < 36; i++) {
        mixed[i] = f2 * c1[i] + f1 * c2[i];
        jump[i] = c2[i] - c1[i];
    }
    for (int i = 0; i < 6; i++) trace += mixed[7 * i];
    apply_interface(mixed, n, mixed_h);
    apply_interface(jump, n, jump_h);
    apply_interface_transposed(mixed_h, n, m);
    semidefinite_solve(m, PIVOT_FLOOR * trace, jump_h, a);
    for (int i = 0; i < 6; i++) {
        for (int j = i; j < 6; j++) {
            const double *d = jump_h + 3 * i;
            double drop = d[0] * a[j] + d[1] * a[6 + j] + d[2] * a[12 + j];
            c[6 * i + j] = f1 * c1[6 * i + j] + f2 * c2[6 * i + j] - f1 * f2 * drop;
            c[6 * j + i] = c[6 * i + j];
        }
    }
}

/* Base nodes sorted by phase: order [n_base] gives each its number in the file, rank is the inverse. */
static void sort_nodes(matnet_material *m, const int *base_phase, int *order, int *rank) {
    int node = 0, row = 0;
    for (int p = 0; p < m->n_phases; p++) {
        matnet_phase *phase = m->phases + p;
        phase->first_node = node;
        phase->first_row = row;
        for (int i = 0; i < m->n_base; i++) {
            if (base_phase[i] != p) continue;
            rank[i] = node;
            order[node++] = i;
        }
        phase->n_nodes = node - phase->first_node;
        row += phase->n_nodes * phase->n_state;
    }
    m->n_rows = row;
}

/* Children as node numbers, fractions and weights of the blocks. */
static void lay_out_blocks(matnet_material *m, const matnet_tree *tree, const int *rank, double *volume) {
    for (int k = m->n_blocks - 1; k >= 0; k--) {
        double side[2];
        for (int s = 0; s < 2; s++) {
            int child = tree->children[2 * k + s];
            side[s] = child < 0 ? tree->weights[-(child + 1)] : volume[child];
            m->nodes[2 * k + s] = child < 0 ? rank[-(child + 1)] : m->n_base + child;
        }
        volume[k] = side[0] + side[1];
        m->fraction[k] = side[0] / volume[k];
        m->block_weight[k] = volume[k] * m->fraction[k] * (1.0 - m->fraction[k]);
    }
}

/* Stiffness, frame and thermal expansion of the base nodes of a phase. */
static void lay_out_nodes(matnet_material *m, const matnet_tree *tree, const int *order, const matnet_phase *phase) {
    for (int i = phase->first_node; i < phase->first_node + phase->n_nodes; i++) {
        double frame[36], *turn = m->turns + 36 * i, *expansion = m->expansion + 6 * i;
        int turns = tree->rotations != NULL && !phase->isotropic && phase->kind == MATNET_NONLINEAR;
        identity(frame);
        if (tree->rotations != NULL) turn_of(tree->rotations + 9 * order[i], frame);
        identity(turn);
        if (turns) memcpy(turn, frame, sizeof frame);
        turned(frame, phase->stiffness, m->stiffness + 36 * i);
        for (int a = 0; a < 6; a++) {
            expansion[a] = turns ? phase->expansion[a] : 0.0;
            for (int b = 0; b < 6 && !turns; b++) expansion[a] += frame[6 * a + b] * phase->expansion[b];
        }
        m->base_weight[i] = tree->weights[order[i]];
    }
}

/* Effective stiffness, and the jumps of each block at the initial stiffness. `blocks` is [n_blocks][36] scratch. */
static void homogenize(matnet_material *m, double *blocks) {
    const double *effective = m->stiffness;
    for (int k = m->n_blocks - 1; k >= 0; k--) {
        const double *child[2];
        for (int s = 0; s < 2; s++) {
            int node = m->nodes[2 * k + s];
            child[s] = node < m->n_base ? m->stiffness + 36 * node : blocks + 36 * (node - m->n_base);
        }
        laminate(child[0], child[1], m->fraction[k], m->normals + 3 * k, blocks + 36 * k, m->concentration + 18 * k);
        effective = blocks + 36 * k;
    }
    memcpy(m->effective, effective, sizeof m->effective);
}

/* What follows from all phases together. */
static void sum_up(matnet_material *m, int rotated) {
    m->linear = m->symmetric = 1;
    m->rate_dependent = m->n_local = 0;
    for (int p = 0; p < m->n_phases; p++) {
        matnet_phase *phase = m->phases + p;
        int expands = 0;
        for (int c = 0; c < 6; c++) expands |= phase->expansion[c] != 0.0;
        if (phase->kind == MATNET_NONLINEAR || expands) m->linear = 0;
        phase->is_local = phase->kind == MATNET_NONLINEAR && (expands || (rotated && !phase->isotropic));
        if (phase->is_local && phase->n_nodes > m->n_local) m->n_local = phase->n_nodes;
        m->symmetric &= phase->symmetric;
        m->rate_dependent |= phase->rate_dependent;
    }
    m->n_state = m->linear ? 0 : MATNET_HEADER + 6 * m->n_blocks + m->n_rows;
}

int matnet_make_plan(matnet_material *m, const matnet_tree *tree) {
    size_t n_base = (size_t)m->n_base;
    int *order = malloc(2 * n_base * sizeof(int));
    double *scratch = malloc(36 * n_base * sizeof(double));
    if (order != NULL && scratch != NULL) {
        sort_nodes(m, tree->base_phase, order, order + n_base);
        sum_up(m, tree->rotations != NULL);
        lay_out_blocks(m, tree, order + n_base, scratch);
        for (int p = 0; p < m->n_phases; p++) lay_out_nodes(m, tree, order, m->phases + p);
        homogenize(m, scratch);
    }
    int status = order != NULL && scratch != NULL ? MATNET_OK : MATNET_NO_MEMORY;
    free(order);
    free(scratch);
    return status;
}
