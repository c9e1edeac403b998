/* Newton's method on the jumps of a network; the C twin of the second half of matnet/online/tree_newton.py.

   An attempt evaluates all phase laws at the trial strains, condenses to the root, and hands a Newton step down; a step
   that does not reduce the traction jumps is shortened. Where an attempt fails, the load increment is approached in
   parts. These parts are one step all the same: each starts from the state at the beginning of the step, so that stress,
   state and tangent do not depend on whether parts were needed. */

#define MOST_AHEAD 4.0            /* times the last increment that the next one is guessed from it */
#define SHORTEST (1.0 / 1024.0)   /* of a Newton step */
#define UPHILL 0.5                /* slope up to which a trial is accepted, over the slope at the step's beginning */
#define FALLEN 0.25               /* squared traction jump below which it is accepted anyway, over the last one */
#define AMPLIFIED 100.0           /* largest strain in the base nodes, over the macroscopic one */
#define RUNAWAY 1e3               /* strain in a base node that no law is meant for */
#define EASY 8                    /* iterations after which the next part is made larger */
#define ROUND_OFF 1e-14           /* of stiffness times strain: what is left of a stress after cancellation */

/* Square of the traction jump that counts as none: of the stress, or of its round-off. Strains far beyond the
   macroscopic ones are a runaway iteration, not a source of round-off; then it is negative. */
static lane accuracy(const matnet_material *m, const work_t *w) {
    lane stress = lane_of(0.0), strain = lane_of(0.0), square = lane_of(0.0), old[6], now[6];
    double stiffness = 0.0;
    for (int i = 0; i < m->n_base; i++) {
        lane sig[6], eps[6];
        load6(w->stress, 6 * i, sig);
        load6(w->strain, 6 * i, eps);
        const double *c = m->stiffness + 36 * i;
        double stiff = c[0] + c[7] + c[14], weight = m->base_weight[i];
        lane size = dot6(eps, eps);
        stress += weight * dot6(sig, sig);
        square = choose(less(square, size), size, square);
        strain += weight * stiff * stiff * size;
        stiffness += weight * stiff * stiff;
    }
    load6(w->macro_n, 0, old);
    load6(w->macro, 0, now);
    lane macro = dot6(old, old) + dot6(now, now);
    lane largest = AMPLIFIED * AMPLIFIED * stiffness * macro;
    strain = choose(less(strain, largest), strain, largest);
    stress = m->tol * m->tol * stress;
    strain = ROUND_OFF * ROUND_OFF * strain;
    mask near = less(square, RUNAWAY * RUNAWAY * (1.0 + macro));
    return choose(near, choose(less(strain, stress), stress, strain), lane_of(-1.0));
}

static void condense_all(const matnet_material *m, work_t *w, lane *totals) {
    memcpy(w->mean, w->stress, sizeof(double) * 6 * MATNET_LANES * (size_t)m->n_base);
    if (m->symmetric) {
        condense_symmetric(m, w, totals);
    } else {
        condense_general(m, w, totals);
    }
}

/* Newton from the trial strains; returns the lanes among `active` that converged.

   Along a Newton step the potential of the increment (for laws that have one) first falls; its slope is at hand without
   evaluating it. A trial is accepted if no law failed and the slope is not yet steeply uphill, or if the traction jumps
   fell anyway; otherwise the step is shortened to where the slope, taken as linear, vanishes. */
static unsigned attempt(const matnet_material *m, work_t *w, unsigned active) {
    const lane zero = lane_of(0.0), one = lane_of(1.0), infinite = lane_of(HUGE_VAL);
    unsigned open_bits = active, done = 0;
    lane alpha = one, last = infinite, start = infinite, totals[3];
    for (int iteration = 0; iteration < m->max_iterations; iteration++) {
        for (int k = 0; k < MATNET_LANES; k++) w->iterations[k] += (int)(open_bits >> k & 1u);
        unsigned failed = evaluate(m, w, open_bits | done);
        condense_all(m, w, totals);
        lane jumps = totals[0], fall = totals[1];
        unsigned good = bits_of(less(jumps, infinite)) & ~failed;
        unsigned there = bits_of(at_most(jumps, accuracy(m, w)));
        unsigned gentle = bits_of(at_most(-UPHILL * start, fall)) | bits_of(at_most(jumps, FALLEN * last));
        unsigned accept = open_bits & good & (there | gentle), closed = open_bits & good & there;
        done |= closed;
        /* nothing to shorten before the first accepted point, or below the shortest step */
        unsigned tried = bits_of(less(last, infinite)) & bits_of(less(lane_of(SHORTEST), alpha));
        open_bits &= ~closed & (accept | tried);
        if (open_bits == 0) break;
        lane shorter = start / (start - fall);
        mask useful = mask_of(good & bits_of(less(lane_of(0.1), shorter)));
        shorter = choose(useful, choose(less(shorter, lane_of(0.5)), shorter, lane_of(0.5)), lane_of(0.1));
        mask accepted = mask_of(accept);
        alpha = choose(accepted, one, shorter * alpha);
        last = choose(accepted, jumps, last);
        start = choose(accepted, totals[2], start);
        distribute(m, w, choose(mask_of(done), zero, alpha), accept | done);
    }
    return done;
}

/* Trial strains for the part from `begin` to `end` of the increment, from the jumps in w->start. */
static void set_target(const matnet_material *m, work_t *w, double begin, double end) {
    lane old[6], now[6], d_eps[6], before[6];
    load6(w->macro_n, 0, old);
    load6(w->macro, 0, now);
    load6(w->macro_before, 0, before);
    int root = m->n_blocks > 0 ? m->n_base : 0;
    for (int c = 0; c < 6; c++) store(w->strain, 6 * root + c, (1.0 - end) * old[c] + end * now[c]);
    if (m->n_blocks == 0) return; /* the only base node is the root */
    /* the part of the increment along the last one goes on as that did, the rest elastically */
    for (int c = 0; c < 6; c++) d_eps[c] = (end - begin) * (now[c] - old[c]);
    const lane zero = lane_of(0.0), most = lane_of(MOST_AHEAD);
    lane length = dot6(before, before);
    lane share = choose(less(zero, length), dot6(before, d_eps) / length, zero);
    share = choose(less(zero, share), choose(less(share, most), share, most), zero);
    for (int c = 0; c < 6; c++) store(w->correction, 6 * root + c, d_eps[c] - share * before[c]);
    predict(m, w, share);
}

/* Approach the whole increment of lane k in parts; returns whether it was reached. */
static int continue_lane(const matnet_material *m, work_t *w, int k, double dt) {
    double reached = 0.0, part = 0.25, shortest = ldexp(1.0, -m->max_cuts);
    long jumps = (long)3 * MATNET_LANES * m->n_blocks;
    while (part >= shortest) {
        double end = reached + part < 1.0 ? reached + part : 1.0;
        w->dt[k] = end * dt;
        int spent = w->iterations[k];
        set_target(m, w, reached, end);
        if (attempt(m, w, 1u << k) == 0) {
            part *= 0.5;
            continue;
        }
        if (end == 1.0) return 1;
        if (w->iterations[k] - spent <= EASY) part *= 2.0;
        for (int i = 0; i < 6 * MATNET_LANES; i++) w->macro_before[i] = (end - reached) * (w->macro[i] - w->macro_n[i]);
        for (long i = 0; i < jumps; i++) {
            w->before[i] = w->trial[i] - w->start[i];
            w->start[i] = w->trial[i];
        }
        reached = end;
    }
    return 0;
}
