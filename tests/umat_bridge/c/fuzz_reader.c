/* Reads mutated .matnet files:  fuzz_reader COUNT SEED FILE...

   Each of the COUNT texts comes from one of the files by a few random changes: bits, bytes, pieces and lines removed,
   repeated, moved or taken from another file, words replaced by unfriendly ones, other digits. Nine in ten get a fresh
   checksum, so that they are read to the end. The reader has to answer each with an error code and a sentence, or with a
   material, which then takes a step. Prints how often each code came; returns 1 if an answer was wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matnet_umat.h"
#include "sha256.h"

enum { MOST_FILES = 64, ROOM = 1 << 18, CHECKSUM = 7 + 64 + 1, N_CODES = 8 };

typedef struct {
    char *bytes;
    size_t n;
} text;

static unsigned long long state;

/* splitmix64; a number below n > 0 */
static size_t below(size_t n) {
    unsigned long long z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (size_t)((z ^ z >> 31) % n);
}

static text load(const char *path) {
    text t = {malloc(ROOM), 0};
    FILE *file = fopen(path, "rb");
    if (file == NULL || t.bytes == NULL) exit(2);
    t.n = fread(t.bytes, 1, ROOM, file);
    fclose(file);
    if (t.n <= CHECKSUM || t.n > ROOM / 4) exit(2);
    return t;
}

/* Replace `cut` bytes at `at` by `n` others. */
static void splice(text *t, size_t at, size_t cut, const char *bytes, size_t n) {
    if (t->n - cut + n > ROOM) return;
    memmove(t->bytes + at + n, t->bytes + at + cut, t->n - at - cut);
    if (n > 0) memcpy(t->bytes + at, bytes, n);
    t->n += n - cut;
}

static size_t line_start(const text *t, size_t at) {
    while (at > 0 && t->bytes[at - 1] != '\n') at--;
    return at;
}

static size_t line_length(const text *t, size_t at) {
    size_t n = 0;
    while (at + n < t->n && t->bytes[at + n] != '\n') n++;
    return at + n < t->n ? n + 1 : n;
}

/* A number, or what may stand for one, in place of the word at a random position. */
static void change_word(text *t) {
    static const char *const words[] = {
        "0", "-0", "1", "-1", "2", "-2", "3", "7", "1e308", "-1e308", "1e-308", "1e999", "4294967296", "2147483647",
        "-2147483648", "999999999", "99999999999999999999", "nan", "inf", "0x10", "1.", ".5", "1e", "+1", "", " ",
        "1000000", "0.5", "imn", "dmn", "void", "elastic", "radial-return", "general-return", "viscoelastic", "damage",
        "ductile-damage", "drucker-prager", "real", "integer", "\xff", "\xe2\x82\xac", "\r", "block", "card.x = 1"};
    size_t from = below(t->n), to;
    while (from > 0 && t->bytes[from - 1] != ' ' && t->bytes[from - 1] != '\n') from--;
    for (to = from; to < t->n && t->bytes[to] != ' ' && t->bytes[to] != '\n';) to++;
    const char *word = words[below(sizeof words / sizeof words[0])];
    splice(t, from, to - from, word, strlen(word));
}

static void change(text *t, const text *other) {
    char piece[256], *line;
    if (t->n == 0) return;
    size_t at = below(t->n), length = 1 + below(sizeof piece - 1), n;
    switch (below(12)) {
    case 0:
        t->bytes[at] = (char)(t->bytes[at] ^ 1 << below(8));
        break;
    case 1:
        t->bytes[at] = (char)below(256);
        break;
    case 2: /* a piece less */
        splice(t, at, length < t->n - at ? length : t->n - at, NULL, 0);
        break;
    case 3: /* a piece again, elsewhere */
        if (length > t->n - at) length = t->n - at;
        memcpy(piece, t->bytes + at, length);
        splice(t, below(t->n), 0, piece, length);
        break;
    case 4: /* a line less */
        at = line_start(t, at);
        splice(t, at, line_length(t, at), NULL, 0);
        break;
    case 5: /* a line of the other file, of this one now and then */
        other = below(4) ? other : t;
        at = line_start(other, below(other->n));
        n = line_length(other, at);
        line = malloc(n + 1);
        if (line == NULL) exit(2);
        memcpy(line, other->bytes + at, n);
        splice(t, line_start(t, below(t->n)), 0, line, n);
        free(line);
        break;
    case 6:
        t->n = at > 0 ? at : 1;
        break;
    case 7:
    case 8:
        change_word(t);
        break;
    default: /* another digit, which most often gives another material */
        while (at < t->n && (t->bytes[at] < '0' || t->bytes[at] > '9')) at++;
        if (at < t->n) t->bytes[at] = (char)('0' + below(10));
        break;
    }
}

