/* The sweeps of the tree Newton; the C twin of matnet/online/lane_sweeps.py, where the equations are derived.

   With the children's stresses s and tangents C, fractions f1 + f2 = 1, D = C2 - C1 and M = H^T (f2 C1 + f1 C2) H,

       d a = J d eps + g,   J = M^-1 H^T D,   g = M^-1 H^T (s2 - s1)
       C = f1 C1 + f2 C2 - f1 f2 D H J,   s = f1 s1 + f2 s2 - f1 f2 D H g

   From the leaves to the root and back this is Gaussian elimination of the Newton system of all jumps a. */

#define SQRT_HALF 0.70710678118654752440
#define PIVOT_FLOOR 1e-13 /* of the trace of both children: pivots below are round-off (void) */

/* Scratch for one block of points; last axis MATNET_LANES. */
struct MATNET_NAME(matnet_work) {
    double *strain;       /* [n_nodes][6] */
    double *correction;   /* [n_nodes][6] strain increments of a Newton step */
    double *stress;       /* [n_nodes][6] condensed */
    double *mean;         /* [n_nodes][6] average of the base nodes' stress */
    double *tangent;      /* [n_nodes][36] */
    double *jump;         /* [n_blocks][6][3] columns of J */
    double *gap;          /* [n_blocks][3] g */
    double *start;        /* [n_blocks][3] jump vectors at the start of the step */
    double *before;       /* [n_blocks][3] increments of the last step */
    double *accepted;     /* [n_blocks][3] */
    double *trial;        /* [n_blocks][3] */
    double *step;         /* [n_blocks][3] */
    double *energy;       /* [n_base][2] stored, dissipated */
    double *state_n;      /* [n_rows] */
    double *state;        /* [n_rows] */
    double *local_strain; /* [n_local][6] */
    double *local_stress; /* [n_local][6] */
    double *local_tangent; /* [n_local][36] */
    double *macro_before; /* [6] increment of the last step */
    double *macro_n;      /* [6] */
    double *macro;        /* [6] */
    double *dt;           /* [1] */
    double *temperature;  /* [n_phases] */
    double *memory;       /* all of these */
    int iterations[MATNET_LANES];
};
typedef struct MATNET_NAME(matnet_work) work_t;

/* Unit normal, and the same times sqrt(1/2) for the shear rows of H. */
static inline void normal_of(const double *normals, int k, double *n) {
    for (int c = 0; c < 3; c++) {
        n[c] = normals[3 * k + c];
        n[3 + c] = SQRT_HALF * n[c];
    }
}

/* H^T s: the traction of a stress. */
static inline void to_interface(const lane *s, const double *n, lane *t) {
    t[0] = s[0] * n[0] + s[3] * n[4] + s[4] * n[5];
    t[1] = s[1] * n[1] + s[3] * n[3] + s[5] * n[5];
    t[2] = s[2] * n[2] + s[4] * n[3] + s[5] * n[4];
}

/* H a: the strain of a jump. */
static inline void from_interface(const lane *a, const double *n, lane *eps) {
    eps[0] = n[0] * a[0];
    eps[1] = n[1] * a[1];
    eps[2] = n[2] * a[2];
    eps[3] = n[4] * a[0] + n[3] * a[1];
    eps[4] = n[5] * a[0] + n[3] * a[2];
    eps[5] = n[5] * a[1] + n[4] * a[2];
}

static inline lane inverse_or_zero(lane d, lane floor) { return choose(less(floor, size_of(d)), 1.0 / d, lane_of(0.0)); }

/* M = L U without exchange of rows; pivots below the floor are left out, as are their unknowns. */
typedef struct {
    lane l10, l20, l21, i0, i1, i2, u01, u02, u12;
} factors;

static inline factors factor(lane m[3][3], lane floor) {
    factors f;
    f.u01 = m[0][1];
    f.u02 = m[0][2];
    f.i0 = inverse_or_zero(m[0][0], floor);
    f.l10 = m[1][0] * f.i0;
    f.l20 = m[2][0] * f.i0;
    f.u12 = m[1][2] - f.l10 * m[0][2];
    f.i1 = inverse_or_zero(m[1][1] - f.l10 * m[0][1], floor);
    f.l21 = (m[2][1] - f.l20 * m[0][1]) * f.i1;
    f.i2 = inverse_or_zero(m[2][2] - f.l20 * m[0][2] - f.l21 * f.u12, floor);
    return f;
}

