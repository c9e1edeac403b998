/* The library in the environments that FE codes leave behind:  environment FILE...

   The answers for each file have to be the same bits, and the environment the same afterwards, when floating-point
   errors are trapped, when numbers are rounded upward, when tiny ones count as zero, and when numbers have another decimal
   point. For the last one this is linked with  -Wl,--wrap=localeconv,--wrap=strtod . Also calls functions with missing
   arguments. Returns 1, and says why, if an answer was wrong. */
#define _GNU_SOURCE
#include <fenv.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "matnet_umat.h"

enum { N = 19 };

struct lconv *__wrap_localeconv(void);
double __wrap_strtod(const char *text, char **end);
double __real_strtod(const char *text, char **end);

static char point[4] = ".";

struct lconv *__wrap_localeconv(void) {
    static struct lconv made;
    made.decimal_point = point;
    return &made;
}

/* strtod where numbers are written with `point`. */
double __wrap_strtod(const char *text, char **end) {
    char plain[512];
    const char *found = strstr(text, point), *stop = strchr(text, '.');
    size_t width = strlen(point), n = strlen(text);
    snprintf(plain, sizeof plain, "%s", text);
    if (stop != NULL && strcmp(point, ".") != 0) plain[stop - text] = '\0';
    if (found != NULL) {
        snprintf(plain + (found - text), sizeof plain - (size_t)(found - text), ".%s", found + width);
        n -= width - 1;
    }
    double value = __real_strtod(plain, end);
    int all = (size_t)(*end - plain) == n;
    *end = (char *)(size_t)text + (all ? strlen(text) : (size_t)(*end - plain));
    return value;
}

/* Sum over a few steps of all results; -1 where the library refuses. */
static double answer(const char *path) {
    matnet_material *material;
    char message[200];
    double strain[6 * N], stress[6 * N], tangent[36 * N], sum = 0.0;
    if (matnet_read(path, &material, message, sizeof message) != MATNET_OK) {
        puts(message);
        return -1.0;
    }
    size_t size = (size_t)matnet_n_state(material) * N;
    double *state = malloc((size + 1) * sizeof(double));
    if (state == NULL) exit(2);
    matnet_initial_state(material, N, state);
    for (int step = 1; step < 4; step++) {
        for (int k = 0; k < 6 * N; k++) strain[k] = k < 6 ? 0.0 : 2e-4 * ((k * 7 + step * 3) % 11 - 5) * step;
        int failed = matnet_update(material, N, strain, 0.5, NULL, state, stress, tangent, state, NULL);
        failed += matnet_update(material, 1, strain, 0.5, NULL, state, stress, tangent, state, NULL);
        if (failed != 0) return -1.0;
        for (int k = 0; k < 6 * N; k++) sum += stress[k] * (k % 5 + 1);
        for (int k = 0; k < 36 * N; k++) sum += tangent[k] * (k % 7 + 1);
    }
    for (size_t k = 0; k < size; k++) sum += state[k];
    free(state);
    matnet_free(material);
    return sum;
}

static int differs(const char *what, const char *path, double found, double expected) {
    if (memcmp(&found, &expected, sizeof found) == 0) return 0;
    printf("%s: %s: %.17g, expected %.17g\n", path, what, found, expected);
    return 1;
}

/* The steps with a changed environment; the sum itself is made in it, too. */
static int compare(const char *path) {
    double expected = answer(path);
    int wrong = expected == -1.0;
    strcpy(point, ",");
    wrong |= differs("decimal comma", path, answer(path), expected);
    strcpy(point, "\xd9\xab"); /* of two bytes */
    wrong |= differs("Arabic decimal point", path, answer(path), expected);
    strcpy(point, ".");
#ifdef __GLIBC__
    feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW);
    wrong |= differs("traps", path, answer(path), expected);
    wrong |= fegetexcept() != (FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW);
    fedisableexcept(FE_ALL_EXCEPT);
#endif
#ifdef __SSE2__
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* results and operands below 2e-308 are zero */
    wrong |= differs("tiny numbers as zero", path, answer(path), expected);
    wrong |= (_mm_getcsr() & 0x8040) != 0x8040;
    _mm_setcsr(before);
