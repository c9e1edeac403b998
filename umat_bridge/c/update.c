/* The public functions but for reading. */
#include <fenv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "material.h"

enum { FEWEST_IN_LANES = 3 }; /* points from which several at once are faster than one after the other */

#define SQRT_2 1.41421356237309504880

struct matnet_workspace {
    const matnet_material *material;
    matnet_work_wide *wide; /* made when first needed, as is the other */
    matnet_work_1 *one;
};

void matnet_free(matnet_material *m) {
    if (m == NULL) return;
    for (int p = 0; p < m->n_phases && m->phases != NULL; p++) {
        free(m->phases[p].name);
        free(m->phases[p].parameters);
        free(m->phases[p].initial_state);
    }
    free(m->phases);
    free(m->nodes);
    free(m->fraction);
    free(m->normals);
    free(m->block_weight);
    free(m->concentration);
    free(m->base_weight);
    free(m->stiffness);
    free(m->turns);
    free(m->expansion);
    free(m);
}

int matnet_n_state(const matnet_material *m) { return m->n_state; }

int matnet_rate_dependent(const matnet_material *m) { return m->rate_dependent; }

void matnet_stiffness(const matnet_material *m, double *stiffness) {
    memcpy(stiffness, m->effective, sizeof m->effective);
}

void matnet_initial_state(const matnet_material *m, int n_points, double *state) {
    for (int i = 0; i < n_points && m->n_state > 0; i++) {
        double *own = state + (size_t)i * (size_t)m->n_state, *rows = own + MATNET_HEADER + 6 * m->n_blocks;
        for (int c = 0; c < m->n_state; c++) own[c] = 0.0;
        for (int p = 0; p < m->n_phases; p++) {
            const matnet_phase *phase = m->phases + p;
            size_t size = (size_t)phase->n_state;
            for (int node = 0; node < phase->n_nodes && size > 0; node++) {
                memcpy(rows, phase->initial_state, size * sizeof(double));
                rows += size;
            }
        }
    }
}

int matnet_set_options(matnet_material *m, double tol, int max_iterations, int max_cuts) {
    if (!(tol > 0.0 && tol < 1e-2) || max_iterations < 2 || max_cuts < 0 || max_cuts > 60) return MATNET_BAD_ARGUMENT;
    m->tol = tol;
    m->max_iterations = max_iterations;
    m->max_cuts = max_cuts;
    return MATNET_OK;
}

void matnet_enter(fenv_t *callers) {
    fegetenv(callers);
    fesetenv(FE_DFL_ENV);
}

matnet_workspace *matnet_workspace_create(const matnet_material *m) {
    matnet_workspace *workspace = m == NULL ? NULL : calloc(1, sizeof *workspace);
    if (workspace != NULL) workspace->material = m;
    return workspace;
}

void matnet_workspace_free(matnet_workspace *workspace) {
    if (workspace == NULL) return;
    MATNET_WIDE_NAME(matnet_free_work)(workspace->wide);
    matnet_free_work_1(workspace->one);
    free(workspace);
}

/* Without internal variables: one multiplication. */
static void solve_linear(const matnet_material *m, const matnet_points *points) {
    for (size_t i = 0; i < (size_t)points->n; i++) {
        const double *strain = points->strain + 6 * i;
        double *stress = points->stress + 6 * i;
        int finite = points->temperature == NULL || !isinf(points->temperature[i]);
        for (int c = 0; c < 6; c++) finite &= isfinite(strain[c]) != 0;
        for (int c = 0; c < 6; c++) {
            double sum = 0.0;
            for (int d = 0; d < 6; d++) sum += m->effective[6 * c + d] * strain[d];
            stress[c] = finite ? sum : NAN;
        }
        for (int c = 0; c < 36; c++) points->tangent[36 * i + (size_t)c] = finite ? m->effective[c] : NAN;
        points->status[i] = finite ? MATNET_POINT_OK : MATNET_NOT_FINITE;
    }
}

