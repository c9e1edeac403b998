/* The text of a .matnet file as header entries and blocks of numbers, before anyone asks what they mean. */
#ifndef MATNET_TEXT_H
#define MATNET_TEXT_H

#include <stddef.h>

typedef struct {
    const char *key, *value;
    int taken;
} matnet_entry;

typedef struct {
    const char *name;
    int integers, rows, columns;
    int line;          /* number of its first row in the file */
    const char *start; /* first row; rows are lines that end with '\0' */
    int taken;
} matnet_block;

typedef struct {
    const char *name; /* begins all messages */
    char *message;    /* of `size` bytes, or NULL */
    size_t size;
    int minor; /* of the file's version */
    int newer; /* later minor version: unknown keys and blocks may be skipped */
    int n_entries, n_blocks;
    matnet_entry *entries;
    matnet_block *blocks;
} matnet_text;

/* Split `bytes` (n + 1 of them, the last for a zero; changed and then pointed into) after checking checksum and grammar.
   Returns MATNET_OK or an error code with its message written. matnet_text_free in either case. */
int matnet_split(matnet_text *text, char *bytes, size_t n);
void matnet_text_free(matnet_text *text);

/* Writes "<name>: ..." to the message; returns the code. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int matnet_wrong(matnet_text *text, int code, const char *format, ...);

/* Value of a key, NULL (and no message) if there is none; marks it as known. */
const char *matnet_take(matnet_text *text, const char *key);

/* Block of that name, NULL if there is none; marks it as known. */
const matnet_block *matnet_take_block(matnet_text *text, const char *name);

/* The numbers of a block, or of a value; MATNET_OK or MATNET_BAD_FILE with its message written. Reals are finite. */
int matnet_reals(matnet_text *text, const matnet_block *block, double *out);
int matnet_integers(matnet_text *text, const matnet_block *block, int *out);
int matnet_real(matnet_text *text, const char *key, double *out);
int matnet_whole(matnet_text *text, const char *key, int most, int *out);

/* MATNET_BAD_FILE, with its message, if a key (card.* aside) or block was never taken and the file is not newer. */
int matnet_nothing_left(matnet_text *text);

/* A piece of the file that is safe and short enough for a message. */
typedef struct {
    char text[44];
} matnet_piece;
const char *matnet_shorten(const char *text, matnet_piece *piece);
/* In a variable of the enclosing block: C99 ends the life of a function's result before another function reads it. */
#define matnet_shown(text) matnet_shorten(text, &(matnet_piece){{0}})

#endif
