/* From the text of a .matnet file to a material; every number is checked before it is used. */
#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "material.h"
#include "text.h"

enum {
    MOST_BYTES = 16 << 20,
    MOST_BASE_NODES = 4096,
    MOST_PHASES = 256,
    MOST_PARAMETERS = 1 << 16,
    MOST_LAW_STATE = 4096,
    MOST_ROWS = 1 << 20, /* internal variables of all base nodes */
    LAWS_SINCE = 1       /* minor version of the format */
};

/* What is read before the plan is made; the arrays of matnet_tree. */
typedef struct {
    int *children, *base_phase;
    double *weights, *rotations, *fractions;
} arrays;

/* An array that may have no elements; NULL means no memory. */
static void *allocate(size_t n, size_t size) { return calloc(n > 0 ? n : 1, size); }

/* The block of that name with this shape; rows < 0: any number up to `most`, which may not be 0 rows below -1. */
static int block_of(matnet_text *text, const char *name, int integers, int rows, int columns, int most,
                    const matnet_block **found) {
    const matnet_block *block = *found = matnet_take_block(text, name);
    if (block == NULL) return matnet_wrong(text, MATNET_BAD_FILE, "block '%s' is missing.", name);
    if (block->integers != integers || block->columns != columns || (rows >= 0 && block->rows != rows)) {
        return matnet_wrong(text, MATNET_BAD_FILE,
                            "line %d: block '%s' is %s %d x %d, expected %s with %d columns and the rows of the tree.",
                            block->line - 1, name, block->integers ? "integer" : "real", block->rows, block->columns,
                            integers ? "integer" : "real", columns);
    }
    if (block->rows > most) {
        return matnet_wrong(text, MATNET_BAD_FILE, "line %d: block '%s' has %d rows, at most %d are read.",
                            block->line - 1, name, block->rows, most);
    }
    return MATNET_OK;
}

/* A new array with the numbers of a block of known shape. */
static int reals_of(matnet_text *text, const char *name, int rows, int columns, double **out) {
    const matnet_block *block;
    int code = block_of(text, name, 0, rows, columns, rows, &block);
    if (code != MATNET_OK) return code;
    *out = allocate((size_t)rows * (size_t)columns, sizeof **out);
    return *out == NULL ? matnet_wrong(text, MATNET_NO_MEMORY, "no memory.") : matnet_reals(text, block, *out);
}

static int integers_of(matnet_text *text, const char *name, int rows, int columns, int **out) {
    const matnet_block *block;
    int code = block_of(text, name, 1, rows, columns, rows, &block);
    if (code != MATNET_OK) return code;
    *out = allocate((size_t)rows * (size_t)columns, sizeof **out);
    return *out == NULL ? matnet_wrong(text, MATNET_NO_MEMORY, "no memory.") : matnet_integers(text, block, *out);
}

static int require_weights(matnet_text *text, const matnet_material *m, const arrays *in) {
    double sum = 0.0;
    for (int i = 0; i < m->n_base; i++) {
        if (!(in->weights[i] > 0.0)) {
            return matnet_wrong(text, MATNET_BAD_FILE, "weights: base node %d has %g, expected > 0.", i, in->weights[i]);
        }
        if (in->base_phase[i] < 0 || in->base_phase[i] >= m->n_phases) {
            return matnet_wrong(text, MATNET_BAD_FILE, "base_phase: base node %d has phase %d, expected 0 to %d.", i,
                                in->base_phase[i], m->n_phases - 1);
        }
        in->fractions[in->base_phase[i]] += in->weights[i];
        sum += in->weights[i];
    }
    if (!(fabs(sum - 1.0) <= 1e-9)) {
        return matnet_wrong(text, MATNET_BAD_FILE, "weights sum to %.12g, expected 1.", sum);
    }
    return MATNET_OK;
}

/* Each laminate but the root, and each base node, is the child of exactly one earlier laminate. */
static int require_tree(matnet_text *text, const matnet_material *m, const int *children) {
    unsigned char seen[2 * MOST_BASE_NODES] = {0};
    for (int k = 0; k < m->n_blocks; k++) {
        for (int s = 0; s < 2; s++) {
            int child = children[2 * k + s], fits = child < 0 ? child >= -m->n_base : child > k && child < m->n_blocks;
            int at = child < 0 ? -(child + 1) : MOST_BASE_NODES + child;
            if (!fits || seen[at]) {
                return matnet_wrong(text, MATNET_BAD_FILE,
                                    "children: laminate %d has child %d, expected each base node and each laminate "
                                    "but the root once, below an earlier laminate.",
                                    k, child);
            }
            seen[at] = 1;
        }
    }
    return MATNET_OK; /* 2 n_blocks different children are all there are */
}

