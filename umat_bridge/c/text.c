/* Grammar of the .matnet file; docs/matnet-file.md. */
#include "text.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matnet_umat.h"
#include "sha256.h"

enum { MOST_ENTRIES = 4096, MOST_BLOCKS = 4096, LONGEST_NUMBER = 400, LONGEST_POINT = 16, MINOR = 1 };

int matnet_wrong(matnet_text *text, int code, const char *format, ...) {
    if (text->message == NULL || text->size == 0) return code;
    va_list arguments;
    int used = snprintf(text->message, text->size, "%s: ", text->name);
    if (used < 0 || (size_t)used >= text->size) return code;
    va_start(arguments, format);
    vsnprintf(text->message + used, text->size - (size_t)used, format, arguments);
    va_end(arguments);
    return code;
}

static int wrong_line(matnet_text *text, int line, const char *what) {
    return matnet_wrong(text, MATNET_BAD_FILE, "line %d: %s", line, what);
}

const char *matnet_shorten(const char *text, matnet_piece *piece) {
    size_t n = 0;
    for (; n < 40 && text[n] != '\0'; n++) piece->text[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    if (text[n] != '\0') {
        memcpy(piece->text + n, "...", 3);
        n += 3;
    }
    piece->text[n] = '\0';
    return piece->text;
}

/* The line after this one; lines end with '\0'. */
static const char *next_line(const char *line) { return line + strlen(line) + 1; }

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* Past the digits at `at`, at least one and at most `most`; NULL otherwise. */
static const char *past_digits(const char *at, int most) {
    int n = 0;
    while (is_digit(at[n]) && n <= most) n++;
    return n >= 1 && n <= most ? at + n : NULL;
}

/* Past an integer or real of the grammar that begins at `at`; NULL if there is none. */
static const char *past_number(const char *at, int integers) {
    if (*at == '-') at++;
    if (integers) return past_digits(at, 9);
    at = past_digits(at, LONGEST_NUMBER / 2);
    if (at != NULL && *at == '.') at = past_digits(at + 1, LONGEST_NUMBER / 2 - 10);
    if (at == NULL || (*at != 'e' && *at != 'E')) return at;
    at++;
    if (*at == '+' || *at == '-') at++;
    return past_digits(at, 3);
}

/* The real from `at` to `end`; strtod takes the decimal point, of one byte or more, from the locale, the file does not.
   NaN if they do not agree, as when another thread changes the locale meanwhile. */
static double real_of(const char *at, const char *end) {
    char number[LONGEST_NUMBER + LONGEST_POINT + 1], *read;
    const char *local = localeconv()->decimal_point, *point = memchr(at, '.', (size_t)(end - at));
    size_t width = strlen(local), n = (size_t)((point == NULL ? end : point) - at);
    if (width > LONGEST_POINT) return NAN;
    memcpy(number, at, n);
    if (point != NULL) {
        size_t left = (size_t)(end - point) - 1;
        memcpy(number + n, local, width);
        memcpy(number + n + width, point + 1, left);
        n += width + left;
    }
    number[n] = '\0';
    double value = strtod(number, &read);
    return read == number + n ? value : NAN;
}

/* UTF-8 without characters below space but line feeds (RFC 3629); returns whether `bytes` are that. */
static int is_text(const unsigned char *b, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t more = b[i] < 0x80 ? 0 : b[i] >= 0xc2 && b[i] < 0xe0 ? 1 : b[i] >= 0xe0 && b[i] < 0xf0 ? 2 : 3;
        if (b[i] >= 0xf5 || (b[i] >= 0x80 && b[i] < 0xc2) || more >= n - i) return 0;
        if (b[i] < 0x20 && b[i] != '\n') return 0;
        for (size_t k = 1; k <= more; k++) {
            if ((b[i + k] & 0xc0) != 0x80) return 0;
        }
        if ((b[i] == 0xe0 && b[i + 1] < 0xa0) || (b[i] == 0xed && b[i + 1] >= 0xa0)) return 0;
        if ((b[i] == 0xf0 && b[i + 1] < 0x90) || (b[i] == 0xf4 && b[i + 1] >= 0x90)) return 0;
        i += more + 1;
    }
    return 1;
}

/* Drop carriage returns before line feeds; returns the new size. */
static size_t plain_lines(char *bytes, size_t n) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\r' || i + 1 == n || bytes[i + 1] != '\n') bytes[to++] = bytes[i];
    }
    return to;
}

