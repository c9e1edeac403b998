/* Calls UMAT as Abaqus/Standard and CalculiX do, along the path of expected.h. */
#include <string.h>

#include "check.h"

void umat_(double *stress, double *statev, double *ddsdde, double *sse, double *spd, double *scd, double *rpl,
           double *ddsddt, double *drplde, double *drpldt, const double *stran, const double *dstran, const double *time,
           const double *dtime, const double *temp, const double *dtemp, const double *predef, const double *dpred,
           const char *cmname, const int *ndi, const int *nshr, const int *ntens, const int *nstatv, const double *props,
           const int *nprops, const double *coords, const double *drot, double *pnewdt, const double *celent,
           const double *dfgrd0, const double *dfgrd1, const int *noel, const int *npt, const int *layer, const int *kspt,
           const int *kstep, const int *kinc, int cmname_len);

enum { N_STATE = {{depvar}} };

int main(void) {
    static double state[N_STATE];
    const double zero = 0.0, one = 1.0, unit[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, coords[3] = {0.0};
    const int ndi = 3, nshr = 3, ntens = 6, nstatv = N_STATE, nprops = 1, first = 1, kstep[4] = {1, 1, 0, 0};
    double stress[6] = {0.0}, before[6] = {0.0}, worst_stress = 0.0, worst_tangent = 0.0;
    char name[80];
    memset(name, ' ', sizeof name);
    memcpy(name, "{{name}}", strlen("{{name}}"));
    for (int step = 0; step < N_STEPS; step++) {
        double ddsdde[36], row_by_row[36], increment[6], sse, spd, scd, rpl, ddsddt[6], drplde[6], drpldt, pnewdt = 1.0;
        const double time[2] = {step * DT, step * DT};
        for (int c = 0; c < 6; c++) increment[c] = STRAIN[6 * step + c] - before[c];
        umat_(stress, state, ddsdde, &sse, &spd, &scd, &rpl, ddsddt, drplde, &drpldt, before, increment, time, &DT,
              TEMPERATURE + step, &zero, &zero, &zero, name, &ndi, &nshr, &ntens, &nstatv, &zero, &nprops, coords, unit,
              &pnewdt, &one, unit, unit, &first, &first, &first, &first, kstep, &first, 80);
        if (pnewdt < 1.0) printf("step %d: asked for a smaller increment\n", step + 1);
        for (int a = 0; a < 36; a++) row_by_row[a] = ddsdde[6 * (a % 6) + a / 6];
        worst_stress = fmax(worst_stress, difference(stress, STRESS + 6 * step, 6));
        worst_tangent = fmax(worst_tangent, difference(row_by_row, TANGENT + 36 * step, 36));
        memcpy(before, STRAIN + 6 * step, sizeof before);
    }
    return verdict("umat", worst_stress, worst_tangent);
}