/* Returns MATNET_OK or MATNET_NO_MEMORY. */
static int solve(matnet_workspace *workspace, const matnet_points *points) {
    const matnet_material *m = workspace->material;
    if (m->linear) {
        solve_linear(m, points);
    } else if (MATNET_WIDE > 1 && points->n >= FEWEST_IN_LANES) {
        if (workspace->wide == NULL) workspace->wide = MATNET_WIDE_NAME(matnet_make_work)(m);
        if (workspace->wide == NULL) return MATNET_NO_MEMORY;
        MATNET_WIDE_NAME(matnet_solve)(m, points, workspace->wide);
    } else {
        if (workspace->one == NULL) workspace->one = matnet_make_work_1(m);
        if (workspace->one == NULL) return MATNET_NO_MEMORY;
        matnet_solve_1(m, points, workspace->one);
    }
    return MATNET_OK;
}

/* Whether matnet_update_with may use these. */
static int is_sound(const matnet_workspace *workspace, const matnet_points *points) {
    if (workspace == NULL || points->n < 0 || !(points->dt >= 0.0 && points->dt < HUGE_VAL)) return 0;
    if (points->dt == 0.0 && workspace->material->rate_dependent) return 0;
    if (points->n == 0) return 1;
    int states = workspace->material->n_state == 0 || (points->state_n != NULL && points->state != NULL);
    return points->strain != NULL && points->stress != NULL && points->tangent != NULL && states;
}

int matnet_update_with(matnet_workspace *workspace, int n_points, const double *strain, double dt,
                       const double *temperature, const double *state_n, double *stress, double *tangent,
                       double *state, int *status) {
    matnet_points points = {n_points, dt, strain, temperature, state_n, stress, tangent, state, status};
    int several[64], failed = 0;
    fenv_t callers;
    if (!is_sound(workspace, &points)) return -MATNET_BAD_ARGUMENT;
    int *own = status == NULL && n_points > 64 ? malloc((size_t)n_points * sizeof(int)) : several;
    if (own == NULL) return -MATNET_NO_MEMORY;
    if (status == NULL) points.status = own;
    matnet_enter(&callers);
    int code = n_points == 0 ? MATNET_OK : solve(workspace, &points);
    fesetenv(&callers);
    for (int i = 0; i < n_points && code == MATNET_OK; i++) failed += points.status[i] != MATNET_POINT_OK;
    if (own != several) free(own);
    return code == MATNET_OK ? failed : -code;
}

int matnet_update(const matnet_material *material, int n_points, const double *strain, double dt,
                  const double *temperature, const double *state_n, double *stress, double *tangent, double *state,
                  int *status) {
    matnet_workspace *workspace = material == NULL ? NULL : matnet_workspace_create(material);
    if (workspace == NULL) return material == NULL ? -MATNET_BAD_ARGUMENT : -MATNET_NO_MEMORY;
    int result = matnet_update_with(workspace, n_points, strain, dt, temperature, state_n, stress, tangent, state, status);
    matnet_workspace_free(workspace);
    return result;
}

void matnet_strain_from_engineering(const double *engineering, double *mandel) {
    for (int c = 0; c < 6; c++) mandel[c] = c < 3 ? engineering[c] : engineering[c] / SQRT_2;
}

void matnet_stress_to_engineering(const double *mandel, double *engineering) {
    for (int c = 0; c < 6; c++) engineering[c] = c < 3 ? mandel[c] : mandel[c] / SQRT_2;
}

void matnet_tangent_to_engineering(const double *mandel, double *engineering) {
    for (int c = 0; c < 36; c++) {
        int shears = (c / 6 >= 3) + (c % 6 >= 3);
        engineering[c] = mandel[c] * (shears == 0 ? 1.0 : shears == 1 ? 1.0 / SQRT_2 : 0.5);
    }
}