static void sign(text *t) {
    char line[CHECKSUM + 1], hex[65];
    if (t->n > ROOM - CHECKSUM) return;
    matnet_sha256((const unsigned char *)t->bytes, t->n, hex);
    snprintf(line, sizeof line, "sha256 %s\n", hex);
    memcpy(t->bytes + t->n, line, CHECKSUM);
    t->n += CHECKSUM;
}

/* A step with a material that a mutated file gave; its numbers may be nonsense. */
static int take_step(const matnet_material *material) {
    size_t n_state = (size_t)matnet_n_state(material);
    double strain[12] = {1e-3, -3e-4, 0.0, 1e-3, 0.0, 2e-4, 5e-2}, stress[12], tangent[72];
    double *old = malloc((2 * n_state + 1) * sizeof(double)), *new = malloc((2 * n_state + 1) * sizeof(double));
    int status[2], failed = -MATNET_NO_MEMORY;
    if (old != NULL && new != NULL) {
        matnet_initial_state(material, 2, old);
        failed = matnet_update(material, 2, strain, 1.0, NULL, old, stress, tangent, new, status);
    }
    free(old);
    free(new);
    return failed >= 0 && failed <= 2;
}

static int read_one(const text *t, long *codes) {
    char message[160];
    char *exact = malloc(t->n); /* so that a sanitizer sees reads beyond the end */
    matnet_material *material;
    if (exact == NULL) exit(2);
    memcpy(exact, t->bytes, t->n);
    int code = matnet_read_memory(exact, t->n, "fuzz", &material, message, sizeof message);
    free(exact);
    int sound = code == MATNET_OK ? material != NULL && take_step(material) : material == NULL && strlen(message) > 6;
    if (code < 0 || code >= N_CODES) return 0;
    codes[code]++;
    matnet_free(material);
    return sound;
}

int main(int n, char **arguments) {
    text files[MOST_FILES], work = {malloc(ROOM), 0};
    int n_files = n - 3 < MOST_FILES ? n - 3 : MOST_FILES, wrong = 0;
    long codes[N_CODES] = {0};
    if (n_files < 1 || work.bytes == NULL) return 2;
    long count = atol(arguments[1]);
    state = strtoull(arguments[2], NULL, 10);
    for (int i = 0; i < n_files; i++) files[i] = load(arguments[3 + i]);
    for (long k = 0; k < count && !wrong; k++) {
        const text *file = files + below((size_t)n_files), *other = files + below((size_t)n_files);
        int checksum = below(10) > 0;
        work.n = checksum ? file->n - CHECKSUM : file->n;
        memcpy(work.bytes, file->bytes, work.n);
        for (size_t changes = 1 + below(3); changes > 0; changes--) change(&work, other);
        if (checksum) sign(&work);
        wrong = !read_one(&work, codes);
        if (wrong) printf("text %ld got a wrong answer\n", k);
    }
    printf("materials %ld, bad files %ld, without laws %ld, unknown laws %ld, no memory %ld\n", codes[MATNET_OK],
           codes[MATNET_BAD_FILE], codes[MATNET_NO_LAWS], codes[MATNET_UNKNOWN_LAW], codes[MATNET_NO_MEMORY]);
    for (int i = 0; i < n_files; i++) free(files[i].bytes);
    free(work.bytes);
    return wrong;
}
