/* Points in, points out; the C twin of matnet/online/batch.py. */

/* The arrays of the scratch in one piece: with memory NULL, only count. Every length is a multiple of MATNET_LANES. */
static size_t lay_out(const matnet_material *m, work_t *w, double *memory) {
    size_t n_base = (size_t)m->n_base, n_blocks = (size_t)m->n_blocks, n_nodes = n_base + n_blocks;
    size_t n_rows = (size_t)m->n_rows, n_local = (size_t)m->n_local, used = 0;
    struct {
        double **array;
        size_t rows;
    } parts[] = {
        {&w->strain, 6 * n_nodes},       {&w->correction, 6 * n_nodes},     {&w->stress, 6 * n_nodes},
        {&w->mean, 6 * n_nodes},         {&w->tangent, 36 * n_nodes},       {&w->jump, 18 * n_blocks},
        {&w->gap, 3 * n_blocks},         {&w->start, 3 * n_blocks},         {&w->before, 3 * n_blocks},
        {&w->accepted, 3 * n_blocks},    {&w->trial, 3 * n_blocks},         {&w->step, 3 * n_blocks},
        {&w->energy, 2 * n_base},        {&w->state_n, n_rows},             {&w->state, n_rows},
        {&w->local_strain, 6 * n_local}, {&w->local_stress, 6 * n_local},   {&w->local_tangent, 36 * n_local},
        {&w->macro_before, 6},           {&w->macro_n, 6},                  {&w->macro, 6},
        {&w->dt, 1},                     {&w->temperature, (size_t)m->n_phases},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (memory != NULL) *parts[i].array = memory + used;
        used += MATNET_LANES * parts[i].rows;
    }
    return used;
}

work_t *MATNET_NAME(matnet_make_work)(const matnet_material *m) {
    work_t *w = calloc(1, sizeof *w);
    if (w == NULL) return NULL;
    w->memory = calloc(lay_out(m, w, NULL) + 8, sizeof(double));
    if (w->memory == NULL) {
        free(w);
        return NULL;
    }
    lay_out(m, w, w->memory + (64 - (uintptr_t)w->memory % 64) % 64 / sizeof(double));
    for (int p = 0; p < m->n_phases; p++) { /* tangents of linear base nodes never change */
        if (m->phases[p].kind == MATNET_NONLINEAR) continue;
        int first = m->phases[p].first_node;
        for (int row = 36 * first; row < 36 * (first + m->phases[p].n_nodes); row++) {
            store(w->tangent, row, lane_of(m->stiffness[row]));
        }
    }
    return w;
}

void MATNET_NAME(matnet_free_work)(work_t *w) {
    if (w == NULL) return;
    free(w->memory);
    free(w);
}

/* Point i into lane k; returns 0 if its strain (then taken as zero), temperature or state is not finite. */
static unsigned gather(const matnet_material *m, const matnet_points *points, work_t *w, int i, int k) {
    const double *state_n = points->state_n + (size_t)i * (size_t)m->n_state, *strain = points->strain + 6 * (size_t)i;
    const double *jumps = state_n + MATNET_HEADER, *rows = jumps + 6 * m->n_blocks;
    const int n_jumps = 3 * m->n_blocks;
    double given = points->temperature == NULL ? NAN : points->temperature[i];
    unsigned finite = !isinf(given);
    for (int c = 0; c < m->n_state; c++) finite &= isfinite(state_n[c]) != 0;
    for (int c = 0; c < 6; c++) finite &= isfinite(strain[c]) != 0;
    for (int c = 0; c < 6; c++) {
        w->macro_n[MATNET_LANES * c + k] = state_n[c];
        w->macro_before[MATNET_LANES * c + k] = state_n[MATNET_HEADER - 6 + c];
        w->macro[MATNET_LANES * c + k] = finite ? strain[c] : 0.0;
    }
    for (int c = 0; c < n_jumps; c++) {
        w->start[MATNET_LANES * c + k] = jumps[c];
        w->before[MATNET_LANES * c + k] = jumps[n_jumps + c];
    }
    for (int c = 0; c < m->n_rows; c++) w->state_n[MATNET_LANES * c + k] = rows[c];
    for (int p = 0; p < m->n_phases; p++) {
        w->temperature[MATNET_LANES * p + k] = isfinite(given) ? given : m->phases[p].reference;
    }
    w->dt[k] = points->dt;
    w->iterations[k] = 0;
    return finite;
}