/* Check the last line; *n becomes the size of what stands above it. */
static int check_sum(matnet_text *text, const char *bytes, size_t *n) {
    static const char key[] = "sha256 ";
    const size_t length = sizeof key - 1 + 64 + 1;
    char hex[65];
    if (*n < 7 || memcmp(bytes, "matnet ", 7) != 0) {
        return matnet_wrong(text, MATNET_BAD_FILE, "is not a .matnet file, expected it to begin with 'matnet'.");
    }
    const char *last = *n > length ? bytes + *n - length : NULL;
    if (last == NULL || last[-1] != '\n' || last[length - 1] != '\n' || memcmp(last, key, sizeof key - 1) != 0) {
        return matnet_wrong(text, MATNET_BAD_FILE,
                            "does not end with its sha256 line. It is truncated, or text was appended.");
    }
    *n -= length;
    matnet_sha256((const unsigned char *)bytes, *n, hex);
    if (memcmp(last + sizeof key - 1, hex, 64) != 0) {
        return matnet_wrong(text, MATNET_BAD_FILE,
                            "does not match its sha256 line. It was changed or damaged after writing.");
    }
    if (!is_text((const unsigned char *)bytes, *n)) {
        return matnet_wrong(text, MATNET_BAD_FILE, "is not UTF-8 text, or holds control characters.");
    }
    return MATNET_OK;
}

static int read_version(matnet_text *text, const char *line) {
    const char *major = line + 7, *point = past_digits(major, 4);
    const char *end = point != NULL && *point == '.' ? past_digits(point + 1, 4) : NULL;
    if (end == NULL || *end != '\0') return wrong_line(text, 1, "expected 'matnet' and a version such as 1.1.");
    if (atoi(major) != 1) {
        return matnet_wrong(text, MATNET_BAD_FILE,
                            "line 1: format version %d.%d, this library reads 1.x. Use a later one, or export again.",
                            atoi(major), atoi(point + 1));
    }
    text->minor = atoi(point + 1);
    text->newer = text->minor > MINOR;
    return MATNET_OK;
}

/* 'key = value' in place; the key ends at the first ' = '. */
static int read_entry(matnet_text *text, char *line, int number) {
    char *separator = strstr(line, " = ");
    if (separator == NULL) return wrong_line(text, number, "is neither 'key = value' nor a block.");
    if (text->n_entries == MOST_ENTRIES) return wrong_line(text, number, "the header is too long for any network.");
    *separator = '\0';
    for (int i = 0; i < text->n_entries; i++) {
        if (strcmp(text->entries[i].key, line) == 0) {
            return matnet_wrong(text, MATNET_BAD_FILE, "line %d: key '%s' comes twice.", number,
                                matnet_shown(line));
        }
    }
    text->entries[text->n_entries++] = (matnet_entry){line, separator + 3, 0};
    return MATNET_OK;
}

/* 'block name type rows columns' in place. */
static int read_block_head(matnet_text *text, char *line, int number, matnet_block *block) {
    static const char expected[] = "expected 'block', a name, real or integer, rows and columns.";
    char *name = line + 6, *type = strchr(name, ' ');
    if (type == NULL || type == name) return wrong_line(text, number, expected);
    *type++ = '\0';
    block->integers = strncmp(type, "integer ", 8) == 0;
    if (!block->integers && strncmp(type, "real ", 5) != 0) return wrong_line(text, number, expected);
    const char *rows = type + (block->integers ? 8 : 5), *columns = past_digits(rows, 9);
    const char *end = columns != NULL && *columns == ' ' ? past_digits(columns + 1, 9) : NULL;
    if (end == NULL || *end != '\0') return wrong_line(text, number, expected);
    if (text->n_blocks == MOST_BLOCKS) return wrong_line(text, number, "more blocks than any network needs.");
    for (int i = 0; i < text->n_blocks; i++) {
        if (strcmp(text->blocks[i].name, name) == 0) {
            return matnet_wrong(text, MATNET_BAD_FILE, "line %d: block '%s' comes twice.", number,
                                matnet_shown(name));
        }
    }
    block->name = name;
    block->rows = atoi(rows);
    block->columns = atoi(columns + 1);
    block->line = number + 1;
    block->taken = 0;
    return MATNET_OK;
}

/* Header entries, then blocks. `n_lines` lines begin at `line`, each ending with '\0'. */
static int read_lines(matnet_text *text, char *line, int n_lines) {
    int number = 2, code = read_version(text, line);
    line += strlen(line) + 1;
    for (; code == MATNET_OK && number <= n_lines && strncmp(line, "block ", 6) != 0; number++) {
        char *next = line + strlen(line) + 1;
        code = read_entry(text, line, number);
        line = next;
    }
    while (code == MATNET_OK && number <= n_lines) {
        matnet_block block;
        char *next = line + strlen(line) + 1;
        if (strncmp(line, "block ", 6) != 0) return wrong_line(text, number, "expected a block, or its last row.");
        code = read_block_head(text, line, number, &block);
        if (code != MATNET_OK) return code;
        if (block.rows > n_lines - number) {
            return matnet_wrong(text, MATNET_BAD_FILE, "line %d: block '%s' has %d rows, but %d lines follow.", number,
                                matnet_shown(block.name), block.rows, n_lines - number);
        }
        block.start = next;
        for (int row = 0; row < block.rows; row++) next += strlen(next) + 1;
        text->blocks[text->n_blocks++] = block;
        number += block.rows + 1;
        line = next;
    }
    return code;
}