static int require_directions(matnet_text *text, const matnet_material *m, const double *rotations) {
    for (int k = 0; k < m->n_blocks; k++) {
        const double *n = m->normals + 3 * k;
        double length = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
        if (!(fabs(length - 1.0) <= 1e-6)) {
            return matnet_wrong(text, MATNET_BAD_FILE, "normals: laminate %d has length %.6g, expected unit vectors.", k,
                                length);
        }
    }
    for (int i = 0; i < m->n_base && rotations != NULL; i++) {
        const double *q = rotations + 9 * i;
        double off = 0.0, det = q[0] * (q[4] * q[8] - q[5] * q[7]) - q[1] * (q[3] * q[8] - q[5] * q[6]) +
                                q[2] * (q[3] * q[7] - q[4] * q[6]);
        for (int a = 0; a < 9; a++) {
            const double *x = q + 3 * (a / 3), *y = q + 3 * (a % 3);
            double product = x[0] * y[0] + x[1] * y[1] + x[2] * y[2] - (a % 4 == 0 ? 1.0 : 0.0);
            off = fabs(product) <= off ? off : fabs(product);
        }
        if (!(off <= 1e-6 && det > 0.0)) {
            return matnet_wrong(text, MATNET_BAD_FILE, "rotations: that of base node %d is no proper rotation.", i);
        }
    }
    return MATNET_OK;
}

/* Tree, weights and frames. */
static int read_tree(matnet_text *text, matnet_material *m, arrays *in) {
    const matnet_block *block;
    const char *kind = matnet_take(text, "kind");
    int depth, code = matnet_whole(text, "depth", 10, &depth);
    if (code == MATNET_OK) code = matnet_whole(text, "phases", MOST_PHASES, &m->n_phases);
    if (code == MATNET_OK) code = block_of(text, "weights", 0, -1, 1, MOST_BASE_NODES, &block);
    if (code != MATNET_OK) return code;
    if (kind == NULL || (strcmp(kind, "imn") != 0 && strcmp(kind, "dmn") != 0)) {
        return matnet_wrong(text, MATNET_BAD_FILE, "kind is '%s', expected imn or dmn.",
                            matnet_shown(kind == NULL ? "" : kind));
    }
    if (m->n_phases < 1 || block->rows < 1) {
        return matnet_wrong(text, MATNET_BAD_FILE, "expected at least one phase and one base node.");
    }
    m->n_base = block->rows;
    m->n_blocks = m->n_base - 1;
    in->fractions = allocate((size_t)m->n_phases, sizeof(double));
    if (in->fractions == NULL) return matnet_wrong(text, MATNET_NO_MEMORY, "no memory.");
    code = reals_of(text, "weights", m->n_base, 1, &in->weights);
    if (code == MATNET_OK) code = integers_of(text, "base_phase", m->n_base, 1, &in->base_phase);
    if (code == MATNET_OK) code = reals_of(text, "normals", m->n_blocks, 3, &m->normals);
    if (code == MATNET_OK) code = integers_of(text, "children", m->n_blocks, 2, &in->children);
    if (code == MATNET_OK && (matnet_take_block(text, "rotations") != NULL || kind[0] == 'd')) {
        code = reals_of(text, "rotations", m->n_base, 9, &in->rotations);
    }
    if (code == MATNET_OK) code = require_weights(text, m, in);
    if (code == MATNET_OK) code = require_tree(text, m, in->children);
    return code == MATNET_OK ? require_directions(text, m, in->rotations) : code;
}

/* "phase.<i>.<what>" */
typedef struct {
    char text[48];
} phase_key;

static const char *write_key(phase_key *key, int i, const char *what) {
    snprintf(key->text, sizeof key->text, "phase.%d.%s", i, what);
    return key->text;
}

#define key_of(i, what) write_key(&(phase_key){{0}}, i, what)

