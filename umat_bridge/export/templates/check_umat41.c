/* Calls umat41 and utan41 as LS-DYNA does in double precision, along the path of expected.h. */
#include <string.h>

#include "check.h"

void umat41_(const double *cm, const double *eps, double *sig, double *epsp, double *hsv, const double *dt1,
             const double *capa, const char *etype, const double *tt, const double *temper, int *failel, const double *crv,
             const int *nnpcrv, const double *cma, const double *qmat, const double *elsiz, const int *idele, int *reject,
             int etype_len);
void utan41_(const double *cm, const double *eps, double *sig, double *epsp, double *hsv, const double *dt1, int *unsym,
             const double *capa, const char *etype, const double *tt, const double *temper, double *es, const double *crv,
             const int *nnpcrv, int *failel, const double *cma, const double *qmat, int etype_len);

enum { N_HISTORY = {{history}} };
static const int component[6] = {0, 1, 2, 3, 5, 4}; /* xx yy zz xy yz zx */
static double history[N_HISTORY];

int main(void) {
    const double cm[48] = { {{bulk}}, {{shear}}, N_HISTORY, 0.0 }, capa = 1.0, none[9] = {0.0};
    const int zero = 0;
    double stress[6] = {0.0}, epsp = 0.0, worst_stress = 0.0, worst_tangent = 0.0;
    for (int step = 0; step < N_STEPS; step++) {
        const double time = step * DT;
        double increment[6], es[36], own[6], tangent[36];
        int failed = 0, reject = 0, unsymmetric = 0;
        for (int c = 0; c < 6; c++) {
            double before = step == 0 ? 0.0 : STRAIN[6 * (step - 1) + component[c]];
            increment[c] = STRAIN[6 * step + component[c]] - before;
        }
        umat41_(cm, increment, stress, &epsp, history, &DT, &capa, "solid", &time, TEMPERATURE + step, &failed, none, &zero,
                none, none, none, &zero, &reject, 5);
        utan41_(cm, increment, stress, &epsp, history, &DT, &unsymmetric, &capa, "solid", &time, TEMPERATURE + step, es, none,
                &zero, &failed, none, none, 5);
        if (failed || reject) printf("step %d: no solution\n", step + 1);
        for (int a = 0; a < 6; a++) {
            own[component[a]] = stress[a];
            for (int b = 0; b < 6; b++) tangent[6 * component[a] + component[b]] = es[6 * b + a];
        }
        worst_stress = fmax(worst_stress, difference(own, STRESS + 6 * step, 6));
        worst_tangent = fmax(worst_tangent, difference(tangent, TANGENT + 36 * step, 36));
    }
    return verdict("umat41", worst_stress, worst_tangent);
}
