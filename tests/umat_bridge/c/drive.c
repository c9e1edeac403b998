/* Drives materials the way FE codes do, for the sanitizers and the comparison of threads:

       drive FILE...

   For each .matnet file: several random steps of a batch, computed in one call; by 8 threads with a workspace each, on
   pieces of different sizes; with the new state written over the old one; and point by point with matnet_update. Says
   what differs and returns 1, or prints one line per file. */
#define _POSIX_C_SOURCE 200112L
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matnet_umat.h"

enum { N_POINTS = 150, N_STEPS = 3, N_THREADS = 8 };

typedef struct {
    const matnet_material *material;
    int first, n, failed;
    double dt;
    const double *strain, *temperature, *state_n;
    double *stress, *tangent, *state;
    int *status;
} piece;

static void *update_piece(void *argument) {
    piece *p = argument;
    size_t first = (size_t)p->first, n_state = (size_t)matnet_n_state(p->material);
    matnet_workspace *workspace = matnet_workspace_create(p->material);
    p->failed = matnet_update_with(workspace, p->n, p->strain + 6 * first, p->dt, p->temperature + first,
                                   p->state_n + n_state * first, p->stress + 6 * first, p->tangent + 36 * first,
                                   p->state + n_state * first, p->status + first);
    matnet_workspace_free(workspace);
    return NULL;
}

/* As one call, but 8 threads at once; returns the failed points. */
static int update_in_threads(const piece *all) {
    pthread_t threads[N_THREADS];
    piece pieces[N_THREADS];
    int first = 0, failed = 0;
    for (int t = 0; t < N_THREADS; t++) {
        pieces[t] = *all;
        pieces[t].first = first;
        pieces[t].n = t + 1 < N_THREADS ? 9 + 2 * t : N_POINTS - first; /* not multiples of 8 */
        first += pieces[t].n;
        if (pthread_create(threads + t, NULL, update_piece, pieces + t) != 0) exit(2);
    }
    for (int t = 0; t < N_THREADS; t++) {
        pthread_join(threads[t], NULL);
        failed += pieces[t].failed;
    }
    return failed;
}

static double *numbers(size_t n) {
    double *array = calloc(n > 0 ? n : 1, sizeof *array);
    if (array == NULL) exit(2);
    return array;
}

static double uniform(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (double)(*seed >> 8) / 16777216.0 - 0.5;
}

static int differ(const char *what, const double *a, const double *b, size_t n) {
    if (memcmp(a, b, n * sizeof *a) == 0) return 0;
    printf("%s: other bits\n", what);
    return 1;
}

/* Point by point takes another path through the processor; equal to round-off. */
static int differ_by_points(const piece *all, const double *stress, const double *tangent) {
    double own[6], c[36], *state = numbers((size_t)matnet_n_state(all->material));
    for (int i = 0; i < N_POINTS; i++) {
        int status, failed = matnet_update(all->material, 1, all->strain + 6 * i, all->dt, all->temperature + i,
                                           all->state_n + i * matnet_n_state(all->material), own, c, state, &status);
        double error = 0.0, size = 0.0;
        for (int k = 0; k < 6; k++) {
            error += fabs(own[k] - stress[6 * i + k]) + 1e-3 * fabs(c[7 * k] - tangent[36 * i + 7 * k]);
            size += fabs(stress[6 * i + k]) + 1e-3 * fabs(tangent[36 * i + 7 * k]);
        }
        if (failed != (status != 0) || (status == 0 && !(error <= 1e-9 * size))) {
            printf("point %d by itself: status %d, error %g of %g\n", i, status, error, size);
            free(state);
            return 1;
        }
    }
    free(state);
    return 0;
}

static int drive(const char *path) {
    char message[256];
    matnet_material *material;
    if (matnet_read(path, &material, message, sizeof message) != MATNET_OK) {
        printf("%s\n", message);
        return 1;
    }
    const size_t n_state = (size_t)matnet_n_state(material) * N_POINTS;
    double *strain = numbers(6 * N_POINTS), *temperature = numbers(N_POINTS), *state_n = numbers(n_state);
    double *stress[2] = {numbers(6 * N_POINTS), numbers(6 * N_POINTS)}, *state[2] = {numbers(n_state), numbers(n_state)};
    double *tangent[2] = {numbers(36 * N_POINTS), numbers(36 * N_POINTS)};
    int status[2][N_POINTS], wrong = 0, most_failed = 0;
    unsigned seed = 7;
    matnet_initial_state(material, N_POINTS, state_n);
    for (int step = 0; step < N_STEPS && !wrong; step++) {
        for (int i = 0; i < 6 * N_POINTS; i++) strain[i] += 4e-3 * uniform(&seed);
        for (int i = 0; i < N_POINTS; i++) temperature[i] = i % 3 == 0 ? NAN : 300.0 + 20.0 * uniform(&seed);
        double kept = strain[6 * 77];
        if (step == 1) strain[6 * 77] = NAN;
        piece all = {material, 0, N_POINTS, 0, 0.5, strain, temperature, state_n, stress[0], tangent[0], state[0], status[0]};
        update_piece(&all);
        most_failed = all.failed > most_failed ? all.failed : most_failed;
        wrong |= differ_by_points(&all, stress[0], tangent[0]);
        piece threaded = all;
        threaded.stress = stress[1];
        threaded.tangent = tangent[1];
        threaded.state = state[1];
        threaded.status = status[1];
        wrong |= update_in_threads(&threaded) != all.failed;
        wrong |= differ("stress in threads", stress[0], stress[1], 6 * N_POINTS);
        wrong |= differ("tangent in threads", tangent[0], tangent[1], 36 * N_POINTS);
        wrong |= differ("state in threads", state[0], state[1], n_state);
        wrong |= memcmp(status[0], status[1], sizeof status[0]) != 0;
        threaded.state = state_n; /* over the old one */
        update_piece(&threaded);
        wrong |= differ("stress in place", stress[0], stress[1], 6 * N_POINTS);
        wrong |= differ("state in place", state[0], state_n, n_state);
        strain[6 * 77] = kept;
    }
    printf("%s %d of %d points failed at most, %d state variables\n", wrong ? "WRONG:" : "same:", most_failed, N_POINTS,
           matnet_n_state(material));
    matnet_free(material);
    free(strain);
    free(temperature);
    free(state_n);
    for (int k = 0; k < 2; k++) {
        free(stress[k]);
        free(tangent[k]);
        free(state[k]);
    }
    return wrong;
}

int main(int n, char **paths) {
    int wrong = 0;
    for (int i = 1; i < n; i++) wrong |= drive(paths[i]);
    return wrong || n < 2;
}