/* Name, fraction, flags and law names that every phase has. */
static int read_phase_header(matnet_text *text, matnet_phase *phases, int i, double weight) {
    double fraction;
    matnet_phase *phase = phases + i;
    const char *name = matnet_take(text, key_of(i, "name"));
    if (name == NULL || name[0] == '\0') {
        return matnet_wrong(text, MATNET_BAD_FILE, "header key '%s' is missing or empty.", key_of(i, "name"));
    }
    for (int other = 0; other < i; other++) {
        if (strcmp(phases[other].name, name) == 0) {
            return matnet_wrong(text, MATNET_BAD_FILE, "two phases have the name '%s'.", matnet_shown(name));
        }
    }
    phase->name = allocate(strlen(name) + 1, 1);
    if (phase->name == NULL) return matnet_wrong(text, MATNET_NO_MEMORY, "no memory.");
    memcpy(phase->name, name, strlen(name));
    int code = matnet_real(text, key_of(i, "fraction"), &fraction);
    if (code == MATNET_OK && !(fabs(fraction - weight) <= 1e-9)) {
        return matnet_wrong(text, MATNET_BAD_FILE, "weights of phase '%s' sum to %.9g, the header says %.9g.",
                            matnet_shown(name), weight, fraction);
    }
    return code;
}

static int read_law_header(matnet_text *text, matnet_phase *phase, int i) {
    int code = matnet_whole(text, key_of(i, "symmetric"), 1, &phase->symmetric);
    if (code == MATNET_OK) code = matnet_whole(text, key_of(i, "isotropic"), 1, &phase->isotropic);
    if (code == MATNET_OK) code = matnet_whole(text, key_of(i, "rate_dependent"), 1, &phase->rate_dependent);
    if (code == MATNET_OK) code = matnet_real(text, key_of(i, "reference_temperature"), &phase->reference);
    return code;
}

static int read_law_blocks(matnet_text *text, matnet_phase *phase, int i) {
    const matnet_block *block;
    int code = block_of(text, key_of(i, "parameters"), 0, -1, 1, MOST_PARAMETERS, &block);
    if (code == MATNET_OK) phase->n_parameters = block->rows;
    if (code == MATNET_OK) code = reals_of(text, block->name, block->rows, 1, &phase->parameters);
    if (code == MATNET_OK) code = block_of(text, key_of(i, "initial_state"), 0, -1, 1, MOST_LAW_STATE, &block);
    if (code == MATNET_OK) phase->n_state = block->rows;
    if (code == MATNET_OK) code = reals_of(text, block->name, block->rows, 1, &phase->initial_state);
    if (code == MATNET_OK) code = block_of(text, key_of(i, "expansion"), 0, 6, 1, 6, &block);
    if (code == MATNET_OK) code = matnet_reals(text, block, phase->expansion);
    if (code == MATNET_OK) code = block_of(text, key_of(i, "stiffness"), 0, 6, 6, 6, &block);
    if (code == MATNET_OK) code = matnet_reals(text, block, phase->stiffness);
    return code;
}

static int require_symmetry(matnet_text *text, const matnet_phase *phase) {
    double largest = 0.0, off = 0.0;
    for (int a = 0; a < 36; a++) {
        double value = fabs(phase->stiffness[a]);
        double difference = fabs(phase->stiffness[a] - phase->stiffness[6 * (a % 6) + a / 6]);
        largest = value > largest ? value : largest;
        off = difference > off ? difference : off;
    }
    if (off <= 1e-8 * largest) return MATNET_OK;
    return matnet_wrong(text, MATNET_BAD_FILE, "the stiffness of phase '%s' is not symmetric.",
                        matnet_shown(phase->name));
}

/* Flags that a law's parameters contradict would make wrong tangents. */
static int require_flags(matnet_text *text, const matnet_phase *phase, int nature) {
    int symmetric = (nature & MATNET_SYMMETRIC) != 0, rate_dependent = (nature & MATNET_RATE_DEPENDENT) != 0;
    if (phase->symmetric == symmetric && phase->rate_dependent == rate_dependent) return MATNET_OK;
    return matnet_wrong(text, MATNET_BAD_FILE,
                        "phase '%s' has symmetric = %d and rate_dependent = %d, but its parameters say %d and %d.",
                        matnet_shown(phase->name), phase->symmetric, phase->rate_dependent, symmetric,
                        rate_dependent);
}