static inline void solve3(const factors *f, const lane *b, lane *x) {
    lane y1 = b[1] - f->l10 * b[0];
    x[2] = (b[2] - f->l20 * b[0] - f->l21 * y1) * f->i2;
    x[1] = (y1 - f->u12 * x[2]) * f->i1;
    x[0] = (b[0] - f->u01 * x[1] - f->u02 * x[2]) * f->i0;
}

/* Row i of a tangent, or column i; of a symmetric one only the upper triangle is read. */
static inline void load_row(const double *c, int i, int symmetric, lane *row) {
    for (int j = 0; j < 6; j++) row[j] = load(c, symmetric && j < i ? 6 * j + i : 6 * i + j);
}

static inline void load_column(const double *c, int i, lane *column) {
    for (int j = 0; j < 6; j++) column[j] = load(c, 6 * j + i);
}

/* Mean stress of a block and its traction jump r. */
static inline void average(double *mean, int i, int j, double f1, const double *n, int node, lane *r) {
    lane difference[6];
    for (int c = 0; c < 6; c++) {
        lane one = load(mean, 6 * i + c), two = load(mean, 6 * j + c);
        store(mean, 6 * node + c, f1 * one + (1.0 - f1) * two);
        difference[c] = two - one;
    }
    to_interface(difference, n, r);
}

/* p = C1 H and d_h = D H row by row, h_d = D^T H; returns the trace of C1 + C2. */
static inline lane children_on_interface(const double *c1, const double *c2, const double *n, int symmetric, lane p[6][3],
                                         lane d_h[6][3], lane h_d[6][3]) {
    lane trace = lane_of(0.0);
    for (int i = 0; i < 6; i++) {
        lane row[6], q[3];
        load_row(c1, i, symmetric, row);
        trace += row[i];
        to_interface(row, n, p[i]);
        load_row(c2, i, symmetric, row);
        trace += row[i];
        to_interface(row, n, q);
        for (int c = 0; c < 3; c++) d_h[i][c] = q[c] - p[i][c];
        if (!symmetric) {
            lane t1[3];
            load_column(c1, i, row);
            to_interface(row, n, t1);
            load_column(c2, i, row);
            to_interface(row, n, q);
            for (int c = 0; c < 3; c++) h_d[i][c] = q[c] - t1[c];
        }
    }
    return trace;
}

/* LU of M = H^T (f2 C1 H + f1 C2 H), C2 H being D H + C1 H. */
static inline factors pivots(lane p[6][3], lane d_h[6][3], double f1, const double *n, lane trace) {
    lane m[3][3], column[6], t[3];
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 6; i++) column[i] = (1.0 - f1) * p[i][c] + (f1 * d_h[i][c] + f1 * p[i][c]);
        to_interface(column, n, t);
        for (int i = 0; i < 3; i++) m[i][c] = t[i];
    }
    return factor(m, PIVOT_FLOOR * size_of(trace));
}

/* Condense one block; returns r . g of its condensed stresses. */
static inline lane condense_block(const matnet_material *m, work_t *w, int k, const double *n, int symmetric) {
    int i = m->nodes[2 * k], j = m->nodes[2 * k + 1], node = m->n_base + k;
    double f1 = m->fraction[k], f2 = 1.0 - f1, f12 = f1 * f2;
    const double *c1 = w->tangent + (long)36 * MATNET_LANES * i, *c2 = w->tangent + (long)36 * MATNET_LANES * j;
    double *out = w->tangent + (long)36 * MATNET_LANES * node;
    lane p[6][3], d_h[6][3], transposed[6][3], s[6], r[3], g[3], x[6][3];
    lane(*h_d)[3] = symmetric ? d_h : transposed;
    lane trace = children_on_interface(c1, c2, n, symmetric, p, d_h, h_d);
    factors lu = pivots(p, d_h, f1, n, trace);
    for (int c = 0; c < 6; c++) s[c] = load(w->stress, 6 * j + c) - load(w->stress, 6 * i + c);
    to_interface(s, n, r);
    solve3(&lu, r, g);
    store3(w->gap, 3 * k, g);
    for (int c = 0; c < 6; c++) {
        solve3(&lu, h_d[c], x[c]);
        store3(w->jump, 18 * k + 3 * c, x[c]);
        store(w->stress, 6 * node + c,
              f1 * load(w->stress, 6 * i + c) + f2 * load(w->stress, 6 * j + c) - f12 * dot3(d_h[c], g));
    }
    for (int a = 0; a < 6; a++) {
        for (int b = symmetric ? a : 0; b < 6; b++) {
            int at = 6 * a + b;
            store(out, at, f1 * load(c1, at) + f2 * load(c2, at) - f12 * dot3(d_h[a], x[b]));
        }
    }
    return dot3(r, g);
}

