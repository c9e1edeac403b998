/* Materials by name, one workspace per thread that asks. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200112L
#include <pthread.h>
#else
#include <windows.h>
#endif
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../material.h"
#include "entry.h"

enum { MOST_NAME = 80, MOST_PATH = 1024 };

struct matnet_home {
    char name[MOST_NAME + 1];
    matnet_material *material;
    matnet_entry *idle; /* entries that no thread uses now */
    struct matnet_home *next;
};

static struct matnet_home *homes; /* guarded by the lock, as are their idle entries; never freed */

#ifndef _WIN32
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void enter(void) { pthread_mutex_lock(&lock); }
static void leave(void) { pthread_mutex_unlock(&lock); }
#else
static SRWLOCK lock = SRWLOCK_INIT;
static void enter(void) { AcquireSRWLockExclusive(&lock); }
static void leave(void) { ReleaseSRWLockExclusive(&lock); }
#endif

/* How Abaqus/Standard and Abaqus/Explicit want to be ended; there in a program of theirs only. */
#if defined(__GNUC__) && defined(__ELF__)
extern void xit_(void) __attribute__((weak));
extern void xplb_exit_(void) __attribute__((weak));
#endif

void matnet_entry_stop(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("matnet: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(stderr);
    va_end(arguments);
#if defined(__GNUC__) && defined(__ELF__)
    if (xit_ != NULL) xit_();
    if (xplb_exit_ != NULL) xplb_exit_();
#endif
    exit(EXIT_FAILURE);
}

static int readable(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file != NULL) fclose(file);
    return file != NULL;
}

/* Solvers turn names into capitals; a file may be called either way. */
static void find_file(const char *folder, const char *name, char *path) {
    char lower[MOST_NAME + 1];
    size_t i = 0;
    for (; name[i] != '\0'; i++) lower[i] = (char)tolower((unsigned char)name[i]);
    lower[i] = '\0';
    snprintf(path, MOST_PATH, "%s/%s.matnet", folder, name);
    if (!readable(path)) snprintf(path, MOST_PATH, "%s/%s.matnet", folder, lower);
}

/* Whether it could be read; the message says why not. */
static int read_home(struct matnet_home *home, const char *folder, char *message, size_t size) {
    char path[MOST_PATH];
    if (folder == NULL) {
        return matnet_read_memory(matnet_embedded_bytes, matnet_embedded_size, matnet_embedded_name, &home->material,
                                  message, size) == MATNET_OK;
    }
    find_file(folder, home->name, path);
    return matnet_read(path, &home->material, message, size) == MATNET_OK;
}

/* The home of a name, NULL with a message on failure; the lock is held. */
static struct matnet_home *home_of(const char *name, const char *folder, char *message, size_t size) {
    for (struct matnet_home *home = homes; home != NULL; home = home->next) {
        if (strcmp(home->name, name) == 0) return home;
    }
    struct matnet_home *home = calloc(1, sizeof *home);
    snprintf(message, size, "no memory.");
    if (home == NULL) return NULL;
    strcpy(home->name, name);
    if (!read_home(home, folder, message, size)) {
        free(home);
        return NULL;
    }
    home->next = homes;
    homes = home;
    return home;
}

static matnet_entry *make_entry(struct matnet_home *home) {
    const matnet_material *m = home->material;
    matnet_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) return NULL;
    entry->material = m;
    entry->home = home;
    entry->n_state = matnet_n_state(m);
    entry->rate_dependent = matnet_rate_dependent(m);
    entry->symmetric = m->symmetric || m->linear;
    for (int p = 0; p < m->n_phases; p++) {
        for (int c = 0; c < 6; c++) entry->expands |= m->phases[p].expansion[c] != 0.0;
    }
    matnet_stiffness(m, entry->stiffness);
    entry->scratch = calloc((size_t)MATNET_BLOCK * (size_t)(entry->n_state + 1), sizeof(double));
    entry->workspace = matnet_workspace_create(m);
    return entry->scratch != NULL && entry->workspace != NULL ? entry : NULL;
}

/* CalculiX hands over "@ABAQUS_LIBRARY", "@ABAQUS_LIBRARY_FUNCTION" or one of these with "@NAME" behind: the name is what
   follows the last "@", or else the last underscore. */
static void shorten(const char **name, size_t *length) {
    size_t start = 0, at = 0;
    if (*length == 0 || (*name)[0] != '@') return;
    for (size_t i = 1; i < *length; i++) {
        if ((*name)[i] == '_') start = i + 1;
        if ((*name)[i] == '@') at = i + 1;
    }
    if (at > 0) start = at;
    *name += start;
    *length -= start;
}

matnet_entry *matnet_entry_take(const char *name, size_t length) {
    char own[MOST_NAME + 1] = "", message[512] = "no memory.";
    const char *folder = getenv("MATNET_DIR");
    if (folder != NULL && folder[0] == '\0') folder = NULL;
    length = length > MOST_NAME ? MOST_NAME : length;
    while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\0')) length--;
    if (folder != NULL) {
        shorten(&name, &length);
        memcpy(own, name, length);
    }
    enter();
    struct matnet_home *home = home_of(own, folder, message, sizeof message);
    matnet_entry *entry = home == NULL ? NULL : home->idle;
    if (entry != NULL) home->idle = entry->next;
    leave();
    if (home == NULL) matnet_entry_stop("%s", message);
    if (entry == NULL) entry = make_entry(home);
    if (entry == NULL) matnet_entry_stop("no memory for a workspace.");
    return entry;
}

void matnet_entry_give(matnet_entry *entry) {
    enter();
    entry->next = entry->home->idle;
    entry->home->idle = entry;
    leave();
}

void matnet_entry_start(const matnet_entry *entry, double *state) {
    for (int c = 0; c < entry->n_state; c++) {
        if (state[c] != 0.0) return;
    }
    matnet_initial_state(entry->material, 1, state);
}

int matnet_entry_update(matnet_entry *entry, const double *strain, double dt, double temperature, const double *state_n,
                        double *stress, double *tangent, double *state) {
    return matnet_update_with(entry->workspace, 1, strain, dt, entry->expands ? &temperature : NULL, state_n, stress,
                              tangent, state, NULL);
}

void matnet_entry_elastic(const matnet_entry *entry, const double *strain, double *stress) {
    for (int a = 0; a < 6; a++) {
        stress[a] = 0.0;
        for (int b = 0; b < 6; b++) stress[a] += entry->stiffness[6 * a + b] * strain[b];
    }
}
