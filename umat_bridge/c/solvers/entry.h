/* What the solvers' entry points share: a material found by name, a workspace for the calling thread, virgin states.

   The entry points are called by any number of threads. All they share is a table of materials that were read, which
   grows under a lock; everything else belongs to one call. */
#ifndef MATNET_SOLVERS_ENTRY_H
#define MATNET_SOLVERS_ENTRY_H

#include "../matnet_umat.h"

/* A .matnet file that is compiled in; material_data.c of an export defines them. */
extern const unsigned char matnet_embedded_bytes[];
extern const size_t matnet_embedded_size;
extern const char matnet_embedded_name[];

/* Before what a solver calls, so that all else can stay inside a library. */
#ifdef _WIN32
#define MATNET_EXPORTED __declspec(dllexport)
#elif defined(__GNUC__)
#define MATNET_EXPORTED __attribute__((visibility("default")))
#else
#define MATNET_EXPORTED
#endif

struct matnet_home;

/* A material, and a workspace that is the caller's own until it gives the entry back. */
typedef struct matnet_entry {
    const matnet_material *material;
    matnet_workspace *workspace;
    int n_state, rate_dependent;
    int expands;          /* whether the temperature of the solver is looked at: a phase has thermal expansion */
    int symmetric;        /* whether every tangent is symmetric */
    double stiffness[36]; /* initial, Mandel */
    double *scratch;      /* [MATNET_BLOCK][n_state] */
    struct matnet_home *home;
    struct matnet_entry *next;
} matnet_entry;

enum { MATNET_BLOCK = 64 }; /* most points in a call */

/* The material of this name (`length` characters, blanks at the end do not count). If the environment has MATNET_DIR, it
   is <name>.matnet of that folder, in upper or lower case, read at the first call; of CalculiX' names "@ABAQUS_LIBRARY" and
   "@ABAQUS_LIBRARY@NAME" the last part counts. Otherwise it is the one compiled in, whatever its name. Stops the program
   with a sentence if it cannot be read. */
matnet_entry *matnet_entry_take(const char *name, size_t length);
void matnet_entry_give(matnet_entry *entry);

/* A state of nothing but zeros, as solvers have it at the start, becomes that of the virgin material. */
void matnet_entry_start(const matnet_entry *entry, double *state);

/* As matnet_update_with for one point; temperature counts if the material expands. Returns 0 or what failed. */
int matnet_entry_update(matnet_entry *entry, const double *strain, double dt, double temperature, const double *state_n,
                        double *stress, double *tangent, double *state);

/* stress = C : strain with the initial stiffness. */
void matnet_entry_elastic(const matnet_entry *entry, const double *strain, double *stress);

/* Print a sentence to stderr and end the program, by the solver's own routine where there is one. */
void matnet_entry_stop(const char *format, ...);

#endif
