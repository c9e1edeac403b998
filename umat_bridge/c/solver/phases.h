/* The phases' answers at the trial strains; the C twin of the first half of matnet/online/tree_newton.py. */

/* matrix [6][6] times v, or its transpose times v. */
static inline void times(const double *matrix, const lane *v, lane *out) {
    for (int i = 0; i < 6; i++) {
        const double *row = matrix + 6 * i;
        out[i] = v[0] * row[0] + v[1] * row[1] + v[2] * row[2] + v[3] * row[3] + v[4] * row[4] + v[5] * row[5];
    }
}

static inline void transposed_times(const double *matrix, const lane *v, lane *out) {
    for (int i = 0; i < 6; i++) {
        const double *c = matrix + i;
        out[i] = v[0] * c[0] + v[1] * c[6] + v[2] * c[12] + v[3] * c[18] + v[4] * c[24] + v[5] * c[30];
    }
}

/* Stress and energy of the base nodes of a linear phase. */
static void linear_phase(const matnet_material *m, work_t *w, int p) {
    const matnet_phase *phase = m->phases + p;
    lane warming = load(w->temperature, p) - phase->reference;
    for (int i = phase->first_node; i < phase->first_node + phase->n_nodes; i++) {
        const double *expansion = m->expansion + 6 * i;
        lane eps[6], sig[6];
        for (int c = 0; c < 6; c++) eps[c] = load(w->strain, 6 * i + c) - expansion[c] * warming;
        times(m->stiffness + 36 * i, eps, sig);
        store6(w->stress, 6 * i, sig);
        store(w->energy, 2 * i, 0.5 * dot6(sig, eps));
    }
}

/* Strains in the law's frame, without thermal strain. */
static void to_local(const matnet_material *m, work_t *w, int p) {
    const matnet_phase *phase = m->phases + p;
    lane warming = load(w->temperature, p) - phase->reference;
    for (int at = 0; at < phase->n_nodes; at++) {
        int i = phase->first_node + at;
        lane eps[6], own[6];
        load6(w->strain, 6 * i, eps);
        transposed_times(m->turns + 36 * i, eps, own);
        for (int c = 0; c < 6; c++) own[c] = own[c] - m->expansion[6 * i + c] * warming;
        store6(w->local_strain, 6 * at, own);
    }
}

/* Q C Q^T, column by column of Q^T. */
static inline void turn_tangent(const double *turn, const double *c, int symmetric, double *out) {
    lane half[6][6], row[6];
    for (int i = 0; i < 6; i++) {
        load_row(c, i, symmetric, row);
        times(turn, row, half[i]);
    }
    for (int k = 0; k < 6; k++) {
        const double *q = turn + 6 * k;
        for (int j = 0; j < 6; j++) {
            row[j] = (q[0] * half[0][j] + q[1] * half[1][j]) + (q[2] * half[2][j] + q[3] * half[3][j]) +
                     (q[4] * half[4][j] + q[5] * half[5][j]);
        }
        store6(out, 6 * k, row);
    }
}

/* Stresses and tangents back into the global frame. */
static void from_local(const matnet_material *m, work_t *w, int p) {
    const matnet_phase *phase = m->phases + p;
    for (int at = 0; at < phase->n_nodes; at++) {
        int i = phase->first_node + at;
        const double *turn = m->turns + 36 * i;
        lane own[6], sig[6];
        load6(w->local_stress, 6 * at, own);
        times(turn, own, sig);
        store6(w->stress, 6 * i, sig);
        turn_tangent(turn, w->local_tangent + (long)36 * MATNET_LANES * at, phase->symmetric,
                     w->tangent + (long)36 * MATNET_LANES * i);
    }
}

/* Lower triangles of a symmetric law's tangents, for sweeps that read them. */
static void fill_lower(const matnet_material *m, work_t *w, int p) {
    const matnet_phase *phase = m->phases + p;
    for (int i = phase->first_node; i < phase->first_node + phase->n_nodes; i++) {
        double *c = w->tangent + (long)36 * MATNET_LANES * i;
        for (int a = 1; a < 6; a++) {
            for (int b = 0; b < a; b++) store(c, 6 * a + b, load(c, 6 * b + a));
        }
    }
}

/* Evaluate a phase's law at all its base nodes; returns the failed lanes. */
static unsigned call_law(const matnet_material *m, work_t *w, int p, unsigned active) {
    const matnet_phase *phase = m->phases + p;
    const matnet_law *law = MATNET_LANES == 1 ? phase->law_1 : phase->law_wide;
    long first = (long)MATNET_LANES * phase->first_node, row = (long)MATNET_LANES * phase->first_row;
    double *strain = w->strain + 6 * first, *stress = w->stress + 6 * first, *tangent = w->tangent + 36 * first;
    if (phase->is_local) {
        to_local(m, w, p);
        strain = w->local_strain;
        stress = w->local_stress;
        tangent = w->local_tangent;
    }
    unsigned failed =
        law->kernel(phase->n_nodes, active, strain, w->dt, w->temperature + (long)MATNET_LANES * p, phase->parameters,
                    phase->n_parameters, w->state_n + row, phase->n_state, stress, w->state + row, tangent,
                    w->energy + 2 * first);
    if (phase->is_local) {
        from_local(m, w, p);
    } else if (phase->symmetric && !m->symmetric) {
        fill_lower(m, w, p);
    }
    return failed;
}

/* All phases at the base nodes' strains; returns the failed lanes. */
static unsigned evaluate(const matnet_material *m, work_t *w, unsigned active) {
    unsigned failed = 0;
    for (int p = 0; p < m->n_phases; p++) {
        if (m->phases[p].n_nodes == 0) continue;
        if (m->phases[p].kind == MATNET_LINEAR) linear_phase(m, w, p);
        if (m->phases[p].kind == MATNET_NONLINEAR) failed |= call_law(m, w, p, active);
    }
    return failed;
}
