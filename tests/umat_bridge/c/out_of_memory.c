/* Reading and updating with every allocation failing in turn:  out_of_memory FILE...

   Linked with  -Wl,--wrap=malloc,--wrap=calloc,--wrap=free,  so that the library's allocations come here. The k-th one fails,
   for k = 1, 2, ... until none does: each time the answer has to be MATNET_NO_MEMORY with a sentence, and nothing may be
   left allocated. Prints the number of allocations tried; returns 1 if an answer was wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matnet_umat.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *memory);

static long until_failure = -1, live;

static void *counted(void *memory) {
    live += memory != NULL;
    return memory;
}

static int fails(void) { return until_failure > 0 && --until_failure == 0; }

void *__wrap_malloc(size_t size) { return fails() ? NULL : counted(__real_malloc(size)); }

void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : counted(__real_calloc(n, size)); }

void __wrap_free(void *memory) {
    live -= memory != NULL;
    __real_free(memory);
}

enum { MOST_POINTS = 70 };

/* One read and two updates; 0 if the answers make sense. *failed: whether memory was missing. */
static int use(const char *path, long k, int *failed) {
    static double strain[6 * MOST_POINTS], stress[6 * MOST_POINTS], tangent[36 * MOST_POINTS];
    char message[128] = "";
    matnet_material *material;
    until_failure = k;
    int code = matnet_read(path, &material, message, sizeof message);
    *failed = code == MATNET_NO_MEMORY;
    if (code != MATNET_OK) return !(*failed && material == NULL && strstr(message, ": no memory.") != NULL);
    int n[] = {1, MOST_POINTS}, wrong = 0;
    size_t n_state = (size_t)matnet_n_state(material);
    double *state = __real_calloc(n_state * MOST_POINTS + 1, sizeof(double));
    if (state == NULL) exit(2);
    matnet_initial_state(material, MOST_POINTS, state);
    for (int i = 0; i < 2 && !*failed; i++) {
        code = matnet_update(material, n[i], strain, 1.0, NULL, state, stress, tangent, state, NULL);
        *failed = code == -MATNET_NO_MEMORY;
        wrong |= code != 0 && !*failed;
    }
    __real_free(state);
    matnet_free(material);
    return wrong;
}

int main(int n, char **arguments) {
    long tried = 0;
    for (int i = 1; i < n; i++) {
        int failed = 1;
        for (long k = 1; failed; k++) {
            int wrong = use(arguments[i], k, &failed);
            if (wrong || live != 0 || k > 10000) {
                printf("%s: allocation %ld: wrong %d, %ld left\n", arguments[i], k, wrong, live);
                return 1;
            }
            tried += failed;
        }
    }
    printf("allocations failed: %ld\n", tried);
    return n < 2;
}
