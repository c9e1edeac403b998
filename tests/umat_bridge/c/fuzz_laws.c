/* Random parameters for every phase law, for the sanitizers: what its check lets pass, its kernel computes with, on
   arrays that end where they must.

       fuzz_laws SEED TRIALS

   Compiled with -DMATNET_LANES=... Prints how many parameter sets each law took. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "laws/laws.c"

enum { N_NODES = 2, L = MATNET_LANES };

static const int usual[][2] = {{0, 0},  {36, 0}, {11, 7}, {13, 13}, {15, 19}, {15, 7}, {17, 7},  {19, 13}, {6, 12},
                               {9, 18}, {12, 24}, {9, 2}, {9, 7},   {17, 8},  {17, 9}, {21, 8}, {23, 9}};
/* those up to 0.5 pass most checks */
static const double values[] = {0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 0.5, 0.25, 3.0,
                                1e3, 1e-3, 7.0, -1.0, 1e300, 1e-300, -1e300, 5e-324};
enum { N_USUAL = sizeof usual / sizeof usual[0], N_VALUES = sizeof values / sizeof values[0], N_TAME = 8 };

static uint64_t seed;

static unsigned below(unsigned n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((seed >> 33) % n);
}

static double *array_of(int n, int wild) {
    double *array = NULL;
    size_t bytes = sizeof(double) * (size_t)(n > 0 ? n : 1) * L;
    if (posix_memalign((void **)&array, 64, bytes) != 0) exit(1);
    for (int i = 0; i < n * L; i++) {
        array[i] = 1e-5 * ((double)below(2001) - 1000.0);
        if (wild && below(8) == 0) array[i] = below(4) ? values[below(N_VALUES)] : NAN;
    }
    return array;
}

/* The kernel at random strains and states; 1 if it named lanes that are not active. */
static int compute(const matnet_law *law, const double *parameters, int n_parameters, int n_state, int wild) {
    int sizes[] = {6 * N_NODES, 1, 1, n_state * N_NODES, 6 * N_NODES, n_state * N_NODES, 36 * N_NODES, 2 * N_NODES};
    double *arrays[8];
    unsigned active = below(1u << L);
    for (int i = 0; i < 8; i++) arrays[i] = array_of(sizes[i], wild);
    unsigned failed = law->kernel(N_NODES, active, arrays[0], arrays[1], arrays[2], parameters, n_parameters, arrays[3],
                                  n_state, arrays[4], arrays[5], arrays[6], arrays[7]);
    for (int i = 0; i < 8; i++) free(arrays[i]);
    return (failed & ~active) != 0;
}

static int try_law(const matnet_law *law) {
    const int *counts = usual[below(N_USUAL)];
    int n_parameters = counts[0], n_state = counts[1];
    if (below(20) == 0) n_parameters = (int)below(40);
    if (below(20) == 0) n_state = (int)below(40);
    double *parameters = malloc(sizeof(double) * (size_t)(n_parameters > 0 ? n_parameters : 1));
    for (int i = 0; i < n_parameters; i++) parameters[i] = values[below(below(4) ? N_TAME : N_VALUES)];
    int passed = law->check(parameters, n_parameters, n_state) == 0;
    if (passed && compute(law, parameters, n_parameters, n_state, (int)below(2))) {
        printf("%s failed in lanes that nobody asked for\n", law->name);
        exit(1);
    }
    free(parameters);
    return passed;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    seed = strtoull(argv[1], NULL, 10);
    for (size_t i = 0; i < sizeof laws_all / sizeof laws_all[0]; i++) {
        int passed = 0;
        for (long trial = 0; trial < atol(argv[2]); trial++) passed += try_law(laws_all + i);
        printf("%s %d\n", laws_all[i].name, passed);
    }
    return 0;
}
