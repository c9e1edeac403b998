/* Calls VUMAT as Abaqus/Explicit does, on a block of equal points along the path of expected.h. */
#include <string.h>

#include "check.h"

void vumat_(const int *nblock, const int *ndir, const int *nshr, const int *nstatev, const int *nfieldv, const int *nprops,
            const int *lanneal, const double *stepTime, const double *totalTime, const double *dt, const char *cmname,
            const double *coordMp, const double *charLength, const double *props, const double *density,
            const double *strainInc, const double *relSpinInc, const double *tempOld, const double *stretchOld,
            const double *defgradOld, const double *fieldOld, const double *stressOld, const double *stateOld,
            const double *enerInternOld, const double *enerInelasOld, const double *tempNew, const double *stretchNew,
            const double *defgradNew, const double *fieldNew, double *stressNew, double *stateNew, double *enerInternNew,
            double *enerInelasNew, int cmname_len);

enum { N_POINTS = 70, N_STATE = {{depvar}} };
static const int component[6] = {0, 1, 2, 3, 5, 4}; /* 11 22 33 12 23 31 */

static double state[2][N_STATE * N_POINTS];

int main(void) {
    static double stress[2][6 * N_POINTS], increment[6 * N_POINTS], energy[4][N_POINTS], density[N_POINTS], heat[N_POINTS];
    static double unit[9 * N_POINTS];
    const int nblock = N_POINTS, three = 3, n_state = N_STATE, zero = 0, one = 1;
    double worst = 0.0;
    char name[80];
    memset(name, ' ', sizeof name);
    memcpy(name, "{{name}}", strlen("{{name}}"));
    for (int step = 0; step < N_STEPS; step++) {
        const double time = (step + 1) * DT;
        for (int i = 0; i < N_POINTS; i++) {
            density[i] = 1.0;
            heat[i] = TEMPERATURE[step];
            for (int c = 0; c < 6; c++) {
                int from = component[c];
                double before = step == 0 ? 0.0 : STRAIN[6 * (step - 1) + from];
                increment[c * N_POINTS + i] = (STRAIN[6 * step + from] - before) / (c < 3 ? 1.0 : 2.0);
            }
        }
        vumat_(&nblock, &three, &three, &n_state, &zero, &one, &zero, &time, &time, &DT, name, unit, unit, unit, density,
               increment, unit, heat, unit, unit, unit, stress[0], state[0], energy[0], energy[1], heat, unit, unit, unit,
               stress[1], state[1], energy[2], energy[3], 80);
        for (int i = 0; i < N_POINTS; i++) {
            double own[6];
            for (int c = 0; c < 6; c++) own[component[c]] = stress[1][c * N_POINTS + i];
            worst = fmax(worst, difference(own, STRESS + 6 * step, 6));
        }
        memcpy(stress[0], stress[1], sizeof stress[0]);
        memcpy(state[0], state[1], sizeof state[0]);
        memcpy(energy[0], energy[2], 2 * sizeof energy[0]);
    }
    return verdict("vumat", worst, 0.0);
}