int matnet_split(matnet_text *text, char *bytes, size_t n) {
    int n_lines = 0;
    n = plain_lines(bytes, n);
    int code = check_sum(text, bytes, &n);
    if (code != MATNET_OK) return code;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') continue;
        bytes[i] = '\0';
        n_lines++;
    }
    text->entries = malloc(MOST_ENTRIES * sizeof *text->entries);
    text->blocks = malloc(MOST_BLOCKS * sizeof *text->blocks);
    if (text->entries == NULL || text->blocks == NULL) return matnet_wrong(text, MATNET_NO_MEMORY, "no memory.");
    return read_lines(text, bytes, n_lines);
}

void matnet_text_free(matnet_text *text) {
    free(text->entries);
    free(text->blocks);
    text->entries = NULL;
    text->blocks = NULL;
}

const char *matnet_take(matnet_text *text, const char *key) {
    for (int i = 0; i < text->n_entries; i++) {
        if (strcmp(text->entries[i].key, key) != 0) continue;
        text->entries[i].taken = 1;
        return text->entries[i].value;
    }
    return NULL;
}

const matnet_block *matnet_take_block(matnet_text *text, const char *name) {
    for (int i = 0; i < text->n_blocks; i++) {
        if (strcmp(text->blocks[i].name, name) != 0) continue;
        text->blocks[i].taken = 1;
        return text->blocks + i;
    }
    return NULL;
}

/* One pass over the numbers of a block, into whichever array is given. */
static int numbers(matnet_text *text, const matnet_block *block, double *reals, int *integers) {
    const char *line = block->start;
    for (int row = 0; row < block->rows; row++, line = next_line(line)) {
        const char *at = line;
        for (int column = 0; column < block->columns; column++) {
            const char *end = past_number(at, integers != NULL);
            char after = column + 1 < block->columns ? ' ' : '\0';
            if (end == NULL || *end != after) {
                return matnet_wrong(text, MATNET_BAD_FILE, "line %d: '%s' in block '%s', expected %d %s.",
                                    block->line + row, matnet_shown(at), matnet_shown(block->name),
                                    block->columns, integers != NULL ? "integers" : "numbers");
            }
            if (integers != NULL) *integers++ = atoi(at);
            if (reals != NULL) *reals = real_of(at, end);
            if (reals != NULL && !isfinite(*reals++)) return wrong_line(text, block->line + row, "a number overflows.");
            at = end + 1;
        }
    }
    return MATNET_OK;
}

int matnet_reals(matnet_text *text, const matnet_block *block, double *out) { return numbers(text, block, out, NULL); }

int matnet_integers(matnet_text *text, const matnet_block *block, int *out) { return numbers(text, block, NULL, out); }

int matnet_real(matnet_text *text, const char *key, double *out) {
    const char *value = matnet_take(text, key), *end = value == NULL ? NULL : past_number(value, 0);
    if (value == NULL) return matnet_wrong(text, MATNET_BAD_FILE, "header key '%s' is missing.", key);
    if (end == NULL || *end != '\0' || !isfinite(*out = real_of(value, end))) {
        return matnet_wrong(text, MATNET_BAD_FILE, "%s = '%s' is not a number.", key, matnet_shown(value));
    }
    return MATNET_OK;
}

int matnet_whole(matnet_text *text, const char *key, int most, int *out) {
    const char *value = matnet_take(text, key), *end = value == NULL ? NULL : past_digits(value, 9);
    if (value == NULL) return matnet_wrong(text, MATNET_BAD_FILE, "header key '%s' is missing.", key);
    if (end == NULL || *end != '\0' || (*out = atoi(value)) > most) {
        return matnet_wrong(text, MATNET_BAD_FILE, "%s = '%s', expected a whole number from 0 to %d.", key,
                            matnet_shown(value), most);
    }
    return MATNET_OK;
}

int matnet_nothing_left(matnet_text *text) {
    for (int i = 0; i < text->n_entries && !text->newer; i++) {
        const matnet_entry *entry = text->entries + i;
        if (entry->taken || strncmp(entry->key, "card.", 5) == 0) continue;
        return matnet_wrong(text, MATNET_BAD_FILE, "unknown header key '%s'.", matnet_shown(entry->key));
    }
    for (int i = 0; i < text->n_blocks && !text->newer; i++) {
        if (text->blocks[i].taken) continue;
        return matnet_wrong(text, MATNET_BAD_FILE, "block '%s' is unknown.", matnet_shown(text->blocks[i].name));
    }
    return MATNET_OK;
}