/* Results of lane k to point i. The old state may lie where the new one goes. */
static void scatter(const matnet_material *m, const matnet_points *points, const work_t *w, int i, int k) {
    const int root = m->n_blocks > 0 ? m->n_base : 0, n_jumps = 3 * m->n_blocks;
    const double *state_n = points->state_n + (size_t)i * (size_t)m->n_state;
    double *state = points->state + (size_t)i * (size_t)m->n_state, stored = 0.0, dissipated = 0.0;
    double *jumps = state + MATNET_HEADER, *rows = jumps + 2 * n_jumps, *tangent = points->tangent + 36 * (size_t)i;
    for (int c = 0; c < 6; c++) {
        double now = w->macro[MATNET_LANES * c + k], old = state_n[c];
        points->stress[6 * (size_t)i + (size_t)c] = w->stress[MATNET_LANES * (6 * root + c) + k];
        state[c] = now;
        state[MATNET_HEADER - 6 + c] = now - old;
        for (int d = 0; d < 6; d++) {
            int at = m->symmetric && d < c ? 6 * d + c : 6 * c + d;
            tangent[6 * c + d] = w->tangent[MATNET_LANES * (36 * root + at) + k];
        }
    }
    for (int b = 0; b < m->n_base; b++) {
        stored += m->base_weight[b] * w->energy[MATNET_LANES * (2 * b) + k];
        dissipated += m->base_weight[b] * w->energy[MATNET_LANES * (2 * b + 1) + k];
    }
    state[6] = stored;
    state[7] = state_n[7] + dissipated;
    for (int c = 0; c < n_jumps; c++) {
        double now = w->trial[MATNET_LANES * c + k], old = state_n[MATNET_HEADER + c];
        jumps[c] = now;
        jumps[n_jumps + c] = now - old;
    }
    for (int c = 0; c < m->n_rows; c++) rows[c] = w->state[MATNET_LANES * c + k];
}

/* Point i keeps its old state, its results are NaN. */
static void give_up(const matnet_material *m, const matnet_points *points, int i) {
    const size_t at = (size_t)i * (size_t)m->n_state, size = (size_t)m->n_state;
    for (size_t c = 0; c < 6; c++) points->stress[6 * (size_t)i + c] = NAN;
    for (size_t c = 0; c < 36; c++) points->tangent[36 * (size_t)i + c] = NAN;
    if (points->state != points->state_n) memcpy(points->state + at, points->state_n + at, size * sizeof(double));
}

void MATNET_NAME(matnet_solve)(const matnet_material *m, const matnet_points *points, work_t *w) {
    int count;
    for (int begin = 0; begin < points->n; begin += count) {
        count = points->n - begin < MATNET_LANES ? points->n - begin : MATNET_LANES;
        unsigned active = 0;
        for (int k = 0; k < MATNET_LANES; k++) {
            active |= gather(m, points, w, begin + (k < count ? k : count - 1), k) << k;
        }
        active &= (1u << count) - 1u;
        set_target(m, w, 0.0, 1.0);
        unsigned done = active ? attempt(m, w, active) : 0u;
        for (int k = 0; k < count; k++) {
            if (done >> k & 1u) scatter(m, points, w, begin + k, k);
        }
        for (int k = 0; k < count; k++) {
            int i = begin + k, status = active >> k & 1u ? MATNET_POINT_OK : MATNET_NOT_FINITE;
            if ((active & ~done) >> k & 1u) {
                gather(m, points, w, i, k);
                status = continue_lane(m, w, k, points->dt) ? MATNET_POINT_OK : MATNET_NOT_CONVERGED;
                if (status == MATNET_POINT_OK) scatter(m, points, w, i, k);
            }
            if (status != MATNET_POINT_OK) give_up(m, points, i);
            points->status[i] = status;
        }
    }
}
