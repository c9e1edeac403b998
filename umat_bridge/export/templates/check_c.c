/* Reads material.matnet and drives one point along the path of expected.h: how to use the library. */
#include <stdlib.h>

#include "check.h"
#include "src/matnet_umat.h"

int main(int n, char **arguments) {
    char message[256];
    matnet_material *material;
    if (matnet_read(n > 1 ? arguments[1] : "material.matnet", &material, message, sizeof message) != MATNET_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    int n_state = matnet_n_state(material);
    double *state = calloc((size_t)n_state + 1, sizeof *state), worst_stress = 0.0, worst_tangent = 0.0;
    if (state == NULL) return 1;
    matnet_initial_state(material, 1, state);
    for (int step = 0; step < N_STEPS; step++) {
        double strain[6], stress[6], tangent[36];
        const double *temperature = HEATED ? TEMPERATURE + step : NULL;
        matnet_strain_from_engineering(STRAIN + 6 * step, strain);
        if (matnet_update(material, 1, strain, DT, temperature, state, stress, tangent, state, NULL) != 0) {
            printf("step %d: no solution\n", step + 1);
        }
        matnet_stress_to_engineering(stress, stress);
        matnet_tangent_to_engineering(tangent, tangent);
        worst_stress = fmax(worst_stress, difference(stress, STRESS + 6 * step, 6));
        worst_tangent = fmax(worst_tangent, difference(tangent, TANGENT + 36 * step, 36));
    }
    free(state);
    matnet_free(material);
    return verdict("matnet_update", worst_stress, worst_tangent);
}