static int require_no_stiffness(matnet_text *text, const matnet_phase *phase) {
    for (int a = 0; a < 36; a++) {
        if (phase->stiffness[a] == 0.0) continue;
        return matnet_wrong(text, MATNET_BAD_FILE, "the stiffness of phase '%s', a void, is not zero.",
                            matnet_shown(phase->name));
    }
    return MATNET_OK;
}

/* The kernel by name; that of elastic phases and voids is not called, the tree solver knows what they do. */
static int find_kernel(matnet_text *text, matnet_phase *phase, const char *kernel) {
    phase->law_wide = MATNET_WIDE_NAME(matnet_find_law)(kernel);
    phase->law_1 = matnet_find_law_1(kernel);
    if (phase->law_wide == NULL || phase->law_1 == NULL) {
        return matnet_wrong(text, MATNET_UNKNOWN_LAW, "phase '%s' has the law '%s', which this library does not have.",
                            matnet_shown(phase->name), matnet_shown(kernel));
    }
    if (phase->law_wide->check(phase->parameters, phase->n_parameters, phase->n_state) != 0) {
        return matnet_wrong(text, MATNET_BAD_FILE,
                            "phase '%s': %d parameters and %d internal variables do not make a law '%s'.",
                            matnet_shown(phase->name), phase->n_parameters, phase->n_state,
                            matnet_shown(kernel));
    }
    phase->kind = MATNET_NONLINEAR;
    if (strcmp(kernel, "void") == 0) phase->kind = MATNET_VOID;
    if (strcmp(kernel, "elastic") == 0) phase->kind = MATNET_LINEAR;
    int code = require_flags(text, phase, phase->law_wide->nature(phase->parameters));
    return code == MATNET_OK && phase->kind == MATNET_VOID ? require_no_stiffness(text, phase) : code;
}

static int read_phase(matnet_text *text, matnet_material *m, int i, double weight) {
    matnet_phase *phase = m->phases + i;
    int code = read_phase_header(text, m->phases, i, weight);
    if (code != MATNET_OK) return code;
    int may_have = text->minor >= LAWS_SINCE;
    const char *law = may_have ? matnet_take(text, key_of(i, "law")) : NULL;
    const char *kernel = may_have ? matnet_take(text, key_of(i, "kernel")) : NULL;
    matnet_take(text, key_of(i, "law.table")); /* for Python */
    if (law == NULL && kernel == NULL) {
        return matnet_wrong(text, MATNET_NO_LAWS, "phase '%s' has no law: the file holds a network only. "
                            "Write it from a material.", matnet_shown(phase->name));
    }
    if (law == NULL) {
        return matnet_wrong(text, MATNET_BAD_FILE, "header key '%s' is missing.", key_of(i, "law"));
    }
    if (kernel == NULL) {
        return matnet_wrong(text, MATNET_UNKNOWN_LAW, "phase '%s' has the law '%s', which exists in Python only.",
                            matnet_shown(phase->name), matnet_shown(law));
    }
    code = read_law_header(text, phase, i);
    if (code == MATNET_OK) code = read_law_blocks(text, phase, i);
    if (code == MATNET_OK) code = require_symmetry(text, phase);
    return code == MATNET_OK ? find_kernel(text, phase, kernel) : code;
}

static int read_phases(matnet_text *text, matnet_material *m, const int *base_phase, const double *fractions) {
    long rows = 0;
    m->phases = allocate((size_t)m->n_phases, sizeof *m->phases);
    if (m->phases == NULL) return matnet_wrong(text, MATNET_NO_MEMORY, "no memory.");
    for (int i = 0; i < m->n_phases; i++) {
        int code = read_phase(text, m, i, fractions[i]);
        if (code != MATNET_OK) return code;
    }
    for (int i = 0; i < m->n_base; i++) rows += m->phases[base_phase[i]].n_state;
    if (rows > MOST_ROWS) {
        return matnet_wrong(text, MATNET_BAD_FILE, "%ld internal variables per point, at most %d are possible.", rows,
                            MOST_ROWS);
    }
    return matnet_nothing_left(text);
}