/* Leaves to root from the base nodes' tangents and stresses. totals: sums over the blocks, weighted, of the squared
   traction jump of the mean stresses; of its product with the step that led here, which is the potential's slope along
   it, downward; and of the slope that the next Newton step begins with. */
static inline void condense(const matnet_material *m, work_t *w, int symmetric, lane *totals) {
    lane jumps = lane_of(0.0), slope = lane_of(0.0), decrement = lane_of(0.0);
    for (int k = m->n_blocks - 1; k >= 0; k--) {
        lane r[3], step[3];
        double n[6], weight = m->block_weight[k];
        normal_of(m->normals, k, n);
        average(w->mean, m->nodes[2 * k], m->nodes[2 * k + 1], m->fraction[k], n, m->n_base + k, r);
        load3(w->step, 3 * k, step);
        jumps += weight * dot3(r, r);
        slope += weight * dot3(r, step);
        decrement += weight * condense_block(m, w, k, n, symmetric);
    }
    totals[0] = jumps;
    totals[1] = slope;
    totals[2] = decrement;
}

static void condense_symmetric(const matnet_material *m, work_t *w, lane *totals) { condense(m, w, 1, totals); }
static void condense_general(const matnet_material *m, work_t *w, lane *totals) { condense(m, w, 0, totals); }

/* Children's strains eps + f2 H a and eps - f1 H a. */
static inline void hand_down(double *strain, int node, int i, int j, double f1, const double *n, const lane *a) {
    lane part[6];
    from_interface(a, n, part);
    for (int c = 0; c < 6; c++) {
        lane eps = load(strain, 6 * node + c);
        store(strain, 6 * i + c, eps + (1.0 - f1) * part[c]);
        store(strain, 6 * j + c, eps - f1 * part[c]);
    }
}

/* Root to leaves: new Newton steps in the lanes of `fresh_bits`, which accept their last trial; the others keep their
   step and try another length of it. Then trial = accepted + length * step, and the trial strains. */
static void distribute(const matnet_material *m, work_t *w, lane length, unsigned fresh_bits) {
    mask fresh = mask_of(fresh_bits);
    for (int c = 0; c < 6; c++) store(w->correction, 6 * m->n_base + c, lane_of(0.0));
    for (int k = 0; k < m->n_blocks; k++) {
        int i = m->nodes[2 * k], j = m->nodes[2 * k + 1], node = m->n_base + k;
        double n[6], f1 = m->fraction[k];
        lane d_eps[6], made[3], a[3];
        normal_of(m->normals, k, n);
        load6(w->correction, 6 * node, d_eps);
        for (int c = 0; c < 3; c++) {
            made[c] = load(w->gap, 3 * k + c);
            for (int b = 0; b < 6; b++) made[c] += load(w->jump, 18 * k + 3 * b + c) * d_eps[b];
        }
        hand_down(w->correction, node, i, j, f1, n, made);
        for (int c = 0; c < 3; c++) {
            int at = 3 * k + c;
            lane step = choose(fresh, made[c], load(w->step, at));
            lane base = choose(fresh, load(w->trial, at), load(w->accepted, at));
            store(w->step, at, step);
            store(w->accepted, at, base);
            a[c] = base + length * step;
            store(w->trial, at, a[c]);
        }
        hand_down(w->strain, node, i, j, f1, n, a);
    }
}

/* Root to leaves: the first trial, start + share * before + J correction, J being that of the initial stiffness. The
   root's strain and correction (the part of its increment that is taken as elastic) are given. */
static void predict(const matnet_material *m, work_t *w, lane share) {
    for (int k = 0; k < m->n_blocks; k++) {
        int i = m->nodes[2 * k], j = m->nodes[2 * k + 1], node = m->n_base + k;
        double n[6], f1 = m->fraction[k];
        lane d_eps[6], d_a[3], a[3];
        normal_of(m->normals, k, n);
        load6(w->correction, 6 * node, d_eps);
        for (int c = 0; c < 3; c++) {
            const double *row = m->concentration + 18 * k + 6 * c;
            d_a[c] = row[0] * d_eps[0];
            for (int b = 1; b < 6; b++) d_a[c] += row[b] * d_eps[b];
            a[c] = load(w->start, 3 * k + c) + share * load(w->before, 3 * k + c) + d_a[c];
        }
        hand_down(w->correction, node, i, j, f1, n, d_a);
        store3(w->trial, 3 * k, a);
        hand_down(w->strain, node, i, j, f1, n, a);
    }
}
