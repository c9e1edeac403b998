/* matnet_umat.h: a material network as a constitutive law, in C.

   A .matnet file with phase laws is read once; after that a material never changes, so that any number of threads may
   use it. Strains and stresses are Mandel vectors in the order 11 22 33 12 13 23 (sqrt 2 on shear components). Units are
   those of the file. The functions at the end convert to and from engineering notation. */
#ifndef MATNET_UMAT_H
#define MATNET_UMAT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What functions return. */
enum {
    MATNET_OK = 0,
    MATNET_CANNOT_READ = 1,  /* the file cannot be opened or read */
    MATNET_BAD_FILE = 2,     /* the file is damaged, or breaks a rule of the format */
    MATNET_NO_LAWS = 3,      /* the file holds a network without phase laws */
    MATNET_UNKNOWN_LAW = 4,  /* a phase law that this library does not have */
    MATNET_NO_MEMORY = 5,
    MATNET_BAD_ARGUMENT = 6
};

/* What became of a point in a step. */
enum {
    MATNET_POINT_OK = 0,
    MATNET_NOT_FINITE = 1,   /* the strain, temperature or state that came in holds NaN or infinity */
    MATNET_NOT_CONVERGED = 2 /* cut the step */
};

typedef struct matnet_material matnet_material;
typedef struct matnet_workspace matnet_workspace;

/* Read a material. On success *material is to be given to matnet_free; otherwise it is NULL, and message (of `size`
   bytes, may be NULL) holds a sentence that says what is wrong, after a missing argument none. `name` stands at its
   beginning. */
int matnet_read(const char *path, matnet_material **material, char *message, size_t size);
int matnet_read_memory(const void *bytes, size_t n_bytes, const char *name, matnet_material **material, char *message,
                       size_t size);
void matnet_free(matnet_material *material);

/* Numbers in the state of a point; 0 when all phases are linear. docs/online.md lists them: 0 .. 5 strain, 6 stored and 7
   dissipated energy density, ... */
int matnet_n_state(const matnet_material *material);

/* Whether the response depends on the length of the step (which then has to be > 0). */
int matnet_rate_dependent(const matnet_material *material);

/* Effective initial stiffness [6][6], Mandel. */
void matnet_stiffness(const matnet_material *material, double *stiffness);

/* State [n_points][n_state] of the virgin material. */
void matnet_initial_state(const matnet_material *material, int n_points, double *state);

/* Other options than the default ones (1e-8, 30, 6): largest traction jump over the stress in the base nodes, Newton
   iterations per attempt, halvings of the part of the increment that is tried. Not while other threads use the material. */
int matnet_set_options(matnet_material *material, double tol, int max_iterations, int max_cuts);

/* Scratch for matnet_update_with; one per thread. NULL: no memory. */
matnet_workspace *matnet_workspace_create(const matnet_material *material);
void matnet_workspace_free(matnet_workspace *workspace);

/* Stress, consistent tangent and state at the end of a step of length dt, for a batch of points.

   strain       [n_points][6]         total strain at the end of the step
   temperature  [n_points] or NULL    at its end; NULL, or NaN for a point: each law's own reference temperature
   state_n      [n_points][n_state]   state at the start, not changed unless state is the same array, which is allowed
   stress       [n_points][6]         filled
   tangent      [n_points][36]        filled: d stress / d strain, 6 x 6 row by row
   state        [n_points][n_state]   filled
   status       [n_points] or NULL    filled: MATNET_POINT_OK, MATNET_NOT_FINITE or MATNET_NOT_CONVERGED

   Points that are not OK have NaN in stress and tangent, and their old state. Returns how many these are, or minus
   MATNET_BAD_ARGUMENT or MATNET_NO_MEMORY, nothing being filled then. Thread-safe: one workspace per thread, or
   matnet_update, which makes its own. A point's result does not depend on its neighbours; but one or two points in
   a call take another path through the processor than larger batches, with other round-off. The caller's floating-point
   environment (traps, rounding) does not matter and stays as it is. */
int matnet_update(const matnet_material *material, int n_points, const double *strain, double dt,
                  const double *temperature, const double *state_n, double *stress, double *tangent, double *state,
                  int *status);
int matnet_update_with(matnet_workspace *workspace, int n_points, const double *strain, double dt,
                       const double *temperature, const double *state_n, double *stress, double *tangent,
                       double *state, int *status);

/* To and from the engineering notation of finite element codes, order 11 22 33 12 13 23: strain with engineering shear
   (gamma = 2 eps), stress with plain shear, tangent [6][6] = d stress / d strain of these. In place is allowed. */
void matnet_strain_from_engineering(const double *engineering, double *mandel);
void matnet_stress_to_engineering(const double *mandel, double *engineering);
void matnet_tangent_to_engineering(const double *mandel, double *engineering);

#ifdef __cplusplus
}
#endif

#endif