/* Arrays of the plan. */
static int allocate_plan(matnet_material *m) {
    size_t n_base = (size_t)m->n_base, n_blocks = (size_t)m->n_blocks;
    m->nodes = allocate(2 * n_blocks, sizeof(int));
    m->fraction = allocate(n_blocks, sizeof(double));
    m->block_weight = allocate(n_blocks, sizeof(double));
    m->concentration = allocate(18 * n_blocks, sizeof(double));
    m->base_weight = allocate(n_base, sizeof(double));
    m->stiffness = allocate(36 * n_base, sizeof(double));
    m->turns = allocate(36 * n_base, sizeof(double));
    m->expansion = allocate(6 * n_base, sizeof(double));
    int all = m->nodes && m->fraction && m->block_weight && m->concentration && m->base_weight && m->stiffness &&
              m->turns && m->expansion;
    return all ? MATNET_OK : MATNET_NO_MEMORY;
}

static int read_text(matnet_text *text, matnet_material *m) {
    arrays in = {NULL, NULL, NULL, NULL, NULL};
    int code = read_tree(text, m, &in);
    if (code == MATNET_OK) code = read_phases(text, m, in.base_phase, in.fractions);
    if (code == MATNET_OK) {
        matnet_tree tree = {in.children, in.base_phase, in.weights, in.rotations};
        code = allocate_plan(m);
        if (code == MATNET_OK) code = matnet_make_plan(m, &tree);
        if (code == MATNET_NO_MEMORY) matnet_wrong(text, code, "no memory.");
    }
    free(in.children);
    free(in.base_phase);
    free(in.weights);
    free(in.rotations);
    free(in.fractions);
    return code;
}

static int read_bytes(matnet_text *text, const void *bytes, size_t n_bytes, matnet_material **material) {
    if (n_bytes > MOST_BYTES) {
        return matnet_wrong(text, MATNET_BAD_FILE, "is larger than %d MiB, which no network needs.", MOST_BYTES >> 20);
    }
    char *copy = malloc(n_bytes + 1);
    matnet_material *m = calloc(1, sizeof *m);
    int code = MATNET_NO_MEMORY;
    if (copy != NULL && m != NULL) {
        if (n_bytes > 0) memcpy(copy, bytes, n_bytes);
        copy[n_bytes] = '\0';
        matnet_set_options(m, 1e-8, 30, 6);
        code = matnet_split(text, copy, n_bytes);
        if (code == MATNET_OK) code = read_text(text, m);
    } else {
        matnet_wrong(text, code, "no memory.");
    }
    matnet_text_free(text);
    free(copy);
    if (code == MATNET_OK) {
        *material = m;
    } else {
        matnet_free(m);
    }
    return code;
}

int matnet_read_memory(const void *bytes, size_t n_bytes, const char *name, matnet_material **material, char *message,
                       size_t size) {
    matnet_text text = {0};
    fenv_t callers;
    if (message != NULL && size > 0) message[0] = '\0';
    if (material == NULL) return MATNET_BAD_ARGUMENT;
    *material = NULL;
    text.name = name == NULL ? "material" : name;
    text.message = message;
    text.size = size;
    if (bytes == NULL && n_bytes > 0) return matnet_wrong(&text, MATNET_BAD_ARGUMENT, "no bytes were given.");
    matnet_enter(&callers);
    int code = read_bytes(&text, bytes, n_bytes, material);
    fesetenv(&callers);
    return code;
}

/* Last part of a path, for messages. */
static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    const char *back = strrchr(name, '\\');
    return back == NULL ? name : back + 1;
}

int matnet_read(const char *path, matnet_material **material, char *message, size_t size) {
    matnet_text text = {0};
    if (message != NULL && size > 0) message[0] = '\0';
    if (path == NULL || material == NULL) return MATNET_BAD_ARGUMENT;
    text.name = file_name(path);
    text.message = message;
    text.size = size;
    *material = NULL;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return matnet_wrong(&text, MATNET_CANNOT_READ, "cannot be opened (%s).", strerror(errno));
    char *bytes = malloc((size_t)MOST_BYTES + 1);
    size_t n = bytes == NULL ? 0 : fread(bytes, 1, (size_t)MOST_BYTES + 1, file);
    int failed = ferror(file);
    fclose(file);
    int code = bytes == NULL ? matnet_wrong(&text, MATNET_NO_MEMORY, "no memory.")
               : failed      ? matnet_wrong(&text, MATNET_CANNOT_READ, "cannot be read.")
                             : matnet_read_memory(bytes, n, text.name, material, message, size);
    free(bytes);
    return code;
}