#endif
    return wrong;
}

/* Rounding would change the sum, so that the stress alone is compared. */
static int rounds_otherwise(const char *path) {
    matnet_material *material;
    double strain[6] = {1e-3, -7e-4, 3e-4, 1.1e-3, 0.0, 2e-4}, stress[2][6], tangent[36];
    for (int k = 0; k < 2; k++) {
        fesetround(k == 0 ? FE_TONEAREST : FE_UPWARD);
        if (matnet_read(path, &material, NULL, 0) != MATNET_OK) return 1;
        double *state = malloc(((size_t)matnet_n_state(material) + 1) * sizeof(double));
        if (state == NULL) exit(2);
        matnet_initial_state(material, 1, state);
        if (matnet_update(material, 1, strain, 0.5, NULL, state, stress[k], tangent, state, NULL) != 0) return 1;
        free(state);
        matnet_free(material);
    }
    int kept = fegetround() == FE_UPWARD;
    fesetround(FE_TONEAREST);
    if (kept && memcmp(stress[0], stress[1], sizeof stress[0]) == 0) return 0;
    printf("%s: rounding upward: %.17g, expected %.17g\n", path, stress[1][0], stress[0][0]);
    return 1;
}

static int accepts_missing_arguments(const char *path) {
    matnet_material *material;
    char message[100];
    double x[36] = {0.0};
    int wrong = matnet_read(NULL, &material, message, sizeof message) != MATNET_BAD_ARGUMENT;
    wrong |= matnet_read(path, NULL, message, sizeof message) != MATNET_BAD_ARGUMENT;
    wrong |= matnet_read_memory(NULL, 5, NULL, &material, NULL, 0) != MATNET_BAD_ARGUMENT || material != NULL;
    wrong |= matnet_workspace_create(NULL) != NULL;
    wrong |= matnet_update(NULL, 1, x, 1.0, NULL, x, x, x, x, NULL) != -MATNET_BAD_ARGUMENT;
    wrong |= matnet_read(path, &material, NULL, 0) != MATNET_OK;
    double *state = calloc((size_t)matnet_n_state(material) + 1, sizeof(double));
    if (state == NULL || matnet_n_state(material) == 0) exit(2);
    wrong |= matnet_update(material, 0, NULL, 1.0, NULL, NULL, NULL, NULL, NULL, NULL) != 0;
    wrong |= matnet_update(material, -1, x, 1.0, NULL, state, x, x, state, NULL) != -MATNET_BAD_ARGUMENT;
    wrong |= matnet_update(material, 1, x, -1.0, NULL, state, x, x, state, NULL) != -MATNET_BAD_ARGUMENT;
    wrong |= matnet_update(material, 1, NULL, 1.0, NULL, state, x, x, state, NULL) != -MATNET_BAD_ARGUMENT;
    wrong |= matnet_update(material, 1, x, 1.0, NULL, NULL, x, x, state, NULL) != -MATNET_BAD_ARGUMENT;
    wrong |= matnet_update(material, 1, x, 1.0, NULL, state, NULL, x, state, NULL) != -MATNET_BAD_ARGUMENT;
    wrong |= matnet_update(material, 1, x, 1.0, NULL, state, x, NULL, state, NULL) != -MATNET_BAD_ARGUMENT;
    wrong |= matnet_update(material, 1, x, 1.0, NULL, state, x, x, NULL, NULL) != -MATNET_BAD_ARGUMENT;
    free(state);
    matnet_free(material);
    matnet_free(NULL);
    matnet_workspace_free(NULL);
    if (wrong) puts("an argument was missing and accepted");
    return wrong;
}

int main(int n, char **arguments) {
    int wrong = n < 2 || accepts_missing_arguments(arguments[1]);
    for (int i = 1; i < n; i++) wrong |= compare(arguments[i]) | rounds_otherwise(arguments[i]);
    if (!wrong) printf("same answers for %d files\n", n - 1);
    return wrong;
}
